import { readFileSync } from 'node:fs';
import path from 'node:path';
import type { INodeTypeDescription } from 'n8n-workflow';
import { root, sourcesIn } from '../package/sources';
import { credentialType, openLab, type Lab } from './lab';
import { jobIds } from './scenarios';
import { chain, imageGenerate, manualTrigger, nodeTypes, workflow } from './workflow';

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

	it('tells n8n’s AI builder which node is for what', () => {
		for (const { name, builderHint, properties } of ours) {
			expect([name, builderHint?.searchHint]).toEqual([name, expect.any(String)]);
			const options = properties.find((property) => property.name === 'options')?.options ?? [];
			const hinted = options.filter((option) => 'builderHint' in option).map((each) => each.name);
			expect(hinted).toContain('outputItems');
		}
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

describe('the output fields of a node that has not run', () => {
	const files = sourcesIn('nodes', '.json').filter((file) => file.includes('/__schema__/'));

	it.each(files)('are those of %s', async (file) => {
		const [, className = '', , , operation] = file.replace('.json', '').split('/');
		const name =
			`${className.charAt(0).toLowerCase()}${className.slice(1)}` as keyof typeof nodeTypes;
		const schema: unknown = JSON.parse(readFileSync(path.join(root, file), 'utf8'));
		expect(await lab.n8n.outputSchema(nodeTypes[name], operation)).toEqual(schema);
	});

	it('are not known of an operation that does not exist', async () => {
		expect(await lab.n8n.outputSchema(nodeTypes.sprite, 'fly')).toBeUndefined();
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

describe('custom data of an execution', () => {
	it('list its jobs where a node can set them, which is in n8n 2.16 and later', async () => {
		const parameters = { prompt: 'A lighthouse', jobsPerItem: 2 };
		const execution = await lab.run(
			workflow('Two jobs', chain(manualTrigger(), imageGenerate(parameters))),
		);
		expect(execution.status).toBe('success');
		const ids = jobIds(execution);
		expect(ids).toHaveLength(2);
		const { aetherforge_jobs: listed, ...others } = execution.customData;
		expect(others).toEqual({});
		const isKept = process.env.E2E_N8N_RELEASE === 'n8n-2.41';
		expect(listed?.split(',').sort()).toEqual(isKept ? ids.sort() : undefined);
	});
});
