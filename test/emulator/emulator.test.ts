import { createHash, randomBytes } from 'node:crypto';
import { once } from 'node:events';
import { request, type IncomingMessage } from 'node:http';
import { setTimeout as delay } from 'node:timers/promises';
import { ENDPOINT_CASES, type FieldCase } from '../support/endpointCases';
import { startEmulator, type Emulator, type EmulatorOptions } from './emulator';
import { tinyPicture } from './pictures';

// What docs/api.md says, and FastAPI where it is silent.

const IMAGE = '/public/v1/generate/image';
const UPSCALE = '/public/v1/image-tune/upscale';
const SPRITE = '/public/v1/sprite/make-sprite/v1';
const RESKIN = '/public/v1/sprite/reskin/v1';
const OVERLAY = '/public/v1/sprite/character-overlay/v1';
const PICTURE = tinyPicture('test', 'png');
const TEXT = Buffer.from('hello');

let nowMs: number;
let emulator: Emulator;

async function start(options: EmulatorOptions = {}): Promise<void> {
	emulator = await startEmulator({ pictures: false, now: () => nowMs, ...options });
}

beforeEach(async () => {
	nowMs = 1_000_000;
	await start();
});

afterEach(async () => {
	await emulator.close();
});

/** What a client puts into a form: text or files. What is `undefined` is left out. */
type Sending = Readonly<Record<string, string | readonly Buffer[] | undefined>>;

interface Reply {
	status: number;
	body: unknown;
}

/** Sends an endpoint its required fields, with a change. */
async function post(path: string, change: Sending = {}, key = 'test-key'): Promise<Reply> {
	const row = ENDPOINT_CASES.find((candidate) => candidate.path === path);
	if (!row) throw new Error(`test/support/endpointCases.ts has no row for ${path}`);
	const needed = row.fields.filter(({ isOptional }) => isOptional !== true);
	const example = Object.fromEntries(needed.map((field) => [field.name, valueOf(field)]));
	const body = new FormData();
	for (const [name, value] of Object.entries<Sending[string]>({ ...example, ...change })) {
		if (typeof value === 'string') body.append(name, value);
		else for (const content of value ?? []) body.append(name, new Blob([content]), `${name}.png`);
	}
	return await asked(emulator.apiUrl + path, key, { method: 'POST', body });
}

function valueOf(field: FieldCase): string | Buffer[] {
	if (field.kind === 'files') return [tinyPicture('example', 'png')];
	if (field.kind === 'table') return '[{"row":1,"title":"Idle","description":"Standing still"}]';
	return 'example' in field ? field.example : String(field.allowed[0]);
}

/** Asks for the state of a job. */
async function poll(jobId: string, key = 'test-key'): Promise<Reply> {
	return await asked(`${emulator.apiUrl}/public/v1/job/${jobId}`, key);
}

async function asked(url: string, key: string, init: RequestInit = {}): Promise<Reply> {
	const response = await fetch(url, { ...init, headers: { authorization: `Bearer ${key}` } });
	return { status: response.status, body: await response.json() };
}

const pictures = (count: number): Buffer[] => Array<Buffer>(count).fill(PICTURE);

describe.each(ENDPOINT_CASES)('POST $path', ({ path, fields, results }) => {
	it('makes a job of the required fields, and gives the documented results', async () => {
		const reply = await post(path);
		const [submit] = emulator.submits;
		expect(reply).toEqual({ status: 200, body: { job_id: submit?.jobId } });
		expect(submit).toMatchObject({ endpoint: path, acceptedAtMs: 1_000_000 });
		emulator.jobs.finish(submit?.jobId ?? '');
		const { body } = await poll(submit?.jobId ?? '');
		const types = (body as { image_urls: string[] }).image_urls.map(async (url) =>
			(await fetch(url)).headers.get('content-type'),
		);
		expect(await Promise.all(types)).toEqual(results.map((format) => `image/${format}`));
	});

	it('takes no JSON, and names each field that is required', async () => {
		const headers = { authorization: 'Bearer test-key', 'content-type': 'application/json' };
		const response = await fetch(emulator.apiUrl + path, { method: 'POST', headers, body: '{}' });
		const needed = fields.filter(({ isOptional }) => isOptional !== true);
		const missing = { type: 'missing', msg: 'Field required', input: null };
		const detail = needed.map(({ name }) => ({ ...missing, loc: ['body', name] }));
		expect(await response.json()).toEqual({ detail });
		expect([response.status, emulator.submits]).toEqual([422, []]);
	});
});

