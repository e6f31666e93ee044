import { createHash, randomBytes, randomUUID } from 'node:crypto';
import { request as httpRequest } from 'node:http';
import { PassThrough } from 'node:stream';
import type FormData from 'form-data';
import { formOf, poll, post, type Reply } from './client';
import { startEmulator, type Emulator, type EmulatorOptions } from './emulator';
import { tinyPicture } from './pictures';

const IMAGE_PATH = '/public/v1/generate/image';
const PNG = tinyPicture('reference', 'png');

let nowMs = 0;
const open: Emulator[] = [];

async function emulate(options: EmulatorOptions = {}): Promise<Emulator> {
	const emulator = await startEmulator({ pictures: false, now: () => nowMs, ...options });
	open.push(emulator);
	return emulator;
}

beforeEach(() => {
	nowMs = 1_000_000;
});

afterEach(async () => {
	await Promise.all(open.splice(0).map((emulator) => emulator.close()));
});

const GOOD = { prompt: 'A lighthouse', ai_model: 'GPT Image 1.5' };

async function generate(emulator: Emulator, form: FormData, key?: string): Promise<Reply> {
	return await post(emulator, IMAGE_PATH, form, key);
}

function imageForm(fields: Record<string, string>, references: readonly Buffer[] = []): FormData {
	return formOf({ fields, files: { ref_images: references } });
}

