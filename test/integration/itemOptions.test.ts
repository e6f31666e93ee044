import type { INode, INodeExecutionData, INodeParameters } from 'n8n-workflow';

import type { JobWish } from '../emulator/emulator';
import { tinyPicture } from '../emulator/pictures';
import { startBinaryStorage, type EngineOptions, type EngineResult } from '../support/engine';
import { openScene, type Scene } from '../support/scene';
import { serve, type TestServer } from '../support/server';

// "File Name", and the options "Include Input Fields" and "More API Fields (JSON)".

let scene: Scene;
/** What becomes of every paid job. */
let wish: JobWish;

beforeAll(startBinaryStorage);

beforeEach(async () => {
	wish = {};
	scene = await openScene({ jobDurationMs: 0, wish: () => wish });
});

afterEach(async () => {
	await scene.close();
});

const NEVER: JobWish = { durationMs: Infinity };
const RETRIES: Partial<INode> = { retryOnFail: true, maxTries: 3, waitBetweenTries: 1 };
const CONTINUES: Partial<INode> = { onError: 'continueRegularOutput' };

/** Every name that an output item can have. */
const OWN_NAMES = [
	'job_id',
	'status',
	'image_url',
	'image_urls',
	'image_number',
	'image_count',
	'job_number',
	'job_count',
	'error_message',
	'timed_out',
	'waited_seconds',
	'dry_run',
	'files',
	'images',
	'width',
	'height',
	'mime_type',
	'sheet',
];
/** Those to which n8n itself gives a meaning; form fields cannot be called like the last two. */
const NAMES_OF_N8N = ['error', '_files', '__proto__', '$error', '$json'];

async function generate(
	{ fileName = '', jobsPerItem = 1, ...options }: INodeParameters,
	json: INodeExecutionData['json'] = {},
	{ parameters, ...more }: Partial<EngineOptions> = {},
): Promise<EngineResult> {
	const own = { prompt: 'p', downloadImages: false, fileName, jobsPerItem };
	return await scene.run({
		node: 'imageGenerate',
		parameters: { ...own, options, ...parameters },
		items: [{ json }],
		...more,
	});
}

