import { downloadResults, formOf, poll, post, type Reply, type Sending } from './client';
import { startEmulator, type Emulator, type EmulatorOptions } from './emulator';
import { ENDPOINTS } from './endpoints';
import { EXAMPLES } from './examples';
import { tinyPicture } from './pictures';

// What the API's documentation says about each endpoint, without a look at the emulator's own table.

const PICTURE = tinyPicture('test', 'png');
const EFFECT_V1 = '/public/v1/generate/effect/v1';
const EFFECT_V2 = '/public/v1/generate/effect/v2';
const UPSCALE = '/public/v1/image-tune/upscale';
const INPAINT = '/public/v1/image-tune/inpaint/v2';
const SPLIT_LAYER = '/public/v1/image-tune/split-layer';
const SPRITE_V1 = '/public/v1/sprite/make-sprite/v1';
const SPRITE_V2 = '/public/v1/sprite/make-sprite/v2';
const RESKIN_V1 = '/public/v1/sprite/reskin/v1';
const RESKIN_V2 = '/public/v1/sprite/reskin/v2';
const OVERLAY_V1 = '/public/v1/sprite/character-overlay/v1';
const OVERLAY_V2 = '/public/v1/sprite/character-overlay/v2';
const PATHS = Object.keys(EXAMPLES);

let emulator: Emulator;

async function restart(options: EmulatorOptions = {}): Promise<void> {
	await emulator.close();
	emulator = await startEmulator({ pictures: false, jobDurationMs: 0, ...options });
}

beforeEach(async () => {
	emulator = await startEmulator({ pictures: false, jobDurationMs: 0 });
});

afterEach(async () => {
	await emulator.close();
});

/** The endpoint's example, changed. A field or file that is `undefined` is left out. */
async function send(path: string, change: Change = {}): Promise<Reply> {
	const example = EXAMPLES[path];
	return await post(
		emulator,
		path,
		formOf({
			fields: defined({ ...example?.fields, ...change.fields }),
			files: defined({ ...example?.files, ...change.files }),
		}),
	);
}

interface Change {
	fields?: Readonly<Record<string, string | undefined>>;
	files?: Readonly<Record<string, readonly Buffer[] | undefined>>;
}

function defined<Value>(
	record: Readonly<Record<string, Value | undefined>>,
): Record<string, Value> {
	return Object.fromEntries(
		Object.entries(record).filter((entry): entry is [string, Value] => entry[1] !== undefined),
	);
}

function missing(field: string): object {
	return { type: 'missing', loc: ['body', field], msg: 'Field required', input: null };
}

function notListed(field: string, expected: string, input: string): object {
	const msg = `Input should be ${expected}`;
	return { type: 'literal_error', loc: ['body', field], msg, input, ctx: { expected } };
}

function expectRefused({ status, body }: Reply, expected: number, detail: unknown): void {
	expect({ status, body }).toEqual({ status: expected, body: { detail } });
	expect(emulator.submits).toEqual([]);
}

it('serves all paid endpoints of the documentation', () => {
	expect(ENDPOINTS.map(({ path }) => path)).toEqual(PATHS);
	expect(PATHS).toHaveLength(12);
});

