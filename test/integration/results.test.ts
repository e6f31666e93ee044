import type { INodeExecutionData } from 'n8n-workflow';

import type { ImageUrlsShape, JobWish, ReceivedForm } from '../emulator/emulator';
import { tinyPicture } from '../emulator/pictures';
import {
	bytesOf,
	startBinaryStorage,
	type EngineOptions,
	type EngineResult,
} from '../support/engine';
import { openScene, type Scene } from '../support/scene';
import { serve, type TestServer } from '../support/server';

let scene: Scene;
/** What the test wishes of the job of a submit. */
let wish: (form: ReceivedForm) => JobWish;

beforeAll(startBinaryStorage);

beforeEach(async () => {
	wish = () => ({});
	scene = await openScene({ wish: (form) => wish(form) });
});

afterEach(async () => {
	await scene.close();
});

async function generate(
	parameters: EngineOptions['parameters'] = {},
	more: Partial<EngineOptions> = {},
): Promise<EngineResult> {
	return await scene.run({
		node: 'imageGenerate',
		parameters: { prompt: 'p', ...parameters },
		...more,
	});
}

const CONTINUES: Partial<EngineOptions> = { nodeSettings: { onError: 'continueRegularOutput' } };

function errorOf(item: INodeExecutionData | undefined): Record<string, unknown> {
	expect(Object.keys(item?.json ?? {})).toEqual(['error']);
	return item?.json.error as Record<string, unknown>;
}

describe('the URLs of the images', () => {
	it.each<ImageUrlsShape>(['strings', 'url', 'imageUrl', 'contentUrl'])(
		'are taken as %s',
		async (imageUrls) => {
			wish = () => ({ outcome: { imageUrls, images: ['png', 'png'] } });
			const { items } = await generate();
			const jobId = scene.jobIdOf(0);
			expect(items.map(({ json }) => json.image_url)).toEqual([
				scene.resultUrl(jobId, 1),
				scene.resultUrl(jobId, 2),
			]);
			expect(await bytesOf(items[1]?.binary?.data)).toEqual(tinyPicture(`${jobId}-2.png`, 'png'));
		},
	);

	it('may be a single text', async () => {
		wish = () => ({ outcome: { extra: { image_urls: 'https://x.example/1.png' } } });
		const { items } = await generate({ downloadImages: false });
		expect(items.map(({ json }) => json.image_url)).toEqual(['https://x.example/1.png']);
	});

	it('are taken where there are any among others', async () => {
		const urls = ['', null, 5, ['x'], {}, { url: 5, imageUrl: '' }, 'https://x.example/1.png'];
		wish = () => ({ outcome: { extra: { image_urls: urls } } });
		const { items } = await generate({ downloadImages: false });
		expect(items.map(({ json }) => json.image_url)).toEqual(['https://x.example/1.png']);
	});
});

