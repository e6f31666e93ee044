import type { IBinaryData, INodeExecutionData, INodeParameters, OnError } from 'n8n-workflow';
import { startEmulator, type Emulator } from '../emulator/emulator';
import { tinyPicture } from '../emulator/pictures';
import {
	runEngine,
	startBinaryStorage,
	storeBinary,
	type EngineOptions,
	type EngineResult,
} from '../support/engine';
import { VirtualClock } from '../support/virtualClock';

const PNG = tinyPicture('a picture', 'png');
const NOTHING_CHARGED = 'Nothing was sent for this item and nothing was charged.';
const JOB = '123e4567-e89b-12d3-a456-426614174000';

let clock: VirtualClock;
let emulator: Emulator;

beforeAll(startBinaryStorage);

beforeEach(async () => {
	clock = new VirtualClock();
	emulator = await startEmulator({ pictures: false, now: () => clock.now() });
});

afterEach(async () => {
	await emulator.close();
});

function file(bytes: Buffer | string, rest: Partial<IBinaryData> = {}): IBinaryData {
	const data = Buffer.from(bytes).toString('base64');
	return { data, mimeType: 'image/png', fileName: 'a.png', ...rest };
}

function files(count: number): Record<string, IBinaryData> {
	return Object.fromEntries(Array.from({ length: count }, (_, n) => [`f${n}`, file(PNG)]));
}

interface Refusal {
	name: string;
	node?: 'imageGenerate' | 'getJob';
	/** What makes the difference; each item reads its own from its JSON. */
	parameters: INodeParameters;
	/** An item that is all right, and one that is not. */
	good?: INodeExecutionData;
	bad: INodeExecutionData | (() => Promise<INodeExecutionData>);
	message: RegExp;
	description: RegExp | string;
}

const fromJson = (name: string, parameter: string): INodeParameters => ({
	[parameter]: `={{ $json.${name} }}`,
});
const option = (name: string): INodeParameters => ({ options: { [name]: '={{ $json.value }}' } });