it('hears a body out before it answers, as clients expect', async () => {
	const headers = { authorization: 'Bearer test-key' };
	const outgoing = request(emulator.apiUrl + IMAGE, { method: 'POST', headers });
	const answered = once(outgoing, 'response') as Promise<[IncomingMessage]>;
	outgoing.write('{');
	while (emulator.requests.length === 0) await delay(1);
	expect(await Promise.race([answered, delay(50)])).toBeUndefined();
	outgoing.end('}');
	expect((await answered)[0].statusCode).toBe(422);
});

it('keeps what it was given, byte for byte', async () => {
	const big = Buffer.concat([PICTURE, randomBytes(3_000_000)]);
	const prompt = `Zwei Zeilen\r\nüber 🦊 ${'é'.repeat(50_000)}`;
	await post(IMAGE, { prompt, ref_images: [big, PICTURE] });
	const [submit] = emulator.submits;
	expect(submit?.fields.prompt).toBe(prompt);
	const sha256 = createHash('sha256').update(big).digest('hex');
	const file = { field: 'ref_images', fileName: 'ref_images.png' };
	expect(submit?.files).toMatchObject([
		{ ...file, bytes: big.length, sha256 },
		{ ...file, bytes: PICTURE.length },
	]);
});

const ROW = { row: 1, title: 'Idle', description: 'Standing' };
const rowsOf = (...rows: unknown[]) => ({ rows: JSON.stringify(rows) });

it.each<[path: string, issues: string[], Sending]>([
	[SPRITE, ['missing body.text'], { text: '' }],
	[SPRITE, ['missing body.image', 'int_parsing body.frame'], { image: [], frame: '25.5' }],
	[SPRITE, ['bool_parsing body.is_pixel'], { is_pixel: '2' }],
	[RESKIN, ['literal_error body.style'], { style: '' }],
	[OVERLAY, ['value_error body.character_images.0'], { character_images: 'x' }],
	[UPSCALE, ['value_error body.image', 'literal_error body.scale'], { image: 'x', scale: '8K' }],
])('POST %s answers 422: %j', async (path, issues, sending) => {
	const { status, body } = await post(path, sending);
	const { detail } = body as { detail: { type: string; loc: string[] }[] };
	expect(detail.map(({ type, loc }) => `${type} ${loc.join('.')}`)).toEqual(issues);
	expect([status, emulator.submits]).toEqual([422, []]);
});

it('says which values a field takes', async () => {
	const { body } = await post(UPSCALE, { scale: '8K' });
	const expected = "'1K', '2K' or '4K'";
	const msg = `Input should be ${expected}`;
	const issue = { type: 'literal_error', msg, input: '8K', ctx: { expected } };
	expect(body).toEqual({ detail: [{ ...issue, loc: ['body', 'scale'] }] });
});

const FRAMES = 'frame should be one of 25, 36, 49, 64, 81, 100, 121, 144, 169';
const CHARACTERS = 'character_images must contain between 1 and 4 files';
const NO_IMAGE = 'Invalid image file';
const OBJECT = 'each row must be an object with row, title, description';
const STRINGS = 'title and description must be strings';
const [TEN, FIVE, ONE] = [
	'ref_images supports up to 10 images only',
	'The Grok Imagine model supports up to 5 ref_images.',
	'The Grok Imagine Pro model supports up to 1 ref_images.',
];

