import { Readable } from 'node:stream';
import { Busboy } from '@fastify/busboy';
import type { IBinaryData, IBinaryKeyData, INodeParameters } from 'n8n-workflow';

import type { Value, Values } from '../../nodes/shared/api/request';
import { tinyPicture } from '../emulator/pictures';
import {
	bytesOf,
	runEngine,
	SERVICE_URL,
	startBinaryStorage,
	type EngineOptions,
	type EngineResult,
} from '../support/engine';
import { nock } from '../support/nock';

const JOB = '123e4567-e89b-12d3-a456-426614174000';
const CDN_URL = 'https://cdn.example';

type Name = 'effectGenerate' | 'imageGenerate' | 'imageTune' | 'sprite';

/** What the service got: the texts, and of each file its field, name, type and bytes. */
interface Received {
	fields: [name: string, value: string][];
	files: [field: string, fileName: string, mimeType: string, bytes: Buffer][];
}

beforeAll(async () => {
	nock.disableNetConnect();
	await startBinaryStorage();
});

afterEach(() => {
	const pending = nock.pendingMocks();
	nock.cleanAll();
	expect(pending).toEqual([]);
});

/** Every picture has other bytes, so that a test sees which one went where. */
function picture(name: string): Buffer {
	return tinyPicture(name, 'png');
}

function binaryOf(...names: string[]): IBinaryKeyData {
	return Object.fromEntries(
		names.map((name): [string, IBinaryData] => [
			name,
			{
				data: picture(name).toString('base64'),
				mimeType: 'image/png',
				fileName: `${name}.png`,
			},
		]),
	);
}

/** A file part as it should arrive. */
function part(field: string, name: string): Received['files'][number] {
	return [field, `${name}.png`, 'image/png', picture(name)];
}

async function parse(body: Buffer, contentType: string): Promise<Received> {
	const received: Received = { fields: [], files: [] };
	const busboy = new Busboy({ headers: { 'content-type': contentType } });
	busboy.on('field', (name, value) => received.fields.push([name, value]));
	busboy.on('file', (field, stream, fileName, _encoding, mimeType) => {
		const chunks: Buffer[] = [];
		stream.on('data', (chunk: Buffer) => chunks.push(chunk));
		stream.on('end', () => received.files.push([field, fileName, mimeType, Buffer.concat(chunks)]));
	});
	await new Promise((resolve, reject) => {
		busboy.on('finish', resolve);
		busboy.on('error', reject);
		Readable.from([body]).pipe(busboy);
	});
	return received;
}

/** The service, which takes one submit at this path and finishes its job with these images. */
function service(path: string, imageUrls: string[]): () => Promise<Received> {
	let body = Buffer.alloc(0);
	let contentType = '';
	nock(SERVICE_URL)
		.post(path, (given: string) => {
			// nock hands over as hexadecimal digits what is not UTF-8.
			body = Buffer.from(given, /^[\da-f]+$/.test(given) ? 'hex' : 'utf8');
			return true;
		})
		.matchHeader('content-type', (given) => {
			contentType = given;
			return contentType.startsWith('multipart/form-data; boundary=');
		})
		.reply(200, { job_id: JOB });
	nock(SERVICE_URL)
		.get(`/public/v1/job/${JOB}`)
		.reply(200, { job_id: JOB, status: 'Succeed', image_urls: imageUrls });
	return async () => await parse(body, contentType);
}

async function run(
	node: Name,
	parameters: INodeParameters,
	binary: IBinaryKeyData = binaryOf('data'),
	more: Partial<EngineOptions> = {},
): Promise<EngineResult> {
	return await runEngine({ node, parameters, items: [{ json: {}, binary }], ...more });
}

const ROWS = [
	{ row: 1, title: 'Idle', description: 'Standing still' },
	{ row: 2, title: 'Walk', description: 'Walking to the right' },
];
/** The same as n8n keeps the list that people fill in. */
const ROW_FIELDS = { row: ROWS.map(({ title, description }) => ({ title, description })) };