describe('POST generate/image', () => {
	it('makes a job and keeps what it was given, byte for byte', async () => {
		const emulator = await emulate();
		const big = Buffer.concat([PNG, randomBytes(3_000_000)]);
		const form = imageForm({ ...GOOD, prompt: 'Zwei Zeilen\r\nüber 🦊' });
		form.append('ref_images', big, { filename: 'größe "1".png', contentType: 'image/png' });
		form.append('ref_images', PNG, { filename: 'b.webp', contentType: 'image/webp' });

		const reply = await generate(emulator, form);

		const [submit] = emulator.submits;
		expect(reply).toMatchObject({ status: 200, body: { job_id: submit?.jobId } });
		expect(submit).toMatchObject({
			endpoint: IMAGE_PATH,
			fields: { prompt: 'Zwei Zeilen\r\nüber 🦊', ai_model: 'GPT Image 1.5' },
			acceptedAtMs: 1_000_000,
		});
		expect(submit?.files).toMatchObject([
			{
				field: 'ref_images',
				fileName: 'größe %221%22.png',
				mimeType: 'image/png',
				bytes: big.length,
				sha256: createHash('sha256').update(big).digest('hex'),
			},
			{ fileName: 'b.webp', mimeType: 'image/webp', bytes: PNG.length },
		]);
		expect(emulator.requests).toMatchObject([
			{ server: 'api', method: 'POST', path: IMAGE_PATH, status: 200, jobId: submit?.jobId },
		]);
	});

	it.each([
		['a wrong key', 'wrong', 401, 'Invalid API key'],
		['a key whose account is gone', 'orphan-key', 404, 'Not Found User'],
	])('refuses %s, before it looks at the fields', async (_case, key, status, detail) => {
		const emulator = await emulate();
		expect(await generate(emulator, imageForm({ other: 'x' }), key)).toMatchObject({
			status,
			body: { detail },
		});
		expect(await poll(emulator, 'no-uuid', key)).toMatchObject({ status, body: { detail } });
		expect(emulator.submits).toEqual([]);
	});

	it('refuses a missing key', async () => {
		const emulator = await emulate();
		const response = await fetch(emulator.apiUrl + IMAGE_PATH, { method: 'POST' });
		expect(response.status).toBe(401);
	});

	const GENERAL = 'ref_images supports up to 10 images only';

	it.each([
		['Grok Imagine', 5, 'The Grok Imagine model supports up to 5 ref_images.'],
		['Grok Imagine Pro', 1, 'The Grok Imagine Pro model supports up to 1 ref_images.'],
		['GPT Image 1.5', 10, GENERAL],
		['GPT Image 2', 10, GENERAL],
		['Nano Banana', 10, GENERAL],
		['Nano Banana 2', 10, GENERAL],
		['Nano Banana Pro', 10, GENERAL],
	])('lets %s take %i references and no more', async (model, limit, detail) => {
		const emulator = await emulate();
		const fields = { ...GOOD, ai_model: model };
		const references = Array<Buffer>(limit).fill(PNG);
		expect(await generate(emulator, imageForm(fields, references))).toMatchObject({ status: 200 });
		expect(await generate(emulator, imageForm(fields, [...references, PNG]))).toMatchObject({
			status: 400,
			body: { detail },
		});
		expect(emulator.submits).toHaveLength(1);
	});

	it.each([
		['PNG', Buffer.from('89504e470d0a1a0a0000', 'hex')],
		['JPEG', Buffer.from('ffd8ffe000104a464946', 'hex')],
		['GIF', Buffer.from('GIF89a\x01\0')],
		['BMP', Buffer.from('BM\x46\0')],
		['TIFF', Buffer.from('II*\0')],
		['WebP', Buffer.from('RIFF\x24\0\0\0WEBPVP8 ')],
		['AVIF', Buffer.from('\0\0\0\x1cftypavif')],
		['HEIC', Buffer.from('\0\0\0\x1cftypheic')],
	])('takes a %s by its first bytes', async (_format, bytes) => {
		const emulator = await emulate();
		expect(await generate(emulator, imageForm(GOOD, [bytes]))).toMatchObject({ status: 200 });
	});

	it.each([
		['text', Buffer.from('hello')],
		['an empty file', Buffer.alloc(0)],
		['an MP4 film', Buffer.from('\0\0\0\x1cftypisom')],
	])('refuses %s as a reference', async (_case, bytes) => {
		const emulator = await emulate();
		expect(await generate(emulator, imageForm(GOOD, [PNG, bytes]))).toMatchObject({
			status: 400,
			body: { detail: 'Invalid image file' },
		});
		expect(emulator.submits).toEqual([]);
	});

	it('refuses a body cut short and goes on serving', async () => {
		const emulator = await emulate();
		const response = await fetch(emulator.apiUrl + IMAGE_PATH, {
			method: 'POST',
			headers: {
				authorization: 'Bearer test-key',
				'content-type': 'multipart/form-data; boundary=x',
			},
			body: '--x\r\ncontent-disposition: form-data; name="ref_images"; filename="a.png"\r\n\r\nabc',
		});
		expect(response.status).toBe(400);
		expect(await response.json()).toEqual({ detail: 'There was an error parsing the body' });
		expect(await generate(emulator, imageForm(GOOD))).toMatchObject({ status: 200 });
	});

	it('takes a prompt of 100 kB and refuses one above Starlette’s limit', async () => {
		const emulator = await emulate();
		const prompt = 'é'.repeat(50_000);
		expect(await generate(emulator, imageForm({ ...GOOD, prompt }))).toMatchObject({ status: 200 });
		expect(emulator.submits[0]?.fields.prompt).toBe(prompt);
		expect(
			await generate(emulator, imageForm({ ...GOOD, prompt: prompt.repeat(11) })),
		).toMatchObject({
			status: 400,
			body: { detail: 'Part exceeded maximum size of 1024KB.' },
		});
	});

	it('makes no job when the client leaves during the upload', async () => {
		const emulator = await emulate();
		const form = imageForm(GOOD);
		const endless = new PassThrough();
		endless.write(PNG);
		form.append('ref_images', endless, { filename: 'a.png', contentType: 'image/png' });
		const outgoing = httpRequest(emulator.apiUrl + IMAGE_PATH, {
			method: 'POST',
			headers: { ...form.getHeaders(), authorization: 'Bearer test-key' },
		});
		const failed = new Promise((resolve) => outgoing.once('error', resolve));
		form.pipe(outgoing);
		await until(() => emulator.requests.length === 1);
		outgoing.destroy();
		await failed;
		await until(() => emulator.requests[0]?.endedAtMs !== undefined);
		expect(emulator.requests[0]).not.toHaveProperty('status');
		expect(emulator.submits).toEqual([]);
	});
});

async function until(condition: () => boolean): Promise<void> {
	while (!condition()) await new Promise((resolve) => setImmediate(resolve));
}

