import { once } from 'node:events';
import { createServer, request as httpRequest } from 'node:http';
import type { ClientRequest, IncomingMessage, Server, ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';
import { strike } from './faults';
import { ClientGone, readForm } from './form';

// What nobody waits for any more must not be waited for inside either: it would pile up in long runs.

let server: Server;

afterEach(async () => {
	server.closeAllConnections();
	await new Promise((resolve) => server.close(resolve));
});

/** Has `handle` serve one request; the client stays until the test lets it leave. */
async function served<Result>(
	handle: (request: IncomingMessage, response: ServerResponse) => Promise<Result>,
): Promise<{ client: ClientRequest; handled: Promise<Result> }> {
	server = createServer();
	server.listen(0, '127.0.0.1');
	await once(server, 'listening');
	const handled = new Promise<Result>((resolve, reject) => {
		server.once('request', (request, response) => {
			handle(request, response).then(resolve, reject);
		});
	});
	const { port } = server.address() as AddressInfo;
	const client = httpRequest({
		port,
		host: '127.0.0.1',
		method: 'POST',
		headers: { 'content-type': 'multipart/form-data; boundary=x' },
	});
	client.on('error', () => undefined);
	client.write('--x\r\ncontent-disposition: form-data; name="a"; filename="a.png"\r\n\r\nabc');
	return { client, handled };
}

it('gives up reading a form whose sender left', async () => {
	const { client, handled } = await served(async (request) => {
		request.once('data', () => client.destroy());
		return await readForm(request, 0);
	});
	await expect(handled).rejects.toThrow(ClientGone);
});

it('gives up an endless body whose reader left', async () => {
	const answer = { status: 200, headers: {}, body: Buffer.from('x') };
	const { client, handled } = await served(async (request, response) => {
		const fault = { at: 'poll', kind: 'endlessBody' } as const;
		await strike(fault, request, response, answer, 0);
	});
	const [incoming] = (await once(client, 'response')) as [IncomingMessage];
	await once(incoming, 'readable');
	client.destroy();
	await expect(handled).resolves.toBeUndefined();
});