interface Row {
	node: Name;
	parameters: INodeParameters;
	binary?: IBinaryKeyData;
	path: string;
	/** As the output repeats them; they arrive as texts, and lists as JSON. */
	values: Values;
	files: Received['files'];
}

const DEFAULTS: Row[] = [
	{
		node: 'imageTune',
		parameters: {},
		path: '/public/v1/image-tune/upscale',
		values: { scale: '2K' },
		files: [part('image', 'data')],
	},
	{
		node: 'imageTune',
		parameters: { operation: 'inpaint', prompt: 'Remove the hat' },
		path: '/public/v1/image-tune/inpaint/v2',
		values: { prompt: 'Remove the hat', quality: 'standard' },
		files: [part('image', 'data')],
	},
	{
		node: 'imageTune',
		parameters: { operation: 'splitLayers', keyword: 'arm' },
		path: '/public/v1/image-tune/split-layer',
		values: { keyword: 'arm' },
		files: [part('image', 'data')],
	},
	{
		node: 'effectGenerate',
		parameters: { apiVersion: 'v1', description: 'Sparks' },
		path: '/public/v1/generate/effect/v1',
		values: { description: 'Sparks', resolution: '1K' },
		files: [],
	},
	{
		node: 'effectGenerate',
		parameters: { description: 'Sparks' },
		path: '/public/v1/generate/effect/v2',
		values: { description: 'Sparks', quality: 'standard', frame: 16 },
		files: [],
	},
	{
		node: 'sprite',
		parameters: { text: 'Walking' },
		path: '/public/v1/sprite/make-sprite/v1',
		values: { text: 'Walking', frame: 25, is_pixel: false },
		files: [part('image', 'data')],
	},
	{
		node: 'sprite',
		parameters: { apiVersion: 'v2', text: 'Walking' },
		path: '/public/v1/sprite/make-sprite/v2',
		values: { text: 'Walking', frame: 49, is_pixel: false },
		files: [part('start_frame_image', 'data')],
	},
	{
		node: 'sprite',
		parameters: { operation: 'reskin', description: 'Golden armor' },
		path: '/public/v1/sprite/reskin/v1',
		values: { description: 'Golden armor', resolution: '2K' },
		files: [part('image', 'data')],
	},
	{
		node: 'sprite',
		parameters: { operation: 'reskin', apiVersion: 'v2', description: 'Golden armor' },
		path: '/public/v1/sprite/reskin/v2',
		values: { description: 'Golden armor', quality: 'standard' },
		files: [part('image', 'data')],
	},
	{
		node: 'sprite',
		parameters: {
			operation: 'characterOverlay',
			characterImagesFields: 'knight',
			rows: ROW_FIELDS,
		},
		binary: binaryOf('data', 'knight'),
		path: '/public/v1/sprite/character-overlay/v1',
		values: { rows: ROWS, resolution: '2K' },
		files: [part('sprite_sheet', 'data'), part('character_images', 'knight')],
	},
	{
		node: 'sprite',
		parameters: {
			operation: 'characterOverlay',
			apiVersion: 'v2',
			characterImagesFields: 'knight',
			rows: ROW_FIELDS,
		},
		binary: binaryOf('data', 'knight'),
		path: '/public/v1/sprite/character-overlay/v2',
		values: { rows: ROWS, quality: 'standard' },
		files: [part('sprite_sheet', 'data'), part('character_images', 'knight')],
	},
];

