import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import type { INodeExecutionData } from 'n8n-workflow';
import {
	startEmulator,
	type Emulator,
	type ImageUrlsShape,
	type JobWish,
	type ReceivedForm,
} from '../emulator/emulator';
import { tinyPicture } from '../emulator/pictures';
import {
	bytesOf,
	runEngine,
	startBinaryStorage,
	type EngineOptions,
	type EngineResult,
} from '../support/engine';
import { VirtualClock } from '../support/virtualClock';

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
	parameters: EngineOptions['parameters'] = {},
	more: Partial<EngineOptions> = {},
): Promise<EngineResult> {
	return await runEngine({
		node: 'imageGenerate',
		clock,
		credential: { baseUrl: emulator.apiUrl },
		parameters: { prompt: 'p', ...parameters },
		...more,
	});
}

const CONTINUES: Partial<EngineOptions> = { nodeSettings: { onError: 'continueRegularOutput' } };
const ECHO = { prompt: 'p', ai_model: 'GPT Image 1.5' };

const looks = () => emulator.requests.filter(({ path }) => path.includes('/job/'));

function jobIdOf(index: number): string {
	const submit = emulator.submits[index];
	if (!submit) throw new Error(`there was no submit ${index}`);
	return submit.jobId;
}

function resultUrl(jobId: string, number: number): string {
	return `${emulator.cdnUrl}/results/${jobId}/${number}.png`;
}

function errorOf(item: INodeExecutionData | undefined): Record<string, unknown> {
	expect(Object.keys(item?.json ?? {})).toEqual(['error']);
	return item?.json.error as Record<string, unknown>;
}

describe('a job that is not finished in time', () => {
	beforeEach(() => {
		wish = () => ({ durationMs: Infinity });
	});

	it('ends the run, and says which job, how it was, and what to do', async () => {
		const { error } = await generate({ options: { timeout: 20 } });
		const jobId = jobIdOf(0);
		expect(error).toMatchObject({
			name: 'NodeOperationError',
			message: `The job ${jobId} is not finished after 20 seconds`,
			context: { itemIndex: 0, data: { job_id: jobId, status: 'Pending' } },
		});
		for (const words of [
			'Its last status was "Pending".',
			'The job goes on and is paid for.',
			'AetherForge Get Job node; that costs nothing',
			'raise "Timeout (Seconds)"',
		]) {
			expect(error?.description).toContain(words);
		}
	});

	it('is an error item with the job when the node continues', async () => {
		const { items, hints } = await generate({ options: { timeout: 20 } }, CONTINUES);
		expect(errorOf(items[0])).toEqual({
			message: `The job ${jobIdOf(0)} is not finished after 20 seconds`,
			description: expect.any(String) as string,
			job_id: jobIdOf(0),
			status: 'Pending',
		});
		expect(hints.map(({ message }) => message)).toEqual([
			`1 of 1 job still running: ${jobIdOf(0)}. Look them up with the AetherForge Get Job node.`,
		]);
	});

	it('is an item as any other when that is wanted', async () => {
		const { items, hints } = await generate({
			options: { timeout: 12.4, onTimeout: 'returnPending' },
		});
		expect(items).toEqual([
			{
				json: {
					job_id: jobIdOf(0),
					status: 'Pending',
					image_urls: [],
					timed_out: true,
					waited_seconds: 12,
					...ECHO,
				},
				pairedItem: { item: 0 },
			},
		]);
		expect(hints).toHaveLength(1);
	});

	it('is looked at for five minutes unless told otherwise', async () => {
		const startedAt = clock.now();
		const { error } = await generate();
		expect(error?.message).toContain('not finished after 300 seconds');
		expect(clock.now() - startedAt).toBe(300_000);
		expect(looks().length).toBeLessThan(80);
	});

	it('is looked at once more at the very end, and at least once', async () => {
		wish = () => ({ durationMs: 7500 });
		const late = await generate({ options: { timeout: 7.5 } });
		expect(late.items[0]?.json.status).toBe('Succeed');
		wish = () => ({ durationMs: 1000 });
		const short = await generate({ options: { timeout: 1 } });
		expect(short.items[0]?.json.status).toBe('Succeed');
	});

	it('does not count the time that it was kept waiting for others', async () => {
		wish = () => ({ durationMs: 8000 });
		const { error, items } = await generate(
			{ options: { timeout: 10, maxConcurrentJobs: 1 }, downloadImages: false },
			{ items: [{ json: {} }, { json: {} }, { json: {} }] },
		);
		expect(error).toBeUndefined();
		expect(items).toHaveLength(3);
	});

	it('says what the last look-up came to, when it did not work', async () => {
		emulator.faults.add({ at: 'poll', kind: 'html', status: 502, times: Infinity });
		const { error } = await generate({ options: { timeout: 20 } });
		expect(error?.description).toContain(
			'Its last status was "Pending". The last look-up did not work: HTTP 502: 502 Bad Gateway.',
		);
		expect(error?.context.data).toEqual({ job_id: jobIdOf(0), status: 'Pending' });
	});

	it('keeps the status that the API gave it', async () => {
		wish = () => ({ durationMs: 0, outcome: { status: 'Queued for review' } });
		const { items } = await generate({ options: { timeout: 9, onTimeout: 'returnPending' } });
		expect(items[0]?.json).toMatchObject({ status: 'Queued for review', timed_out: true });
		expect(looks().length).toBeGreaterThan(3);
	});
});

