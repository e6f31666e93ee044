import type { INodeExecutionData } from 'n8n-workflow';

import type { ImageFormat, JobWish, ReceivedForm, RequestRecord } from '../emulator/emulator';
import { tinyPicture } from '../emulator/pictures';
import { bytesOf, type EngineOptions, type EngineResult } from '../support/engine';
import { KEY, useScene } from '../support/scene';

/** The size of the emulator's pictures in tests. */
const TINY = { width: 1, height: 1 };

const scene = useScene({ wish: (form) => wish(form) });
/** What the test wishes of the job of a submit. */
let wish: (form: ReceivedForm) => JobWish;

beforeEach(() => {
	wish = () => ({});
});

async function generate(
	parameters: EngineOptions['parameters'],
	more: Partial<EngineOptions> = {},
): Promise<EngineResult> {
	const result = await scene.run({
		node: 'imageGenerate',
		parameters: { prompt: 'A lighthouse', ...parameters },
		...more,
	});
	expect(result.error).toBeUndefined();
	return result;
}

function numbered(count: number): INodeExecutionData[] {
	return Array.from({ length: count }, (_, n) => ({ json: { n } }));
}

describe('waiting for the images', () => {
	it('sends the prompt and the model, and returns the image', async () => {
		const aiModel = 'Nano Banana 2';
		const { items, errorItems, calls, hints } = await generate({ aiModel });
		const [submit] = scene.emulator.submits;
		const jobId = scene.jobIdOf(0);
		expect(submit?.fields).toEqual({ prompt: 'A lighthouse', ai_model: aiModel });
		expect(submit?.files).toEqual([]);
		expect(items.map(({ json, pairedItem }) => ({ json, pairedItem }))).toEqual([
			{
				json: {
					job_id: jobId,
					status: 'Succeed',
					image_url: scene.resultUrl(jobId, 1),
					image_number: 1,
					image_count: 1,
					prompt: 'A lighthouse',
					ai_model: aiModel,
					...TINY,
					mime_type: 'image/png',
				},
				pairedItem: { item: 0 },
			},
		]);
		expect([errorItems, calls]).toEqual([[], 1]);
		expect(hints.map(({ message }) => message)).toEqual([
			expect.stringMatching(/^1 job started\. .* select the node, and press P\./),
		]);
	});

	it('always sends multipart, with the key, and asks for JSON', async () => {
		await generate({});
		const [submit, poll] = scene.emulator.requests;
		expect(submit?.headers).toMatchObject({
			'content-type': expect.stringMatching(/^multipart\/form-data; boundary=/) as string,
			authorization: `Bearer ${KEY}`,
			accept: 'application/json',
		});
		expect(poll?.headers).toMatchObject({ authorization: `Bearer ${KEY}` });
		expect(scene.downloads().map(({ headers }) => headers.authorization)).toEqual([undefined]);
	});

	it('uses the default model when none is chosen', async () => {
		await generate({});
		expect(scene.emulator.submits[0]?.fields.ai_model).toBe('GPT Image 1.5');
	});

	const PNG: ImageFormat = 'png';
	it.each<[ImageFormat[]]>([[[PNG]], [[PNG, PNG]], [[PNG, PNG, PNG]], [[PNG, 'gif']]])(
		'gives an item for each image of %j',
		async (images) => {
			wish = () => ({ outcome: { images } });
			const { items } = await generate({});
			const jobId = scene.jobIdOf(0);
			expect(items.map(({ json }) => json)).toEqual(
				images.map((format, index) => ({
					job_id: jobId,
					status: 'Succeed',
					image_url: scene.resultUrl(jobId, index + 1, format),
					image_number: index + 1,
					image_count: images.length,
					prompt: 'A lighthouse',
					ai_model: 'GPT Image 1.5',
					...TINY,
					mime_type: `image/${format}`,
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
			const jobId = scene.jobIdOf(item);
			const urls = [1, 2, 3].map((n) => scene.resultUrl(jobId, n, n === 2 ? 'gif' : 'png'));
			expect(json).toEqual({
				job_id: jobId,
				status: 'Succeed',
				image_urls: urls,
				images: urls.map((image_url, index) => ({
					image_url,
					...TINY,
					mime_type: index === 1 ? 'image/gif' : 'image/png',
				})),
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
			expect(scene.downloads()).toEqual([]);
		},
	);

	it('polls first after a second, and then every two, until the job is finished', async () => {
		wish = () => ({ durationMs: 6500 });
		const startedAt = scene.clock.now();
		await generate({});
		expect(scene.polls().map(({ startedAtMs }) => startedAtMs - startedAt)).toEqual([
			1000, 3000, 5000, 7000,
		]);
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
		for (const { jobId = '' } of scene.downloads()) ends.push(jobId);
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
		const inOrder = scene.emulator.submits.map(({ jobId }) => jobId);
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
			const others = scene.emulator.jobs
				.all()
				.filter(({ createdAtMs, durationMs }) => createdAtMs + durationMs > scene.clock.now());
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
		const startedAt = scene.clock.now();
		await generate({ downloadImages: false }, { items: numbered(40) });
		const seconds = (scene.clock.now() - startedAt) / 1000;
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
				job_id: scene.jobIdOf(0),
				status: 'Succeed',
				image_urls: [scene.resultUrl(scene.jobIdOf(0), 1)],
				images: [
					{ image_url: scene.resultUrl(scene.jobIdOf(0), 1), ...TINY, mime_type: 'image/png' },
				],
				prompt: '0',
				ai_model: 'Nano Banana',
			},
			{ job_id: scene.jobIdOf(1), status: 'Pending', prompt: '1', ai_model: 'GPT Image 2' },
		]);
	});
});

describe('not waiting', () => {
	it('gives the job at once', async () => {
		const startedAt = scene.clock.now();
		const { items } = await generate(
			{ prompt: '={{ $json.n }}', waitForCompletion: false },
			{ items: numbered(3) },
		);
		expect(items).toEqual(
			[0, 1, 2].map((n) => ({
				json: {
					job_id: scene.emulator.submits.find(({ fields }) => fields.prompt === String(n))?.jobId,
					status: 'Pending',
					prompt: String(n),
					ai_model: 'GPT Image 1.5',
				},
				pairedItem: { item: n },
			})),
		);
		expect(scene.clock.now()).toBe(startedAt);
		expect(scene.emulator.requests).toHaveLength(3);
	});

	it.each([1, 4])('has at most %i submits under way', async (maxConcurrentJobs) => {
		const underWay: number[] = [];
		let release: () => void = () => undefined;
		const released = new Promise<void>((resolve) => {
			release = resolve;
		});
		const ended = ({ endedAtMs }: RequestRecord): boolean => endedAtMs !== undefined;
		scene.emulator.faults.add({
			at: 'submit',
			kind: 'hold',
			until: released,
			times: maxConcurrentJobs,
			match: () => {
				underWay.push(scene.emulator.requests.filter((request) => !ended(request)).length);
				// Once all are there, time enough for more to come in, if more were sent.
				if (underWay.length === maxConcurrentJobs) setTimeout(release, 50);
				return true;
			},
		});
		await generate(
			{ prompt: '={{ $json.n }}', waitForCompletion: false, options: { maxConcurrentJobs } },
			{ items: numbered(12) },
		);
		expect(Math.max(...underWay)).toBe(maxConcurrentJobs);
	});
});

describe('a prompt', () => {
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
		expect(scene.emulator.submits[0]?.fields.prompt).toBe(sent);
		expect(items[0]?.json.prompt).toBe(sent.replace('\r', ''));
	});

	it('goes with a model that the list does not know: the API has the last word', async () => {
		const { error } = await scene.run({
			node: 'imageGenerate',
			parameters: { prompt: 'p', aiModel: '={{ "Nano Banana " + 3 }}' },
		});
		expect(scene.emulator.requests[0]?.form?.fields.ai_model).toBe('Nano Banana 3');
		expect(error?.message).toMatch(/did not accept the request: ai_model: Input should be 'GPT/);
	});
});

it('the Base URL may have a trailing slash or a path', async () => {
	await generate({}, { credential: { baseUrl: `${scene.emulator.apiUrl}/` } });
	const { error } = await scene.run({
		node: 'imageGenerate',
		credential: { baseUrl: `${scene.emulator.apiUrl}/proxy` },
		parameters: { prompt: 'p' },
	});
	expect(error?.httpCode).toBe('404');
	expect(scene.emulator.requests.at(-1)?.path).toBe('/proxy/public/v1/generate/image');
});

it('n8n’s log names each job, and nothing of its request', async () => {
	const { log } = await generate(
		{ prompt: '={{ "secret " + $json.n }}', waitForCompletion: false },
		{ items: numbered(2) },
	);
	const lines = log.filter((line) => line.startsWith('info'));
	expect(lines.sort()).toEqual(
		scene.emulator.submits
			.map(({ jobId, fields }) => {
				const item = String(fields.prompt).replace('secret ', '');
				return `info AetherForge started the job ${jobId} for item ${item}`;
			})
			.sort(),
	);
	expect(log.join()).not.toMatch(/secret|Bearer/);
});
