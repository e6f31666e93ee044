import { Agent, type IncomingMessage, type Server } from 'node:http';
import { Duplex } from 'node:stream';

import type { FaultPlace } from '../emulator/emulator';
import type { Owner, VirtualClock as DayClock } from '../support/virtualClock';

type Callback = (error?: Error | null) => void;

/** Where the servers of the day listen: no port is opened for them. */
const FIRST_PORT = 1;

/**
 * One end of a connection that exists in memory only, so that it knows no time but the day's. Node's
 * HTTP runs over it as over a socket.
 */
class Wire extends Duplex {
	peer: Wire | undefined;
	timeout = 0;
	#stopIdling: () => void = () => undefined;
	/** What to call once somebody reads again. */
	#onRead: Callback | undefined;
	#wasReset = false;
	isDead = false;
	/** Whether the server has seen a request on it. */
	isSeen = false;

	constructor(
		private readonly clock: DayClock,
		private readonly owner: Owner,
		private readonly latencyMs: number,
		readonly isForApi: boolean,
	) {
		super({ allowHalfOpen: false });
	}

	/** n8n's process dies: its end never moves again, and the other one is cut off. */
	die(): void {
		if (this.isDead) return;
		this.isDead = true;
		this.peer?.destroy();
	}

	setTimeout(durationMs: number, onTimeout?: () => void): this {
		this.timeout = durationMs;
		if (onTimeout) this.once('timeout', onTimeout);
		this.#idle();
		return this;
	}

	resetAndDestroy(): void {
		this.#wasReset = true;
		this.destroy();
	}

	setNoDelay = () => this;
	setKeepAlive = () => this;
	ref = () => this;
	unref = () => this;

	override _read(): void {
		const onRead = this.#onRead;
		this.#onRead = undefined;
		onRead?.();
	}

	override _writev(chunks: { chunk: Buffer }[], done: Callback): void {
		const bytes = Buffer.concat(chunks.map(({ chunk }) => chunk));
		this.#idle();
		this.#deliver((peer) => {
			if (peer.destroyed) return;
			peer.#idle();
			if (peer.push(bytes)) done();
			else peer.#onRead = done;
		});
	}

	override _final(done: Callback): void {
		this.#deliver((peer) => {
			if (!peer.destroyed) peer.push(null);
		});
		done();
	}

	override _destroy(error: Error | null, done: Callback): void {
		this.#stopIdling();
		const wasReset = this.#wasReset;
		if (!this.writableFinished || wasReset) {
			this.#deliver((peer) => {
				peer.destroy(wasReset ? connectionError('read', 'ECONNRESET') : undefined);
			});
		}
		done(error);
	}

	#deliver(act: (peer: Wire) => void): void {
		const { peer } = this;
		if (!peer || this.isDead) return;
		const arrive = () => {
			if (!peer.isDead) act(peer);
		};
		if (this.latencyMs > 0) this.clock.after(this.latencyMs, 'service', arrive);
		else process.nextTick(arrive);
	}

	#idle(): void {
		this.#stopIdling();
		if (this.timeout === 0 || this.destroyed) return;
		this.#stopIdling = this.clock.after(this.timeout, this.owner, () => {
			this.emit('timeout');
		});
	}
}

function connectionError(syscall: string, code: string): Error {
	return Object.assign(new Error(`${syscall} ${code} 127.0.0.1`), { syscall, code });
}

/** The day's servers, and the way from n8n to them. */
export class Network {
	readonly #servers: Server[] = [];
	readonly #open = new Set<Wire>();
	/** Which connections are refused, by their number. */
	refuses: (connection: number) => boolean = () => false;
	/** Whether a crash cut off a request to the API before it arrived. */
	hasCutOff = false;
	/** Told of each request as it comes in. */
	readonly watchers = new Set<(place: FaultPlace) => void>();
	#connectionCount = 0;

	/** @param latencyMs how long bytes are on their way, asked once for each connection */
	constructor(
		private readonly clock: DayClock,
		private readonly latencyMs: () => number,
	) {}

	/** @returns the server's URL */
	listen(server: Server): string {
		server.keepAliveTimeout = 0;
		const isApi = this.#servers.length === 0;
		server.prependListener('request', ({ method, socket }: IncomingMessage) => {
			(socket as Duplex as Wire).isSeen = true;
			const place = !isApi ? 'download' : method === 'POST' ? 'submit' : 'poll';
			for (const watcher of this.watchers) watcher(place);
		});
		return `http://127.0.0.1:${FIRST_PORT + this.#servers.push(server) - 1}`;
	}

	crash(): void {
		for (const wire of this.#open) {
			if (wire.isForApi && wire.peer?.isSeen === false) this.hasCutOff = true;
			wire.die();
		}
	}

	/** Leads every HTTP connection to the day's servers, until what is returned is called. */
	install(): () => void {
		const original = Object.getOwnPropertyDescriptor(Agent.prototype, 'createConnection');
		Agent.prototype.createConnection = ({ port }) => this.#connect(Number(port));
		return () => {
			if (original) Object.defineProperty(Agent.prototype, 'createConnection', original);
		};
	}

	#connect(port: number): Wire {
		const latencyMs = this.latencyMs();
		const client = new Wire(this.clock, 'n8n', latencyMs, port === FIRST_PORT);
		const server = this.#servers[port - FIRST_PORT];
		if (!server || this.refuses(this.#connectionCount++)) {
			this.clock.after(1, 'n8n', () => client.destroy(connectionError('connect', 'ECONNREFUSED')));
			return client;
		}
		const remote = new Wire(this.clock, 'service', latencyMs, port === FIRST_PORT);
		client.peer = remote;
		remote.peer = client;
		this.#open.add(client);
		client.once('close', () => this.#open.delete(client));
		server.emit('connection', remote);
		return client;
	}
}
