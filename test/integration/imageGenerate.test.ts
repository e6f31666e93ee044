import type { INodeExecutionData } from 'n8n-workflow';
import {
	startEmulator,
	type Emulator,
	type ImageFormat,
	type JobWish,
	type ReceivedForm,
} from '../emulator/emulator';
import { tinyPicture } from '../emulator/pictures';
import {
	bytesOf,
	runEngine,
	startBinaryStorage,
	TEST_KEY,
	type EngineOptions,
	type EngineResult,
} from '../support/engine';
import { VirtualClock } from '../support/virtualClock';

const MODELS = [
	'GPT Image 1.5',
	'GPT Image 2',
	'Grok Imagine',
	'Grok Imagine Pro',
	'Nano Banana',
	'Nano Banana 2',
	'Nano Banana Pro',
];

let clock: VirtualClock;
let emulator: Emulator;
/** What the test wishes of the job of a submit. */
let wish: (form: ReceivedForm) => JobWish;

beforeAll(startBinaryStorage);

beforeEach(async () => {
	clock = new VirtualClock();
	wish = () => ({});
	emulator = await startEmulator({
		pictures: false,
		now: () => clock.now(),
		wish: (form) => wish(form),
	});
});

afterEach(async () => {
	await emulator.close();
});

async function generate(
	parameters: EngineOptions['parameters'],
	more: Partial<EngineOptions> = {},
): Promise<EngineResult> {
	const result = await runEngine({
		node: 'imageGenerate',
		clock,
		credential: { baseUrl: emulator.apiUrl },
		parameters: { prompt: 'A lighthouse', ...parameters },
		...more,
	});
	expect(result.error).toBeUndefined();
	return result;
}

const looks = () => emulator.requests.filter(({ path }) => path.includes('/job/'));
const downloads = () => emulator.requests.filter(({ server }) => server === 'cdn');

function resultUrl(jobId: string, number: number, format: ImageFormat = 'png'): string {
	return `${emulator.cdnUrl}/results/${jobId}/${number}.${format}`;
}

function jobIdOf(index: number): string {
	const submit = emulator.submits[index];
	if (!submit) throw new Error(`there was no submit ${index}`);
	return submit.jobId;
}

function numbered(count: number): INodeExecutionData[] {
	return Array.from({ length: count }, (_, n) => ({ json: { n } }));
}