function onlyItem({ items, error }: EngineResult): INodeExecutionData['json'] {
	expect(error).toBeUndefined();
	expect(items).toHaveLength(1);
	return items[0]?.json ?? {};
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

	it('stay behind unless they are asked for', async () => {
		expect(onlyItem(await generate({}, { title: 'Lighthouse' }))).not.toHaveProperty('title');
	});

	it('come out in every item, without its files, and give way to what was sent', async () => {
		wish = { outcome: { images: ['png', 'png'] } };
		const { items } = await generate(
			INCLUDES,
			{ title: 'Lighthouse', prompt: 'another' },
			{
				items: [
					{ json: { title: 'Lighthouse', prompt: 'another' }, binary: { photo: photo() } },
					{ json: { title: 'Harbor' } },
				],
				parameters: { downloadImages: true },
			},
		);
		expect(
			items.map(({ json, binary, pairedItem }) => [
				json.title,
				json.prompt,
				json.image_number,
				Object.keys(binary ?? {}),
				pairedItem,
			]),
		).toEqual([
			['Lighthouse', 'p', 1, ['data'], { item: 0 }],
			['Lighthouse', 'p', 2, ['data'], { item: 0 }],
			['Harbor', 'p', 1, ['data'], { item: 1 }],
			['Harbor', 'p', 2, ['data'], { item: 1 }],
		]);
	});

	const echo = { prompt: 'p', ai_model: 'GPT Image 1.5' };
	const copied = { title: 'Lighthouse', nested: { list: [1, null] } };
	const jobId = expect.any(String) as string;

	it.each<[string, JobWish, INodeParameters, INodeParameters, object]>([
		[
			'an image',
			{},
			{},
			{},
			{
				job_id: jobId,
				status: 'Succeed',
				image_url: expect.stringContaining('http') as string,
				image_number: 1,
				image_count: 1,
				...echo,
			},
		],
		[
			'a job',
			{},
			{ outputItems: 'perJob' },
			{},
			{
				job_id: jobId,
				status: 'Succeed',
				image_urls: [expect.any(String)],
				images: [{ image_url: expect.any(String) as string }],
				...echo,
			},
		],
		[
			'a job as submitted',
			{},
			{},
			{ waitForCompletion: false },
			{ job_id: jobId, status: 'Pending', ...echo },
		],
		[
			'a pending job',
			NEVER,
			{ timeout: 2, onTimeout: 'returnPending' },
			{},
			{
				job_id: jobId,
				status: 'Pending',
				image_urls: [],
				timed_out: true,
				waited_seconds: 2,
				...echo,
			},
		],
		[
			'a failed job',
			{ outcome: { status: 'Failed' } },
			{ onFailed: 'returnFailed' },
			{},
			{ job_id: jobId, status: 'Failed', image_urls: [], ...echo },
		],
		['a dry run', {}, { dryRun: true }, {}, { dry_run: true, files: {}, ...echo }],
	])('never pass for fields of the node in the item of %s', async (_, what, options, more, own) => {
		wish = what;
		const given = { nodeSettings: RETRIES, parameters: more };
		const result = await generate({ ...INCLUDES, ...options }, hostile, given);
		expect(onlyItem(result)).toEqual({ ...copied, ...own });
		expect(result.calls).toBe(1);
	});

	it('never pass for fields of the node in the items of Get Job', async () => {
		const { id } = scene.emulator.jobs.add({ durationMs: 0 });
		const result = await scene.run({
			node: 'getJob',
			parameters: { jobId: id, downloadImages: false, options: INCLUDES },
			items: [{ json: hostile }],
			nodeSettings: RETRIES,
		});
		expect(onlyItem(result)).toEqual({
			...copied,
			job_id: id,
			status: 'Succeed',
			image_url: scene.resultUrl(id, 1),
			image_number: 1,
			image_count: 1,
		});
	});

	it('stay behind in Get Job unless they are asked for', async () => {
		const { id } = scene.emulator.jobs.add({ durationMs: 0 });
		const result = await scene.run({
			node: 'getJob',
			parameters: { jobId: '={{ $json.job_id }}', downloadImages: false },
			items: [{ json: { job_id: id, title: 'Lighthouse' } }],
		});
		expect(onlyItem(result)).not.toHaveProperty('title');
	});

	it('with an error of an earlier node do not make n8n run the node, and pay, again', async () => {
		const json = { p: 'x', error: { message: 'an earlier node failed' } };
		const result = await generate(INCLUDES, json, { nodeSettings: RETRIES });
		expect(onlyItem(result)).toMatchObject({ p: 'x', status: 'Succeed' });
		expect(result.calls).toBe(1);
		expect(scene.postCount()).toBe(1);
	});

	it('do not go into error items, neither of jobs nor of images', async () => {
		wish = { outcome: { images: ['png', 'png'] } };
		scene.emulator.faults.add({
			at: 'download',
			kind: 'respond',
			status: 403,
			times: Infinity,
			match: ({ path }) => path.includes('/2.png'),
		});
		scene.emulator.faults.add({
			at: 'submit',
			kind: 'respond',
			status: 400,
			body: { detail: 'No' },
			match: ({ form }) => form?.fields.prompt === 'refused',
		});
		const { items } = await generate(
			INCLUDES,
			{},
			{
				items: ['refused', 'p', ''].map((p) => ({ json: { p } })),
				parameters: { prompt: '={{ $json.p }}', downloadImages: true },
				nodeSettings: CONTINUES,
			},
		);
		expect(items.map(({ json }) => ('error' in json ? Object.keys(json) : json.p))).toEqual([
			['error'],
			'p',
			['error'],
			['error'],
		]);
	});

	it('are named in a hint where they were not copied, or came out with another value', async () => {
		const json = { status: 'to do', title: 'Cat', prompt: 'cat', ai_model: 'GPT Image 1.5' };
		const { hints } = await generate(INCLUDES, json, { mode: 'trigger' });
		expect(hints.map(({ message }) => message)).toEqual([
			'1 job started.',
			'These input fields were not copied, because the node uses their names: "status", "prompt".',
		]);
	});

	it('do no harm with a key that is called __proto__', async () => {
		const json = JSON.parse('{"title": "x", "__proto__": {"error": {"message": "no"}}}') as {
			title: string;
		};
		const result = await generate(INCLUDES, json, { nodeSettings: RETRIES });
		const item = onlyItem(result);
		expect(item.title).toBe('x');
		expect(item.error).toBeUndefined();
		expect(Object.getPrototypeOf(item)).toBe(Object.prototype);
		expect(scene.postCount()).toBe(1);
		expect(({} as { error?: unknown }).error).toBeUndefined();
	});

	it('come out of a job that a retry resumes, as they are by then', async () => {
		wish = NEVER;
		const first = await generate({ ...INCLUDES, timeout: 2 }, { title: 'Lighthouse' });
		scene.emulator.jobs.finish(scene.jobIdOf(0));
		const again = await generate(INCLUDES, { title: 'Lighthouse' }, { retryOf: first });
		expect(onlyItem(again)).toMatchObject({ job_id: scene.jobIdOf(0), title: 'Lighthouse' });
		expect(scene.postCount()).toBe(1);
	});
});

