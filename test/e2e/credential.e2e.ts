import type { Emulator, Fault } from '../emulator/emulator';
import { credentialType, expectSuccess, useLab } from './lab';
import type { Execution } from './real-n8n/rest-client';
import { until } from './real-n8n/until';
import { generateFrom } from './scenarios';
import { chain, httpRequest, manualTrigger, withCredential, workflow } from './workflow';

// Every lab looks for its key in n8n's log, at the level "debug". Here it is not in the saved data either.

const lab = useLab();

describe('the credential test', () => {
	type Given = Partial<Record<'apiKey' | 'baseUrl', string>>;
	const test = async (given: Given) =>
		await lab.n8n.request('POST', '/rest/credentials/test', {
			credentials: {
				...lab.credential,
				data: { apiKey: lab.apiKey, baseUrl: lab.emulator.apiUrl, ...given },
			},
		});

	it('accepts a good key, with a base URL as people type it, and spends nothing', async () => {
		const baseUrl = ` ${lab.emulator.apiUrl}/ `;
		expect(await test({ baseUrl })).toMatchObject({ status: 'OK' });
		expect(lab.emulator.submits).toEqual([]);
	});

	const noApi = /^There is no AetherForge API at this Base URL$/;
	const noAccount = /^The API key is known, but its account no longer exists$/;
	it.each<[string, RegExp, () => Given]>([
		['a key is wrong', /^The API key is wrong or has expired$/, () => ({ apiKey: 'wrong' })],
		[
			'the account is gone',
			noAccount,
			() => {
				const body = { detail: 'Not Found User' };
				lab.emulator.faults.add({ at: 'poll', kind: 'respond', status: 404, body });
				return {};
			},
		],
		['there is no host', /refused|connect/i, () => ({ baseUrl: 'http://127.0.0.1:9' })],
		['n8n itself is no API', noApi, () => ({ baseUrl: lab.n8n.url })],
		['a web server with pages is no API', noApi, () => ({ baseUrl: lab.emulator.cdnUrl })],
		['a path is no API', noApi, () => ({ baseUrl: `${lab.emulator.apiUrl}/public/v1` })],
		['a key goes nowhere over http', /https/, () => ({ baseUrl: 'http://example.invalid' })],
	])('says that %s', async (_, message, given) => {
		const told = { status: 'Error', message: expect.stringMatching(message) as string };
		expect(await test(given())).toEqual(told);
	});
});

describe('a run', () => {
	it.each<[string, string | undefined, (emulator: Emulator) => Fault | undefined]>([
		['a success', undefined, () => undefined],
		[
			'a key that is refused',
			'does not accept the API key',
			({ apiKeys }) => {
				apiKeys.clear();
				return undefined;
			},
		],
		['a connection that breaks', '', () => ({ at: 'submit', kind: 'reset', times: Infinity })],
		[
			'a redirect to another host',
			'',
			({ cdnUrl: to }) => ({ at: 'submit', kind: 'redirect', to, times: Infinity }),
		],
	])('shows no key after %s, and sends it to the API alone', async (_, error, arrange) => {
		const fault = arrange(lab.emulator);
		if (fault) lab.emulator.faults.add(fault);
		const execution = await lab.run(generateFrom(manualTrigger(), ['A red fox']));
		if (error === undefined) expectSuccess(execution);
		else expect(execution.errorMessage).toContain(error);
		await expectNoKey(execution);
		const withKey = lab.emulator.requests.filter(({ headers }) => headers.authorization);
		expect(new Set(withKey.map(({ server }) => server))).toEqual(new Set(['api']));
	});

	it('with a key by expression pays for each item with its own', async () => {
		const keys = ['af-key-of-ann-11111111', 'af-key-of-bob-22222222'];
		for (const key of keys) lab.emulator.apiKeys.add(key);
		const byItem = await lab.n8n.createCredential('By item', credentialType, {
			apiKey: `={{ ${JSON.stringify(keys)}[$itemIndex] }}`,
			baseUrl: lab.emulator.apiUrl,
		});
		const file = withCredential(generateFrom(manualTrigger(), keys), byItem);
		expectSuccess(await lab.n8n.runManually(await lab.n8n.createWorkflow(file), 'Start'));
		const posts = lab.emulator.requests.filter(({ method }) => method === 'POST');
		expect(
			posts.map(({ form, headers }) => [form?.fields.prompt, headers.authorization]).sort(),
		).toEqual(keys.map((key) => [key, `Bearer ${key}`]));
	});

	it('whose credential is deleted ends, and names its job', async () => {
		const saved = await lab.save(generateFrom(manualTrigger(), ['A fox #never']));
		const executionId = await lab.n8n.startManually(saved, 'Start');
		await until(() => lab.emulator.submits.length === 1);
		await lab.n8n.request('DELETE', `/rest/credentials/${lab.credential.id}`);
		const execution = await lab.n8n.waitForExecution(executionId);
		expect(execution.errorMessage).toContain('The AetherForge credential could not be read');
		expect(execution.savedText).toContain(lab.emulator.submits[0]?.jobId);
	});
});

describe('n8n’s HTTP Request node with the credential', () => {
	async function request(url: string): Promise<Execution> {
		const node = httpRequest(url, lab.credential);
		return await lab.run(workflow('Request', chain(manualTrigger(), node)));
	}

	it('sends the key to the API', async () => {
		const { id } = lab.emulator.jobs.add();
		const execution = await request(`${lab.emulator.apiUrl}/public/v1/job/${id}`);
		expectSuccess(execution);
		expect(execution.items('Request')[0]?.json).toMatchObject({ job_id: id });
		await expectNoKey(execution);
	});

	it.each<[string, (emulator: Emulator) => string]>([
		['another port', ({ cdnUrl }) => `${cdnUrl}/elsewhere`],
		['another host', ({ apiUrl }) => `${apiUrl.replace('127.0.0.1', 'localhost')}/elsewhere`],
	])('does not carry the key along a redirect to %s', async (_, addressAt) => {
		const { id } = lab.emulator.jobs.add();
		lab.emulator.faults.add({ at: 'poll', kind: 'redirect', to: addressAt(lab.emulator) });
		const execution = await request(`${lab.emulator.apiUrl}/public/v1/job/${id}`);
		expect(execution.status).toBe('error');
		expect(lab.emulator.requests.map(({ path }) => path)).toEqual([`/public/v1/job/${id}`]);
		await expectNoKey(execution);
	});
});

/** The API got the key, but what n8n has saved does not hold it. */
async function expectNoKey({ id, savedText }: Execution): Promise<void> {
	const { requests } = lab.emulator;
	expect(requests.map(({ headers }) => headers.authorization)).toContain(`Bearer ${lab.apiKey}`);
	// Compared as booleans: a failure must not print the whole log.
	expect({
		isLogged: new RegExp(`"executionId": ?"${id}"`).test(await lab.log()),
		isKeySaved: savedText.includes(lab.apiKey),
	}).toEqual({ isLogged: true, isKeySaved: false });
}