describe('waiting for the images', () => {
	it.each(MODELS)('sends the prompt and the model %s, and gives its image', async (aiModel) => {
		const { items, errorItems, calls, hints } = await generate({ aiModel });
		const [submit] = emulator.submits;
		const jobId = jobIdOf(0);
		expect(submit?.fields).toEqual({ prompt: 'A lighthouse', ai_model: aiModel });
		expect(submit?.files).toEqual([]);
		expect(items.map(({ json, pairedItem }) => ({ json, pairedItem }))).toEqual([
			{
				json: {
					job_id: jobId,
					status: 'Succeed',
					image_url: resultUrl(jobId, 1),
					image_number: 1,
					image_count: 1,
					prompt: 'A lighthouse',
					ai_model: aiModel,
				},
				pairedItem: { item: 0 },
			},
		]);
		expect([errorItems, calls, hints]).toEqual([[], 1, []]);
	});

	it('always sends multipart, with the key, and asks for JSON', async () => {
		await generate({});
		const [submit, look] = emulator.requests;
		expect(submit?.headers).toMatchObject({
			'content-type': expect.stringMatching(/^multipart\/form-data; boundary=/) as string,
			authorization: `Bearer ${TEST_KEY}`,
			accept: 'application/json',
		});
		expect(look?.headers).toMatchObject({ authorization: `Bearer ${TEST_KEY}` });
		expect(downloads().map(({ headers }) => headers.authorization)).toEqual([undefined]);
	});

	it('uses the default model when none is chosen', async () => {
		await generate({});
		expect(emulator.submits[0]?.fields.ai_model).toBe('GPT Image 1.5');
	});

	const PNG: ImageFormat = 'png';
	it.each<[ImageFormat[]]>([[[PNG]], [[PNG, PNG]], [[PNG, PNG, PNG]], [[PNG, 'gif']]])(
		'gives an item for each image of %j',
		async (images) => {
			wish = () => ({ outcome: { images } });
			const { items } = await generate({});
			const jobId = jobIdOf(0);
			expect(items.map(({ json }) => json)).toEqual(
				images.map((format, index) => ({
					job_id: jobId,
					status: 'Succeed',
					image_url: resultUrl(jobId, index + 1, format),
					image_number: index + 1,
					image_count: images.length,
					prompt: 'A lighthouse',
					ai_model: 'GPT Image 1.5',
				})),
			);
			for (const [index, format] of images.entries()) {
				const label = `${jobId}-${index + 1}.${format}`;
				const file = items[index]?.binary?.data;
				expect(file).toMatchObject({
					fileName: label,
					mimeType: `image/${format}`,
					fileExtension: format,
				});
				expect(await bytesOf(file)).toEqual(tinyPicture(label, format));
				expect(Object.keys(items[index]?.binary ?? {})).toEqual(['data']);
				expect(items[index]?.pairedItem).toEqual({ item: 0 });
			}
		},
	);

	it('keeps the images of a job together when asked to', async () => {
		wish = () => ({ outcome: { images: ['png', 'gif', 'png'] } });
		const { items } = await generate(
			{ options: { outputItems: 'perJob' }, binaryPropertyOutput: ' picture ' },
			{ items: numbered(2) },
		);
		expect(items).toHaveLength(2);
		for (const [item, { json, binary, pairedItem }] of items.entries()) {
			const jobId = jobIdOf(item);
			const urls = [1, 2, 3].map((n) => resultUrl(jobId, n, n === 2 ? 'gif' : 'png'));
			expect(json).toEqual({
				job_id: jobId,
				status: 'Succeed',
				image_urls: urls,
				prompt: 'A lighthouse',
				ai_model: 'GPT Image 1.5',
			});
			expect(pairedItem).toEqual({ item });
			expect(
				Object.entries(binary ?? {}).map(([field, { fileName, mimeType }]) => [
					field,
					fileName,
					mimeType,
				]),
			).toEqual([
				['picture', `${jobId}-1.png`, 'image/png'],
				['picture_1', `${jobId}-2.gif`, 'image/gif'],
				['picture_2', `${jobId}-3.png`, 'image/png'],
			]);
			expect(await bytesOf(binary?.picture_1)).toEqual(tinyPicture(`${jobId}-2.gif`, 'gif'));
		}
	});

	it('puts images in the field that is named', async () => {
		const { items } = await generate({ binaryPropertyOutput: 'lighthouse' });
		expect(Object.keys(items[0]?.binary ?? {})).toEqual(['lighthouse']);
	});

	it.each(['perImage', 'perJob'])(
		'can leave the images where they are, %s',
		async (outputItems) => {
			wish = () => ({ outcome: { images: ['png', 'png'] } });
			const { items } = await generate({ downloadImages: false, options: { outputItems } });
			expect(items).toHaveLength(outputItems === 'perImage' ? 2 : 1);
			for (const item of items) expect(item).not.toHaveProperty('binary');
			expect(items[0]?.json).toHaveProperty(
				outputItems === 'perImage' ? 'image_url' : 'image_urls',
			);
			expect(downloads()).toEqual([]);
		},
	);

	it('gives one item for a job that has no images', async () => {
		wish = () => ({ outcome: { images: [] } });
		const echo = { prompt: 'A lighthouse', ai_model: 'GPT Image 1.5' };
		const perImage = await generate({});
		expect(perImage.items).toEqual([
			{
				json: { job_id: jobIdOf(0), status: 'Succeed', image_count: 0, ...echo },
				pairedItem: { item: 0 },
			},
		]);
		const perJob = await generate({ options: { outputItems: 'perJob' } });
		expect(perJob.items).toEqual([
			{
				json: { job_id: jobIdOf(1), status: 'Succeed', image_urls: [], ...echo },
				pairedItem: { item: 0 },
			},
		]);
	});

	it('looks first after a second, and then about every two, until the job is finished', async () => {
		wish = () => ({ durationMs: 6500 });
		const startedAt = clock.now();
		await generate({});
		expect(looks().map(({ startedAtMs }) => startedAtMs - startedAt)).toEqual([
			1000, 3000, 5000, 7000,
		]);
	});

	it('looks as often as asked', async () => {
		wish = () => ({ durationMs: 6500 });
		const startedAt = clock.now();
		await generate({ options: { pollInterval: 4 } });
		expect(looks().map(({ startedAtMs }) => startedAtMs - startedAt)).toEqual([1000, 5000, 9000]);
	});
});

