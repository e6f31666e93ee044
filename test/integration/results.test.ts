import type { Fault, JobWish } from '../emulator/emulator';
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

it('an image that cannot be had ends the run, or is an error item between the others', async () => {
	scene.wishes.push({ outcome: { images: ['png', 'png', 'png'] } });
	scene.emulator.faults.add({
		at: 'download',
		kind: 'respond',
		status: 410,
		times: Infinity,
		match: ({ path }) => path.endsWith('/2.png'),
	});
	const retryOf = await scene.generate();
	const jobId = scene.jobIdOf(0);
	const message = `An image of the job ${jobId} could not be downloaded`;
	const image_urls = [1, 2, 3].map((number) => scene.resultUrl(jobId, number));
	const job = { job_id: jobId, status: 'Succeed' };
	expect(retryOf.error).toMatchObject({
		name: 'NodeOperationError',
		message,
		context: { itemIndex: 0, data: { ...job, image_urls } },
	});
	for (const words of ['/…/2.png.', 'HTTP 410', 'The job has been charged.']) {
		expect(retryOf.error?.description).toContain(words);
	}
	expect(scene.downloads()).toHaveLength(3);

	const { items } = await scene.generate({}, { retryOf, nodeSettings: CONTINUES });
	const error = {
		message,
		description: expect.any(String) as string,
		...job,
		image_urls: [image_urls[1]],
	};
	expect(items.map(({ json }) => json.image_number ?? json)).toEqual([1, { error }, 3]);
	expect(items.map(({ pairedItem }) => pairedItem)).toEqual(Array(3).fill({ item: 0 }));
	expect(await bytesOf(items[2]?.binary?.data)).toEqual(tinyPicture(`${jobId}-3.png`, 'png'));
	expect(scene.postCount()).toBe(1);
});

describe('a download that may do better next time', () => {
	it.each<[Partial<Fault>, reason: string]>([
		[{ kind: 'respond', status: 403 }, 'HTTP 403'],
		[{ kind: 'respond', status: 404 }, 'HTTP 404'],
		[{ kind: 'respond', status: 429 }, 'HTTP 429'],
		[{ kind: 'respond', status: 500 }, 'HTTP 500'],
		[{ kind: 'html' }, 'or a message in place of the file (text/html)'],
		[{ kind: 'respond', status: 200, body: { detail: 'gone' } }, 'or a message in place'],
		[{ kind: 'respond', status: 200, body: '' }, 'the file is empty'],
		[{ kind: 'truncate' }, 'the response was cut off'],
		[{ kind: 'reset' }, 'the connection was cut (ECONNRESET)'],
		[{ kind: 'stallBody' }, 'the transfer stalled'],
	])('%j: is tried five times', async (fault, reason) => {
		const add = (times: number) =>
			scene.emulator.faults.add({ ...fault, at: 'download', times } as Fault);
		add(2);
		await expectImage(await scene.generate(), scene.jobIdOf(0));
		add(Infinity);
		const { error } = await scene.generate();
		expect(error?.description).toContain(reason);
		expect(scene.downloads()).toHaveLength(3 + 5);
	});
});

it('a file of more than 256 MB ends there, and is not tried again', async () => {
	const huge = { at: 'download', kind: 'hugeBody', megabytes: 300, times: Infinity } as const;
	const fault = scene.emulator.faults.add(huge);
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
	it('is polled for ten more seconds, and then is an error that names it; a retry polls it again', async () => {
		scene.wishes.push({ durationMs: 0, outcome: { images: [] } });
		const startedAt = scene.clock.now();
		const retryOf = await scene.generate();
		const jobId = scene.jobIdOf(0);
		expect(retryOf.error).toMatchObject({
			name: 'NodeOperationError',
			message: `AetherForge finished the job ${jobId}, but returned no images`,
			context: { itemIndex: 0, data: { job_id: jobId, status: 'Succeed', image_urls: [] } },
		});
		expect(retryOf.error?.description).toContain('A retry asks for the images of this job again');
		// The first poll comes a second after the submit.
		expect(scene.clock.now() - startedAt).toBe(11_000);

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
