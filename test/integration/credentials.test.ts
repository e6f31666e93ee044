import type { OnError } from 'n8n-workflow';

import { startBinaryStorage, type EngineOptions, type EngineResult } from '../support/engine';
import { KEY, openScene, type Scene } from '../support/scene';

type Credential = NonNullable<EngineOptions['credential']>;

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
	credential: Credential,
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

const FLAWS: [string, Credential, string][] = [
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
		expect(error?.description).toMatch(/ No job was started\.$/);
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

describe.each<[string, Credential]>([
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