describe('a job that goes on under a status nobody has documented', () => {
	it('is waited for', async () => {
		wish = () => ({ durationMs: 0, outcome: { status: 'Rendering' } });
		emulator.faults.add({
			at: 'poll',
			kind: 'hugeBody',
			megabytes: 0,
			match: () => {
				const isFourth = looks().length === 4;
				if (isFourth) emulator.jobs.finish(jobIdOf(0), { status: 'Succeed' });
				return false;
			},
		});
		const { items } = await generate();
		expect(looks()).toHaveLength(4);
		expect(items[0]?.json.status).toBe('Succeed');
	});
});

describe('a job that failed', () => {
	it('ends the run, with its reason', async () => {
		wish = () => ({
			outcome: { status: 'Failed', extra: { error_message: 'Content policy' } },
		});
		const { error } = await generate();
		expect(error).toMatchObject({
			name: 'NodeOperationError',
			message: `AetherForge could not finish the job ${jobIdOf(0)}`,
			context: { itemIndex: 0, data: { job_id: jobIdOf(0), status: 'Failed' } },
		});
		expect(error?.description).toContain('AetherForge says: Content policy.');
		expect(error?.description).toContain('set "On Failed Job" under Options');
	});

	it('ends the run also without a reason', async () => {
		wish = () => ({ outcome: { status: 'Failed', extra: { error_message: '' } } });
		const { error } = await generate();
		expect(error?.description).toContain('AetherForge gives no reason.');
	});

	it('is an error item between the others when the node continues', async () => {
		wish = ({ fields }) => ({ outcome: fields.prompt === '1' ? { status: 'Failed' } : {} });
		const { items } = await generate(
			{ prompt: '={{ $json.n }}' },
			{ items: [0, 1, 2].map((n) => ({ json: { n } })), ...CONTINUES },
		);
		const failed = emulator.submits.find(({ fields }) => fields.prompt === '1');
		expect(errorOf(items[1])).toEqual({
			message: `AetherForge could not finish the job ${failed?.jobId} [Item 1]`,
			description: expect.any(String) as string,
			job_id: failed?.jobId,
			status: 'Failed',
		});
		expect(items.map(({ json }) => json.prompt)).toEqual(['0', undefined, '2']);
	});

	it.each<[Record<string, unknown>, Record<string, unknown>]>([
		[{}, {}],
		[{ error_message: 'Content policy' }, { error_message: 'Content policy' }],
		[{ error_message: 5 }, {}],
		[{ error: 'x' }, {}],
	])('is an item as any other when that is wanted: %j', async (extra, told) => {
		wish = () => ({ outcome: { status: 'Failed', extra } });
		const { items, error } = await generate({ options: { onFailed: 'returnFailed' } });
		expect(error).toBeUndefined();
		expect(items).toEqual([
			{
				json: { job_id: jobIdOf(0), status: 'Failed', image_urls: [], ...told, ...ECHO },
				pairedItem: { item: 0 },
			},
		]);
	});
});

