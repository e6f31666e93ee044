import type { INodeParameters } from 'n8n-workflow';

import type { JobWish } from '../emulator/emulator';
import type { EngineOptions, EngineResult } from '../support/engine';
import { errorOf, hintsOf, NO_JOB, onlyJson, pictures } from '../support/items';
import { CONTINUES, RETRIES, useScene } from '../support/scene';

// "File Name", and the options "Include Input Fields" and "More API Fields (JSON)".

/** What becomes of every paid job. */
let wish: JobWish;

const scene = useScene({ jobDurationMs: 0, wish: () => wish });

beforeEach(() => {
	wish = {};
});

const NEVER: JobWish = { durationMs: Infinity };
const FAILED: JobWish = { outcome: { status: 'Failed' } };
const TWO_IMAGES: JobWish = { outcome: { images: ['png', 'gif'] } };
/** Every name that an output item can have. */
const OWN_NAMES = [
	...['job_id', 'status', 'image_url', 'image_urls', 'image_number', 'image_count', 'images'],
	...['job_number', 'job_count', 'error_message', 'timed_out', 'waited_seconds', 'dry_run'],
	...['files', 'width', 'height', 'mime_type', 'sheet'],
];
/** Those to which n8n itself gives a meaning; form fields cannot be called like the last two. */
const NAMES_OF_N8N = ['error', '_files', '__proto__', '$error', '$json'];
const ECHO = { prompt: 'p', ai_model: 'GPT Image 1.5' };

async function generate(
	options: INodeParameters,
	parameters: INodeParameters = {},
	more: Partial<EngineOptions> = {},
): Promise<EngineResult> {
	const all = { downloadImages: false, options, ...parameters };
	return await scene.generate(all, { mode: 'trigger', ...more });
}

describe('the fields of the input item', () => {
	const INCLUDES: INodeParameters = { includeInputFields: true };
	/** With a value of its own for every name that an output item can have. */
	const hostile = {
		...Object.fromEntries(
			[...OWN_NAMES, ...NAMES_OF_N8N].map((name) => [name, { message: 'from the input' }]),
		),
		title: 'Lighthouse',
		nested: { list: [1, null] },
	};
	const copied = { title: 'Lighthouse', nested: { list: [1, null] } };
	const job_id = expect.any(String) as string;
	const image_url = expect.stringContaining('http') as string;

	it('come out in every item, without its files, and a hint names those that gave way', async () => {
		wish = TWO_IMAGES;
		const first = { status: 'to do', title: 'Lighthouse', ...ECHO, prompt: 'another' };
		const items = [{ json: first, binary: pictures('photo') }, { json: { title: 'Harbor' } }];
		const result = await generate(INCLUDES, { downloadImages: true }, { items });
		expect(
			result.items.map(({ json, binary }) => [json.title, json.prompt, Object.keys(binary ?? {})]),
		).toEqual(
			['Lighthouse', 'Lighthouse', 'Harbor', 'Harbor'].map((title) => [title, 'p', ['data']]),
		);
		expect(hintsOf(result)).toEqual([
			'2 jobs started.',
			'These input fields were not copied, because the node uses their names: "status", "prompt".',
		]);
	});

	const finished = { job_id, status: 'Succeed' };
	const perJob = { image_urls: [image_url], images: [{ image_url }] };
	const late = { image_urls: [], timed_out: true, waited_seconds: 2 };
	const onTimeout = { timeout: 2, onTimeout: 'returnPending' };
	const onFailed = { onFailed: 'returnFailed' };

	it.each<[string, JobWish, INodeParameters, object]>([
		['an image', {}, {}, { ...finished, image_url, image_number: 1, image_count: 1 }],
		['a job', {}, { outputItems: 'perJob' }, { ...finished, ...perJob }],
		['a pending job', NEVER, onTimeout, { job_id, status: 'Pending', ...late }],
		['a failed job', FAILED, onFailed, { job_id, status: 'Failed', image_urls: [] }],
		['a dry run', {}, { dryRun: true }, { dry_run: true, files: {} }],
	])('never pass for fields of the node in the item of %s', async (_, what, options, own) => {
		wish = what;
		const given = { items: [{ json: hostile }], nodeSettings: RETRIES };
		const result = await generate({ ...INCLUDES, ...options }, {}, given);
		expect(onlyJson(result)).toEqual({ ...copied, ...own, ...ECHO });
		expect(Object.getPrototypeOf(result.items[0]?.json)).toBe(Object.prototype);
		// An item with an error would make n8n run the node, and pay, again.
		expect(result.calls).toBe(1);
	});

	it('do not go into the error item of an image, which is numbered all the same', async () => {
		wish = TWO_IMAGES;
		const match = ({ path }: { path: string }) => path.includes('/2.gif');
		scene.emulator.faults.add({ at: 'download', kind: 'reset', times: Infinity, match });
		const more = { items: [{ json: { title: 'Lighthouse' } }], nodeSettings: CONTINUES };
		const { items } = await generate(INCLUDES, { downloadImages: true, jobsPerItem: 2 }, more);
		const titles = items.map(({ json }) => json.title);
		expect(titles).toEqual(['Lighthouse', undefined, 'Lighthouse', undefined]);
		expect(errorOf(items[3])).toMatchObject({ job_number: 2, job_count: 2 });
	});

	it('stay behind in Get Job unless they are asked for, and never pass for its fields', async () => {
		const jobId = scene.emulator.jobs.add({ durationMs: 0 }).id;
		const lookUp = async (options: INodeParameters) =>
			await scene.run({
				node: 'getJob',
				parameters: { jobId, downloadImages: false, options },
				items: [{ json: hostile }],
				nodeSettings: RETRIES,
			});
		const own = { ...finished, image_url, image_number: 1, image_count: 1 };
		expect(onlyJson(await lookUp({}))).toEqual(own);
		const result = await lookUp(INCLUDES);
		expect(onlyJson(result)).toEqual({ ...copied, ...own });
		expect(result.calls).toBe(1);
	});
});