describe('GET job', () => {
	it('is pending until its time is up, then lists the results', async () => {
		const emulator = await emulate({ jobDurationMs: 90_000, imagesPerJob: 2 });
		await generate(emulator, imageForm(GOOD));
		const jobId = emulator.submits[0]?.jobId ?? '';
		const pending = { job_id: jobId, status: 'Pending', image_urls: [] };

		expect(await poll(emulator, jobId)).toMatchObject({ status: 200, body: pending });
		nowMs += 89_999;
		expect((await poll(emulator, jobId)).body).toEqual(pending);
		nowMs += 1;
		expect((await poll(emulator, jobId.toUpperCase())).body).toEqual({
			job_id: jobId,
			status: 'Succeed',
			image_urls: [
				`${emulator.cdnUrl}/results/${jobId}/1.png`,
				`${emulator.cdnUrl}/results/${jobId}/2.png`,
			],
		});
	});

	it('does not know other jobs, and tells a UUID from anything else', async () => {
		const emulator = await emulate();
		expect(await poll(emulator, randomUUID())).toMatchObject({
			status: 404,
			body: { detail: 'Job not found' },
		});
		expect(await poll(emulator, 'no%20uuid')).toMatchObject({
			status: 422,
			body: {
				detail: [{ type: 'uuid_parsing', loc: ['path', 'job_id'], input: 'no uuid' }],
			},
		});
	});

	it('ends as a test decides', async () => {
		const emulator = await emulate();
		const job = emulator.jobs.add({ durationMs: Infinity });
		nowMs += 1e9;
		expect((await poll(emulator, job.id)).body).toMatchObject({ status: 'Pending' });
		emulator.jobs.finish(job.id, { status: 'Failed', extra: { error_message: 'Too dark' } });
		expect((await poll(emulator, job.id)).body).toEqual({
			job_id: job.id,
			status: 'Failed',
			image_urls: [],
			error_message: 'Too dark',
		});
		job.outcome = { ...job.outcome, status: 'Archived', imageUrls: 'absent', extra: {} };
		expect((await poll(emulator, job.id)).body).toEqual({ job_id: job.id, status: 'Archived' });
	});

	it.each(['url', 'imageUrl', 'contentUrl'] as const)('can list objects with %s', async (key) => {
		const emulator = await emulate();
		const job = emulator.jobs.add({ durationMs: 0, outcome: { imageUrls: key } });
		expect((await poll(emulator, job.id)).body).toMatchObject({
			image_urls: [{ [key]: `${emulator.cdnUrl}/results/${job.id}/1.png` }],
		});
	});

	it('lets the wish of a test decide about a submit', async () => {
		const emulator = await emulate({
			wish: (form) =>
				form.fields.prompt === 'bad' ? { durationMs: 0, outcome: { status: 'Failed' } } : undefined,
		});
		for (const prompt of ['bad', 'good']) await generate(emulator, imageForm({ ...GOOD, prompt }));
		const statuses = await Promise.all(
			emulator.submits.map(async ({ jobId }) => (await poll(emulator, jobId)).body),
		);
		expect(statuses).toMatchObject([{ status: 'Failed' }, { status: 'Pending' }]);
	});

	it.each([
		['#fail', { status: 'Failed', image_urls: [] }],
		['A cat #fail-message', { error_message: 'The prompt asked for this failure.' }],
		['#images-0', { status: 'Succeed', image_urls: [] }],
		['#gif', { image_urls: [expect.stringMatching(/1\.png$/), expect.stringMatching(/2\.gif$/)] }],
		['#slow', { status: 'Pending' }],
		['#never', { status: 'Pending' }],
		['a#fail #failure', { status: 'Succeed' }],
	])('reads the tags of the prompt "%s"', async (prompt, answer) => {
		const emulator = await emulate();
		await generate(emulator, imageForm({ ...GOOD, prompt }));
		nowMs += 29_999;
		const body = (await poll(emulator, emulator.submits[0]?.jobId ?? '')).body;
		expect(body).toMatchObject(answer);
		if (prompt === 'A cat #fail-message') expect(body).toMatchObject({ status: 'Failed' });
	});

	it('ends a slow job at ten times the duration', async () => {
		const emulator = await emulate();
		await generate(emulator, imageForm({ ...GOOD, prompt: 'x #slow' }));
		nowMs += 30_000;
		expect((await poll(emulator, emulator.submits[0]?.jobId ?? '')).body).toMatchObject({
			status: 'Succeed',
		});
	});
});

