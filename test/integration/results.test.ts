import type { JobWish } from '../emulator/emulator';
import { tinyPicture } from '../emulator/pictures';
import { bytesOf, type EngineResult } from '../support/engine';
import { CONTINUES, RETRIES, openScene, useScene } from '../support/scene';
import { serve } from '../support/server';

// Which URLs an answer holds is tested in unit/answer, and what a file is by its bytes in unit/fileType.

const scene = useScene();

const withUrls = (...urls: string[]): JobWish => ({ outcome: { extra: { image_urls: urls } } });

async function expectImage({ items, error }: EngineResult, jobId: string): Promise<void> {
	expect(error).toBeUndefined();
	expect(await bytesOf(items[0]?.binary?.data)).toEqual(tinyPicture(`${jobId}-1.png`, 'png'));
}

describe('an image that cannot be had', () => {
	const urls = () => [1, 2, 3].map((number) => scene.resultUrl(scene.jobIdOf(0), number));

	beforeEach(() => {
		scene.wishes.push({ outcome: { images: ['png', 'png', 'png'] } });
		scene.emulator.faults.add({
			at: 'download',
			kind: 'respond',
			status: 410,
			times: Infinity,
			match: ({ path }) => path.endsWith('/2.png'),
		});
	});

	it('ends the run, and names the job and its images', async () => {
		const { error } = await scene.generate();
		const jobId = scene.jobIdOf(0);
		expect(error).toMatchObject({
			name: 'NodeOperationError',
			message: `An image of the job ${jobId} could not be downloaded`,
			context: {
				itemIndex: 0,
				data: { job_id: jobId, status: 'Succeed', image_urls: urls() },
			},
		});
		for (const words of ['/…/2.png.', 'HTTP 410', 'The job has been charged.']) {
			expect(error?.description).toContain(words);
		}
		expect(scene.downloads()).toHaveLength(3);
	});

	it('is an error item between the other images when the node continues', async () => {
		const { items } = await scene.generate({}, { nodeSettings: CONTINUES });
		const jobId = scene.jobIdOf(0);
		expect(items.map(({ json }) => json.image_number ?? json)).toEqual([
			1,
			{
				error: {
					message: `An image of the job ${jobId} could not be downloaded`,
					description: expect.any(String) as string,
					job_id: jobId,
					status: 'Succeed',
					image_urls: [urls()[1]],
				},
			},
			3,
		]);
		expect(items.map(({ pairedItem }) => pairedItem)).toEqual(Array(3).fill({ item: 0 }));
		expect(await bytesOf(items[2]?.binary?.data)).toEqual(tinyPicture(`${jobId}-3.png`, 'png'));
	});
});

describe('a download that may do better next time', () => {
	const FAULTS = {
		403: { kind: 'respond', status: 403 },
		404: { kind: 'respond', status: 404 },
		429: { kind: 'respond', status: 429, headers: { 'retry-after': '3' } },
		500: { kind: 'respond', status: 500 },
		'a reset': { kind: 'reset' },
		'half an image': { kind: 'truncate' },
		'half an image of unknown length': { kind: 'truncate', chunked: true },
		'a page in place of the image': { kind: 'html' },
		'a message in place of the image': { kind: 'respond', status: 200, body: { detail: 'gone' } },
		'nothing at all': { kind: 'respond', status: 200, body: '' },
	} as const;

	it.each(Object.entries(FAULTS))('%s: is tried again', async (_, fault) => {
		scene.emulator.faults.add({ at: 'download', times: 2, ...fault });
		await expectImage(await scene.generate(), scene.jobIdOf(0));
	});

	it.each([
		[403, 'HTTP 403'],
		['a page in place of the image', 'a page or message in place of the file (text/html)'],
		['half an image', 'the response was cut off'],
		['a reset', 'the connection was cut (ECONNRESET)'],
	] as const)('%s: is given up after five tries', async (name, reason) => {
		scene.emulator.faults.add({ at: 'download', times: Infinity, ...FAULTS[name] });
		const { error } = await scene.generate();
		expect(error?.description).toContain(reason);
		expect(scene.downloads()).toHaveLength(5);
	});

	it('is not tried again when that would take too long', async () => {
		const headers = { 'retry-after': '181' };
		scene.emulator.faults.add({ at: 'download', kind: 'respond', status: 503, headers });
		const { error } = await scene.generate();
		expect(error?.description).toContain('HTTP 503');
		expect(scene.downloads()).toHaveLength(1);
	});
});