describe('additional form fields', () => {
	const sentFields = () => scene.emulator.submits.at(-1)?.fields ?? {};
	const LABEL = 'More API Fields (JSON)';

	it.each([
		'{"seed": 42, "note": "ünï", "is_hd": false}',
		'={{ { seed: 42, note: $json.note, is_hd: false } }}',
		'={{ JSON.stringify({ seed: 42, note: $json.note, is_hd: false }) }}',
	])('%s are sent as text after the declared ones, and echoed as they are', async (given) => {
		const items = [{ json: { note: 'ünï' } }];
		const result = await generate({ additionalFields: given }, {}, { items });
		const sent = { ...ECHO, seed: '42', note: 'ünï', is_hd: 'false' };
		expect(Object.entries(sentFields())).toEqual(Object.entries(sent));
		expect(onlyJson(result)).toMatchObject({ ...ECHO, seed: 42, note: 'ünï', is_hd: false });
	});

	it('that are called like fields of the output are sent, but not echoed', async () => {
		const names = [...NAMES_OF_N8N.slice(0, 3), ...OWN_NAMES];
		const additionalFields = JSON.stringify(Object.fromEntries(names.map((name) => [name, 'x'])));
		const result = await generate({ additionalFields }, {}, { nodeSettings: RETRIES });
		expect(Object.keys(sentFields())).toEqual(['prompt', 'ai_model', ...names]);
		const json = onlyJson(result);
		const own = ['job_id', 'status', 'image_url', 'image_number', 'image_count'];
		expect(Object.keys(json)).toEqual([...own.slice(0, 2), ...Object.keys(ECHO), ...own.slice(2)]);
		expect(Object.values(json)).not.toContain('x');
		expect(Object.getPrototypeOf(result.items[0]?.json)).toBe(Object.prototype);
		expect(result.calls).toBe(1);
	});

	it.each(['', '  ', '={{ {} }}'])('%j are none', async (additionalFields) => {
		onlyJson(await generate({ additionalFields }));
		expect(Object.keys(sentFields())).toEqual(Object.keys(ECHO));
	});

	it.each<[given: string, message: string, description: string]>([
		['{"prompt": "x"}', '"prompt" cannot be sent as an extra field', LABEL],
		['{"a\\"; x=\\"": 1}', 'is not a form field name', '64'],
		['{"": 1}', `"" in "${LABEL}" is not a form field name`, '64'],
		[`{"${'n'.repeat(65)}": 1}`, 'is not a form field name', '64'],
		['{"seed": null}', `"seed" in "${LABEL}" must be text, a number, true, or false`, 'null'],
		['={{ { seed: NaN } }}', `"seed" in "${LABEL}" must be text`, 'Its value is NaN.'],
		['{"seed": 9007199254740993}', 'is a number with too many digits', 'as text'],
		['{"seed": "undefined"}', 'is only the text "undefined"', 'did not work'],
		['[1]', `The "${LABEL}" parameter must be a JSON object`, LABEL],
		['={{ new Map() }}', 'must be a JSON object', LABEL],
		['{seed: 42}', `The "${LABEL}" parameter is not valid JSON`, 'so that it is a JSON object.'],
	])('%s are refused before anything is sent, and paid', async (additionalFields, ...words) => {
		const [message, description] = words;
		const { error } = await generate({ additionalFields });
		expect(error?.message).toContain(message);
		expect(error?.description).toContain(description);
		expect(error?.description).toContain(NO_JOB);
		expect(scene.emulator.requests).toEqual([]);
	});

	it.each<[first: string, then: string, paid: number]>([
		['{"seed": 1}', '{"seed": 2}', 2],
		['{"seed": 1}', '', 2],
		['', '{}', 1],
		['={{ { seed: $execution.id } }}', '={{ { seed: $execution.id } }}', 1],
	])('of a retry are part of the request: %s, then %s', async (first, then, paid) => {
		wish = NEVER;
		const retryOf = await generate({ additionalFields: first, timeout: 2 });
		scene.emulator.jobs.finish(scene.jobIdOf(0));
		wish = {};
		const more = { retryOf, executionId: '2' };
		const json = onlyJson(await generate({ additionalFields: then }, { fileName: 'x' }, more));
		expect(scene.postCount()).toBe(paid);
		expect(json.job_id).toBe(scene.jobIdOf(paid - 1));
	});
});