const REFUSALS: Refusal[] = [
	...(['', ' \n\t ', null, undefined] as const).map((prompt) => ({
		name: `a prompt that is ${prompt === undefined ? 'not there' : JSON.stringify(prompt)}`,
		parameters: fromJson('prompt', 'prompt'),
		bad: { json: { prompt } },
		message: /^The "Prompt" parameter is empty/,
		description: /^Enter a text in "Prompt"\. .*nothing was charged\.$/,
	})),
	{
		name: 'a prompt that is a list',
		parameters: fromJson('prompt', 'prompt'),
		bad: { json: { prompt: ['a', 'b'] } },
		message: /^The "Prompt" parameter is not a text but a list/,
		description: NOTHING_CHARGED,
	},
	{
		name: 'a prompt that is an object',
		parameters: fromJson('prompt', 'prompt'),
		bad: { json: { prompt: { text: 'a' } } },
		message: /^The "Prompt" parameter is not a text but an object/,
		description: NOTHING_CHARGED,
	},
	{
		name: 'a source of references that there is none of',
		parameters: { prompt: 'p', ...fromJson('value', 'referenceImages') },
		good: { json: { value: 'none' }, binary: { data: file(PNG) } },
		bad: { json: { value: 'everything' }, binary: { data: file(PNG) } },
		message: /^"Reference Images" is not "none", "all" or "selected"/,
		description: 'Its value is "everything".',
	},
	{
		name: 'a blank model',
		parameters: fromJson('model', 'aiModel'),
		good: { json: { prompt: 'p', model: 'Nano Banana' } },
		bad: { json: { prompt: 'p', model: ' ' } },
		message: /^The "Model" parameter is empty/,
		description: NOTHING_CHARGED,
	},
	{
		name: 'an expression that cannot be worked out',
		parameters: { prompt: `={{ $json.prompt === 'bad' ? $('Nowhere').item.json.x : 'p' }}` },
		bad: { json: { prompt: 'bad' } },
		message: /^Referenced node doesn't exist/,
		description: '',
	},
	{
		name: 'a field that the item does not have',
		parameters: { referenceImages: 'selected', binaryPropertyName: 'f0, photo' },
		good: { json: { prompt: 'p' }, binary: { f0: file(PNG), photo: file(PNG) } },
		bad: { json: { prompt: 'p' }, binary: { f1: file(PNG), f0: file(PNG) } },
		message: /^The item has no binary field "photo"/,
		description: `The item's binary fields are: "f0", "f1". Adjust "Input Data Field Name(s)", or the node before this one, so that the names match. ${NOTHING_CHARGED}`,
	},
	{
		name: 'a field, when the item has none',
		parameters: { referenceImages: 'selected', binaryPropertyName: 'photo' },
		good: { json: { prompt: 'p' }, binary: { photo: file(PNG) } },
		bad: { json: { prompt: 'p' } },
		message: /^The item has no binary field "photo"/,
		description: 'The item has no binary fields at all.',
	},
	...['={{ "" }}', ' , ', '={{ [] }}'].map((names) => ({
		name: `field names that are ${JSON.stringify(names)}`,
		parameters: {
			referenceImages: '={{ $json.prompt === "bad" ? "selected" : "none" }}',
			binaryPropertyName: names,
		},
		bad: { json: { prompt: 'bad' }, binary: files(1) },
		message: /^The "Input Data Field Name\(s\)" parameter names no binary field/,
		description: /separated by commas/,
	})),
	{
		name: 'all files, when the item has none',
		parameters: { referenceImages: 'all' },
		good: { json: { prompt: 'p' }, binary: files(1) },
		bad: { json: { prompt: 'p' } },
		message: /^The item has no binary field to send/,
		description: 'If that is what you want, set "Reference Images" to None.',
	},
	...(
		[
			['GPT Image 1.5', '10 reference images', 10],
			['Grok Imagine', '5 reference images', 5],
			['Grok Imagine Pro', '1 reference image', 1],
			['a model of tomorrow', '10 reference images', 10],
		] as const
	).map(([model, limit, count]) => ({
		name: `one file too many for ${model}`,
		parameters: {
			aiModel: '={{ $json.model }}',
			referenceImages: 'all',
		},
		good: { json: { prompt: 'p', model: 'Grok Imagine Pro' }, binary: files(1) },
		bad: { json: { prompt: 'p', model }, binary: files(count + 1) },
		message: new RegExp(`^${model} takes up to ${limit}, and the item has ${count + 1}`),
		description: NOTHING_CHARGED,
	})),
	{
		name: 'an empty file in memory',
		parameters: { referenceImages: 'all' },
		good: { json: { prompt: 'p' }, binary: files(1) },
		bad: { json: { prompt: 'p' }, binary: { photo: file('', { fileName: 'b.png' }) } },
		message: /^The file "b.png" in the binary field "photo" is empty/,
		description: NOTHING_CHARGED,
	},
	{
		name: 'an empty file in n8n’s storage',
		parameters: { referenceImages: 'all' },
		good: { json: { prompt: 'p' }, binary: files(1) },
		bad: async () => ({
			json: { prompt: 'p' },
			binary: { photo: await storeBinary(Buffer.alloc(0), 'b.png', 'image/png') },
		}),
		message: /^The file "b.png" in the binary field "photo" is empty/,
		description: NOTHING_CHARGED,
	},
	{
		name: 'a file that is gone from n8n’s storage',
		parameters: { referenceImages: 'all' },
		good: { json: { prompt: 'p' }, binary: files(1) },
		bad: {
			json: { prompt: 'p' },
			binary: { photo: file('', { id: 'filesystem-v2:workflows/w/executions/1/binary_data/x' }) },
		},
		message: /^The file "a.png" in the binary field "photo" cannot be read/,
		description: /^n8n's binary data storage says: .*Run the node that provides the file again\./,
	},
	...(
		[
			['HTML', '<!doctype html><title>Not here</title>', 'image/png'],
			['a PDF', '%PDF-1.7\n', 'application/pdf'],
			['a few letters', 'hi', 'image/jpeg'],
		] as const
	).map(([what, bytes, mimeType]) => ({
		name: `a file that is ${what}`,
		parameters: { referenceImages: 'all' },
		good: { json: { prompt: 'p' }, binary: files(1) },
		bad: async () => ({
			json: { prompt: 'p' },
			binary: { photo: await storeBinary(Buffer.from(bytes), 'b.png', mimeType) },
		}),
		message: /^The file "b.png" in the binary field "photo" is not an image/,
		description: `whatever its type says (${mimeType})`,
	})),
	...(
		[
			['timeout', 'Timeout (Seconds)', 'a number of at least 1', ['abc', '', 0, -5, '  ', NaN]],
			['pollInterval', 'Poll Interval (Seconds)', 'a number of at least 1', ['x', 0.2, 0]],
			['maxConcurrentJobs', 'Max Concurrent Jobs', 'a number of at least 1', [0, 'many']],
			['maxJobsPerRun', 'Max Jobs per Run', 'a number of at least 0', [-1, 'all']],
			['outputItems', 'Output Items', '"perImage" or "perJob"', ['x', 'PERJOB', 5]],
			['onTimeout', 'On Timeout', '"error" or "returnPending"', ['ignore']],
			['onFailed', 'On Failed Job', '"error" or "returnFailed"', [true]],
		] as const
	).flatMap(([name, label, expected, values]) =>
		values.map((value) => ({
			name: `${label} that is ${JSON.stringify(value)}`,
			parameters: option(name),
			good: { json: { prompt: 'p' } },
			bad: { json: { prompt: 'p', value } },
			message: new RegExp(`^"${label.replace(/[()]/g, '\\$&')}" is not ${expected}`),
			description: `Its value is ${JSON.stringify(value)}.`,
		})),
	),
	{
		name: 'a blank name of the output field',
		parameters: { waitForCompletion: true, ...fromJson('field', 'binaryPropertyOutput') },
		good: { json: { prompt: 'p', field: 'data' } },
		bad: { json: { prompt: 'p', field: ' ' } },
		message: /^The "Put Output File in Field" parameter is empty/,
		description: NOTHING_CHARGED,
	},
	...[
		'abc',
		'../../v1/account',
		`${JOB}/`,
		`${JOB}0`,
		JOB.slice(1),
		JOB.replaceAll('-', ''),
		`x ${JOB}`,
		'5',
	].map((jobId) => ({
		name: `the job ID ${jobId}`,
		node: 'getJob' as const,
		parameters: fromJson('jobId', 'jobId'),
		good: { json: { jobId: JOB } },
		bad: { json: { jobId } },
		message: /^"[^"]+" is not a job ID/,
		description: 'A job ID looks like',
	})),
	{
		name: 'a blank job ID',
		node: 'getJob',
		parameters: fromJson('jobId', 'jobId'),
		good: { json: { jobId: JOB } },
		bad: { json: { jobId: ' ' } },
		message: /^The "Job ID" parameter is empty/,
		description: NOTHING_CHARGED,
	},
	{
		name: 'an option of Get Job',
		node: 'getJob',
		parameters: { ...fromJson('jobId', 'jobId'), ...option('onFailed') },
		good: { json: { jobId: JOB } },
		bad: { json: { jobId: JOB, value: 'x' } },
		message: /^"On Failed Job" is not/,
		description: 'Its value is "x".',
	},
];