describe('additional form fields', () => {
	const sentFields = () => scene.emulator.submits.at(-1)?.fields ?? {};
	const LABEL = 'More API Fields (JSON)';

	it.each<[string, string]>([
		['as JSON', '{"seed": 42, "note": "ünï", "is_hd": false}'],
		['by an expression for an object', '={{ { seed: 42, note: $json.note, is_hd: false } }}'],
		[
			'by an expression for JSON',
			'={{ JSON.stringify({ seed: 42, note: $json.note, is_hd: false }) }}',
		],
	])('%s are sent as text after the declared ones, and echoed as they are', async (_, given) => {
		const result = await generate({ additionalFields: given }, { note: 'ünï' });
		expect(Object.entries(sentFields())).toEqual([
			['prompt', 'p'],
			['ai_model', 'GPT Image 1.5'],
			['seed', '42'],
			['note', 'ünï'],
			['is_hd', 'false'],
		]);
		expect(onlyItem(result)).toMatchObject({ seed: 42, note: 'ünï', is_hd: false, prompt: 'p' });
	});

	it('are part of the dry run', async () => {
		const result = await generate({ additionalFields: '{"seed": 42, "files": "x"}', dryRun: true });
		expect(onlyItem(result)).toEqual({
			dry_run: true,
			prompt: 'p',
			ai_model: 'GPT Image 1.5',
			seed: 42,
			files: {},
		});
	});

	it('may differ from item to item', async () => {
		const { items } = await generate(
			{ additionalFields: '={{ { seed: $json.n } }}' },
			{},
			{
				items: [1, 2].map((n) => ({ json: { n } })),
			},
		);
		expect(items.map(({ json }) => json.seed)).toEqual([1, 2]);
		expect(scene.emulator.submits.map(({ fields }) => fields.seed).sort()).toEqual(['1', '2']);
	});

	it('that are called like fields of the output are sent, but not echoed', async () => {
		const names = [...NAMES_OF_N8N.slice(0, 3), ...OWN_NAMES];
		const additionalFields = JSON.stringify(Object.fromEntries(names.map((name) => [name, 'x'])));
		const result = await generate({ additionalFields }, {}, { nodeSettings: RETRIES });
		expect(Object.keys(sentFields())).toEqual(['prompt', 'ai_model', ...names]);
		expect(onlyItem(result)).toEqual({
			job_id: scene.jobIdOf(0),
			status: 'Succeed',
			image_url: scene.resultUrl(scene.jobIdOf(0), 1),
			image_number: 1,
			image_count: 1,
			prompt: 'p',
			ai_model: 'GPT Image 1.5',
		});
		expect(result.calls).toBe(1);
	});

	it('that are called _files leave n8n’s combined binary mode able to add the files', async () => {
		const result = await generate(
			{ additionalFields: '{"_files": "x"}' },
			{},
			{
				parameters: { downloadImages: true },
				nodeSettings: RETRIES,
				workflowSettings: { binaryMode: 'combined' },
			},
		);
		expect(onlyItem(result)._files).toMatchObject({ data: { mimeType: 'image/png' } });
		expect(scene.postCount()).toBe(1);
	});

	it('with a key that is called __proto__ do no harm', async () => {
		const result = await generate({ additionalFields: '{"__proto__": "x", "seed": 1}' });
		expect(sentFields().seed).toBe('1');
		expect(Object.getPrototypeOf(onlyItem(result))).toBe(Object.prototype);
	});

	it.each(['', '  ', '{}', '={{ {} }}'])('%j are none', async (additionalFields) => {
		onlyItem(await generate({ additionalFields }));
		expect(Object.keys(sentFields())).toEqual(['prompt', 'ai_model']);
	});

	it.each<[string, unknown, string, string]>([
		['a declared name', { prompt: 'x' }, '"prompt" cannot be sent as an extra field', LABEL],
		['the name of a file field', { ref_images: 'x' }, '"ref_images" cannot be', LABEL],
		['a name with a space', { 'a b': 1 }, `"a b" in "${LABEL}" is not a form field name`, '64'],
		['a name with a line break', { 'a\n': 1 }, 'is not a form field name', '64'],
		['a name with a quotation mark', { 'a"; x="': 1 }, 'is not a form field name', '64'],
		['an empty name', { '': 1 }, `"" in "${LABEL}" is not a form field name`, '64'],
		['a name of 65 letters', { ['n'.repeat(65)]: 1 }, 'is not a form field name', '64'],
		['null', { seed: null }, `"seed" in "${LABEL}" must be text, a number, true, or false`, 'null'],
		['a list', { seed: [1] }, `"seed" in "${LABEL}" must be text, a number`, '[1]'],
		['an object', { seed: { a: 1 } }, `"seed" in "${LABEL}" must be`, '{"a":1}'],
		['a list in place of the object', [1], `The "${LABEL}" parameter must be a JSON object`, LABEL],
		['null in place of the object', null, 'must be a JSON object', LABEL],
		['a number in place of the object', 5, 'must be a JSON object', LABEL],
	])('with %s are refused before anything is sent', async (_, given, message, description) => {
		const { error } = await generate({ additionalFields: JSON.stringify(given) });
		expect(error?.message).toContain(message);
		expect(error?.description).toContain(description);
		expect(error?.description).toContain('No job was started, and nothing was charged.');
		expect(scene.emulator.requests).toEqual([]);
	});

	it.each<[string, string, string, string]>([
		[
			'digits that are lost',
			'{"seed": 9007199254740993}',
			'a number with too many digits',
			'as text',
		],
		['nothing as text', '{"seed": "undefined"}', 'only the text "undefined"', 'returned nothing'],
		['an object as text', '{"seed": "[object Object]"}', 'only the text', 'returned an object'],
	])('with %s are refused before anything is sent, and paid', async (_, given, ...words) => {
		const [message, description] = words;
		const { error } = await generate({ additionalFields: given });
		expect(error?.message).toContain(`"seed" in "${LABEL}" is ${message}`);
		expect(error?.description).toContain(description);
		expect(scene.emulator.requests).toEqual([]);
	});

	it.each<[string, string, string]>([
		['no number', '={{ { seed: NaN } }}', 'NaN'],
		['no end', '={{ { seed: Infinity } }}', 'Infinity'],
		['nothing', '={{ { seed: undefined } }}', 'undefined'],
	])('with %s for a value are refused before anything is sent', async (_, given, shown) => {
		const { error } = await generate({ additionalFields: given });
		expect(error?.message).toBe(`"seed" in "${LABEL}" must be text, a number, true, or false`);
		expect(error?.description).toContain(`Its value is ${shown}.`);
		expect(scene.emulator.requests).toEqual([]);
	});

	it('that are no JSON are refused with advice that fits them', async () => {
		const { error } = await generate({ additionalFields: '{seed: 42}' });
		expect(error?.message).toBe(`The "${LABEL}" parameter is not valid JSON`);
		expect(error?.description).toContain(`Change "${LABEL}" so that it is a JSON object.`);
		expect(scene.emulator.requests).toEqual([]);
	});

	it('whose expression gives nothing are refused', async () => {
		const { error } = await generate({ additionalFields: '={{ $json.missing }}' });
		expect(error?.message).toBe(`The "${LABEL}" parameter must be a JSON object`);
		expect(scene.emulator.requests).toEqual([]);
	});

	it.each(['n'.repeat(64), 'a-b.c_D9'])('may be called %s', async (name) => {
		const additionalFields = JSON.stringify({ [name]: 'x' });
		expect(onlyItem(await generate({ additionalFields }))[name]).toBe('x');
		expect(sentFields()[name]).toBe('x');
	});

	it('belong to one operation: a name that another one declares is free', async () => {
		const result = await scene.run({
			node: 'imageTune',
			parameters: {
				operation: 'upscale',
				downloadImages: false,
				options: { additionalFields: '{"keyword": "x"}' },
			},
			items: [{ json: {}, binary: { data: photo() } }],
		});
		expect(onlyItem(result)).toMatchObject({ keyword: 'x', scale: '2K' });
	});

	describe('and a retry', () => {
		async function pending(additionalFields: string | undefined): Promise<EngineResult> {
			wish = NEVER;
			const more = additionalFields === undefined ? {} : { additionalFields };
			const first = await generate({ ...more, timeout: 2 });
			expect(scene.postCount()).toBe(1);
			scene.emulator.jobs.finish(scene.jobIdOf(0));
			wish = {};
			return first;
		}

		it('with other ones pays for the edited request', async () => {
			const retryOf = await pending('{"seed": 1}');
			const again = await generate({ additionalFields: '{"seed": 2}' }, {}, { retryOf });
			expect(scene.postCount()).toBe(2);
			expect(sentFields().seed).toBe('2');
			expect(onlyItem(again)).toMatchObject({ job_id: scene.jobIdOf(1), seed: 2 });
		});

		it('without them pays for the edited request', async () => {
			const retryOf = await pending('{"seed": 1}');
			const again = await generate({}, {}, { retryOf });
			expect(onlyItem(again).job_id).toBe(scene.jobIdOf(1));
		});

		it('with the same ones resumes the job, and echoes them', async () => {
			const retryOf = await pending('{"seed": 1}');
			const again = await generate(
				{ additionalFields: '{"seed": 1}', fileName: 'x', includeInputFields: true },
				{},
				{ retryOf },
			);
			expect(scene.postCount()).toBe(1);
			expect(onlyItem(again)).toMatchObject({ job_id: scene.jobIdOf(0), seed: 1 });
		});

		it('of an expression that gives another value is the same work, and echoes that value', async () => {
			const additionalFields = '={{ { seed: $execution.id } }}';
			const retryOf = await pending(additionalFields);
			const again = await generate({ additionalFields }, {}, { retryOf, executionId: '2' });
			expect(scene.postCount()).toBe(1);
			expect(onlyItem(again)).toMatchObject({ job_id: scene.jobIdOf(0), seed: '2' });
		});

		it.each(['', '{}', ' { } '])(
			'with %j added resumes the job: nothing else is sent',
			async (empty) => {
				const retryOf = await pending(undefined);
				const again = await generate({ additionalFields: empty }, {}, { retryOf });
				expect(scene.postCount()).toBe(1);
				expect(onlyItem(again).job_id).toBe(scene.jobIdOf(0));
			},
		);
	});
});