describe('an image that cannot be had', () => {
	beforeEach(() => {
		wish = () => ({ outcome: { images: ['png', 'png', 'png'] } });
		scene.emulator.faults.add({
			at: 'download',
			kind: 'respond',
			status: 410,
			times: Infinity,
			match: ({ path }) => path.endsWith('/2.png'),
		});
	});

	it('ends the run, and names the job and its images', async () => {
		const { error } = await generate();
		const jobId = scene.jobIdOf(0);
		expect(error).toMatchObject({
			name: 'NodeOperationError',
			message: `An image of the job ${jobId} could not be downloaded`,
			context: {
				itemIndex: 0,
				data: {
					job_id: jobId,
					status: 'Succeed',
					image_urls: [1, 2, 3].map((number) => scene.resultUrl(jobId, number)),
				},
			},
		});
		expect(error?.description).toContain('/…/2.png.');
		expect(error?.description).toContain('HTTP 410');
		expect(error?.description).toContain('The job has been charged.');
	});

	it('is an error item between the other images when the node continues', async () => {
		const { items } = await generate({}, CONTINUES);
		const jobId = scene.jobIdOf(0);
		expect(items.map(({ json }) => json.image_number)).toEqual([1, undefined, 3]);
		expect(errorOf(items[1])).toMatchObject({
			message: `An image of the job ${jobId} could not be downloaded`,
			job_id: jobId,
			status: 'Succeed',
			image_urls: [scene.resultUrl(jobId, 2)],
		});
		expect(items.map(({ pairedItem }) => pairedItem)).toEqual(Array(3).fill({ item: 0 }));
		expect(await bytesOf(items[2]?.binary?.data)).toEqual(tinyPicture(`${jobId}-3.png`, 'png'));
	});

	it('makes one error item of a job whose images stay together', async () => {
		const { items } = await generate({ options: { outputItems: 'perJob' } }, CONTINUES);
		const jobId = scene.jobIdOf(0);
		expect(items).toHaveLength(1);
		expect(errorOf(items[0])).toMatchObject({
			job_id: jobId,
			status: 'Succeed',
			image_urls: [1, 2, 3].map((number) => scene.resultUrl(jobId, number)),
		});
		expect(items[0]).not.toHaveProperty('binary');
	});

	it('goes to the error branch, the others to the other', async () => {
		const { items, errorItems } = await generate(
			{},
			{ nodeSettings: { onError: 'continueErrorOutput' }, items: [{ json: { mine: 1 } }] },
		);
		expect(items.map(({ json }) => json.image_number)).toEqual([1, 3]);
		expect(errorItems.map(({ json }) => json)).toEqual([
			{ mine: 1, error: expect.objectContaining({ job_id: scene.jobIdOf(0) }) as object },
		]);
	});
});

describe('a download that may do better next time', () => {
	it.each([
		['403', { kind: 'respond', status: 403 }],
		['404', { kind: 'respond', status: 404 }],
		['429', { kind: 'respond', status: 429, headers: { 'retry-after': '3' } }],
		['500', { kind: 'respond', status: 500 }],
		['a reset', { kind: 'reset' }],
		['half an image', { kind: 'truncate' }],
		['half an image of unknown length', { kind: 'truncate', chunked: true }],
		['a page in place of the image', { kind: 'html' }],
		['nothing at all', { kind: 'respond', status: 200, body: '' }],
	] as const)('%s: is tried again', async (_, fault) => {
		scene.emulator.faults.add({ at: 'download', times: 2, ...fault });
		const { items, error } = await generate();
		expect(error).toBeUndefined();
		expect(await bytesOf(items[0]?.binary?.data)).toEqual(
			tinyPicture(`${scene.jobIdOf(0)}-1.png`, 'png'),
		);
	});

	it.each([
		['403', { kind: 'respond', status: 403 }, 'HTTP 403'],
		[
			'a page in place of the image',
			{ kind: 'html' },
			'a page or message in place of the file (text/html)',
		],
		['half an image', { kind: 'truncate' }, 'the response was cut off'],
		['a reset', { kind: 'reset' }, 'the connection was cut (ECONNRESET)'],
	] as const)('%s: is given up after five tries', async (_, fault, reason) => {
		scene.emulator.faults.add({ at: 'download', times: Infinity, ...fault });
		const { error } = await generate();
		expect(error?.description).toContain(reason);
		expect(scene.downloads()).toHaveLength(5);
	});

	it('is not tried again when that would take too long', async () => {
		scene.emulator.faults.add({
			at: 'download',
			kind: 'respond',
			status: 503,
			headers: { 'retry-after': '181' },
		});
		const { error } = await generate();
		expect(error?.description).toContain('HTTP 503');
	});
});

it('an image whose transfer is cut off within its first bytes is not one', async () => {
	const server = await serve((_, response) => {
		response.writeHead(200, { 'content-type': 'image/png', 'content-length': 100 });
		response.write(Buffer.from('89504e47', 'hex'), () => response.destroy());
	});
	wish = () => ({ outcome: { extra: { image_urls: [`${server.url}/1.png`] } } });
	const { error } = await generate();
	server.close();
	expect(error?.message).toBe(`An image of the job ${scene.jobIdOf(0)} could not be downloaded`);
	expect(error?.description).toContain('the response was cut off (');
});

