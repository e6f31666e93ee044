import { once } from 'node:events';
import { createServer, type IncomingMessage, type ServerResponse } from 'node:http';
import { json } from 'node:stream/consumers';

/** A place in a workflow where the run waits for the bench, which measures meanwhile. */
export interface Gate {
	/** For the `gate` operation of the bench's node. */
	url: string;
	/**
	 * Waits for the next run to arrive and keeps it there.
	 * @throws Error after the time limit
	 */
	arrival(timeoutMs: number): Promise<Arrival>;
	close(): Promise<void>;
}

export interface Arrival {
	/** The process that runs the workflow. */
	pid: number;
	/** Lets the run go on. */
	open(): void;
}

/** Opens a gate on the loopback interface. */
export async function makeGate(): Promise<Gate> {
	const arrivals: Arrival[] = [];
	const waiting: ((arrival: Arrival) => void)[] = [];
	const take = async (request: IncomingMessage, response: ServerResponse) => {
		const { pid } = (await json(request)) as { pid: number };
		const arrival: Arrival = {
			pid,
			open: () => {
				response.setHeader('content-type', 'application/json').end('{}');
			},
		};
		const next = waiting.shift();
		if (next) next(arrival);
		else arrivals.push(arrival);
	};
	const server = createServer((request, response) => {
		void take(request, response);
	}).listen(0, '127.0.0.1');
	await once(server, 'listening');
	const address = server.address();
	if (address === null || typeof address === 'string') throw new Error('The gate has no port.');
	return {
		url: `http://127.0.0.1:${address.port}/`,
		arrival: async (timeoutMs) => {
			const arrived = arrivals.shift();
			if (arrived) return arrived;
			return await new Promise<Arrival>((resolve, reject) => {
				const late = setTimeout(() => {
					reject(new Error(`The run did not arrive within ${timeoutMs / 1000} s.`));
				}, timeoutMs);
				waiting.push((arrival) => {
					clearTimeout(late);
					resolve(arrival);
				});
			});
		},
		close: async () => {
			server.close();
			server.closeAllConnections();
			await once(server, 'close');
		},
	};
}
