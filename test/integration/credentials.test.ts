import type { CredentialValues } from '../support/engine';
import { jsonOf, numbered } from '../support/items';
import { CONTINUES, openScene, useScene } from '../support/scene';

const scene = useScene({ wish: () => ({ durationMs: Infinity }) });

const TWO = numbered(2);
const NO_KEY = 'The API key in the AetherForge credential is empty';

it.each<[CredentialValues, message: string]>([
	[{ apiKey: ' \n' }, NO_KEY],
	[{ apiKey: undefined }, 'API key in the AetherForge credential is not text'],
	[{ apiKey: 5 }, 'API key in the AetherForge credential is not text'],
	[{ apiKey: 'sk-abc\u200bdef' }, 'contains characters that no API key can have'],
	[{ apiKey: 'sk-abc\ndef' }, 'contains characters that no API key can have'],
	[{ apiKey: 'sk-abc def' }, 'contains characters that no API key can have'],
	[{ baseUrl: null }, 'Base URL in the AetherForge credential is not text'],
	[{ baseUrl: 'http://x.example' }, 'https:// (http:// is only allowed for this machine)'],
	[{ baseUrl: '' }, 'Base URL in the AetherForge credential is not a valid URL'],
	[{ baseUrl: 'https://user:pass@x.example' }, 'must not contain a user name or password'],
])('%p is refused before anything is sent', async (credential, message) => {
	const { error } = await scene.generate({}, { credential });
	expect(error?.message).toContain(message);
	expect(error?.context.itemIndex).toBeUndefined();
	expect(error?.description).toMatch(/ No job was started, and nothing was charged\.$/);
	expect(error?.description).not.toContain('pass@');
	expect(scene.emulator.requests).toEqual([]);
});

describe('a credential by expression', () => {
	const [ANN, BOB] = ['af-key-of-ann-11111111', 'af-key-of-bob-22222222'];
	const scene = useScene({ apiKeys: [ANN, BOB], jobDurationMs: 5000 });
	const credential = (itemIndex: number): CredentialValues => ({ apiKey: [ANN, BOB][itemIndex] });
	const keysOf = (requests: readonly { headers: Record<string, unknown> }[]) =>
		requests.map(({ headers }) => String(headers.authorization).replace('Bearer ', ''));

	it('pays for each item, and asks for its job, with the item’s own key, as does Get Job', async () => {
		const given = { credential, items: TWO };
		jsonOf(await scene.generate({ prompt: '={{ $itemIndex }}' }, given));
		const { requests, submits } = scene.emulator;
		const ofItem = ({ fields }: { fields: Readonly<Record<string, string>> }) =>
			credential(Number(fields.prompt));
		const jobIds = JSON.stringify(submits.map(({ jobId }) => jobId));
		const parameters = { jobId: `={{ ${jobIds}[$itemIndex] }}` };
		const ofJobs = (itemIndex: number) => ofItem(submits[itemIndex] ?? { fields: {} });
		const looked = { node: 'getJob', items: TWO, credential: ofJobs, parameters };
		expect(jsonOf(await scene.run(looked))).toHaveLength(2);

		const posts = requests.filter(({ method }) => method === 'POST');
		expect(keysOf(posts)).toEqual(posts.map(({ form }) => form && ofItem(form).apiKey));
		const keys = new Map(submits.map((submit) => [submit.jobId, ofItem(submit).apiKey]));
		expect(keysOf(scene.polls())).toEqual(scene.polls().map(({ jobId = '' }) => keys.get(jobId)));
		expect(scene.polls().length).toBeGreaterThan(6);
	});

	it('that is refused for one item says nothing about the others', async () => {
		const { items } = await scene.generate(
			{},
			{
				credential: (itemIndex) => ({ apiKey: ['wrong', '', BOB][itemIndex] }),
				items: numbered(3),
				nodeSettings: CONTINUES,
			},
		);
		const free = /The request started no job, and nothing was charged/;
		expect(items.map(({ json }) => json.error ?? json.status)).toMatchObject([
			{ message: expect.stringMatching(/^AetherForge does not accept the API key/) as string },
			{ message: `${NO_KEY} [Item 1]`, description: expect.stringMatching(free) as string },
			'Succeed',
		]);
	});

	it('sends no key to the Base URL of another item', async () => {
		const other = await openScene({ apiKeys: [BOB], jobDurationMs: 0 });
		const baseUrls = [scene.emulator.apiUrl, other.emulator.apiUrl];
		const ofItem = (itemIndex: number) => ({
			...credential(itemIndex),
			baseUrl: baseUrls[itemIndex],
		});
		jsonOf(await scene.generate({ downloadImages: false }, { credential: ofItem, items: TWO }));
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