describe('an image’s URL', () => {
	const withUrl = (url: string): void => {
		wish = () => ({ outcome: { extra: { image_urls: [url] } } });
	};

	it.each(['ftp://x.example/1.png', 'file:///etc/passwd', 'no URL', 'data:image/png;base64,AA'])(
		'is not fetched when it is %s',
		async (url) => {
			withUrl(url);
			const { error } = await generate();
			expect(error?.description).toContain('the URL does not start with http:// or https://');
			expect(error?.description).not.toContain('base64,AA');
		},
	);

	it('is named without what may be secret in it', async () => {
		withUrl(`${scene.emulator.cdnUrl}/none.png?signature=secret`);
		const { error } = await generate();
		expect(error?.description).toContain(`The URL is ${scene.emulator.cdnUrl}/none.png. Reason`);
		expect(error?.description).not.toContain('secret');
	});

	it('may redirect, still without the key', async () => {
		const jobId = scene.emulator.jobs.add().id;
		scene.emulator.faults.add({ at: 'download', kind: 'redirect', to: scene.resultUrl(jobId, 1) });
		const { items, error } = await generate();
		expect(error).toBeUndefined();
		expect(await bytesOf(items[0]?.binary?.data)).toEqual(tinyPicture(`${jobId}-1.png`, 'png'));
		for (const { headers } of scene.downloads()) {
			expect(headers.authorization).toBeUndefined();
		}
	});

	it('may not redirect in circles', async () => {
		scene.emulator.faults.add({ at: 'download', kind: 'redirect', to: 'itself', times: Infinity });
		const { error } = await generate();
		expect(error?.description).toContain('ERR_FR_TOO_MANY_REDIRECTS');
		expect(scene.downloads()).toHaveLength(6);
	});
});

describe('a result’s type', () => {
	const respond = (body: Buffer, headers: Record<string, string>): void => {
		scene.emulator.faults.add({ at: 'download', kind: 'respond', status: 200, headers, body });
	};

	it.each<[string, Buffer, string, string, string]>([
		[
			'the bytes’, whatever the header says',
			tinyPicture('x', 'gif'),
			'image/png',
			'image/gif',
			'gif',
		],
		[
			'the bytes’, for a file of just enough',
			Buffer.from('ffd8ff', 'hex'),
			'text/plain',
			'image/jpeg',
			'jpg',
		],
	])('is %s', async (_, body, contentType, mimeType, extension) => {
		respond(body, { 'content-type': contentType });
		const { items, error } = await generate();
		expect(error).toBeUndefined();
		const file = items[0]?.binary?.data;
		expect(file).toMatchObject({ mimeType, fileName: `${scene.jobIdOf(0)}-1.${extension}` });
		expect(await bytesOf(file)).toEqual(body);
	});

	it('is found in a file that comes in many pieces, and no byte is lost', async () => {
		const body = Buffer.concat([
			tinyPicture('x', 'png'),
			...Array.from({ length: 60_000 }, (_, n) => Buffer.from(`${n},`)),
		]);
		respond(body, { 'content-type': 'image/png' });
		const { items } = await generate();
		expect((await bytesOf(items[0]?.binary?.data)).equals(body)).toBe(true);
	});
});

