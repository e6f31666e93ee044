import type { CredentialValues } from '../support/engine';
import { CONTINUES, openScene, useScene } from '../support/scene';

const scene = useScene({ wish: () => ({ durationMs: Infinity }) });

const TWO = [{ json: {} }, { json: {} }];
const NO_KEY = 'The API key in the AetherForge credential is empty';
const ODD_KEY =
	'The API key in the AetherForge credential contains characters that no API key can have';
const NO_TEXT = 'The API key in the AetherForge credential is not text';
const INSECURE =
	'The Base URL in the AetherForge credential must start with https:// (http:// is only allowed for this machine)';

it.each<[CredentialValues, message: string]>([
	[{ apiKey: ' \n' }, NO_KEY],
	[{ apiKey: undefined }, NO_TEXT],
	[{ apiKey: 5 }, NO_TEXT],
	[{ apiKey: 'sk-abc\u200bdef' }, ODD_KEY],
	[{ apiKey: 'sk-abc\ndef' }, ODD_KEY],
	[{ apiKey: 'sk-abc def' }, ODD_KEY],
	[{ baseUrl: null }, 'The Base URL in the AetherForge credential is not text'],
	[{ baseUrl: 'http://x.example' }, INSECURE],
	[{ baseUrl: '' }, 'The Base URL in the AetherForge credential is not a valid URL'],
	[
		{ baseUrl: 'https://user:pass@x.example' },
		'The Base URL in the AetherForge credential must not contain a user name or password',
	],
])('%p is refused before anything is sent', async (credential, message) => {
	const { error } = await scene.generate({}, { credential });
	expect(error?.message).toBe(message);
	expect(error?.context.itemIndex).toBeUndefined();
	expect(error?.description).toMatch(/ No job was started, and nothing was charged\.$/);
	expect(error?.description).not.toContain('pass@');
	expect(scene.emulator.requests).toEqual([]);
});

it('a retry without a key names the jobs that were paid for, in the text and in the data', async () => {
	const parameters = { options: { timeout: 2 } };
	const first = await scene.generate(parameters, { items: TWO });
	const jobIds = [scene.jobIdOf(0), scene.jobIdOf(1)];
	const requestsBefore = scene.emulator.requests.length;
	const again = { credential: { apiKey: '' }, items: TWO, retryOf: first };
	const { error } = await scene.generate(parameters, again);
	for (const jobId of jobIds) expect(error?.description).toContain(jobId);
	expect(error?.description).toContain('No new job was started.');
	const { job_id: own, running_job_ids: others } = error?.context.data ?? {};
	expect([own].concat(others).sort()).toEqual([...jobIds].sort());
	expect(scene.emulator.requests).toHaveLength(requestsBefore);

	const { items } = await scene.generate(parameters, { ...again, nodeSettings: CONTINUES });
	expect(items.map(({ json }) => json.error)).toMatchObject(
		jobIds.map((job_id) => ({
			job_id,
			description: expect.stringContaining(job_id) as string,
		})),
	);
});

describe('a credential by expression', () => {
	const [ANN, BOB] = ['af-key-of-ann-11111111', 'af-key-of-bob-22222222'];
	const scene = useScene({ apiKeys: [ANN, BOB], jobDurationMs: 5000 });
	const credential = (itemIndex: number): CredentialValues => ({ apiKey: [ANN, BOB][itemIndex] });
	const keysOf = (requests: readonly { headers: Record<string, unknown> }[]) =>
		requests.map(({ headers }) => String(headers.authorization).replace('Bearer ', ''));

	it('pays for each item, and asks for its job, with the item’s own key: first, in a retry, and in Get Job', async () => {
		const given = { credential, items: TWO };
		const prompt = '={{ $itemIndex }}';
		const first = await scene.generate({ prompt, options: { timeout: 2 } }, given);
		expect(first.error).toBeDefined();
		expect((await scene.generate({ prompt }, { ...given, retryOf: first })).items).toHaveLength(2);
		const { requests, submits } = scene.emulator;
		const jobIds = JSON.stringify(submits.map(({ jobId }) => jobId));
		const jobId = `={{ ${jobIds}[$itemIndex] }}`;
		const ofItems = (itemIndex: number) => credential(Number(submits[itemIndex]?.fields.prompt));
		const looked = { items: TWO, credential: ofItems, parameters: { jobId } };
		expect((await scene.run({ node: 'getJob', ...looked })).items).toHaveLength(2);

		const posts = requests.filter(({ method }) => method === 'POST');
		expect(keysOf(posts)).toEqual(posts.map(({ form }) => [ANN, BOB][Number(form?.fields.prompt)]));
		const keyOfJob = new Map(
			submits.map(({ jobId, fields }) => [jobId, fields.prompt === '0' ? ANN : BOB]),
		);
		expect(keysOf(scene.polls())).toEqual(
			scene.polls().map(({ jobId = '' }) => keyOfJob.get(jobId)),
		);
		expect(posts).toHaveLength(2);
		expect(scene.polls().length).toBeGreaterThan(6);
	});

	it('that is refused for one item says nothing about the others', async () => {
		const { items } = await scene.generate(
			{},
			{
				credential: (itemIndex) => ({ apiKey: ['wrong', '', BOB][itemIndex] }),
				items: [...TWO, { json: {} }],
				nodeSettings: CONTINUES,
			},
		);
		expect(items.map(({ json }) => json.error ?? json.status)).toMatchObject([
			{ message: expect.stringMatching(/^AetherForge does not accept the API key/) as string },
			{
				message: `${NO_KEY} [Item 1]`,
				description: expect.stringMatching(
					/The request started no job, and nothing was charged/,
				) as string,
			},
			'Succeed',
		]);
	});

	it('sends no key to the Base URL of another item', async () => {
		const other = await openScene({ apiKeys: [BOB], jobDurationMs: 0 });
		const baseUrls = [scene.emulator.apiUrl, other.emulator.apiUrl];
		const { items } = await scene.generate(
			{ downloadImages: false },
			{
				credential: (itemIndex) => ({ ...credential(itemIndex), baseUrl: baseUrls[itemIndex] }),
				items: TWO,
			},
		);
		expect(items).toHaveLength(2);
		expect(new Set(keysOf(scene.emulator.requests))).toEqual(new Set([ANN]));
		expect(new Set(keysOf(other.emulator.requests))).toEqual(new Set([BOB]));
		await other.emulator.close();
	});
});

it('a credential that is changed while the node runs never has the new key sent to the old Base URL', async () => {
	let readings = 0;
	const another = { apiKey: 'another', baseUrl: 'https://elsewhere.example' };
	const credential = () => (++readings < 3 ? {} : another);
	await scene.generate({ options: { timeout: 2 } }, { credential });
	expect(scene.postCount()).toBe(1);
	expect(scene.polls()).toEqual([]);
});