describe('a job that the API does not list yet', () => {
	it('is looked for again, for half a minute', async () => {
		emulator.faults.add({
			at: 'poll',
			kind: 'respond',
			status: 404,
			body: { detail: 'Job not found' },
			times: 3,
		});
		const { items, error } = await generate();
		expect(error).toBeUndefined();
		expect(items[0]?.json.status).toBe('Succeed');
	});

	it('is unknown after that', async () => {
		const startedAt = clock.now();
		emulator.faults.add({
			at: 'poll',
			kind: 'respond',
			status: 404,
			body: { detail: 'Job not found' },
			times: Infinity,
		});
		const { error } = await generate();
		expect(error?.message).toBe(`AetherForge does not know the job ${jobIdOf(0)}`);
		const seconds = (clock.now() - startedAt) / 1000;
		expect(seconds).toBeGreaterThanOrEqual(30);
		expect(seconds).toBeLessThan(60);
	});

	it('says so when the time is up before', async () => {
		emulator.faults.add({
			at: 'poll',
			kind: 'respond',
			status: 404,
			body: { detail: 'Job not found' },
			times: Infinity,
		});
		const { error } = await generate({ options: { timeout: 5 } });
		expect(error?.description).toContain('AetherForge does not list the job yet (HTTP 404)');
	});

	it('is unknown at once when it was listed before', async () => {
		wish = () => ({ durationMs: 20_000 });
		emulator.faults.add({
			at: 'poll',
			kind: 'respond',
			status: 404,
			body: { detail: 'Job not found' },
			match: () => looks().length > 2,
		});
		const { error } = await generate();
		expect(error?.message).toContain('does not know the job');
		expect(looks()).toHaveLength(3);
	});
});

describe('the addresses of the images', () => {
	it.each<ImageUrlsShape>(['strings', 'url', 'imageUrl', 'contentUrl'])(
		'are taken as %s',
		async (imageUrls) => {
			wish = () => ({ outcome: { imageUrls, images: ['png', 'png'] } });
			const { items } = await generate();
			const jobId = jobIdOf(0);
			expect(items.map(({ json }) => json.image_url)).toEqual([
				resultUrl(jobId, 1),
				resultUrl(jobId, 2),
			]);
			expect(await bytesOf(items[1]?.binary?.data)).toEqual(tinyPicture(`${jobId}-2.png`, 'png'));
		},
	);

	it('may be missing', async () => {
		wish = () => ({ outcome: { imageUrls: 'absent' } });
		const { items } = await generate();
		expect(items[0]?.json).toMatchObject({ status: 'Succeed', image_count: 0 });
	});

	it('are taken where there are any among others', async () => {
		const urls = ['', null, 5, ['x'], {}, { url: 5, imageUrl: '' }, 'https://x.example/1.png'];
		wish = () => ({ outcome: { extra: { image_urls: urls } } });
		const { items } = await generate({ downloadImages: false });
		expect(items.map(({ json }) => json.image_url)).toEqual(['https://x.example/1.png']);
	});

	it.each(['nothing', { url: 'x' }, null])('are none in %j', async (urls) => {
		wish = () => ({ outcome: { extra: { image_urls: urls } } });
		const { items } = await generate();
		expect(items[0]?.json.image_count).toBe(0);
	});
});