describe('many items', () => {
	it('come out in input order, paired, whichever job ends first', async () => {
		const count = 18;
		const ends: string[] = [];
		wish = ({ fields }) => {
			const n = Number(fields.prompt);
			return {
				durationMs: ((n * 7) % count) * 1000,
				outcome: { images: n % 3 === 0 ? ['png', 'gif'] : ['png'] },
			};
		};
		const { items } = await generate(
			{ prompt: '={{ $json.n }}', options: { maxConcurrentJobs: 50 } },
			{ items: numbered(count) },
		);
		for (const { jobId = '' } of downloads()) ends.push(jobId);
		expect(
			items.map(({ json, pairedItem }) => [json.prompt, json.image_number, pairedItem]),
		).toEqual(
			numbered(count).flatMap(({ json: { n } }) =>
				Array.from({ length: Number(n) % 3 === 0 ? 2 : 1 }, (_, image) => [
					`${Number(n)}`,
					image + 1,
					{ item: n },
				]),
			),
		);
		const inOrder = emulator.submits.map(({ jobId }) => jobId);
		expect([...new Set(ends)]).not.toEqual(inOrder);
		for (const { json, binary } of items) {
			const { job_id: jobId, image_number: number } = json as {
				job_id: string;
				image_number: number;
			};
			const format = number === 2 ? 'gif' : 'png';
			const label = `${jobId}-${number}.${format}`;
			expect(await bytesOf(binary?.data)).toEqual(tinyPicture(label, format));
		}
	});

	it.each([1, 3, 7])('have at most %i jobs unfinished at one time', async (maxConcurrentJobs) => {
		const unfinished: number[] = [];
		wish = ({ fields }) => {
			const others = emulator.jobs
				.all()
				.filter(({ createdAtMs, durationMs }) => createdAtMs + durationMs > clock.now());
			unfinished.push(others.length + 1);
			return { durationMs: 3000 + (Number(fields.prompt) % 4) * 2500 };
		};
		const { items } = await generate(
			{ prompt: '={{ $json.n }}', options: { maxConcurrentJobs } },
			{ items: numbered(14) },
		);
		expect(items).toHaveLength(14);
		expect(Math.max(...unfinished)).toBe(maxConcurrentJobs);
	});

	it('run up to 20 jobs side by side unless told otherwise', async () => {
		wish = () => ({ durationMs: 20_000 });
		const startedAt = clock.now();
		await generate(
			{ downloadImages: false, options: { pollInterval: 7 } },
			{ items: numbered(40) },
		);
		const seconds = (clock.now() - startedAt) / 1000;
		expect(seconds).toBeGreaterThan(40);
		expect(seconds).toBeLessThan(60);
	});

	it('differ in whatever is an expression', async () => {
		const { items } = await generate(
			{
				prompt: '={{ $json.n }}',
				aiModel: '={{ ["Nano Banana", "GPT Image 2"][$json.n] }}',
				waitForCompletion: '={{ $json.n === 0 }}',
				options: { outputItems: '={{ $json.n === 0 ? "perJob" : "perImage" }}' },
			},
			{ items: numbered(2) },
		);
		expect(items.map(({ json }) => json)).toEqual([
			{
				job_id: jobIdOf(0),
				status: 'Succeed',
				image_urls: [resultUrl(jobIdOf(0), 1)],
				prompt: '0',
				ai_model: 'Nano Banana',
			},
			{ job_id: jobIdOf(1), status: 'Pending', prompt: '1', ai_model: 'GPT Image 2' },
		]);
	});
});

