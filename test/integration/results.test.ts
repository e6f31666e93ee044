import type { JobWish } from '../emulator/emulator';
import { tinyPicture } from '../emulator/pictures';
import { bytesOf, type EngineResult } from '../support/engine';
import { CONTINUES, useScene } from '../support/scene';
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

it('a file of more than 256 MB ends there, and is not tried again', async () => {
	const megabytes = 300;
	const times = Infinity;
	const fault = scene.emulator.faults.add({ at: 'download', kind: 'hugeBody', megabytes, times });
	const { error } = await scene.generate();
	expect(error?.description).toContain('the file is larger than 256 MB');
	expect(error?.context.data).toMatchObject({ job_id: scene.jobIdOf(0) });
	expect(fault.struck).toBe(1);
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

	it('may redirect', async () => {
		const jobId = scene.emulator.jobs.add().id;
		const to = scene.resultUrl(jobId, 1);
		scene.emulator.faults.add({ at: 'download', kind: 'redirect', to });
		await expectImage(await scene.generate(), jobId);
	});

	it('gets no key, even where it points to the API', async () => {
		scene.wishes.push(withUrls(`${scene.emulator.apiUrl}/public/v1/job/none`));
		await scene.generate();
		const downloads = scene.emulator.requests.filter(({ path }) => path.endsWith('/none'));
		expect(downloads).not.toEqual([]);
		for (const { headers } of downloads) expect(headers).not.toHaveProperty('authorization');
	});
});

it('a result that is no image is kept, typed, and named, after one download', async () => {
	const body = Buffer.from([0, 1, 2, 255]);
	const requested: unknown[] = [];
	const server = await serve(({ url }, response) => {
		requested.push(url);
		response.setHeader('content-type', 'application/zip').end(body);
	});
	scene.wishes.push(withUrls(`${server.url}/layers?x=a.b`));
	const { items } = await scene.generate();
	server.close();
	const file = items[0]?.binary?.data;
	const fileName = `${scene.jobIdOf(0)}-1.zip`;
	expect(file).toMatchObject({ fileName, mimeType: 'application/zip' });
	expect(await bytesOf(file)).toEqual(body);
	expect(requested).toEqual(['/layers?x=a.b']);
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

	it('is polled by a retry, which starts no new job', async () => {
		scene.wishes.push({ durationMs: 0, outcome: { images: [] } });
		const retryOf = await scene.generate();
		const jobId = scene.jobIdOf(0);
		const before = scene.polls().length;
		const match = (): boolean => {
			// The first one is the glance at what the first run has left.
			const isSecond = scene.polls().length === before + 2;
			if (isSecond) scene.emulator.jobs.finish(jobId, { images: ['png'] });
			return false;
		};
		scene.emulator.faults.add({ at: 'poll', kind: 'reset', match });
		await expectImage(await scene.generate({}, { retryOf, executionId: '2' }), jobId);
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
