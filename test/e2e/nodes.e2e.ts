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

	it('offers both nodes under the names that saved workflows use, and both as tools', () => {
		expect(ours.map(({ name }) => name).sort()).toEqual([
			nodeTypes.getJob,
			`${nodeTypes.getJob}Tool`,
			nodeTypes.imageGenerate,
			`${nodeTypes.imageGenerate}Tool`,
		]);
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

	it('accepts a base URL with a trailing slash', async () => {
		expect(await test(lab.apiKey, `${lab.emulator.apiUrl}/`)).toMatchObject({ status: 'OK' });
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

	it('does not send the key to another host over plain http', async () => {
		const { status, message } = await test(lab.apiKey, 'http://example.invalid');
		expect(status).toBe('Error');
		expect(message).toMatch(/https/);
	});
});
