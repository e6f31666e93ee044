import type { OnError } from 'n8n-workflow';

import {
	startBinaryStorage,
	type CredentialValues,
	type EngineOptions,
	type EngineResult,
} from '../support/engine';
import { KEY, openScene, type Scene } from '../support/scene';

let scene: Scene;

beforeAll(startBinaryStorage);

beforeEach(async () => {
	scene = await openScene({ wish: () => ({ durationMs: Infinity }) });
});

afterEach(async () => {
	await scene.close();
});

const TWO = [{ json: {} }, { json: {} }];

async function generate(
	credential: CredentialValues,
	more: Partial<EngineOptions> = {},
): Promise<EngineResult> {
	return await scene.run({
		node: 'imageGenerate',
		credential,
		parameters: { prompt: 'p', options: { timeout: 2 } },
		...more,
	});
}

const ODD_KEY =
	'The API key in the AetherForge credential contains characters that no API key can have';

const FLAWS: [string, CredentialValues, string][] = [
	['an empty key', { apiKey: '' }, 'The API key in the AetherForge credential is empty'],
	['a blank key', { apiKey: ' \n' }, 'The API key in the AetherForge credential is empty'],
	...[undefined, null, 5, {}].map((apiKey): (typeof FLAWS)[number] => [
		`a key that is ${JSON.stringify(apiKey)}`,
		{ apiKey },
		'The API key in the AetherForge credential is not text',
	]),
	['a key with an invisible character', { apiKey: 'sk-abc\u200bdef' }, ODD_KEY],
	['a key with a line break', { apiKey: 'sk-abc\ndef' }, ODD_KEY],
	['a key with a space', { apiKey: 'sk-abc def' }, ODD_KEY],
	...[undefined, null, 5, {}].map((baseUrl): (typeof FLAWS)[number] => [
		`a Base URL that is ${JSON.stringify(baseUrl)}`,
		{ baseUrl },
		'The Base URL in the AetherForge credential is not text',
	]),
];

describe.each(FLAWS)('%s', (_, credential, message) => {
	it('is refused before anything is sent', async () => {
		const { error } = await generate(credential);
		expect(error?.message).toBe(message);
		expect(error?.description).toMatch(/ No job was started, and nothing was charged\.$/);
		expect(scene.emulator.requests).toEqual([]);
	});
});

it.each(['http://x.example', 'x.example', '', 'https://u:p@x.example', 'u:p@x.example'])(
	'the Base URL %j is refused, and a password in it is not repeated',
	async (baseUrl) => {
		const { error } = await generate({ baseUrl });
		expect(error?.message).toMatch(/^The Base URL in the AetherForge credential (is|must) [^[]+$/);
		expect(error?.description).toContain(`It is "${baseUrl.replace('u:p', '***')}".`);
		expect(error?.context.itemIndex).toBeUndefined();
	},
);

it('a key is taken with the white space around it that pasting leaves', async () => {
	const { items } = await generate(
		{ apiKey: ` ${KEY}\n` },
		{ parameters: { prompt: 'p', waitForCompletion: false } },
	);
	expect(items[0]?.json.job_id).toBe(scene.jobIdOf(0));
});

it('a flaw of the credential is what is wrong with the items that nothing else is wrong with', async () => {
	const { items } = await generate(
		{ baseUrl: 'http://x.example' },
		{
			parameters: { prompt: '={{ $json.prompt }}' },
			items: [{ json: { prompt: ' ' } }, { json: { prompt: 'p' } }, { json: { prompt: 'q' } }],
			nodeSettings: { onError: 'continueRegularOutput' },
		},
	);
	expect(items.map(({ json }) => json.error)).toMatchObject([
		{ message: 'The "Prompt" parameter is empty [Item 0]' },
		{ message: expect.stringMatching(/^The Base URL in .*machine\)$/) as string },
		{ message: expect.stringMatching(/^The Base URL in .*machine\)$/) as string },
	]);
});