describe.each(PATHS)('POST %s', (path) => {
	const { fields = {}, files = {} } = EXAMPLES[path] ?? {};

	it('makes a job of a form with the required fields', async () => {
		const reply = await send(path);
		const [submit] = emulator.submits;
		expect(reply).toMatchObject({ status: 200, body: { job_id: submit?.jobId } });
		expect(submit).toMatchObject({ endpoint: path, fields });
		expect(submit?.files.map(({ field }) => field)).toEqual(Object.keys(files));
		expect((await poll(emulator, submit?.jobId ?? '')).body).toMatchObject({ status: 'Succeed' });
	});

	it('takes no wrong key', async () => {
		const form = formOf({ fields, files });
		const { status, body } = await post(emulator, path, form, 'wrong');
		expect({ status, body }).toEqual({ status: 401, body: { detail: 'Invalid API key' } });
		expect(emulator.submits).toEqual([]);
	});

	it.each(Object.keys(fields))('needs %s, and something in it', async (field) => {
		expectRefused(await send(path, { fields: { [field]: undefined } }), 422, [missing(field)]);
		expectRefused(await send(path, { fields: { [field]: '' } }), 422, [missing(field)]);
	});

	for (const field of Object.keys(files)) {
		it(`needs ${field}, as a file and an image`, async () => {
			expectRefused(await send(path, { files: { [field]: undefined } }), 422, [missing(field)]);
			const text = { fields: { [field]: 'text' }, files: { [field]: undefined } };
			const isList = field === 'character_images';
			expectRefused(await send(path, text), 422, [
				{
					type: 'value_error',
					loc: isList ? ['body', field, 0] : ['body', field],
					msg: "Value error, Expected UploadFile, received: <class 'str'>",
					input: 'text',
					ctx: { error: {} },
				},
			]);
			const other = { files: { [field]: [Buffer.from('hello')] } };
			expectRefused(await send(path, other), 400, 'Invalid image file');
		});
	}

	it('takes no JSON, however good its values', async () => {
		const response = await fetch(emulator.apiUrl + path, {
			method: 'POST',
			headers: { authorization: 'Bearer test-key', 'content-type': 'application/json' },
			body: JSON.stringify(fields),
		});
		expect(response.status).toBe(422);
		const { detail } = (await response.json()) as { detail: unknown[] };
		const names = [...Object.keys(fields), ...Object.keys(files)];
		expect(detail).toHaveLength(names.length);
		expect(detail).toEqual(expect.arrayContaining(names.map(missing)));
	});

	it('takes a urlencoded form where no file is needed', async () => {
		const response = await fetch(emulator.apiUrl + path, {
			method: 'POST',
			headers: { authorization: 'Bearer test-key' },
			body: new URLSearchParams(fields),
		});
		const needed = Object.keys(files);
		expect(response.status).toBe(needed.length > 0 ? 422 : 200);
		const body: unknown = await response.json();
		if (needed.length > 0) expect(body).toEqual({ detail: needed.map(missing) });
		else expect(emulator.submits[0]?.fields).toEqual(fields);
	});
});

describe('fields with a list of values', () => {
	const SIZES = ['1K', '2K', '4K'];
	const QUALITIES = ['standard', 'pro'];
	const STYLES = ['pixel', 'cartoon', 'sd', 'quater_view'];
	const EXPECTED = {
		sizes: "'1K', '2K' or '4K'",
		qualities: "'standard' or 'pro'",
		styles: "'pixel', 'cartoon', 'sd' or 'quater_view'",
	};

	it.each([
		[EFFECT_V1, 'resolution', SIZES, EXPECTED.sizes],
		[EFFECT_V2, 'quality', QUALITIES, EXPECTED.qualities],
		[EFFECT_V2, 'frame', ['4', '9', '16'], "'4', '9' or '16'"],
		[UPSCALE, 'scale', SIZES, EXPECTED.sizes],
		[INPAINT, 'quality', QUALITIES, EXPECTED.qualities],
		[RESKIN_V1, 'resolution', SIZES, EXPECTED.sizes],
		[RESKIN_V1, 'style', STYLES, EXPECTED.styles],
		[RESKIN_V2, 'quality', QUALITIES, EXPECTED.qualities],
		[RESKIN_V2, 'style', STYLES, EXPECTED.styles],
		[OVERLAY_V1, 'resolution', SIZES, EXPECTED.sizes],
		[OVERLAY_V1, 'style', STYLES, EXPECTED.styles],
		[OVERLAY_V2, 'quality', QUALITIES, EXPECTED.qualities],
		[OVERLAY_V2, 'style', STYLES, EXPECTED.styles],
	])('%s takes in %s what is listed, and nothing else', async (path, field, values, expected) => {
		for (const value of ['8K', values[0]?.toUpperCase().concat(' ') ?? '']) {
			const reply = await send(path, { fields: { [field]: value } });
			expectRefused(reply, 422, [notListed(field, expected, value)]);
		}
		for (const value of values) {
			expect(await send(path, { fields: { [field]: value } })).toMatchObject({ status: 200 });
		}
	});

	it.each([RESKIN_V1, RESKIN_V2, OVERLAY_V1, OVERLAY_V2])(
		'%s takes no empty style',
		async (path) => {
			const detail = [notListed('style', EXPECTED.styles, '')];
			expectRefused(await send(path, { fields: { style: '' } }), 422, detail);
		},
	);

	it('are named with all else that is wrong, in the order of the documentation', async () => {
		const change = { fields: { text: '', frame: 'x', is_pixel: 'x' }, files: { image: undefined } };
		const { body } = await send(SPRITE_V1, change);
		expect(body).toMatchObject({
			detail: [
				{ type: 'missing', loc: ['body', 'image'] },
				{ type: 'missing', loc: ['body', 'text'] },
				{ type: 'int_parsing', loc: ['body', 'frame'] },
				{ type: 'bool_parsing', loc: ['body', 'is_pixel'] },
			],
		});
	});
});

