import { ENDPOINT_CASES, type FieldCase } from '../support/endpointCases';
import { downloadResults, exampleFor, formOf, poll, post, type Reply } from './client';
import { startEmulator, type Emulator, type EmulatorOptions } from './emulator';
import { tinyPicture } from './pictures';

// What the API's documentation says about each endpoint, and FastAPI about all of them.

const PICTURE = tinyPicture('test', 'png');
const NO_PICTURE = Buffer.from('hello');
const EFFECT_V1 = '/public/v1/generate/effect/v1';
const UPSCALE = '/public/v1/image-tune/upscale';
const SPRITE_V1 = '/public/v1/sprite/make-sprite/v1';
const OVERLAY_V1 = '/public/v1/sprite/character-overlay/v1';

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

interface Change {
	fields?: Readonly<Record<string, string | undefined>>;
	files?: Readonly<Record<string, readonly Buffer[] | undefined>>;
}

/** The endpoint's example, changed. A field or file that is `undefined` is left out. */
async function send(path: string, change: Change = {}): Promise<Reply> {
	const example = exampleFor(path);
	const fields = defined({ ...example.fields, ...change.fields });
	const files = defined({ ...example.files, ...change.files });
	return await post(emulator, path, formOf({ fields, files }));
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

function expectRefused({ status, body }: Reply, expected: number, detail: unknown): void {
	expect({ status, body }).toEqual({ status: expected, body: { detail } });
	expect(emulator.submits).toEqual([]);
}

/** `'a', 'b' or 'c'` */
function listed(values: readonly string[]): string {
	return values
		.map((value) => `'${value}'`)
		.join(', ')
		.replace(/, ([^,]*)$/, ' or $1');
}

describe.each(ENDPOINT_CASES)('POST $path', ({ path, fields, results }) => {
	const example = exampleFor(path);
	const needed = fields.filter(({ isOptional }) => !isOptional).map(({ name }) => name);

	it('makes a job of a form with the required fields, and gives the documented results', async () => {
		const reply = await send(path);
		const [submit] = emulator.submits;
		expect(reply).toMatchObject({ status: 200, body: { job_id: submit?.jobId } });
		expect(submit).toMatchObject({ endpoint: path, fields: example.fields });
		expect(submit?.files.map(({ field }) => field)).toEqual(Object.keys(example.files));
		const downloads = await downloadResults(emulator);
		expect(downloads.map(({ type }) => type)).toEqual(results.map((format) => `image/${format}`));
		for (const { content } of downloads) expect(content.length).toBeLessThan(200);
	});

	it('takes no wrong key', async () => {
		const { status, body } = await post(emulator, path, formOf(example), 'wrong');
		expect({ status, body }).toEqual({ status: 401, body: { detail: 'Invalid API key' } });
		expect(emulator.submits).toEqual([]);
	});

	it.each(fields)('takes in $name what is documented, and nothing else', async (field) => {
		await expectFieldChecked(path, field);
	});

	it('takes no JSON, however good its values', async () => {
		const response = await fetch(emulator.apiUrl + path, {
			method: 'POST',
			headers: { authorization: 'Bearer test-key', 'content-type': 'application/json' },
			body: JSON.stringify(example.fields),
		});
		expect(response.status).toBe(422);
		expect(await response.json()).toEqual({ detail: needed.map(missing) });
	});

	it('takes a urlencoded form where no file is needed', async () => {
		const response = await fetch(emulator.apiUrl + path, {
			method: 'POST',
			headers: { authorization: 'Bearer test-key' },
			body: new URLSearchParams(example.fields),
		});
		const files = Object.keys(example.files);
		expect(response.status).toBe(files.length > 0 ? 422 : 200);
		const body: unknown = await response.json();
		if (files.length > 0) expect(body).toEqual({ detail: files.map(missing) });
		else expect(emulator.submits[0]?.fields).toEqual(example.fields);
	});

	const words = fields.find(({ kind }) => kind === 'text' || kind === 'table');
	if (words) {
		it('follows the tags in its text', async () => {
			const row = { row: 1, title: 'Idle', description: 'x #fail' };
			const text = words.kind === 'table' ? JSON.stringify([row]) : 'x #fail';
			await send(path, { fields: { [words.name]: text } });
			const { body } = await poll(emulator, emulator.submits[0]?.jobId ?? '');
			expect(body).toMatchObject({ status: 'Failed' });
		});
	}
});

async function expectFieldChecked(path: string, field: FieldCase): Promise<void> {
	const { name, isOptional = false } = field;
	if (field.kind === 'files') {
		await expectFilesChecked(path, field);
		return;
	}
	const without = { fields: { [name]: undefined } };
	if (!isOptional) {
		expectRefused(await send(path, without), 422, [missing(name)]);
		expectRefused(await send(path, { fields: { [name]: '' } }), 422, [missing(name)]);
	}
	if (field.kind === 'choice') {
		const expected = listed(field.allowed);
		const others = ['8K', `${field.allowed[0]?.toUpperCase() ?? ''} `, ...(isOptional ? [''] : [])];
		for (const input of others) {
			const msg = `Input should be ${expected}`;
			expectRefused(await send(path, { fields: { [name]: input } }), 422, [
				{ type: 'literal_error', loc: ['body', name], msg, input, ctx: { expected } },
			]);
		}
	}
	if (field.kind === 'number') {
		const detail = `${name} should be one of ${field.allowed.join(', ')}`;
		for (const number of ['0', '24', '-25', '170']) {
			expectRefused(await send(path, { fields: { [name]: number } }), 400, detail);
		}
	}
	const good = 'allowed' in field ? field.allowed.map(String) : [];
	for (const value of good) {
		expect(await send(path, { fields: { [name]: value } })).toMatchObject({ status: 200 });
	}
	if (isOptional) expect(await send(path, without)).toMatchObject({ status: 200 });
}

async function expectFilesChecked(
	path: string,
	{ name, most, isOptional = false }: Extract<FieldCase, { kind: 'files' }>,
): Promise<void> {
	const sendFiles = async (...files: Buffer[]) => await send(path, { files: { [name]: files } });
	if (!isOptional) expectRefused(await sendFiles(), 422, [missing(name)]);
	const text = { fields: { [name]: 'text' }, files: { [name]: undefined } };
	expectRefused(await send(path, text), 422, [
		{
			type: 'value_error',
			loc: most > 1 ? ['body', name, 0] : ['body', name],
			msg: "Value error, Expected UploadFile, received: <class 'str'>",
			input: 'text',
			ctx: { error: {} },
		},
	]);
	expectRefused(await sendFiles(PICTURE, NO_PICTURE), 400, 'Invalid image file');
	// Of several files for one, the last counts, as in FastAPI.
	const first = await sendFiles(NO_PICTURE, PICTURE);
	if (most > 1) expectRefused(first, 400, 'Invalid image file');
	else expect(first).toMatchObject({ status: 200 });
	const all = Array<Buffer>(most).fill(PICTURE);
	expect(await sendFiles(...all)).toMatchObject({ status: 200 });
	const sent = emulator.submits.at(-1)?.files.filter(({ field }) => field === name);
	expect(sent).toHaveLength(most);
	if (most > 1) expect(await sendFiles(PICTURE, ...all)).toMatchObject({ status: 400 });
}

it('names all that is wrong, in the order of the documentation', async () => {
	const change = { fields: { text: '', frame: 'x', is_pixel: 'x' }, files: { image: undefined } };
	expect((await send(SPRITE_V1, change)).body).toMatchObject({
		detail: [
			{ type: 'missing', loc: ['body', 'image'] },
			{ type: 'missing', loc: ['body', 'text'] },
			{ type: 'int_parsing', loc: ['body', 'frame'] },
			{ type: 'bool_parsing', loc: ['body', 'is_pixel'] },
		],
	});
});

describe('numbers and booleans', () => {
	it.each(['many', '25.5', '0x19'])('reads no integer from %s', async (frame) => {
		const msg = 'Input should be a valid integer, unable to parse string as an integer';
		expectRefused(await send(SPRITE_V1, { fields: { frame } }), 422, [
			{ type: 'int_parsing', loc: ['body', 'frame'], msg, input: frame },
		]);
	});

	it('looks at the image before the frames', async () => {
		const change = { fields: { frame: '7' }, files: { image: [NO_PICTURE] } };
		expectRefused(await send(SPRITE_V1, change), 400, 'Invalid image file');
	});

	it.each(['true', 'false', 'True', '1', '0', 'yes', 'no', 'on', 'off'])(
		'reads is_pixel from %s',
		async (value) => {
			expect(await send(SPRITE_V1, { fields: { is_pixel: value } })).toMatchObject({ status: 200 });
		},
	);

	it.each(['2', 'maybe', ' true'])('reads no is_pixel from "%s"', async (input) => {
		const msg = 'Input should be a valid boolean, unable to interpret input';
		expectRefused(await send(SPRITE_V1, { fields: { is_pixel: input } }), 422, [
			{ type: 'bool_parsing', loc: ['body', 'is_pixel'], msg, input },
		]);
	});
});

describe('rows', () => {
	const row = { row: 1, title: 'Idle', description: 'Standing' };
	const OBJECT = 'each row must be an object with row, title, description';

	it('come after the number of characters', async () => {
		const files = { character_images: Array<Buffer>(5).fill(PICTURE) };
		const detail = 'character_images must contain between 1 and 4 files';
		expectRefused(await send(OVERLAY_V1, { fields: { rows: 'x' }, files }), 400, detail);
	});

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
	])('are refused: %s', async (rows, detail) => {
		expectRefused(await send(OVERLAY_V1, { fields: { rows } }), 400, detail);
	});

	it.each([
		JSON.stringify([row, { ...row, row: 2 }]),
		JSON.stringify([{ ...row, row: 0, more: true, title: '' }]),
		'[]',
	])('are taken: %s', async (rows) => {
		expect(await send(OVERLAY_V1, { fields: { rows } })).toMatchObject({ status: 200 });
	});
});

describe('results', () => {
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
		await send(EFFECT_V1);
		expect(await downloadResults(emulator)).toHaveLength(1);
	});
});