const CHOSEN: Row[] = [
	{
		node: 'imageTune',
		parameters: { scale: '4K', imageField: 'photo' },
		binary: binaryOf('data', 'photo'),
		path: '/public/v1/image-tune/upscale',
		values: { scale: '4K' },
		files: [part('image', 'photo')],
	},
	{
		node: 'imageTune',
		parameters: { operation: 'inpaint', prompt: '={{ "Remove " + "it" }}', quality: 'pro' },
		path: '/public/v1/image-tune/inpaint/v2',
		values: { prompt: 'Remove it', quality: 'pro' },
		files: [part('image', 'data')],
	},
	{
		node: 'effectGenerate',
		parameters: {
			apiVersion: 'v1',
			description: 'Sparks',
			resolution: '4K',
			imageSource: 'binary',
			imageField: 'wand',
		},
		binary: binaryOf('data', 'wand'),
		path: '/public/v1/generate/effect/v1',
		values: { description: 'Sparks', resolution: '4K' },
		files: [part('image', 'wand')],
	},
	{
		node: 'effectGenerate',
		parameters: {
			description: 'Sparks',
			quality: 'pro',
			frame: '={{ "9" }}',
			imageSource: 'binary',
		},
		path: '/public/v1/generate/effect/v2',
		values: { description: 'Sparks', quality: 'pro', frame: 9 },
		files: [part('image', 'data')],
	},
	{
		node: 'sprite',
		parameters: { text: 'Walking', frame: 169, isPixel: '={{ "True" }}' },
		path: '/public/v1/sprite/make-sprite/v1',
		values: { text: 'Walking', frame: 169, is_pixel: true },
		files: [part('image', 'data')],
	},
	{
		node: 'sprite',
		parameters: {
			apiVersion: 'v2',
			text: 'Walking',
			frame: 121,
			isPixel: true,
			startFrameImageField: 'first',
			endFrameImageSource: 'binary',
			endFrameImageField: 'last',
		},
		binary: binaryOf('last', 'first'),
		path: '/public/v1/sprite/make-sprite/v2',
		values: { text: 'Walking', frame: 121, is_pixel: true },
		files: [part('start_frame_image', 'first'), part('end_frame_image', 'last')],
	},
	{
		node: 'sprite',
		parameters: {
			operation: 'reskin',
			description: 'Golden armor',
			resolution: '1K',
			style: 'quater_view',
		},
		path: '/public/v1/sprite/reskin/v1',
		values: { description: 'Golden armor', resolution: '1K', style: 'quater_view' },
		files: [part('image', 'data')],
	},
	{
		node: 'sprite',
		parameters: {
			operation: 'reskin',
			apiVersion: 'v2',
			description: 'Golden armor',
			quality: 'pro',
			style: 'sd',
		},
		path: '/public/v1/sprite/reskin/v2',
		values: { description: 'Golden armor', quality: 'pro', style: 'sd' },
		files: [part('image', 'data')],
	},
	{
		node: 'sprite',
		parameters: {
			operation: 'characterOverlay',
			spriteSheetField: 'sheet',
			characterImagesFields: 'knight, wizard,rogue ,bard',
			rowsInput: 'json',
			rowsJson: JSON.stringify(ROWS),
			resolution: '4K',
			style: 'pixel',
		},
		binary: binaryOf('bard', 'knight', 'rogue', 'sheet', 'wizard'),
		path: '/public/v1/sprite/character-overlay/v1',
		values: { rows: ROWS, resolution: '4K', style: 'pixel' },
		files: [
			part('sprite_sheet', 'sheet'),
			part('character_images', 'knight'),
			part('character_images', 'wizard'),
			part('character_images', 'rogue'),
			part('character_images', 'bard'),
		],
	},
	{
		node: 'sprite',
		parameters: {
			operation: 'characterOverlay',
			apiVersion: 'v2',
			characterImagesFields: '={{ ["wizard", "knight"] }}',
			rowsInput: 'json',
			// Rows that start at 7, with their keys in another order and one more.
			rowsJson: '={{ [{ note: "", description: "Sleeping", title: "Sleep", row: 7 }] }}',
			quality: 'pro',
			style: 'cartoon',
		},
		binary: binaryOf('data', 'knight', 'wizard'),
		path: '/public/v1/sprite/character-overlay/v2',
		values: {
			rows: [{ row: 7, title: 'Sleep', description: 'Sleeping' }],
			quality: 'pro',
			style: 'cartoon',
		},
		files: [
			part('sprite_sheet', 'data'),
			part('character_images', 'wizard'),
			part('character_images', 'knight'),
		],
	},
];