describe('optional files', () => {
	it.each([
		[EFFECT_V1, 'image'],
		[EFFECT_V2, 'image'],
		[SPRITE_V2, 'end_frame_image'],
	])('%s takes %s if it is an image', async (path, field) => {
		const other = { files: { [field]: [Buffer.from('hello')] } };
		expectRefused(await send(path, other), 400, 'Invalid image file');
		expect(await send(path, { files: { [field]: [PICTURE] } })).toMatchObject({ status: 200 });
		expect(emulator.submits[0]?.files.map((file) => file.field)).toContain(field);
	});

	it('take the last of several files, as FastAPI does', async () => {
		const first = { files: { image: [PICTURE, Buffer.from('hello')] } };
		expectRefused(await send(EFFECT_V1, first), 400, 'Invalid image file');
		const last = { files: { image: [Buffer.from('hello'), PICTURE] } };
		expect(await send(EFFECT_V1, last)).toMatchObject({ status: 200 });
	});
});

describe.each([
	[SPRITE_V1, [25, 36, 49, 64, 81, 100, 121, 144, 169]],
	[SPRITE_V2, [49, 81, 121]],
])('%s', (path, frames) => {
	it('takes the documented numbers of frames', async () => {
		for (const frame of frames) {
			const fields = { frame: String(frame) };
			expect(await send(path, { fields })).toMatchObject({ status: 200 });
		}
	});

	it.each(['0', '24', '-25', '170'])('refuses %s frames', async (frame) => {
		const detail = `frame should be one of ${frames.join(', ')}`;
		expectRefused(await send(path, { fields: { frame } }), 400, detail);
	});

	it.each(['many', '25.5', '0x19'])('reads no integer from %s', async (frame) => {
		const msg = 'Input should be a valid integer, unable to parse string as an integer';
		expectRefused(await send(path, { fields: { frame } }), 422, [
			{ type: 'int_parsing', loc: ['body', 'frame'], msg, input: frame },
		]);
	});

	it('looks at the image before the frames', async () => {
		const field = path === SPRITE_V1 ? 'image' : 'start_frame_image';
		const change = { fields: { frame: '7' }, files: { [field]: [Buffer.from('hello')] } };
		expectRefused(await send(path, change), 400, 'Invalid image file');
	});

	it.each(['true', 'false', 'True', '1', '0', 'yes', 'no', 'on', 'off'])(
		'reads is_pixel from %s',
		async (value) => {
			expect(await send(path, { fields: { is_pixel: value } })).toMatchObject({ status: 200 });
		},
	);

	it.each(['2', 'maybe', ' true'])('reads no is_pixel from "%s"', async (input) => {
		const msg = 'Input should be a valid boolean, unable to interpret input';
		expectRefused(await send(path, { fields: { is_pixel: input } }), 422, [
			{ type: 'bool_parsing', loc: ['body', 'is_pixel'], msg, input },
		]);
	});
});