describe('not waiting', () => {
	it('gives the job at once', async () => {
		const startedAt = clock.now();
		const { items } = await generate(
			{ prompt: '={{ $json.n }}', waitForCompletion: false },
			{ items: numbered(3) },
		);
		expect(items).toEqual(
			[0, 1, 2].map((n) => ({
				json: {
					job_id: emulator.submits.find(({ fields }) => fields.prompt === String(n))?.jobId,
					status: 'Pending',
					prompt: String(n),
					ai_model: 'GPT Image 1.5',
				},
				pairedItem: { item: n },
			})),
		);
		expect(clock.now()).toBe(startedAt);
		expect(emulator.requests).toHaveLength(3);
	});

	it.each([1, 4])('has at most %i submits under way', async (maxConcurrentJobs) => {
		// Those under way are told to come again in 5 s: nothing else may begin until then.
		emulator.faults.add({
			at: 'submit',
			kind: 'respond',
			status: 429,
			headers: { 'retry-after': '5' },
			times: maxConcurrentJobs,
		});
		await generate(
			{
				prompt: '={{ $json.n }}',
				waitForCompletion: false,
				options: { maxConcurrentJobs },
			},
			{ items: numbered(12) },
		);
		const prompts = emulator.requests.map(({ form }) => Number(form?.fields.prompt));
		const first = numbered(maxConcurrentJobs).map(({ json: { n } }) => n);
		expect(prompts.slice(0, maxConcurrentJobs).sort()).toEqual(first);
		expect(prompts).toHaveLength(12 + maxConcurrentJobs);
		const secondRound = emulator.requests[maxConcurrentJobs]?.startedAtMs ?? 0;
		expect(secondRound - (emulator.requests[0]?.startedAtMs ?? 0)).toBe(5000);
	});
});

