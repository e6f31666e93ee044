import { connect, createServer, type AddressInfo, type Server, type Socket } from 'node:net';

const LOOPBACK = '127.0.0.1';

/** A port in front of a server: shut, it refuses connections as a host without the service does. */
export class Door {
	readonly #target: URL;
	readonly #port: number;
	readonly #sockets = new Set<Socket>();
	#server: Server | undefined;

	private constructor(target: URL, port: number, server: Server) {
		this.#target = target;
		this.#port = port;
		this.#server = server;
		this.#admit(server);
	}

	/** Puts an open door in front of a base URL. */
	static async inFrontOf(url: string): Promise<Door> {
		const server = createServer();
		await listen(server, 0);
		return new Door(new URL(url), (server.address() as AddressInfo).port, server);
	}

	get url(): string {
		return `http://${LOOPBACK}:${this.#port}`;
	}

	async open(): Promise<void> {
		this.#server = createServer();
		this.#admit(this.#server);
		await listen(this.#server, this.#port);
	}

	shut(): void {
		this.#server?.close();
		for (const socket of this.#sockets) socket.destroy();
		this.#server = undefined;
	}

	#admit(server: Server): void {
		server.on('connection', (socket) => {
			const onward = connect(Number(this.#target.port), LOOPBACK);
			for (const [end, other] of [
				[socket, onward],
				[onward, socket],
			] as const) {
				this.#sockets.add(end);
				end.on('error', () => other.destroy());
				end.on('close', () => {
					this.#sockets.delete(end);
					other.destroy();
				});
				end.pipe(other);
			}
		});
	}
}

async function listen(server: Server, port: number): Promise<void> {
	await new Promise<void>((resolve, reject) => {
		server.once('error', reject);
		server.listen(port, LOOPBACK, resolve);
	});
}
