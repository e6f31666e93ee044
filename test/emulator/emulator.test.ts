import { ENDPOINT_CASES } from '../support/endpointCases';
import { startEmulator, type Emulator } from './emulator';
import { tinyPicture } from './pictures';

// What docs/api.md says, and FastAPI where it is silent: a form that the emulator takes is one that the API takes.

const IMAGE = '/public/v1/generate/image';
const UPSCALE = '/public/v1/image-tune/upscale';
const SPRITE = '/public/v1/sprite/make-sprite/v1';
const RESKIN = '/public/v1/sprite/reskin/v1';
const OVERLAY = '/public/v1/sprite/character-overlay/v1';
const PICTURE = tinyPicture('test', 'png');
const TEXT = Buffer.from('hello');

let emulator: Emulator;

beforeEach(async () => {
	emulator = await startEmulator({ pictures: false });
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
async function post(path: string, change: Sending = {}): Promise<Reply> {
	const row = ENDPOINT_CASES.find((candidate) => candidate.path === path);
	if (!row) throw new Error(`test/support/endpointCases.ts has no row for ${path}`);
	const files = row.fields.filter(({ kind, isOptional }) => kind === 'files' && !isOptional);
	const example = Object.fromEntries(files.map(({ name }) => [name, [PICTURE]]));
	const body = new FormData();
	const sending: Sending = { ...row.sends, ...example, ...change };
	for (const [name, value] of Object.entries(sending)) {
		if (typeof value === 'string') body.append(name, value);
		else for (const content of value ?? []) body.append(name, new Blob([content]), `${name}.png`);
	}
	return await asked(emulator.apiUrl + path, { method: 'POST', body });
}

type Request = Omit<RequestInit, 'headers'> & { headers?: Record<string, string> };

async function asked(url: string, { headers, ...init }: Request): Promise<Reply> {
	const authorization = { authorization: 'Bearer test-key' };
	const response = await fetch(url, { ...init, headers: { ...authorization, ...headers } });
	return { status: response.status, body: await response.json() };
}

const pictures = (count: number): Buffer[] => Array<Buffer>(count).fill(PICTURE);
const ROW = { row: 1, title: 'Idle', description: 'Standing' };
const rowsOf = (...rows: unknown[]) => ({ rows: JSON.stringify(rows) });

const FRAMES = 'frame should be one of 25, 36, 49, 64, 81, 100, 121, 144, 169';
const CHARACTERS = 'character_images must contain between 1 and 4 files';
const NO_IMAGE = 'Invalid image file';
const OBJECT = 'each row must be an object with row, title, description';
const FIVE = 'The Grok Imagine model supports up to 5 ref_images.';

it.each<[path: string, status: number, detail: string | string[], Sending]>([
	[RESKIN, 422, ['missing image', 'missing resolution'], { image: undefined, resolution: '' }],
	[SPRITE, 422, ['missing image', 'int_parsing frame'], { image: [], frame: '25.5' }],
	[SPRITE, 422, ['bool_parsing is_pixel'], { is_pixel: '2' }],
	[RESKIN, 422, ['literal_error style'], { style: '' }],
	[UPSCALE, 422, ['value_error image', 'literal_error scale'], { image: 'x', scale: '8K' }],
	[SPRITE, 400, FRAMES, { frame: '24' }],
	[SPRITE, 400, NO_IMAGE, { frame: '24', image: [PICTURE, TEXT] }],
	[IMAGE, 400, NO_IMAGE, { ref_images: [TEXT, PICTURE] }],
	[IMAGE, 400, FIVE, { ai_model: 'Grok Imagine', ref_images: pictures(6) }],
	[IMAGE, 400, 'ref_images supports up to 10 images only', { ref_images: pictures(11) }],
	[IMAGE, 400, 'Part exceeded maximum size of 1024KB.', { prompt: 'x'.repeat(1_100_000) }],
	[OVERLAY, 400, CHARACTERS, { character_images: pictures(5), rows: 'x' }],
	[OVERLAY, 400, 'rows must be a valid JSON list', { rows: 'Idle' }],
	[OVERLAY, 400, OBJECT, rowsOf(ROW, { row: 1, title: 'Idle' })],
	[OVERLAY, 400, 'row must be an integer', rowsOf({ ...ROW, row: '1' })],
])('POST %s answers %i: %j (%#)', async (path, status, expected, sending) => {
	const reply = await post(path, sending);
	const { detail } = reply.body as { detail: string | { type: string; loc: string[] }[] };
	const said =
		typeof detail === 'string' ? detail : detail.map(({ type, loc }) => `${type} ${loc[1] ?? ''}`);
	expect([reply.status, said, emulator.submits]).toEqual([status, expected, []]);
});

it('answers 400 to a form that it cannot read', async () => {
	const headers = { 'content-type': 'multipart/form-data; boundary=x' };
	const reply = await asked(emulator.apiUrl + IMAGE, { method: 'POST', body: '--x', headers });
	const detail = 'There was an error parsing the body';
	expect(reply).toEqual({ status: 400, body: { detail } });
});
