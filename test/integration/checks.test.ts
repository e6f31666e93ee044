import type { IBinaryData, INodeExecutionData, INodeParameters, OnError } from 'n8n-workflow';

import { tinyPicture } from '../emulator/pictures';
import { storeBinary, type EngineResult } from '../support/engine';
import { useScene } from '../support/scene';

const PNG = tinyPicture('a picture', 'png');
const NO_JOB = 'No job was started, and nothing was charged.';
const JOB = '123e4567-e89b-12d3-a456-426614174000';

const scene = useScene();

beforeEach(() => {
	scene.emulator.jobs.add({ id: JOB });
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
		description:
			/^Row 3 .*Enter some text in "Prompt"\. .* No job was started, and nothing was charged\.$/,
	})),
	...[
		['undefined', 'an expression that returned nothing'],
		['[object Object]', 'an expression that returned an object instead of text'],
	].map(([prompt = '', cause = '']) => ({
		name: `a prompt that is only ${prompt}`,
		parameters: fromJson('prompt', 'prompt'),
		bad: { json: { prompt } },
		message: /^"Prompt" is only the text "[^"]+"$/,
		description: `That looks like ${cause}.`,
	})),
	{
		name: 'a prompt that is a list',
		parameters: fromJson('prompt', 'prompt'),
		bad: { json: { prompt: ['a', 'b'] } },
		message: /^The "Prompt" parameter must be text, but is a list$/,
		description: NO_JOB,
	},
	{
		name: 'a prompt that is not a number',
		parameters: fromJson('value * 2', 'prompt'),
		good: { json: { value: 1 } },
		bad: { json: { value: 'x' } },
		message: /^The "Prompt" parameter must be text, but is not a number \(NaN or Infinity\)$/,
		description: NO_JOB,
	},
	{
		name: 'a prompt that is an object',
		parameters: fromJson('prompt', 'prompt'),
		bad: { json: { prompt: { text: 'a' } } },
		message: /^The "Prompt" parameter must be text, but is an object$/,
		description: NO_JOB,
	},
	{
		name: 'a source of references that there is none of',
		parameters: { prompt: 'p', ...fromJson('value', 'referenceImages') },
		good: { json: { value: 'none' }, binary: { data: file(PNG) } },
		bad: { json: { value: 'everything' }, binary: { data: file(PNG) } },
		message: /^"Reference Images" must be "none", "all", "selected", or "urls"$/,
		description: 'Its value is "everything".',
	},
	{
		name: 'a blank model',
		parameters: fromJson('model', 'aiModel'),
		good: { json: { prompt: 'p', model: 'Nano Banana' } },
		bad: { json: { prompt: 'p', model: ' ' } },
		message: /^The "Model" parameter is empty/,
		description: NO_JOB,
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
		description: `The item's binary fields are: "f0", "f1". Change "Input Data Field Name(s)", or the node before this one, so that the names match. ${NO_JOB}`,
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
		message: /^The "Input Data Field Name\(s\)" parameter does not name a binary field$/,
		description: /Separate several names with commas/,
	})),
	{
		name: 'all files, when the item has none',
		parameters: { referenceImages: 'all' },
		good: { json: { prompt: 'p' }, binary: files(1) },
		bad: { json: { prompt: 'p' } },
		message: /^The item has no binary fields to send$/,
		description: 'To start a job without reference images, set "Reference Images" to None.',
	},
	...(
		[
			['GPT Image 1.5', 'AetherForge', 'up to 10 reference images', 10],
			['Grok Imagine', 'Grok Imagine', 'up to 5 reference images', 5],
			['Grok Imagine Pro', 'Grok Imagine Pro', 'only 1 reference image', 1],
			['a model of tomorrow', 'AetherForge', 'up to 10 reference images', 10],
		] as const
	).map(([model, subject, limit, count]) => ({
		name: `one file too many for ${model}`,
		parameters: {
			aiModel: '={{ $json.model }}',
			referenceImages: 'all',
		},
		good: { json: { prompt: 'p', model: 'Grok Imagine Pro' }, binary: files(1) },
		bad: { json: { prompt: 'p', model }, binary: files(count + 1) },
		message: new RegExp(`^${subject} takes ${limit}, but the item has ${count + 1}`),
		description: NO_JOB,
	})),
	{
		name: 'an empty file in memory',
		parameters: { referenceImages: 'all' },
		good: { json: { prompt: 'p' }, binary: files(1) },
		bad: { json: { prompt: 'p' }, binary: { photo: file('', { fileName: 'b.png' }) } },
		message: /^The file "b.png" in the binary field "photo" is empty/,
		description: NO_JOB,
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
		description: NO_JOB,
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
		description:
			/n8n's binary data storage says: .* the AetherForge Get Job node .*, free of charge\./,
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
		description: `Its content is not a supported image (declared as ${mimeType}).`,
	})),
	...(
		[
			['timeout', 'Timeout (Seconds)', 'a number of at least 1', 1, ['abc', '', 0, NaN, Infinity]],
			['maxConcurrentJobs', 'Max Concurrent Jobs', 'a whole number of at least 1', '2', [0, 2.5]],
			['outputItems', 'Output Items', '"perImage" or "perJob"', 'perJob', ['PERJOB', 5]],
			['onTimeout', 'On Timeout', '"returnPending" or "error"', 'error', ['ignore']],
			['onFailed', 'On Failed Job', '"returnFailed" or "error"', 'error', [true]],
		] as const
	).flatMap(([name, label, expected, good, values]) =>
		values.map((value) => ({
			name: `${label} that is ${typeof value === 'number' ? value : JSON.stringify(value)}`,
			parameters: option(name),
			good: { json: { prompt: 'p', value: good } },
			bad: { json: { prompt: 'p', value } },
			message: new RegExp(`^"${label.replace(/[()]/g, '\\$&')}" must be ${expected}$`),
			description: `Its value is ${typeof value === 'number' ? value : JSON.stringify(value)}.`,
		})),
	),
	{
		name: 'a blank name of the output field',
		parameters: { waitForCompletion: true, ...fromJson('field', 'binaryPropertyOutput') },
		good: { json: { prompt: 'p', field: 'data' } },
		bad: { json: { prompt: 'p', field: ' ' } },
		message: /^The "Put Output File in Field" parameter is empty/,
		description: NO_JOB,
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
		description: 'Enter some text in "Job ID".',
	},
	{
		name: 'an option of Get Job',
		node: 'getJob',
		parameters: { ...fromJson('jobId', 'jobId'), ...option('onFailed') },
		good: { json: { jobId: JOB, value: 'error' } },
		bad: { json: { jobId: JOB, value: 'x' } },
		message: /^"On Failed Job" must be "returnFailed" or "error"$/,
		description: 'Its value is "x".',
	},
];