describe('results that are not images', () => {
	const ZIP = Buffer.concat([Buffer.from('504b0304', 'hex'), Buffer.alloc(600, 'z')]);
	const MP4 = Buffer.concat([Buffer.from('0000001866747970', 'hex'), Buffer.from('isom0000')]);
	const UNKNOWN = Buffer.from([0, 1, 2, 255]);
	const PNG = tinyPicture('sheet', 'png');

	const FILES: Record<string, [contentType: string | undefined, body: Buffer | string]> = {
		'/sheet.png': ['image/png', PNG],
		'/layers.zip?signature=a.b': ['application/zip', ZIP],
		'/movie': ['video/mp4; codecs="avc1"', MP4],
		'/odd': ['application/octet-stream', UNKNOWN],
		'/unnamed': [undefined, UNKNOWN],
		'/data.json': ['application/json', '[{"detail":"a list is no error"}]'],
	};

	let server: TestServer;
	let requested: string[];

	beforeEach(async () => {
		requested = [];
		server = await serve(({ url = '' }, response) => {
			requested.push(url);
			const [contentType, body] = FILES[url] ?? [];
			if (contentType !== undefined) response.setHeader('content-type', contentType);
			response.end(body);
		});
		const image_urls = Object.keys(FILES).map((path) => `${server.url}${path}`);
		wish = () => ({ outcome: { extra: { image_urls } } });
	});

	afterEach(() => {
		server.close();
	});

	it('are all kept, typed, and named, after one download each', async () => {
		const { items, error } = await generate({ options: { outputItems: 'perJob' } });
		expect(error).toBeUndefined();
		const jobId = scene.jobIdOf(0);
		expect(
			Object.values(items[0]?.binary ?? {}).map(({ fileName, mimeType }) => [fileName, mimeType]),
		).toEqual([
			[`${jobId}-1.png`, 'image/png'],
			[`${jobId}-2.zip`, 'application/zip'],
			[`${jobId}-3.mp4`, 'video/mp4'],
			[`${jobId}-4.bin`, 'application/octet-stream'],
			[`${jobId}-5.bin`, 'application/octet-stream'],
			[`${jobId}-6.json`, 'application/json'],
		]);
		for (const [index, [, body]] of Object.values(FILES).entries()) {
			const stored = await bytesOf(items[0]?.binary?.[index === 0 ? 'data' : `data_${index}`]);
			expect(stored).toEqual(Buffer.from(body));
		}
		expect(requested.sort()).toEqual(Object.keys(FILES).sort());
	});

	it('are items of their own beside the images', async () => {
		const { items } = await generate();
		expect(items.map(({ json, binary }) => [json.image_number, binary?.data?.mimeType])).toEqual([
			[1, 'image/png'],
			[2, 'application/zip'],
			[3, 'video/mp4'],
			[4, 'application/octet-stream'],
			[5, 'application/octet-stream'],
			[6, 'application/json'],
		]);
	});
});

describe('an error in place of a result', () => {
	it.each<[string, string, string]>([
		['an HTML page', 'text/html; charset=utf-8', '<p>gone</p>'],
		['an HTML page that is called an image', 'image/png', ' <!DOCTYPE html><title>gone</title>'],
		['a JSON object with a detail', 'application/json', '{"detail":"gone"}'],
		['a JSON object with an error', 'image/png', '{"code":1,"error":{"message":"gone"}}'],
	])('is retried, and then fails with the job and the URL: %s', async (_, type, body) => {
		const fault = scene.emulator.faults.add({
			at: 'download',
			kind: 'respond',
			status: 200,
			headers: { 'content-type': type },
			body,
			times: Infinity,
		});
		const { error } = await generate();
		const jobId = scene.jobIdOf(0);
		expect(scene.downloads()).toHaveLength(5);
		expect(error?.message).toBe(`An image of the job ${jobId} could not be downloaded`);
		expect(error?.description).toContain('/…/1.png.');
		expect(error?.description).toContain(`a page or message in place of the file (${type})`);
		expect(error?.context.data?.image_urls).toEqual([scene.resultUrl(jobId, 1)]);

		fault.remove();
		const again = await generate();
		expect(again.items[0]?.binary?.data?.mimeType).toBe('image/png');
	});
});