it.each<[path: string, detail: string, Sending]>([
	[SPRITE, FRAMES, { frame: '24' }],
	[SPRITE, NO_IMAGE, { frame: '24', image: [TEXT] }],
	[SPRITE, NO_IMAGE, { image: [PICTURE, TEXT] }],
	[IMAGE, NO_IMAGE, { ref_images: [TEXT, PICTURE] }],
	[IMAGE, NO_IMAGE, { ref_images: [Buffer.alloc(0)] }],
	[IMAGE, NO_IMAGE, { ref_images: [Buffer.from('\0\0\0\x1cftypisom')] }],
	[IMAGE, TEN, { ref_images: pictures(11) }],
	[IMAGE, FIVE, { ai_model: 'Grok Imagine', ref_images: pictures(6) }],
	[IMAGE, ONE, { ai_model: 'Grok Imagine Pro', ref_images: pictures(2) }],
	[IMAGE, 'Part exceeded maximum size of 1024KB.', { prompt: 'x'.repeat(1_100_000) }],
	[OVERLAY, CHARACTERS, { character_images: pictures(5), rows: 'x' }],
	[OVERLAY, 'rows must be a valid JSON list', { rows: 'Idle' }],
	[OVERLAY, 'rows must be a JSON list', { rows: 'null' }],
	[OVERLAY, OBJECT, rowsOf(null)],
	[OVERLAY, OBJECT, rowsOf(ROW, { row: 1, title: 'Idle' })],
	[OVERLAY, 'row must be an integer', rowsOf({ ...ROW, row: '1' })],
	[OVERLAY, STRINGS, rowsOf({ ...ROW, description: null }, 'x')],
])('POST %s answers 400: %s (%#)', async (path, detail, sending) => {
	expect(await post(path, sending)).toEqual({ status: 400, body: { detail } });
	expect(emulator.submits).toEqual([]);
});

it.each<[path: string, Sending]>([
	[IMAGE, { ai_model: 'Grok Imagine', ref_images: pictures(5) }],
	[IMAGE, { ai_model: 'Grok Imagine Pro', ref_images: pictures(1) }],
	[IMAGE, { ai_model: 'GPT Image 2', ref_images: pictures(10) }],
	[SPRITE, { image: [TEXT, PICTURE] }],
	[SPRITE, { is_pixel: 'Yes', frame: ' +169' }],
	[RESKIN, { style: 'quater_view' }],
	[OVERLAY, { character_images: pictures(4), rows: '[]' }],
	[OVERLAY, rowsOf({ ...ROW, row: 0, more: true, title: '' })],
	...['\xff\xd8\xff', 'GIF89a', 'BM', 'II*\0', 'RIFF....WEBP', '....ftypavif', '....ftypheic'].map(
		(head): [string, Sending] => [UPSCALE, { image: [Buffer.from(head, 'latin1')] }],
	),
])('POST %s takes what is documented (%#)', async (path, sending) => {
	expect(await post(path, sending)).toMatchObject({ status: 200 });
});

it.each([
	['wrong', 401, 'Invalid API key'],
	['orphan', 404, 'Not Found User'],
])('refuses the key %s, before it looks at the rest', async (key, status, detail) => {
	emulator.orphanedKeys.add('orphan');
	const refusal = { status, body: { detail } };
	expect(await post(IMAGE, { prompt: undefined }, key)).toEqual(refusal);
	expect(await poll('no-uuid', key)).toEqual(refusal);
});