it('Get Job refuses a flawed credential without a word about jobs that were not started', async () => {
	const jobId = scene.emulator.jobs.add().id;
	const run = async (onError: OnError) =>
		await scene.run({
			node: 'getJob',
			credential: { apiKey: 5 },
			parameters: { jobId },
			items: TWO,
			nodeSettings: { onError },
		});
	const { error } = await run('stopWorkflow');
	expect(error?.message).toBe('The API key in the AetherForge credential is not text');
	expect(error?.description).not.toMatch(/started/);
	const { items } = await run('continueRegularOutput');
	expect(items.map(({ json }) => Object.keys(json))).toEqual([['error'], ['error']]);
	expect(scene.emulator.requests).toEqual([]);
});

describe.each<[string, CredentialValues]>([
	['without a key', { apiKey: '' }],
	['with a Base URL that is no text', { baseUrl: undefined }],
])('a retry with a credential %s', (_, credential) => {
	it('names the jobs that were paid for, in the text and in the data', async () => {
		const first = await generate({}, { items: TWO });
		const jobIds = [scene.jobIdOf(0), scene.jobIdOf(1)];
		const requestsBefore = scene.emulator.requests.length;
		const { error } = await generate(credential, { items: TWO, retryOf: first });
		for (const jobId of jobIds) expect(error?.description).toContain(jobId);
		expect(error?.description).toContain('No new job was started.');
		const { job_id: own, running_job_ids: others } = error?.context.data ?? {};
		expect([own].concat(others).sort()).toEqual([...jobIds].sort());
		expect(scene.emulator.requests).toHaveLength(requestsBefore);

		const { items } = await generate(credential, {
			items: TWO,
			retryOf: first,
			nodeSettings: { onError: 'continueRegularOutput' },
		});
		expect(items.map(({ json }) => json.error)).toMatchObject(
			jobIds.map((jobId) => ({
				job_id: jobId,
				description: expect.stringContaining(jobId) as string,
			})),
		);
	});
});

describe('a credential by expression', () => {
	const [ANN, BOB] = ['af-key-of-ann-11111111', 'af-key-of-bob-22222222'];
	const byItem = (itemIndex: number): CredentialValues => ({ apiKey: [ANN, BOB][itemIndex] });
	const keysOf = (requests: readonly { headers: Record<string, unknown> }[]) =>
		requests.map(({ headers }) => String(headers.authorization).replace('Bearer ', ''));

	beforeEach(async () => {
		await scene.close();
		scene = await openScene({ apiKeys: [ANN, BOB], jobDurationMs: 5000 });
	});

	it('pays for each item, and asks for its job, with the item’s own key', async () => {
		const { items } = await scene.run({
			node: 'imageGenerate',
			credential: byItem,
			parameters: { prompt: '={{ $itemIndex }}' },
			items: TWO,
		});
		expect(items).toHaveLength(2);
		const { requests, submits } = scene.emulator;
		const keyOfJob = new Map(
			submits.map(({ jobId, fields }) => [jobId, fields.prompt === '0' ? ANN : BOB]),
		);
		const posts = requests.filter(({ method }) => method === 'POST');
		expect(keysOf(posts)).toEqual(posts.map(({ form }) => [ANN, BOB][Number(form?.fields.prompt)]));
		const polls = scene.polls();
		expect(polls.length).toBeGreaterThan(2);
		expect(keysOf(polls)).toEqual(polls.map(({ jobId = '' }) => keyOfJob.get(jobId)));
	});

	it('is used by a retry and by Get Job as well', async () => {
		const run = { node: 'imageGenerate', credential: byItem, items: TWO } as const;
		const parameters = { prompt: 'p', options: { timeout: 2 } };
		const first = await scene.run({ ...run, parameters });
		expect(first.error).toBeDefined();
		const again = await scene.run({ ...run, parameters: { prompt: 'p' }, retryOf: first });
		expect(again.items).toHaveLength(2);
		const jobIds = scene.emulator.submits.map(({ jobId }) => jobId);
		const looked = await scene.run({
			...run,
			node: 'getJob',
			parameters: { jobId: `={{ ${JSON.stringify(jobIds)}[$itemIndex] }}` },
		});
		expect(looked.items).toHaveLength(2);
		expect(scene.polls().map(({ status }) => status)).not.toContain(404);
		expect(scene.postCount()).toBe(2);
	});

	it('that is refused for one item says nothing about the others', async () => {
		const { items } = await scene.run({
			node: 'imageGenerate',
			credential: (itemIndex) => ({ apiKey: ['wrong', '', BOB][itemIndex] }),
			parameters: { prompt: 'p' },
			items: [...TWO, { json: {} }],
			nodeSettings: { onError: 'continueRegularOutput' },
		});
		expect(items.map(({ json }) => json.error ?? json.status)).toMatchObject([
			{ message: expect.stringMatching(/^AetherForge does not accept the API key/) as string },
			{
				message: 'The API key in the AetherForge credential is empty [Item 1]',
				description: expect.stringMatching(
					/The request started no job, and nothing was charged/,
				) as string,
			},
			'Succeed',
		]);
	});

	it('sends no key to the Base URL of another item', async () => {
		const other = await openScene({ apiKeys: [BOB], jobDurationMs: 0 });
		try {
			const { items } = await scene.run({
				node: 'imageGenerate',
				credential: (itemIndex) => ({
					apiKey: [ANN, BOB][itemIndex],
					baseUrl: [scene, other][itemIndex]?.emulator.apiUrl,
				}),
				parameters: { prompt: 'p', downloadImages: false },
				items: TWO,
			});
			expect(items).toHaveLength(2);
			expect(new Set(keysOf(scene.emulator.requests))).toEqual(new Set([ANN]));
			expect(new Set(keysOf(other.emulator.requests))).toEqual(new Set([BOB]));
		} finally {
			await other.close();
		}
	});
});

