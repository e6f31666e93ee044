import { createServer, type RequestListener } from 'node:http';
import type { AddressInfo } from 'node:net';

/** A server of the test's own, for what no emulator of the API would say. */
export interface TestServer {
	/** Without a trailing slash. */
	url: string;
	close: () => void;
}

/** Starts a server on a free port of this machine. */
export async function serve(listener: RequestListener): Promise<TestServer> {
	const server = createServer(listener);
	await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
	return {
		url: `http://127.0.0.1:${(server.address() as AddressInfo).port}`,
		close: () => {
			server.close();
			server.closeAllConnections();
		},
	};
}