describe('GET job', () => {
	it('is pending until its time is up, then lists the results', async () => {
		await post(IMAGE);
		const jobId = emulator.submits[0]?.jobId ?? '';
		nowMs += 2999;
		const pending = { job_id: jobId, status: 'Pending', image_urls: [] };
		expect(await poll(jobId)).toEqual({ status: 200, body: pending });
		nowMs += 1;
		const image_urls = [`${emulator.cdnUrl}/results/${jobId}/1.png`];
		const { body } = await poll(jobId.toUpperCase());
		expect(body).toEqual({ job_id: jobId, status: 'Succeed', image_urls });
	});

	it('does not know other jobs, and tells a UUID from anything else', async () => {
		const none = { status: 404, body: { detail: 'Job not found' } };
		expect(await poll('7d1a1c1e-0000-4000-8000-000000000000')).toEqual(none);
		const detail = [{ type: 'uuid_parsing', loc: ['path', 'job_id'], input: 'no uuid' }];
		expect(await poll('no%20uuid')).toMatchObject({ status: 422, body: { detail } });
	});

	it('ends as a test decides', async () => {
		const { id } = emulator.jobs.add({ durationMs: Infinity });
		emulator.jobs.finish(id, { imageUrls: 'url', extra: { seed: 1 } });
		const image_urls = [{ url: `${emulator.cdnUrl}/results/${id}/1.png` }];
		const { body } = await poll(id);
		expect(body).toEqual({ job_id: id, status: 'Succeed', image_urls, seed: 1 });
		emulator.jobs.finish(id, { status: 'Archived', imageUrls: 'absent', extra: {} });
		expect((await poll(id)).body).toEqual({ job_id: id, status: 'Archived' });
	});
});

it.each([
	['#fail', 'Failed', []],
	['A cat #fail-message', 'Failed', []],
	['#images-0', 'Succeed', []],
	['#images-2', 'Succeed', ['1.png', '2.png']],
	['#gif', 'Succeed', ['1.png', '2.gif']],
	['#never', 'Pending', []],
	['#slow', 'Pending', []],
	['a#fail #failure', 'Succeed', ['1.png']],
])('reads the tags of "%s", in any text', async (text, status, images) => {
	await post(IMAGE, { prompt: text });
	await post(OVERLAY, rowsOf({ ...ROW, description: text }));
	nowMs += 29_999;
	for (const { jobId } of emulator.submits) {
		const image_urls = images.map((name) => `${emulator.cdnUrl}/results/${jobId}/${name}`);
		const { body } = await poll(jobId);
		expect(body).toMatchObject({ status, image_urls });
		expect('error_message' in (body as object)).toBe(text.endsWith('#fail-message'));
	}
	nowMs += 1;
	const { body } = await poll(emulator.submits[0]?.jobId ?? '');
	if (text === '#slow') expect(body).toMatchObject({ status: 'Succeed' });
});

it.each([
	['GET', IMAGE, 405, 'Method Not Allowed'],
	['DELETE', '/public/v1/job/x', 405, 'Method Not Allowed'],
	['GET', '/public/v1/jobs', 404, 'Not Found'],
])('answers %s %s as FastAPI does', async (method, path, status, detail) => {
	const response = await fetch(emulator.apiUrl + path, { method });
	expect([response.status, await response.json()]).toEqual([status, { detail }]);
});

describe('the second origin', () => {
	it('serves a different picture for each result, and no other', async () => {
		const { id } = emulator.jobs.add({ outcome: { images: ['png', 'png', 'gif'] } });
		const served = ['1.png', '2.png', '3.gif', '4.png', '1.gif', '0.png'].map(async (name) => {
			const response = await fetch(`${emulator.cdnUrl}/results/${id}/${name}`);
			return response.ok ? await response.text() : response.status;
		});
		const [first, second, ...others] = await Promise.all(served);
		expect(first).not.toBe(second);
		expect(others).toEqual([expect.stringMatching(/^GIF89a/), 404, 404, 404]);
	});

	it('refuses a request that carries a key, fault or no fault, and logs it', async () => {
		const { id } = emulator.jobs.add();
		emulator.faults.add({ at: 'download', kind: 'reset' });
		const headers = { authorization: 'Bearer test-key' };
		const response = await fetch(`${emulator.cdnUrl}/results/${id}/1.png`, { headers });
		expect([response.status, await response.text()]).toEqual([
			400,
			expect.stringContaining('Authorization'),
		]);
		expect(emulator.requests).toMatchObject([{ server: 'cdn', status: 400, headers }]);
	});
});

it('listens on the port it was told, and frees it', async () => {
	const { apiUrl } = emulator;
	const port = Number(new URL(apiUrl).port);
	await expect(startEmulator({ port })).rejects.toThrow('EADDRINUSE');
	await emulator.close();
	await start({ port });
	expect(emulator.apiUrl).toBe(apiUrl);
});