describe('the name of output files', () => {
	async function namesOf(
		fileName: unknown,
		options: INodeParameters = {},
		json: INodeExecutionData['json'] = {},
	): Promise<(string | undefined)[]> {
		const { items, error } = await generate({ fileName: fileName as string, ...options }, json, {
			parameters: { downloadImages: true },
		});
		expect(error).toBeUndefined();
		return items.flatMap(({ binary }) => Object.values(binary ?? {}).map((file) => file.fileName));
	}

	it('is given by an expression for each item', async () => {
		const { items } = await generate(
			{ fileName: '={{ $json.title }}' },
			{},
			{
				parameters: { downloadImages: true },
				items: ['Lighthouse', 'Möwe am Meer'].map((title) => ({ json: { title } })),
			},
		);
		expect(items.map(({ binary }) => binary?.data?.fileName)).toEqual([
			'Lighthouse.png',
			'Möwe am Meer.png',
		]);
	});

	/** The names of the files of several items, each with a title of its own. */
	async function namesOfItems(
		titles: readonly string[],
		options: INodeParameters = {},
		more: Partial<EngineOptions> = {},
	): Promise<unknown[]> {
		const { items } = await generate(
			{ fileName: '={{ $json.title }}', ...options },
			{},
			{
				parameters: { downloadImages: true },
				items: titles.map((title) => ({ json: { title } })),
				...more,
			},
		);
		return items.map(({ json, binary }) =>
			'error' in json ? 'error' : Object.values(binary ?? {}).map((file) => file.fileName),
		);
	}

	it.each(['perImage', 'perJob'])(
		'is numbered from its second file on, over all jobs of the run, when output is %s',
		async (outputItems) => {
			wish = { outcome: { images: ['png', 'gif'] } };
			const names = await namesOfItems(['cat', 'CAT', 'dog'], { outputItems, jobsPerItem: 2 });
			expect(names.flat()).toEqual([
				...['cat.png', 'cat-2.gif', 'cat-3.png', 'cat-4.gif'],
				...['CAT-5.png', 'CAT-6.gif', 'CAT-7.png', 'CAT-8.gif'],
				...['dog.png', 'dog-2.gif', 'dog-3.png', 'dog-4.gif'],
			]);
		},
	);

	it('is never that of another file, whatever makes two of them alike', async () => {
		const long = '龍'.repeat(66);
		const names = await namesOfItems(['A/B', 'A:B', 'cat', 'cat', 'cat-2', long, `${long}馬`]);
		expect(names.flat()).toEqual([
			...['A-B.png', 'A-B-2.png', 'cat.png', 'cat-2.png', 'cat-2-2.png'],
			...[`${long}.png`, `${'龍'.repeat(66)}-2.png`],
		]);
	});

	it('is the same after a retry', async () => {
		const titles = ['cat', 'cat', 'cat'];
		let downloads = 0;
		scene.emulator.faults.add({
			at: 'download',
			kind: 'respond',
			status: 500,
			times: Infinity,
			// All tries of the second file, in the first try of the node.
			match: () => ++downloads > 1 && downloads <= 6,
		});
		const more = { maxConcurrentJobs: 1 };
		const again = await namesOfItems(titles, more, { nodeSettings: RETRIES });
		expect(downloads).toBe(1 + 5 + 3);
		expect(scene.postCount()).toBe(3);
		expect(again).toEqual([['cat.png'], ['cat-2.png'], ['cat-3.png']]);
	});

	it.each<unknown>(['', '   ', '={{ $json.missing }}', '={{ null }}', '..', '\u0000', '.png'])(
		'is made of the job ID where %j leaves nothing of it',
		async (fileName) => {
			wish = { outcome: { images: ['png', 'png'] } };
			const names = await namesOf(fileName);
			expect(names).toEqual([1, 2].map((number) => `${scene.jobIdOf(0)}-${number}.png`));
		},
	);

	it.each<[string, string]>([
		['AC/DC', 'AC-DC.png'],
		['../../etc/passwd', '..-..-etc-passwd.png'],
		['C:\\temp\\cat', 'C-temp-cat.png'],
		['  a\r\nb\u0007\u0000 ', 'ab.png'],
		['x\ud800y', 'xy.png'],
		['v1.2', 'v1.2.png'],
		['hero.png', 'hero.png'],
		[' Hero.final.JPEG ', 'Hero.final.png'],
		['cat.png.gif', 'cat.png.png'],
		['n'.repeat(500), `${'n'.repeat(200)}.png`],
		[`${'n'.repeat(199)}🦤`, `${'n'.repeat(199)}.png`],
		['龍'.repeat(250), `${'龍'.repeat(66)}.png`],
	])('is made safe: %j', async (title, expected) => {
		expect(await namesOf('={{ $json.title }}', {}, { title })).toEqual([expected]);
	});

	it.each(['={{ [1] }}', '={{ {} }}'])('cannot be %s, and nothing is sent', async (fileName) => {
		const parameters = { downloadImages: true };
		const { error } = await generate({ fileName }, {}, { parameters });
		expect(error?.message).toContain('The "File Name" parameter must be text');
		expect(scene.emulator.requests).toEqual([]);
	});

	it.each([{ waitForCompletion: false }, { downloadImages: false }])(
		'is not read where n8n does not show it: %j',
		async (parameters) => {
			const { items, error } = await generate({ fileName: '={{ [1] }}' }, {}, { parameters });
			expect([error, items.length]).toEqual([undefined, 1]);
		},
	);

	it('holds for Get Job', async () => {
		const { id } = scene.emulator.jobs.add({
			durationMs: 0,
			outcome: { images: ['png', 'png'] },
		});
		const { items } = await scene.run({
			node: 'getJob',
			parameters: { jobId: id, fileName: '={{ $json.title }}' },
			items: ['Lighthouse', '', ''].map((title) => ({ json: { title } })),
		});
		expect(items.map(({ binary }) => binary?.data?.fileName)).toEqual([
			...['Lighthouse.png', 'Lighthouse-2.png'],
			...[`${id}-1.png`, `${id}-2.png`, `${id}-1-2.png`, `${id}-2-2.png`],
		]);
	});

	it('gets the extension of what the file is, whatever its URL and its server say', async () => {
		let server: TestServer | undefined;
		try {
			server = await serve((_, response) => {
				response.setHeader('content-type', 'image/png');
				response.end(tinyPicture('x', 'gif'));
			});
			wish = { outcome: { extra: { image_urls: [`${server.url}/result.png`] } } };
			expect(await namesOf('cat.png')).toEqual(['cat.gif']);
		} finally {
			server?.close();
		}
	});
});

function photo() {
	return { data: tinyPicture('x', 'png').toString('base64'), mimeType: 'image/png' };
}