async function run(
	refusal: Refusal,
	places: ('good' | 'bad')[],
	onError: OnError = 'stopWorkflow',
): Promise<EngineResult> {
	const bad = typeof refusal.bad === 'function' ? await refusal.bad() : refusal.bad;
	const good = refusal.good ?? { json: { prompt: 'p' } };
	// An expression, so that n8n keeps the options that belong to waiting.
	const usual: INodeParameters =
		refusal.node === 'getJob'
			? {}
			: { prompt: '={{ $json.prompt }}', waitForCompletion: '={{ false }}' };
	return await scene.run({
		node: refusal.node ?? 'imageGenerate',
		parameters: { ...usual, ...refusal.parameters },
		items: places.map((place) => structuredClone(place === 'good' ? good : bad)),
		nodeSettings: { onError },
	});
}

it.each(REFUSALS)('$name: stops the run before anything is sent', async (refusal) => {
	const { message, description } = refusal;
	const { error, items } = await run(refusal, ['good', 'good', 'bad']);
	expect(scene.emulator.requests).toEqual([]);
	expect(items).toEqual([]);
	expect(error).toMatchObject({ name: 'NodeOperationError', context: { itemIndex: 2 } });
	expect(error?.message).toMatch(message);
	// n8n shows the item's number beside the message by itself.
	expect(error?.message).not.toMatch(/Item 2/);
	if (description instanceof RegExp) expect(error?.description).toMatch(description);
	else expect(error?.description ?? '').toContain(description);
	if (refusal.node === 'getJob') expect(error?.description).not.toContain(NO_JOB);
	else expect(error?.description).toContain(NO_JOB);
});

describe.each<[string, Refusal, string]>([
	[
		'an item with a blank prompt',
		{
			name: '',
			parameters: {},
			bad: { json: { prompt: ' ' } },
			message: /^The "Prompt" parameter is empty \[Item 1\]$/,
			description: '',
		},
		' No job was started for this item, and nothing was charged.',
	],
	[
		'an item with a malformed job ID',
		{
			name: '',
			node: 'getJob',
			parameters: fromJson('jobId', 'jobId'),
			good: { json: { jobId: JOB } },
			bad: { json: { jobId: 'abc' } },
			message: /^"abc" is not a job ID \[Item 1\]$/,
			description: '',
		},
		'from the node that started the job.',
	],
])('%s, when the node continues', (_, refusal, end) => {
	const isDone = ({ json }: INodeExecutionData): boolean => 'job_id' in json;

	it('is an error item between the others', async () => {
		const { error, items } = await run(refusal, ['good', 'bad', 'good'], 'continueRegularOutput');
		expect(error).toBeUndefined();
		expect(items.map(isDone)).toEqual([true, false, true]);
		expect(items.map(({ pairedItem }) => pairedItem)).toEqual([0, 1, 2].map((item) => ({ item })));
		expect(items[1]?.json).toEqual({
			error: {
				message: expect.stringMatching(refusal.message) as string,
				description: expect.stringMatching(new RegExp(`${end}$`)) as string,
			},
		});
		expect(scene.emulator.requests.length).toBeGreaterThan(0);
	});

	it('goes to the error branch with its data', async () => {
		const places = ['good', 'bad'] as const;
		const { items, errorItems } = await run(refusal, [...places], 'continueErrorOutput');
		expect(items.map(isDone)).toEqual([true]);
		expect(errorItems).toHaveLength(1);
		expect(errorItems[0]?.json.error).toMatchObject({
			message: expect.stringMatching(refusal.message) as string,
		});
	});
});

it.each([
	['Prompt', { prompt: 'A fox, {{ $json.style }}' }],
	['File Name', { prompt: 'A fox', fileName: '{{ $json.name }}' }],
])('refuses braces in "%s" that nobody has made an expression', async (label, parameters) => {
	const { error } = await scene.run({ node: 'imageGenerate', parameters, items: [{ json: {} }] });
	expect(error?.message).toBe(`The "${label}" parameter is text, not an expression`);
	expect(error?.description).toContain(NO_JOB);
	expect(scene.emulator.submits).toEqual([]);
});

it('gives an error item for each when no item can be read', async () => {
	const { error, items } = await scene.run({
		node: 'imageGenerate',
		parameters: { prompt: 'p', options: { timeout: '={{ "soon" }}' } },
		items: [{ json: {} }, { json: {} }],
		nodeSettings: { onError: 'continueRegularOutput' },
	});
	expect(error).toBeUndefined();
	expect(items.map(({ json }) => Object.keys(json))).toEqual([['error'], ['error']]);
	expect(scene.emulator.requests).toEqual([]);
});