async function expectSent(row: Row): Promise<void> {
	const imageUrls = [`${CDN_URL}/1.png`, `${CDN_URL}/2.png`];
	const received = service(row.path, imageUrls);
	const { items, error } = await run(
		row.node,
		{ ...row.parameters, downloadImages: false, options: { outputItems: 'perJob' } },
		row.binary,
	);
	expect(error).toBeUndefined();
	expect(items).toEqual([
		{
			json: {
				job_id: JOB,
				status: 'Succeed',
				image_urls: imageUrls,
				images: imageUrls.map((image_url) => ({ image_url })),
				...row.values,
			},
			pairedItem: { item: 0 },
		},
	]);
	const asText = (value: Value) =>
		typeof value === 'object' ? JSON.stringify(value) : String(value);
	expect(await received()).toEqual({
		fields: Object.entries(row.values).map(([name, value]) => [name, asText(value)]),
		files: row.files,
	});
}

describe('each endpoint sends what the API wants, and repeats it in the output', () => {
	it.each(DEFAULTS)('$path, with nothing but what is required', async (row) => {
		await expectSent(row);
	});

	it.each(CHOSEN)('$path, with other values than the defaults', async (row) => {
		await expectSent(row);
	});
});

it('brings out the sheet and the GIF of a sprite in the order of the API, each as what it is', async () => {
	const sheet = tinyPicture('sheet', 'png');
	const gif = tinyPicture('animation', 'gif');
	service('/public/v1/sprite/make-sprite/v1', [`${CDN_URL}/a`, `${CDN_URL}/b`]);
	// Neither the addresses nor the types that the server declares tell the two apart.
	const type = { 'Content-Type': 'application/octet-stream' };
	nock(CDN_URL).get('/a').reply(200, sheet, type).get('/b').reply(200, gif, type);
	const { items, error } = await run('sprite', { text: 'Walking' });
	expect(error).toBeUndefined();
	const [{ binary } = {}, ...others] = items;
	expect([Object.keys(binary ?? {}), others]).toEqual([['data', 'data_1'], []]);
	const files = Object.values(binary ?? {});
	expect(files.map((file) => [file.mimeType, file.fileName])).toEqual([
		['image/png', `${JOB}-1.png`],
		['image/gif', `${JOB}-2.gif`],
	]);
	expect(await Promise.all(files.map(bytesOf))).toEqual([sheet, gif]);
});

/** What is enough of a PNG to have a size. */
function pngOf(width: number, height: number): Buffer {
	const head = Buffer.from('\x89PNG\r\n\x1a\n\0\0\0\x0dIHDR\0\0\0\0\0\0\0\0', 'latin1');
	head.writeUInt32BE(width, 16);
	head.writeUInt32BE(height, 20);
	return head;
}