async function run(
	refusal: Refusal,
	places: ('good' | 'bad')[],
	onError: OnError = 'stopWorkflow',
): Promise<EngineResult> {
	emulator.jobs.add({ id: JOB });
	const bad = typeof refusal.bad === 'function' ? await refusal.bad() : refusal.bad;
	const good = refusal.good ?? { json: { prompt: 'p' } };
	// An expression, so that n8n keeps the options that belong to waiting.
	const usual: INodeParameters =
		refusal.node === 'getJob'
			? {}
			: { prompt: '={{ $json.prompt }}', waitForCompletion: '={{ false }}' };
	const options: EngineOptions = {
		node: refusal.node ?? 'imageGenerate',
		clock,
		credential: { baseUrl: emulator.apiUrl },
		parameters: { ...usual, ...refusal.parameters },
		items: places.map((place) => structuredClone(place === 'good' ? good : bad)),
		nodeSettings: { onError },
	};
	return await runEngine(options);
}

const okay = ({ json }: INodeExecutionData): boolean => 'job_id' in json;

describe.each(REFUSALS)('$name', (refusal) => {
	const { message, description } = refusal;

	it('stops the run before anything is sent, even in the last item', async () => {
		const { error, items } = await run(refusal, ['good', 'good', 'bad']);
		expect(emulator.requests).toEqual([]);
		expect(items).toEqual([]);
		expect(error).toMatchObject({
			name: 'NodeOperationError',
			context: { itemIndex: 2, data: {} },
		});
		expect(error?.message).toMatch(message);
		// n8n shows the item's number beside the message by itself.
		expect(error?.message).not.toMatch(/Item 2/);
		expect(error?.context.itemIndex).toBe(2);
		if (description instanceof RegExp) expect(error?.description).toMatch(description);
		else expect(error?.description ?? '').toContain(description);
	});

	it('is an item of its own between the others, when the node continues', async () => {
		const { error, items } = await run(refusal, ['good', 'bad', 'good'], 'continueRegularOutput');
		expect(error).toBeUndefined();
		expect(items.map(okay)).toEqual([true, false, true]);
		expect(items.map(({ pairedItem }) => pairedItem)).toEqual([0, 1, 2].map((item) => ({ item })));
		expect(Object.keys(items[1]?.json ?? {})).toEqual(['error']);
		const { error: shown } = items[1]?.json ?? {};
		expect(shown).toEqual({
			message: expect.stringMatching(message) as string,
			description: expect.any(String) as string,
		});
		if (refusal.node !== 'getJob') expect(emulator.submits).toHaveLength(2);
	});

	it('goes to the error branch with its data', async () => {
		const { items, errorItems } = await run(refusal, ['bad', 'good'], 'continueErrorOutput');
		expect(items.map(okay)).toEqual([true]);
		expect(errorItems).toHaveLength(1);
		expect(errorItems[0]?.json.error).toMatchObject({
			message: expect.stringMatching(message) as string,
		});
	});
});