describe('a credential that is changed or deleted while the node runs', () => {
	const GONE = 'Credential with ID "1" does not exist for type "aetherForgeApi".';
	/** n8n reads it anew each time. */
	const goneFrom = (reading: number) => {
		let readings = 0;
		return (): CredentialValues => {
			if (++readings >= reading) throw new Error(GONE);
			return {};
		};
	};

	it('ends a run whose requests were never sent, and a retry sends them', async () => {
		const first = await scene.run({
			node: 'imageGenerate',
			credential: goneFrom(2),
			parameters: { prompt: 'p', waitForCompletion: false },
		});
		expect(first.error?.message).toBe('The AetherForge credential could not be read');
		expect(first.error?.description).toContain(`n8n says: ${GONE}`);
		expect(first.error?.description).toMatch(/The request started no job, and nothing was charged/);
		expect(scene.postCount()).toBe(0);
		const again = await scene.run({
			node: 'imageGenerate',
			parameters: { prompt: 'p', waitForCompletion: false },
			retryOf: first,
		});
		expect(again.items[0]?.json.job_id).toBe(scene.jobIdOf(0));
		expect(scene.postCount()).toBe(1);
	});

	it('ends the waiting for a job at once, which is named', async () => {
		const startedAtMs = scene.clock.now();
		const { error } = await scene.run({
			node: 'imageGenerate',
			credential: goneFrom(4),
			parameters: { prompt: 'p' },
		});
		expect(error?.message).toBe('The AetherForge credential could not be read');
		expect(error?.description).toContain(scene.jobIdOf(0));
		expect(error?.context.data).toMatchObject({ job_id: scene.jobIdOf(0) });
		expect(scene.polls()).toHaveLength(1);
		expect(scene.clock.now() - startedAtMs).toBeLessThan(10_000);
	});

	it('never sends the new key to the old Base URL', async () => {
		let readings = 0;
		await scene.run({
			node: 'imageGenerate',
			credential: () =>
				++readings < 3 ? {} : { apiKey: 'another', baseUrl: 'https://elsewhere.example' },
			parameters: { prompt: 'p', options: { timeout: 2 } },
		});
		expect(scene.postCount()).toBe(1);
		expect(scene.polls()).toEqual([]);
	});
});