describe('the sheet of a job that was asked for frames', () => {
	const make = '/public/v1/sprite/make-sprite/v1';
	const makeV2 = { apiVersion: 'v2', text: 'Walking' };
	const square = { columns: 5, rows: 5, frame_width: 224, frame_height: 224, frames: 25 };

	it.each<[string, Row['node'], INodeParameters, number, object | undefined]>([
		[make, 'sprite', { text: 'Walking' }, 1120, square],
		[make, 'sprite', { text: 'Walking' }, 1121, undefined],
		[make, 'sprite', { text: 'Walking', frame: '=36' }, 1120, undefined],
		['/public/v1/sprite/make-sprite/v2', 'sprite', makeV2, 700, { frame_width: 100, rows: 7 }],
		[
			'/public/v1/sprite/reskin/v1',
			'sprite',
			{ operation: 'reskin', description: 'd' },
			1120,
			undefined,
		],
		['/public/v1/generate/effect/v2', 'effectGenerate', { description: 'd' }, 400, { columns: 4 }],
		[
			'/public/v1/generate/image',
			'imageGenerate',
			{ prompt: 'p', options: { additionalFields: '{"frame": 25}' } },
			1120,
			undefined,
		],
	])('%s of %s with %j, %i pixels wide', async (path, node, parameters, width, sheet) => {
		service(path, [`${CDN_URL}/a`, `${CDN_URL}/b`]);
		nock(CDN_URL)
			.get('/a')
			.reply(200, pngOf(width, 1120 * (width === 1120 ? 1 : width / 1120)));
		nock(CDN_URL).get('/b').reply(200, pngOf(224, 224));
		const { items, error } = await run(node, parameters);
		expect(error).toBeUndefined();
		const [first, ...others] = items;
		if (sheet === undefined) expect(first?.json).not.toHaveProperty('sheet');
		else expect(first?.json.sheet).toMatchObject(sheet);
		for (const { json } of others) expect(json).not.toHaveProperty('sheet');
	});
});

it('shows in a dry run which file goes into which field', async () => {
	const { items } = await run(
		'sprite',
		{
			operation: 'characterOverlay',
			characterImagesFields: 'knight,wizard',
			rows: ROW_FIELDS,
			options: { dryRun: true },
		},
		binaryOf('data', 'knight', 'wizard'),
	);
	const file = (name: string) => ({
		field: name,
		file_name: `${name}.png`,
		mime_type: 'image/png',
		bytes: picture(name).length,
	});
	expect(items.map(({ json }) => json)).toEqual([
		{
			dry_run: true,
			rows: ROWS,
			resolution: '2K',
			files: {
				sprite_sheet: [file('data')],
				character_images: [file('knight'), file('wizard')],
			},
		},
	]);
});

const OVERLAY = {
	operation: 'characterOverlay',
	characterImagesFields: 'data',
	rows: ROW_FIELDS,
};

/** The parameters of an overlay whose rows are this JSON. */
function withRows(rowsJson: string): INodeParameters {
	return { ...OVERLAY, rowsInput: 'json', rowsJson };
}

