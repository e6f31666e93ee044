import { createServer } from 'node:http';
import { connect, type AddressInfo, type Socket } from 'node:net';

/** An HTTP proxy that n8n finds in its environment. */
export interface TestProxy {
	/** The hosts that it was asked to connect to, one for each time. */
	asked: string[];
	close: () => void;
}

/**
 * Starts a proxy for https.
 *
 * @param answer the status with which it refuses to connect, or the port to which it connects instead
 */
export async function startProxy(
	answer: { status: number } | { port: number },
): Promise<TestProxy> {
	const asked: string[] = [];
	const sockets = new Set<Socket>();
	const server = createServer().on('connect', ({ url }, stream) => {
		const socket = stream as Socket;
		sockets.add(socket.on('error', () => undefined));
		asked.push(url ?? '');
		if ('port' in answer) {
			socket.write('HTTP/1.1 200 Connection established\r\n\r\n');
			const onward = connect(answer.port, '127.0.0.1').on('error', () => socket.destroy());
			sockets.add(onward);
			socket.pipe(onward).pipe(socket);
			return;
		}
		// Node's agent does not wait for a page that comes after the headers.
		socket.end(`HTTP/1.1 ${answer.status} No Way\r\nContent-Length: 5\r\n\r\n`);
	});
	await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
	const before = process.env.HTTPS_PROXY;
	process.env.HTTPS_PROXY = `http://127.0.0.1:${(server.address() as AddressInfo).port}`;
	return {
		asked,
		close: () => {
			if (before === undefined) delete process.env.HTTPS_PROXY;
			else process.env.HTTPS_PROXY = before;
			server.close();
			for (const socket of sockets) socket.destroy();
		},
	};
}
