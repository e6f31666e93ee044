import type { INodeTypeDescription } from 'n8n-workflow';
import { credentialType, openLab, type Lab } from './lab';
import { nodeTypes } from './workflow';

let lab: Lab;
beforeAll(async () => {
	lab = await openLab();
});
afterAll(async () => {
	await lab.close();
});

describe('the installed package', () => {
	let ours: INodeTypeDescription[];
	beforeAll(async () => {
		const all = await lab.n8n.nodeTypes();
		ours = all.filter(({ name }) => /aetherforge/i.test(name));
	});

	it('offers its five nodes under the names that saved workflows use, each also as a tool', () => {
		const names = Object.values(nodeTypes);
		expect(names).toHaveLength(5);
		expect(ours.map(({ name }) => name).sort()).toEqual(
			names.flatMap((name) => [name, `${name}Tool`]).sort(),
		);
	});

	it('serves an icon for each theme', async () => {
		const addresses = new Set(
			ours.flatMap(({ iconUrl }) => (typeof iconUrl === 'object' ? Object.values(iconUrl) : [])),
		);
		expect(addresses.size).toBe(2);
		for (const address of addresses) {
			const response = await fetch(`${lab.n8n.url}/${address}`);
			expect([response.status, response.headers.get('content-type')]).toEqual([
				200,
				expect.stringContaining('svg'),
			]);
		}
	});
});

describe('the credential test', () => {
	const test = async (apiKey: string, baseUrl: string) =>
		await lab.n8n.testCredential(lab.credential, { apiKey, baseUrl });

	it('accepts a good key and spends nothing', async () => {
		expect(lab.credential.type).toBe(credentialType);
		expect(await test(lab.apiKey, lab.emulator.apiUrl)).toMatchObject({ status: 'OK' });
		expect(lab.emulator.submits).toEqual([]);
	});

	it('accepts a base URL with a trailing slash, or with spaces around it', async () => {
		expect(await test(lab.apiKey, `${lab.emulator.apiUrl}/`)).toMatchObject({ status: 'OK' });
		expect(await test(lab.apiKey, ` ${lab.emulator.apiUrl} `)).toMatchObject({ status: 'OK' });
	});

	it('says that a key is wrong', async () => {
		expect(await test('no-such-key', lab.emulator.apiUrl)).toEqual({
			status: 'Error',
			message: 'The API key is wrong or has expired',
		});
	});

	it('says that the account is gone', async () => {
		lab.emulator.orphanedKeys.add('orphan-key');
		expect(await test('orphan-key', lab.emulator.apiUrl)).toEqual({
			status: 'Error',
			message: 'The API key is known, but its account no longer exists',
		});
	});

	it('says that there is no host', async () => {
		const { status, message } = await test(lab.apiKey, 'http://127.0.0.1:9');
		expect(status).toBe('Error');
		expect(message).toMatch(/ECONNREFUSED|refused|connect/i);
	});

	it.each([
		['n8n itself', () => lab.n8n.url],
		['a web server that answers 404 with a page', () => lab.emulator.cdnUrl],
		['a path below the right one', () => `${lab.emulator.apiUrl}/public/v1`],
	])('says that there is no API at %s', async (_, baseUrl) => {
		expect(await test(lab.apiKey, baseUrl())).toEqual({
			status: 'Error',
			message: 'There is no AetherForge API at this Base URL',
		});
	});

	it('does not send the key to another host over plain http', async () => {
		const { status, message } = await test(lab.apiKey, 'http://example.invalid');
		expect(status).toBe('Error');
		expect(message).toMatch(/https/);
	});
});