it('gives an error item for each when no item can be read', async () => {
	const { error, items } = await runEngine({
		node: 'imageGenerate',
		clock,
		credential: { baseUrl: emulator.apiUrl },
		parameters: { prompt: 'p', options: { timeout: '={{ "soon" }}' } },
		items: [{ json: {} }, { json: {} }],
		nodeSettings: { onError: 'continueRegularOutput' },
	});
	expect(error).toBeUndefined();
	expect(items.map(({ json }) => Object.keys(json))).toEqual([['error'], ['error']]);
	expect(emulator.requests).toEqual([]);
});

describe('more items than the run may have', () => {
	const numbered = (count: number) => Array.from({ length: count }, (_, n) => ({ json: { n } }));
	const generate = async (count: number, options: INodeParameters, onError: OnError) =>
		await runEngine({
			node: 'imageGenerate',
			clock,
			credential: { baseUrl: emulator.apiUrl },
			parameters: { prompt: 'p', waitForCompletion: false, options },
			items: numbered(count),
			nodeSettings: { onError },
		});

	it.each<[number, INodeParameters, number]>([
		[101, {}, 100],
		[4, { maxJobsPerRun: 3 }, 3],
		[2, { maxJobsPerRun: '={{ "1" }}' }, 1],
	])('are refused: %i with %j', async (count, options, limit) => {
		const { error } = await generate(count, options, 'stopWorkflow');
		expect(error?.message).toBe(
			`This run has ${count} items, more than the ${limit} that "Max Jobs per Run" allows`,
		);
		expect(error?.description).toContain('(0 means no limit)');
		expect(emulator.requests).toEqual([]);
	});

	it.each<[number, INodeParameters]>([
		[100, {}],
		[3, { maxJobsPerRun: 3 }],
		[101, { maxJobsPerRun: 0 }],
	])('or not: %i with %j', async (count, options) => {
		const { error, items } = await generate(count, options, 'stopWorkflow');
		expect(error).toBeUndefined();
		expect(items).toHaveLength(count);
		expect(emulator.submits).toHaveLength(count);
	});

	it('are refused one by one when the node continues', async () => {
		const { items } = await generate(4, { maxJobsPerRun: 3 }, 'continueRegularOutput');
		expect(emulator.requests).toEqual([]);
		expect(items).toEqual(
			[0, 1, 2, 3].map((item) => ({
				json: {
					error: {
						message: 'This run has 4 items, more than the 3 that "Max Jobs per Run" allows',
						description: expect.any(String) as string,
					},
				},
				pairedItem: { item },
			})),
		);
	});
});

it.each(['', ' \n'])(
	'an API key that is empty is refused before anything is sent: %j',
	async (apiKey) => {
		const { error } = await runEngine({
			node: 'imageGenerate',
			clock,
			credential: { apiKey },
			parameters: { prompt: 'p' },
		});
		expect(error?.message).toBe('The API key of the AetherForge credential is empty');
	},
);

describe('a base URL that the key must not be sent to', () => {
	const run = async (baseUrl: string, onError: OnError = 'stopWorkflow') =>
		await runEngine({
			node: 'imageGenerate',
			clock,
			credential: { baseUrl },
			parameters: { prompt: 'p' },
			items: [{ json: {} }, { json: {} }],
			nodeSettings: { onError },
		});

	it.each([
		'http://api.aetherforgeai.com',
		'aetherforgeai.com',
		'',
		'https://u:p@x.example',
		'u:p@x.example',
	])('is refused: %j', async (baseUrl) => {
		const { error } = await run(baseUrl);
		expect(error?.message).toMatch(/^The Base URL of the AetherForge credential (is|must) [^[]+$/);
		expect(error?.description).toContain(`It is "${baseUrl.replace('u:p', '***')}".`);
	});

	it('is what is wrong with the items that nothing else is wrong with, when the node continues', async () => {
		const { items } = await runEngine({
			node: 'imageGenerate',
			clock,
			credential: { baseUrl: 'http://x.example' },
			parameters: { prompt: '={{ $json.prompt }}' },
			items: [{ json: { prompt: ' ' } }, { json: { prompt: 'p' } }],
			nodeSettings: { onError: 'continueRegularOutput' },
		});
		expect(items.map(({ json }) => json.error)).toMatchObject([
			{ message: 'The "Prompt" parameter is empty [Item 0]' },
			{ message: expect.stringMatching(/^The Base URL/) as string },
		]);
	});

	it('is refused for every item when the node continues', async () => {
		const { items } = await run('http://x.example', 'continueRegularOutput');
		expect(items.map(({ json }) => Object.keys(json))).toEqual([['error'], ['error']]);
		expect(items[0]?.json).toEqual(items[1]?.json);
	});
});