describe('a finished job without URLs', () => {
	const NONE: Record<string, unknown>[] = [
		{},
		{ image_urls: [] },
		{ image_urls: null },
		{ image_urls: '' },
		{ image_urls: { url: '' } },
	];

	it.each(NONE)(
		'is polled for ten more seconds, and then is an error that names it: %j',
		async (extra) => {
			wish = () => ({ durationMs: 0, outcome: { imageUrls: 'absent', extra } });
			const startedAt = scene.clock.now();
			const { error } = await generate();
			const jobId = scene.jobIdOf(0);
			expect(error).toMatchObject({
				name: 'NodeOperationError',
				message: `AetherForge finished the job ${jobId}, but returned no images`,
				context: { itemIndex: 0, data: { job_id: jobId, status: 'Succeed', image_urls: [] } },
			});
			expect(error?.description).toContain('A retry does not start a new job');
			// The first poll comes a second after the submit.
			expect(scene.clock.now() - startedAt).toBe(11_000);
		},
	);

	it('is collected when its URLs come within these seconds', async () => {
		wish = () => ({ durationMs: 0, outcome: { extra: { image_urls: [] } } });
		scene.emulator.faults.add({
			at: 'poll',
			kind: 'reset',
			match: () => {
				if (scene.polls().length === 3) scene.emulator.jobs.finish(scene.jobIdOf(0), { extra: {} });
				return false;
			},
		});
		const { items } = await generate();
		expect(items[0]?.binary?.data?.mimeType).toBe('image/png');
	});

	it('is polled by a retry, which starts no new job', async () => {
		wish = () => ({ durationMs: 0, outcome: { images: [] } });
		const nodeSettings = { retryOnFail: true, maxTries: 3, waitBetweenTries: 1 };
		const first = await generate({}, { nodeSettings });
		expect(first.calls).toBe(3);
		expect(scene.postCount()).toBe(1);

		const pollsBefore = scene.polls().length;
		scene.emulator.jobs.finish(scene.jobIdOf(0), { images: ['png'] });
		const again = await generate({}, { retryOf: first, executionId: '2' });
		expect(again.items[0]?.json).toMatchObject({ job_id: scene.jobIdOf(0), image_count: 1 });
		expect(scene.polls().length).toBeGreaterThan(pollsBefore);
		expect(scene.postCount()).toBe(1);
	});

	it('can be a regular item, from both nodes', async () => {
		wish = () => ({ durationMs: 0, outcome: { images: [] } });
		const { items } = await generate({ options: { onFailed: 'returnFailed' } });
		const jobId = scene.jobIdOf(0);
		const job = { job_id: jobId, status: 'Succeed', image_urls: [] };
		expect(items.map(({ json }) => json)).toEqual([
			{ ...job, prompt: 'p', ai_model: 'GPT Image 1.5' },
		]);
		const again = await scene.run({ node: 'getJob', parameters: { jobId } });
		expect(again.items.map(({ json }) => json)).toEqual([job]);
	});
});

it.each(['perImage', 'perJob'])('an output field may have any name, %s', async (outputItems) => {
	const options = { outputItems };
	const { items, error } = await generate({ binaryPropertyOutput: '__proto__', options });
	expect(error).toBeUndefined();
	const binary = items[0]?.binary ?? {};
	expect(Object.keys(binary)).toEqual(['__proto__']);
	expect(Object.getOwnPropertyDescriptor(binary, '__proto__')?.value).toMatchObject({
		mimeType: 'image/png',
	});
});

it('the text of the key stays as it is in what a successful answer says', async () => {
	await scene.close();
	scene = await openScene({ apiKeys: ['result'] });
	const { items, error } = await generate(
		{ prompt: 'a result', downloadImages: false },
		{ credential: { apiKey: 'result' } },
	);
	expect(error).toBeUndefined();
	expect(items[0]?.json).toMatchObject({
		prompt: 'a result',
		image_url: scene.resultUrl(scene.jobIdOf(0), 1),
	});
	expect(items[0]?.json.image_url).toContain('/results/');
});