it('an image whose transfer is cut off within its first bytes is not one', async () => {
	const server = await serve((_, response) => {
		response.writeHead(200, { 'content-type': 'image/png', 'content-length': 100 });
		response.write(Buffer.from('89504e47', 'hex'), () => response.destroy());
	});
	scene.wishes.push(withUrls(`${server.url}/1.png`));
	const { error } = await scene.generate();
	server.close();
	expect(error?.description).toContain('the response was cut off (');
});

it('a file of more than 256 MB ends there, and is not tried again', async () => {
	const megabytes = 300;
	const times = Infinity;
	const fault = scene.emulator.faults.add({ at: 'download', kind: 'hugeBody', megabytes, times });
	const { error } = await scene.generate();
	expect(error?.description).toContain('the file is larger than 256 MB');
	expect(error?.context.data).toMatchObject({ job_id: scene.jobIdOf(0) });
	expect(fault.struck).toBe(1);
});

it('an image that comes in many pieces loses no byte', async () => {
	const pieces = Array.from({ length: 60_000 }, (_, n) => Buffer.from(`${n},`));
	const body = Buffer.concat([tinyPicture('x', 'png'), ...pieces]);
	scene.emulator.faults.add({ at: 'download', kind: 'respond', status: 200, body });
	const { items } = await scene.generate();
	expect((await bytesOf(items[0]?.binary?.data)).equals(body)).toBe(true);
});

describe('an image’s URL', () => {
	it.each(['ftp://x.example/1.png', 'file:///etc/passwd', '//x.example/1.png', 'no URL'])(
		'is not fetched when it is %s',
		async (url) => {
			scene.wishes.push(withUrls(url));
			const { error } = await scene.generate();
			expect(error?.description).toContain('the URL does not start with http:// or https://');
			expect(error?.context.data?.image_urls).toEqual([url]);
		},
	);

	it('may redirect, but not in circles', async () => {
		const jobId = scene.emulator.jobs.add().id;
		const { faults } = scene.emulator;
		faults.add({ at: 'download', kind: 'redirect', to: scene.resultUrl(jobId, 1) });
		await expectImage(await scene.generate(), jobId);

		faults.add({ at: 'download', kind: 'redirect', to: 'itself', times: Infinity });
		const before = scene.downloads().length;
		const { error } = await scene.generate();
		expect(error?.description).toContain('ERR_FR_TOO_MANY_REDIRECTS');
		expect(scene.downloads()).toHaveLength(before + 6);
	});

	it('gets no key, even where it points to the API', async () => {
		scene.wishes.push(withUrls(`${scene.emulator.apiUrl}/public/v1/job/none`));
		await scene.generate();
		const downloads = scene.emulator.requests.filter(({ path }) => path.endsWith('/none'));
		expect(downloads).not.toEqual([]);
		for (const { headers } of downloads) expect(headers).not.toHaveProperty('authorization');
	});
});

it('results that are not images are all kept, typed, and named, after one download each', async () => {
	const UNKNOWN = Buffer.from([0, 1, 2, 255]);
	const MP4 = Buffer.from('0000001866747970', 'hex');
	const FILES: [path: string, type: string | undefined, Buffer, ending: string, kept: string][] = [
		['/1.png', 'image/png', tinyPicture('sheet', 'png'), 'png', 'image/png'],
		['/2.zip?x=a.b', 'application/zip', Buffer.from('504b0304', 'hex'), 'zip', 'application/zip'],
		['/3', 'video/mp4; codecs="avc1"', MP4, 'mp4', 'video/mp4'],
		['/4', 'application/octet-stream', UNKNOWN, 'bin', 'application/octet-stream'],
		['/5', undefined, UNKNOWN, 'bin', 'application/octet-stream'],
		['/6.json', 'application/json', Buffer.from('[{"detail":""}]'), 'json', 'application/json'],
	];
	const requested: string[] = [];
	const server = await serve(({ url = '' }, response) => {
		requested.push(url);
		const [, type, body] = FILES.find(([path]) => path === url) ?? [];
		if (type !== undefined) response.setHeader('content-type', type);
		response.end(body);
	});
	scene.wishes.push(withUrls(...FILES.map(([path]) => `${server.url}${path}`)));
	const { items, error } = await scene.generate({ options: { outputItems: 'perJob' } });
	server.close();
	expect(error).toBeUndefined();
	const files = Object.values(items[0]?.binary ?? {});
	expect(files.map(({ fileName, mimeType }) => [fileName, mimeType])).toEqual(
		FILES.map(([, , , ending, kept], n) => [`${scene.jobIdOf(0)}-${n + 1}.${ending}`, kept]),
	);
	const bytes = await Promise.all(files.map(async (file) => await bytesOf(file)));
	expect(bytes).toEqual(FILES.map(([, , body]) => body));
	expect(requested.sort()).toEqual(FILES.map(([path]) => path));
});

