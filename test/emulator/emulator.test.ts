import { loadImage } from '@napi-rs/canvas';
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { join } from 'node:path';
import { text } from 'node:stream/consumers';
import { ENDPOINT_CASES, type FieldCase } from '../support/endpointCases';
import { startEmulator, type Emulator, type JobWish } from './emulator';
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

beforeEach(async () => {
	nowMs = 1_000_000;
	emulator = await startEmulator({ now: () => nowMs, pictures: false });
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

it.each(ENDPOINT_CASES)('POST $path gives the documented results', async ({ path, results }) => {
	const { job_id: jobId } = (await post(path)).body as { job_id: string };
	emulator.jobs.finish(jobId);
	const { image_urls: urls } = (await poll(jobId)).body as { image_urls: string[] };
	expect(urls.map((url) => url.split('.').at(-1))).toEqual(results);
});

const ROW = { row: 1, title: 'Idle', description: 'Standing' };
const rowsOf = (...rows: unknown[]) => ({ rows: JSON.stringify(rows) });

it.each<[path: string, issues: string[], Sending]>([
	[
		RESKIN,
		['missing body.image', 'missing body.description', 'missing body.resolution'],
		{ image: undefined, description: undefined, resolution: '' },
	],
	[SPRITE, ['missing body.image', 'int_parsing body.frame'], { image: [], frame: '25.5' }],
	[SPRITE, ['bool_parsing body.is_pixel'], { is_pixel: '2' }],
	[RESKIN, ['literal_error body.style'], { style: '' }],
	[OVERLAY, ['value_error body.character_images'], { character_images: 'x' }],
	[UPSCALE, ['value_error body.image', 'literal_error body.scale'], { image: 'x', scale: '8K' }],
])('POST %s answers 422: %j', async (path, issues, sending) => {
	const { status, body } = await post(path, sending);
	const { detail } = body as { detail: { type: string; loc: string[] }[] };
	expect(detail.map(({ type, loc }) => `${type} ${loc.join('.')}`)).toEqual(issues);
	expect([status, emulator.submits]).toEqual([422, []]);
});

const FRAMES = 'frame should be one of 25, 36, 49, 64, 81, 100, 121, 144, 169';
const CHARACTERS = 'character_images must contain between 1 and 4 files';
const NO_IMAGE = 'Invalid image file';
const [OBJECT, FIVE] = [
	'each row must be an object with row, title, description',
	'The Grok Imagine model supports up to 5 ref_images.',
];

it.each<[path: string, detail: string, Sending]>([
	[SPRITE, FRAMES, { frame: '24' }],
	[SPRITE, NO_IMAGE, { frame: '24', image: [PICTURE, TEXT] }],
	[IMAGE, NO_IMAGE, { ref_images: [TEXT, PICTURE] }],
	[IMAGE, FIVE, { ai_model: 'Grok Imagine', ref_images: pictures(6) }],
	[IMAGE, 'ref_images supports up to 10 images only', { ref_images: pictures(11) }],
	[IMAGE, 'Part exceeded maximum size of 1024KB.', { prompt: 'x'.repeat(1_100_000) }],
	[OVERLAY, CHARACTERS, { character_images: pictures(5), rows: 'x' }],
	[OVERLAY, 'rows must be a valid JSON list', { rows: 'Idle' }],
	[OVERLAY, OBJECT, rowsOf(ROW, { row: 1, title: 'Idle' })],
	[OVERLAY, 'row must be an integer', rowsOf({ ...ROW, row: '1' })],
])('POST %s answers 400: %s (%#)', async (path, detail, sending) => {
	expect(await post(path, sending)).toEqual({ status: 400, body: { detail } });
	expect(emulator.submits).toEqual([]);
});

it('refuses a wrong key before it looks at the rest', async () => {
	const refusal = { status: 401, body: { detail: 'Invalid API key' } };
	expect(await post(IMAGE, { prompt: undefined }, 'wrong')).toEqual(refusal);
	expect(await poll('no-uuid', 'wrong')).toEqual(refusal);
});

it('calls a job pending until its time is up, then lists the results', async () => {
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

it('refuses a request for a result that carries a key, fault or no fault, and logs it', async () => {
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

const rows = JSON.stringify([1, 2, 3].map((row) => ({ row, title: 'Idle', description: '' })));

it.each<[Record<string, string>, width: number, height: number]>([
	[{ scale: '2K' }, 2048, 2048],
	[{ frame: '25' }, 800, 800],
	[{ rows, resolution: '2K' }, 2048, 768],
])('draws the result of %j as %i × %i, and as an animation', async (fields, width, height) => {
	const drawing = await startEmulator();
	try {
		const outcome: JobWish['outcome'] = { images: ['png', 'gif'] };
		const { id } = drawing.jobs.add({ fields, outcome, prompt: '🦊漢\n'.repeat(300) });
		const results = `${drawing.cdnUrl}/results/${id}`;
		expect(await loadImage(`${results}/1.png`)).toMatchObject({ width, height });
		const animation = await (await fetch(`${results}/2.gif`)).text();
		expect(animation).toMatch(/^GIF89a.*NETSCAPE2\.0/s);
	} finally {
		await drawing.close();
	}
});

it('says on the command line where it runs and what came, without the key, until Ctrl-C', async () => {
	const cli = ['--import', 'tsx', join(__dirname, 'cli.ts'), '--port', '0', '--key', 'sesame'];
	const child = spawn(process.execPath, cli);
	const output = text(child.stdout);
	const [started] = (await once(child.stdout, 'data')) as [Buffer];
	const apiUrl = /Base URL {2}(\S+)/.exec(started.toString())?.[1] ?? '';
	await asked(`${apiUrl}/public/v1/job/x`, 'sesame');
	child.kill('SIGINT');
	const [code] = (await once(child, 'close')) as [number | null];
	expect([code, await output]).toEqual([0, expect.stringMatching(/ 422 {2}GET .*\/job\/x /)]);
	expect((await output).split('sesame')).toHaveLength(2);
});
