import type { INodeParameters } from 'n8n-workflow';
import type { Emulator } from '../emulator/emulator';
import { openLab, type Lab } from './lab';
import type { Execution } from './real-n8n/rest-client';
import { chain, httpRequest, imageGenerate, manualTrigger, workflow } from './workflow';

let lab: Lab;
beforeEach(async () => {
	lab = await openLab();
});
afterEach(async () => {
	await lab.close();
});

async function generate(options: INodeParameters = {}): Promise<Execution> {
	const node = imageGenerate({ prompt: 'A red fox', options });
	return await lab.run(workflow('Secrets', chain(manualTrigger(), node)));
}

/** Neither the saved execution nor n8n's log, at the level "debug", holds the key. */
async function expectNoKey(execution: Execution): Promise<void> {
	expect(
		lab.emulator.requests.some(({ headers }) => headers.authorization?.includes(lab.apiKey)),
	).toBe(true);
	const log = await lab.n8nLog();
	// Compared as booleans: a failure must not print the whole log.
	expect({
		isLogged: new RegExp(`"executionId": ?"${execution.id}"`).test(log),
		isKeyLogged: log.includes(lab.apiKey),
		isKeySaved: execution.savedText.includes(lab.apiKey),
	}).toEqual({ isLogged: true, isKeyLogged: false, isKeySaved: false });
}

it('shows no key after a success', async () => {
	const execution = await generate();
	expect(execution.status).toBe('success');
	await expectNoKey(execution);
});

it('shows no key when the key is refused', async () => {
	lab.emulator.apiKeys.clear();
	const execution = await generate();
	expect(execution.status).toBe('error');
	expect(execution.errorMessage).toContain('does not accept the API key');
	await expectNoKey(execution);
});

it('shows no key when the API breaks down', async () => {
	lab.emulator.faults.add({
		at: 'submit',
		kind: 'respond',
		status: 500,
		body: 'Oops',
		times: Infinity,
	});
	const execution = await generate();
	expect(execution.status).toBe('error');
	await expectNoKey(execution);
});

it('shows no key when the connection breaks', async () => {
	lab.emulator.faults.add({ at: 'submit', kind: 'reset', times: Infinity });
	const execution = await generate();
	expect(execution.status).toBe('error');
	await expectNoKey(execution);
});

it('shows no key when it would have gone to another host', async () => {
	lab.emulator.faults.add({
		at: 'submit',
		kind: 'redirect',
		to: `${lab.emulator.cdnUrl}/elsewhere`,
		times: Infinity,
	});
	const execution = await generate();
	expect(execution.status).toBe('error');
	expect(lab.emulator.requests.filter(({ server }) => server === 'cdn')).toEqual([]);
	await expectNoKey(execution);
});

describe('n8n’s HTTP Request node with the credential', () => {
	async function request(url: string): Promise<Execution> {
		const node = httpRequest(url, lab.credential);
		return await lab.run(workflow('Request', chain(manualTrigger(), node)));
	}

	it('sends the key to the API', async () => {
		const { id } = lab.emulator.jobs.add();
		const execution = await request(`${lab.emulator.apiUrl}/public/v1/job/${id}`);
		expect([execution.status, execution.errorMessage]).toEqual(['success', undefined]);
		expect(execution.items('Request')[0]?.json).toMatchObject({ job_id: id });
		await expectNoKey(execution);
	});

	it.each<[string, (emulator: Emulator) => string]>([
		['another port', ({ cdnUrl }) => `${cdnUrl}/elsewhere`],
		['another host', ({ apiUrl }) => `${apiUrl.replace('127.0.0.1', 'localhost')}/elsewhere`],
	])('does not carry the key along a redirect to %s', async (_, addressAt) => {
		const { id } = lab.emulator.jobs.add();
		lab.emulator.faults.add({
			at: 'poll',
			kind: 'redirect',
			to: addressAt(lab.emulator),
		});
		const execution = await request(`${lab.emulator.apiUrl}/public/v1/job/${id}`);
		expect(execution.status).toBe('error');
		expect(lab.emulator.requests.map(({ path }) => path)).toEqual([`/public/v1/job/${id}`]);
		await expectNoKey(execution);
	});

	it('sends nothing to another origin', async () => {
		const execution = await request(`${lab.emulator.cdnUrl}/elsewhere`);
		expect(execution.status).toBe('error');
		expect(lab.emulator.requests).toEqual([]);
		expect(execution.savedText).not.toContain(lab.apiKey);
	});
});