describe('a finished job without URLs', () => {
	it('is polled for ten more seconds, and then is an error that names it', async () => {
		scene.wishes.push({ durationMs: 0, outcome: { images: [] } });
		const startedAt = scene.clock.now();
		const { error } = await scene.generate();
		const jobId = scene.jobIdOf(0);
		expect(error).toMatchObject({
			name: 'NodeOperationError',
			message: `AetherForge finished the job ${jobId}, but returned no images`,
			context: { itemIndex: 0, data: { job_id: jobId, status: 'Succeed', image_urls: [] } },
		});
		expect(error?.description).toContain('A retry does not start a new job');
		// The first poll comes a second after the submit.
		expect(scene.clock.now() - startedAt).toBe(11_000);
	});

	it('is collected when its URLs come within these seconds', async () => {
		scene.wishes.push({ durationMs: 0, outcome: { images: [] } });
		const match = (): boolean => {
			const isThird = scene.polls().length === 3;
			if (isThird) scene.emulator.jobs.finish(scene.jobIdOf(0), { images: ['png'] });
			return false;
		};
		scene.emulator.faults.add({ at: 'poll', kind: 'reset', match });
		await expectImage(await scene.generate(), scene.jobIdOf(0));
		expect(scene.polls()).toHaveLength(3);
	});

	it('is polled by a retry, which starts no new job', async () => {
		scene.wishes.push({ durationMs: 0, outcome: { images: [] } });
		const first = await scene.generate({}, { nodeSettings: RETRIES });
		expect(first.calls).toBe(3);
		scene.emulator.jobs.finish(scene.jobIdOf(0), { images: ['png'] });
		const again = await scene.generate({}, { retryOf: first, executionId: '2' });
		await expectImage(again, scene.jobIdOf(0));
		expect(scene.postCount()).toBe(1);
	});

	it('can be a regular item, from both nodes', async () => {
		scene.wishes.push({ durationMs: 0, outcome: { images: [] } });
		const { items } = await scene.generate({ options: { onFailed: 'returnFailed' } });
		const jobId = scene.jobIdOf(0);
		const job = { job_id: jobId, status: 'Succeed', image_urls: [] };
		expect(items[0]?.json).toEqual({ ...job, prompt: 'p', ai_model: 'GPT Image 1.5' });
		const again = await scene.run({ node: 'getJob', parameters: { jobId } });
		expect(again.items.map(({ json }) => json)).toEqual([job]);
	});
});

it.each(['perImage', 'perJob'])('an output field may have any name, %s', async (outputItems) => {
	const binaryPropertyOutput = '__proto__';
	const { items } = await scene.generate({ binaryPropertyOutput, options: { outputItems } });
	const file: unknown = Object.entries(items[0]?.binary ?? {})[0];
	expect(file).toEqual(['__proto__', expect.objectContaining({ mimeType: 'image/png' })]);
});

it('the text of the key stays as it is in what a successful answer says', async () => {
	const other = await openScene({ apiKeys: ['result'] });
	const { items, error } = await other.generate(
		{ prompt: 'a result', downloadImages: false },
		{ credential: { apiKey: 'result' } },
	);
	await other.close();
	expect(error).toBeUndefined();
	expect(items[0]?.json).toMatchObject({
		prompt: 'a result',
		image_url: other.resultUrl(other.jobIdOf(0), 1),
	});
});