describe('routes', () => {
	it.each([
		['GET', IMAGE_PATH, 405, 'Method Not Allowed'],
		['DELETE', '/public/v1/job/x', 405, 'Method Not Allowed'],
		['GET', '/public/v1/jobs', 404, 'Not Found'],
		['GET', '//public/v1/job/x', 404, 'Not Found'],
	])('answers %s %s as FastAPI does', async (method, path, status, detail) => {
		const emulator = await emulate();
		const response = await fetch(emulator.apiUrl + path, { method });
		expect(response.status).toBe(status);
		expect(await response.json()).toEqual({ detail });
	});
});

describe('the second origin', () => {
	it('serves a different picture for each result', async () => {
		const emulator = await emulate();
		const job = emulator.jobs.add({ outcome: { images: ['png', 'png', 'gif'] } });
		const urls = [1, 2].map((number) => `${emulator.cdnUrl}/results/${job.id}/${number}.png`);
		const bodies = await Promise.all(
			[...urls, `${emulator.cdnUrl}/results/${job.id}/3.gif`].map(async (url) => {
				const response = await fetch(url);
				const bytes = Buffer.from(await response.arrayBuffer());
				expect(response.headers.get('content-length')).toBe(String(bytes.length));
				return `${response.status} ${response.headers.get('content-type') ?? ''} ${bytes.toString('latin1')}`;
			}),
		);
		expect(bodies).toEqual([
			expect.stringMatching(/^200 image\/png \x89PNG/),
			expect.stringMatching(/^200 image\/png \x89PNG/),
			expect.stringMatching(/^200 image\/gif GIF89a/),
		]);
		expect(new Set(bodies).size).toBe(3);
		expect(new URL(emulator.cdnUrl).origin).not.toBe(new URL(emulator.apiUrl).origin);
	});

	it('refuses a request that carries a key, fault or no fault, and logs it', async () => {
		const emulator = await emulate();
		const job = emulator.jobs.add();
		emulator.faults.add({ at: 'download', kind: 'reset' });
		const response = await fetch(`${emulator.cdnUrl}/results/${job.id}/1.png`, {
			headers: { authorization: 'Bearer test-key' },
		});
		expect(response.status).toBe(400);
		expect(await response.text()).toContain('Authorization');
		expect(emulator.requests).toMatchObject([
			{ server: 'cdn', status: 400, headers: { authorization: 'Bearer test-key' } },
		]);
	});

	it('does not know other results', async () => {
		const emulator = await emulate();
		const job = emulator.jobs.add();
		for (const name of ['2.png', '1.gif', '0.png']) {
			expect((await fetch(`${emulator.cdnUrl}/results/${job.id}/${name}`)).status).toBe(404);
		}
	});
});

describe('its ports and keys', () => {
	it('listens on loopback, on the ports it was told, and frees them', async () => {
		const first = await startEmulator({ pictures: false });
		const port = Number(new URL(first.apiUrl).port);
		const cdnPort = Number(new URL(first.cdnUrl).port);
		await expect(startEmulator({ port: 0, cdnPort })).rejects.toThrow('EADDRINUSE');
		await first.close();
		const second = await emulate({ port, cdnPort });
		expect([second.apiUrl, second.cdnUrl]).toEqual([
			`http://127.0.0.1:${port}`,
			`http://127.0.0.1:${cdnPort}`,
		]);
	});

	it('lets a key expire while it runs', async () => {
		const emulator = await emulate({ apiKeys: ['a'] });
		const { id } = emulator.jobs.add();
		expect(await poll(emulator, id, 'a')).toMatchObject({ status: 200 });
		emulator.apiKeys.delete('a');
		expect(await poll(emulator, id, 'a')).toMatchObject({ status: 401 });
	});
});