describe('prompt and model', () => {
	it.each<[string, string, string]>([
		[
			'is sent and returned as it is written',
			'  "Möwe" & <b>🦤</b> \\n ',
			'  "Möwe" & <b>🦤</b> \\n ',
		],
		['may have several lines', 'one\ntwo', 'one\r\ntwo'],
		['may be long', 'x'.repeat(100_000), 'x'.repeat(100_000)],
		['may be a number', '={{ 5 }}', '5'],
		['may be true or false', '={{ false }}', 'false'],
	])('%s', async (_, prompt, sent) => {
		const { items } = await generate({ prompt, waitForCompletion: false });
		expect(emulator.submits[0]?.fields.prompt).toBe(sent);
		expect(items[0]?.json.prompt).toBe(sent.replace('\r', ''));
	});

	it('may be a model that the list does not know: the API has the last word', async () => {
		const { error } = await runEngine({
			node: 'imageGenerate',
			clock,
			credential: { baseUrl: emulator.apiUrl },
			parameters: { prompt: 'p', aiModel: '={{ "Nano Banana " + 3 }}' },
		});
		expect(emulator.requests[0]?.form?.fields.ai_model).toBe('Nano Banana 3');
		expect(error?.message).toMatch(/did not accept the request: ai_model: Input should be 'GPT/);
	});
});

it('takes the base URL with a trailing slash, and with a path', async () => {
	await generate({}, { credential: { baseUrl: `${emulator.apiUrl}/` } });
	const { error } = await runEngine({
		node: 'imageGenerate',
		clock,
		credential: { baseUrl: `${emulator.apiUrl}/proxy` },
		parameters: { prompt: 'p' },
	});
	expect(error?.httpCode).toBe('404');
	expect(emulator.requests.at(-1)?.path).toBe('/proxy/public/v1/generate/image');
});

it('names each job in n8n’s log, and only the job', async () => {
	const { log } = await generate(
		{ prompt: '={{ "secret " + $json.n }}', waitForCompletion: false },
		{ items: numbered(2) },
	);
	const lines = log.filter((line) => line.startsWith('info'));
	expect(lines.sort()).toEqual(
		emulator.submits
			.map(({ jobId, fields }) => {
				const item = String(fields.prompt).replace('secret ', '');
				return `info AetherForge started the job ${jobId} for item ${item}`;
			})
			.sort(),
	);
	expect(log.join()).not.toMatch(/secret|Bearer/);
});

describe('dry run', () => {
	it('keeps what is wrong with each item apart, and needs no server', async () => {
		const { items, error } = await runEngine({
			node: 'imageGenerate',
			credential: { baseUrl: 'http://not.this.machine' },
			parameters: { prompt: '={{ $json.prompt }}', options: { dryRun: true } },
			items: [{ json: { prompt: '' } }, { json: { prompt: 'p' } }],
			nodeSettings: { onError: 'continueRegularOutput' },
		});
		expect(error).toBeUndefined();
		expect(items.map(({ json }) => json.error ?? json.dry_run)).toEqual([
			expect.objectContaining({ message: 'The "Prompt" parameter is empty [Item 0]' }),
			true,
		]);
	});

	it('checks everything, sends nothing, and says what would be sent', async () => {
		const picture = tinyPicture('x', 'gif');
		const { items, hints, saved } = await generate(
			{
				prompt: '={{ $json.n }}',
				aiModel: 'Nano Banana 2',
				referenceImages: 'all',
				options: { dryRun: true },
			},
			{
				items: numbered(2).map((item) => ({
					...item,
					binary: {
						photo: {
							data: picture.toString('base64'),
							mimeType: 'text/plain',
							fileName: 'dir/a.gif',
						},
					},
				})),
				// Nothing listens there.
				credential: { baseUrl: 'http://127.0.0.1:9' },
			},
		);
		expect(items).toEqual(
			[0, 1].map((n) => ({
				json: {
					dry_run: true,
					prompt: String(n),
					ai_model: 'Nano Banana 2',
					reference_images: [
						{
							field: 'photo',
							file_name: 'a.gif',
							mime_type: 'image/gif',
							bytes: picture.length,
						},
					],
				},
				pairedItem: { item: n },
			})),
		);
		expect(emulator.requests).toEqual([]);
		expect(hints.map(({ message }) => message)).toEqual([
			'Dry run: 2 requests checked, nothing sent and nothing charged. Switch off "Dry Run" under Options to start the jobs.',
		]);
		expect(JSON.stringify(saved.executionData?.contextData)).not.toContain('guard');
	});

	it('of one item leaves the others to be sent', async () => {
		const { items } = await generate(
			{ prompt: '={{ $json.n }}', options: { dryRun: '={{ $json.n === 1 }}' } },
			{ items: numbered(3) },
		);
		expect(emulator.submits.map(({ fields }) => fields.prompt).sort()).toEqual(['0', '2']);
		expect(items.map(({ json }) => json.dry_run ?? json.image_number)).toEqual([1, true, 1]);
	});

	it('says which items cannot be sent, with the others', async () => {
		const { items } = await generate(
			{ prompt: '={{ $json.n || "" }}', options: { dryRun: true } },
			{ items: numbered(3), nodeSettings: { onError: 'continueRegularOutput' } },
		);
		expect(emulator.requests).toEqual([]);
		expect(items.map(({ json }) => Object.keys(json)[0])).toEqual(['error', 'dry_run', 'dry_run']);
	});
});