describe('an image that cannot be had', () => {
	beforeEach(() => {
		wish = () => ({ outcome: { images: ['png', 'png', 'png'] } });
		emulator.faults.add({
			at: 'download',
			kind: 'respond',
			status: 410,
			times: Infinity,
			match: ({ path }) => path.endsWith('/2.png'),
		});
	});

	it('ends the run, and names the job and its images', async () => {
		const { error } = await generate();
		const jobId = jobIdOf(0);
		expect(error).toMatchObject({
			name: 'NodeOperationError',
			message: `An image of the job ${jobId} could not be downloaded`,
			context: {
				itemIndex: 0,
				data: {
					job_id: jobId,
					status: 'Succeed',
					image_urls: [1, 2, 3].map((number) => resultUrl(jobId, number)),
				},
			},
		});
		expect(error?.description).toContain(`Address: ${resultUrl(jobId, 2)}.`);
		expect(error?.description).toContain('HTTP 410');
		expect(error?.description).toContain('The job is finished and paid for.');
	});

	it('is an error item between the other images when the node continues', async () => {
		const { items } = await generate({}, CONTINUES);
		const jobId = jobIdOf(0);
		expect(items.map(({ json }) => json.image_number)).toEqual([1, undefined, 3]);
		expect(errorOf(items[1])).toMatchObject({
			message: `An image of the job ${jobId} could not be downloaded`,
			job_id: jobId,
			status: 'Succeed',
			image_urls: [resultUrl(jobId, 2)],
		});
		expect(items.map(({ pairedItem }) => pairedItem)).toEqual(Array(3).fill({ item: 0 }));
		expect(await bytesOf(items[2]?.binary?.data)).toEqual(tinyPicture(`${jobId}-3.png`, 'png'));
	});

	it('makes one error item of a job whose images stay together', async () => {
		const { items } = await generate({ options: { outputItems: 'perJob' } }, CONTINUES);
		const jobId = jobIdOf(0);
		expect(items).toHaveLength(1);
		expect(errorOf(items[0])).toMatchObject({
			job_id: jobId,
			status: 'Succeed',
			image_urls: [1, 2, 3].map((number) => resultUrl(jobId, number)),
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
			{ mine: 1, error: expect.objectContaining({ job_id: jobIdOf(0) }) as object },
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
		emulator.faults.add({ at: 'download', times: 2, ...fault });
		const { items, error } = await generate();
		expect(error).toBeUndefined();
		expect(await bytesOf(items[0]?.binary?.data)).toEqual(
			tinyPicture(`${jobIdOf(0)}-1.png`, 'png'),
		);
	});

	it.each([
		['403', { kind: 'respond', status: 403 }, 'HTTP 403'],
		['a page in place of the image', { kind: 'html' }, 'the file is not an image'],
		['half an image', { kind: 'truncate' }, 'the answer broke off'],
		['a reset', { kind: 'reset' }, 'the connection was cut (ECONNRESET)'],
	] as const)('%s: is given up after five tries', async (_, fault, reason) => {
		emulator.faults.add({ at: 'download', times: Infinity, ...fault });
		const { error } = await generate();
		expect(error?.description).toContain(reason);
		expect(emulator.requests.filter(({ server }) => server === 'cdn')).toHaveLength(5);
	});

	it('is not tried again when that would take too long', async () => {
		emulator.faults.add({
			at: 'download',
			kind: 'respond',
			status: 503,
			headers: { 'retry-after': '31' },
		});
		const { error } = await generate();
		expect(error?.description).toContain('HTTP 503');
	});
});

it('is no image when the transfer breaks off within its first bytes', async () => {
	const server = createServer((_, response) => {
		response.writeHead(200, { 'content-type': 'image/png', 'content-length': 100 });
		response.write(Buffer.from('89504e47', 'hex'), () => response.destroy());
	});
	await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
	const { port } = server.address() as AddressInfo;
	wish = () => ({ outcome: { extra: { image_urls: [`http://127.0.0.1:${port}/1.png`] } } });
	const { error } = await generate();
	server.close();
	expect(error?.message).toBe(`An image of the job ${jobIdOf(0)} could not be downloaded`);
	expect(error?.description).toContain('the answer broke off (');
});

describe('an image’s address', () => {
	const withUrl = (url: string): void => {
		wish = () => ({ outcome: { extra: { image_urls: [url] } } });
	};

	it.each([
		'ftp://x.example/1.png',
		'file:///etc/passwd',
		'no address',
		'data:image/png;base64,AA',
	])('is not fetched when it is %s', async (url) => {
		withUrl(url);
		const { error } = await generate();
		expect(error?.description).toContain('the address is not an http or https one');
	});

	it('may redirect, still without the key', async () => {
		const jobId = emulator.jobs.add().id;
		emulator.faults.add({ at: 'download', kind: 'redirect', to: resultUrl(jobId, 1) });
		const { items, error } = await generate();
		expect(error).toBeUndefined();
		expect(await bytesOf(items[0]?.binary?.data)).toEqual(tinyPicture(`${jobId}-1.png`, 'png'));
		for (const { headers } of emulator.requests.filter(({ server }) => server === 'cdn')) {
			expect(headers.authorization).toBeUndefined();
		}
	});

	it('may not redirect in circles', async () => {
		emulator.faults.add({ at: 'download', kind: 'redirect', to: 'itself', times: Infinity });
		const { error } = await generate();
		expect(error?.description).toContain('ERR_FR_TOO_MANY_REDIRECTS');
		expect(emulator.requests.filter(({ server }) => server === 'cdn')).toHaveLength(6);
	});
});

describe('a result’s type', () => {
	const respond = (body: Buffer, headers: Record<string, string>): void => {
		emulator.faults.add({ at: 'download', kind: 'respond', status: 200, headers, body });
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
		expect(file).toMatchObject({ mimeType, fileName: `${jobIdOf(0)}-1.${extension}` });
		expect(await bytesOf(file)).toEqual(body);
	});

	it('is not taken from a header when the bytes show none: such a file is no result', async () => {
		emulator.faults.add({
			at: 'download',
			kind: 'respond',
			status: 200,
			headers: { 'content-type': 'image/png' },
			body: Buffer.of(0, 1, 2, 255),
			times: Infinity,
		});
		const { error } = await generate();
		expect(error?.description).toContain('is not an image (its server calls it "image/png").');
		expect(error?.context.data?.image_urls).toHaveLength(1);
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