// The service expects nothing here: whatever were sent would fail with another message.
describe('each endpoint refuses before anything is paid for', () => {
	it.each<[string, Name, INodeParameters, message: string]>([
		[
			'a number of frames of another version',
			'sprite',
			{ apiVersion: 'v2', text: 'Walking', frame: '={{ 25 }}' },
			'"Frames" must be 49, 81, or 121',
		],
		[
			'a number of frames that no sprite has',
			'sprite',
			{ text: 'Walking', frame: '={{ 26 }}' },
			'"Frames" must be 25, 36, 49, 64, 81, 100, 121, 144, or 169',
		],
		[
			'a number of frames that no effect has',
			'effectGenerate',
			{ description: 'Sparks', frame: '={{ 25 }}' },
			'"Frames" must be 4, 9, or 16',
		],
		[
			'another word than true and false',
			'sprite',
			{ text: 'Walking', isPixel: '={{ "yes" }}' },
			'"Input Is Pixel Art" must be true or false',
		],
		['another scale', 'imageTune', { scale: '={{ "8K" }}' }, '"Scale" must be "1K", "2K", or "4K"'],
		[
			'another resolution',
			'effectGenerate',
			{ apiVersion: 'v1', description: 'Sparks', resolution: '={{ "1k" }}' },
			'"Resolution" must be "1K", "2K", or "4K"',
		],
		[
			'another quality',
			'imageTune',
			{ operation: 'inpaint', prompt: 'Remove it', quality: '={{ "best" }}' },
			'"Quality" must be "standard" or "pro"',
		],
		[
			'another style',
			'sprite',
			{ operation: 'reskin', description: 'Golden armor', style: '={{ "quarter_view" }}' },
			'"Style" must be "cartoon", "none", "pixel", "quater_view", or "sd"',
		],
		['no scale', 'imageTune', { scale: '={{ "" }}' }, '"Scale" must be "1K", "2K", or "4K"'],
		[
			'a blank prompt',
			'imageTune',
			{ operation: 'inpaint', prompt: ' \n' },
			'The "Prompt" parameter is empty',
		],
		[
			'a blank keyword',
			'imageTune',
			{ operation: 'splitLayers', keyword: ' ' },
			'The "Keyword" parameter is empty',
		],
		['a blank motion', 'sprite', { text: '={{ "" }}' }, 'The "Motion" parameter is empty'],
		[
			'a blank description of an effect',
			'effectGenerate',
			{ description: '={{ undefined }}' },
			'The "Effect Description" parameter is empty',
		],
		[
			'a blank description of a reskin',
			'sprite',
			{ operation: 'reskin', apiVersion: 'v2', description: ' ' },
			'The "Reskin Description" parameter is empty',
		],
		['no rows in the list', 'sprite', { ...OVERLAY, rows: {} }, 'The "Rows" parameter has no rows'],
		[
			'a row without a title',
			'sprite',
			{
				...OVERLAY,
				rows: {
					row: [
						{ title: 'Idle', description: 'Standing' },
						{ title: ' ', description: 'Walking' },
					],
				},
			},
			'"title" in row 2 of "Rows" must be text',
		],
		['no rows in the JSON', 'sprite', withRows('[]'), 'The "Rows (JSON)" parameter has no rows'],
		[
			'rows that are not a list',
			'sprite',
			withRows('{"row": 1}'),
			'The "Rows (JSON)" parameter must be a list',
		],
		[
			'rows that are not JSON',
			'sprite',
			withRows('[{'),
			'The "Rows (JSON)" parameter is not valid JSON',
		],
		[
			'a row whose number is no number',
			'sprite',
			withRows('[{"row": "one", "title": "Idle", "description": "Standing"}]'),
			'"row" in row 1 of "Rows (JSON)" must be a whole number from 1',
		],
		[
			'no character image',
			'sprite',
			{ ...OVERLAY, characterImagesFields: '={{ [] }}' },
			'The "Character Field Name(s)" parameter does not name a binary field',
		],
		[
			'five character images',
			'sprite',
			{ ...OVERLAY, characterImagesFields: 'data,data,data,data,data' },
			'AetherForge takes up to 4 character images, but the item has 5',
		],
		[
			'two images where the API takes one',
			'imageTune',
			{ imageField: '={{ ["data", "data"] }}' },
			'AetherForge takes only 1 image, but the item has 2',
		],
		[
			'an image that the item does not have',
			'sprite',
			{ text: 'Walking', imageField: 'photo' },
			'The item has no binary field "photo"',
		],
		[
			'an end frame that the item does not have',
			'sprite',
			{
				apiVersion: 'v2',
				text: 'Walking',
				endFrameImageSource: 'binary',
				endFrameImageField: 'last',
			},
			'The item has no binary field "last"',
		],
		[
			'an operation that does not exist',
			'imageTune',
			{ operation: 'removeBackground' },
			'This operation does not exist',
		],
	])('%s', async (_, node, parameters, message) => {
		const { error, items } = await run(node, parameters);
		expect([error?.message, items]).toEqual([message, []]);
		expect(error?.description).toContain('No job was started, and nothing was charged.');
	});

	it('an operation that does not exist is an error item in the error output, for each item', async () => {
		const { items, errorItems } = await runEngine({
			node: 'imageTune',
			parameters: { operation: 'removeBackground' },
			items: [{ json: {} }, { json: {} }],
			nodeSettings: { onError: 'continueErrorOutput' },
		});
		expect(items).toEqual([]);
		expect(errorItems.map(({ json }) => json.error)).toMatchObject([
			{ message: 'This operation does not exist' },
			{ message: 'This operation does not exist' },
		]);
	});
});