describe.each([OVERLAY_V1, OVERLAY_V2])('%s', (path) => {
	const row = { row: 1, title: 'Idle', description: 'Standing' };

	it('takes one to four characters', async () => {
		const five = Array<Buffer>(5).fill(PICTURE);
		const detail = 'character_images must contain between 1 and 4 files';
		// Before the rows, as documented.
		const change = { fields: { rows: 'x' }, files: { character_images: five } };
		expectRefused(await send(path, change), 400, detail);
		for (const count of [1, 4]) {
			const files = { character_images: five.slice(0, count) };
			expect(await send(path, { files })).toMatchObject({ status: 200 });
		}
	});

	it('wants every character to be an image', async () => {
		const files = { character_images: [PICTURE, Buffer.from('hello'), PICTURE] };
		expectRefused(await send(path, { files }), 400, 'Invalid image file');
	});

	const OBJECT = 'each row must be an object with row, title, description';

	it.each<[string, string]>([
		['Idle', 'rows must be a valid JSON list'],
		["[{'row': 1}]", 'rows must be a valid JSON list'],
		['{"row": 1}', 'rows must be a JSON list'],
		['null', 'rows must be a JSON list'],
		['["Idle"]', OBJECT],
		['[null]', OBJECT],
		['[[]]', OBJECT],
		[JSON.stringify([{ row: 1, title: 'Idle' }]), OBJECT],
		[JSON.stringify([row, { title: 'Idle', description: '' }]), OBJECT],
		[JSON.stringify([{ ...row, row: '1' }]), 'row must be an integer'],
		[JSON.stringify([{ ...row, row: 1.5, title: 1 }]), 'row must be an integer'],
		[JSON.stringify([{ ...row, title: 1 }]), 'title and description must be strings'],
		[JSON.stringify([{ ...row, description: null }]), 'title and description must be strings'],
		// The first row that is wrong counts.
		[JSON.stringify([{ ...row, title: 1 }, 'x']), 'title and description must be strings'],
	])('refuses the rows %s', async (rows, detail) => {
		expectRefused(await send(path, { fields: { rows } }), 400, detail);
	});

	it.each([
		JSON.stringify([row, { ...row, row: 2 }]),
		JSON.stringify([{ ...row, row: 0, more: true, title: '' }]),
		'[]',
	])('takes the rows %s', async (rows) => {
		expect(await send(path, { fields: { rows } })).toMatchObject({ status: 200 });
	});
});

describe('results', () => {
	it.each(PATHS)('of %s are of the documented types', async (path) => {
		const several: Record<string, string[]> = {
			[SPLIT_LAYER]: ['image/png', 'image/png', 'image/png', 'image/png'],
			[SPRITE_V1]: ['image/png', 'image/gif'],
			[SPRITE_V2]: ['image/png', 'image/gif'],
		};
		await send(path);
		const results = await downloadResults(emulator);
		expect(results.map(({ type }) => type)).toEqual(several[path] ?? ['image/png']);
		for (const { content } of results) expect(content.length).toBeLessThan(200);
	});

	it('are as many as the emulator was told to give for generate/image alone', async () => {
		await restart({ imagesPerJob: 3 });
		await send('/public/v1/generate/image');
		expect(await downloadResults(emulator)).toHaveLength(3);
		await send(UPSCALE);
		expect(await downloadResults(emulator)).toHaveLength(1);
	});

	it('are those of the wish, where a test has one', async () => {
		await restart({
			wish: (form, path) =>
				path === UPSCALE && form.fields.scale === '4K'
					? { outcome: { images: ['gif', 'png'] } }
					: undefined,
		});
		await send(UPSCALE, { fields: { scale: '4K' } });
		const types = (await downloadResults(emulator)).map(({ type }) => type);
		expect(types).toEqual(['image/gif', 'image/png']);
		await send(SPRITE_V1);
		expect(await downloadResults(emulator)).toHaveLength(2);
	});

	const rows = (description: string): string =>
		JSON.stringify([{ row: 1, title: 'Idle', description }]);

	it.each<[string, Sending['fields']]>([
		['/public/v1/generate/image', { prompt: 'x #fail' }],
		[EFFECT_V1, { description: 'x #fail' }],
		[EFFECT_V2, { description: 'x #fail' }],
		[INPAINT, { prompt: 'x #fail' }],
		[SPLIT_LAYER, { keyword: 'arm #fail' }],
		[SPRITE_V1, { text: 'x #fail' }],
		[SPRITE_V2, { text: 'x #fail' }],
		[RESKIN_V1, { description: 'x #fail' }],
		[RESKIN_V2, { description: 'x #fail' }],
		[OVERLAY_V1, { rows: rows('x #fail') }],
		[OVERLAY_V2, { rows: rows('#fail') }],
	])('of %s follow the tags in its text', async (path, fields = {}) => {
		await send(path, { fields });
		const { body } = await poll(emulator, emulator.submits[0]?.jobId ?? '');
		expect(body).toMatchObject({ status: 'Failed' });
	});
});