describe('the name of output files', () => {
	const fileNames = ({ items }: EngineResult): unknown[] =>
		items.flatMap(({ binary }) => Object.values(binary ?? {}).map((file) => file.fileName));

	/** The names of the files of items with these titles. */
	async function namesOf(
		titles: readonly string[],
		parameters: INodeParameters = {},
		options: INodeParameters = {},
	): Promise<unknown[]> {
		const given = { fileName: '={{ $json.title }}', downloadImages: true, ...parameters };
		const items = titles.map((title) => ({ json: { title } }));
		return fileNames(await generate(options, given, { items }));
	}

	it.each(['perImage', 'perJob'])(
		'is numbered from its second file on, over all jobs of the run, when output is %s',
		async (outputItems) => {
			wish = TWO_IMAGES;
			expect(await namesOf(['cat', 'CAT'], { jobsPerItem: 2 }, { outputItems })).toEqual([
				...['cat.png', 'cat-2.gif', 'cat-3.png', 'cat-4.gif'],
				...['CAT-5.png', 'CAT-6.gif', 'CAT-7.png', 'CAT-8.gif'],
			]);
		},
	);

	it('is never that of another file, whatever makes two of them alike', async () => {
		const long = '龍'.repeat(66);
		const names = await namesOf(['A/B', 'A:B', 'cat', 'cat', 'cat-2', long, `${long}馬`]);
		expect(names).toEqual([
			...['A-B.png', 'A-B-2.png', 'cat.png', 'cat-2.png', 'cat-2-2.png'],
			...[`${long}.png`, `${long}-2.png`],
		]);
	});

	it('is made safe', async () => {
		const names: Record<string, string> = {
			'AC/DC': 'AC-DC',
			'../../etc/passwd': '..-..-etc-passwd',
			'C:\\temp\\cat': 'C-temp-cat',
			'  a\r\nb\u0007\u0000 ': 'ab',
			'x\ud800y': 'xy',
			'v1.2': 'v1.2',
			'hero.png': 'hero',
			' Hero.final.JPEG ': 'Hero.final',
			'cat.png.gif': 'cat.png',
			['n'.repeat(500)]: 'n'.repeat(200),
			[`${'n'.repeat(199)}🦤`]: 'n'.repeat(199),
			['龍'.repeat(250)]: '龍'.repeat(66),
		};
		const expected = Object.values(names).map((name) => `${name}.png`);
		expect(await namesOf(Object.keys(names))).toEqual(expected);
	});

	it('cannot be a list, and is not read where n8n does not show it', async () => {
		const fileName = '={{ [1] }}';
		const { error } = await generate({}, { fileName, downloadImages: true });
		expect(error?.message).toContain('The "File Name" parameter must be text');
		expect(scene.emulator.requests).toEqual([]);
		onlyJson(await generate({}, { fileName, waitForCompletion: false, downloadImages: true }));
		onlyJson(await generate({}, { fileName, downloadImages: false }));
	});

	it('holds for Get Job', async () => {
		const { id } = scene.emulator.jobs.add({ durationMs: 0, ...TWO_IMAGES });
		const result = await scene.run({
			node: 'getJob',
			parameters: { jobId: id, fileName: '={{ $json.title }}' },
			items: ['Lighthouse', '', ''].map((title) => ({ json: { title } })),
		});
		expect(fileNames(result)).toEqual([
			...['Lighthouse.png', 'Lighthouse-2.gif'],
			...[`${id}-1.png`, `${id}-2.gif`, `${id}-1-2.png`, `${id}-2-2.gif`],
		]);
	});
});
