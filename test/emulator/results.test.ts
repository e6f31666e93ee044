import { createCanvas, loadImage } from '@napi-rs/canvas';
import type { Canvas } from '@napi-rs/canvas';
import { decompressFrames, parseGIF } from 'gifuct-js';
import { ENDPOINT_CASES } from '../support/endpointCases';
import { downloadResults, exampleFor, formOf, post, type Sending } from './client';
import { draw } from './drawing/draw';
import { startEmulator, type Emulator } from './emulator';
import { Jobs, type PictureSubject } from './jobs';

// What a person recognizes of each endpoint's results, drawn and served.

const IMAGE = '/public/v1/generate/image';
const INPAINT = '/public/v1/image-tune/inpaint/v2';
const UPSCALE = '/public/v1/image-tune/upscale';
const SPLIT_LAYER = '/public/v1/image-tune/split-layer';
const SPRITE_V1 = '/public/v1/sprite/make-sprite/v1';
const SPRITE_V2 = '/public/v1/sprite/make-sprite/v2';
const RED = [230, 30, 40, 255];
const BLUE = [16, 32, 224, 255];
const WHITE = [255, 255, 255, 255];
const HEIC = Buffer.from('\0\0\0\x1cftypheic');

let emulator: Emulator;

beforeAll(async () => {
	emulator = await startEmulator({ jobDurationMs: 0 });
});

afterAll(async () => {
	await emulator.close();
});

/** The results of the endpoint's example, changed. */
async function results(path: string, change: Sending = {}): Promise<Buffer[]> {
	const example = exampleFor(path);
	const form = formOf({
		fields: { ...example.fields, ...change.fields },
		files: { ...example.files, ...change.files },
	});
	expect(await post(emulator, path, form)).toMatchObject({ status: 200 });
	return (await downloadResults(emulator)).map(({ content }) => content);
}

async function onlyPicture(path: string, change?: Sending): Promise<Picture> {
	const contents = await results(path, change);
	expect(contents).toHaveLength(1);
	return await decoded(contents[0]);
}

interface Picture {
	width: number;
	height: number;
	/** Red, green, blue and alpha of a pixel. */
	at: (x: number, y: number) => number[];
}

/** The pictures on top of each other, each as large as the first. */
async function decoded(...contents: (Buffer | undefined)[]): Promise<Picture> {
	const images = await Promise.all(contents.map((content) => loadImage(content ?? '')));
	const canvas = createCanvas(images[0]?.width ?? 0, images[0]?.height ?? 0);
	const context = canvas.getContext('2d');
	context.imageSmoothingEnabled = false;
	for (const image of images) context.drawImage(image, 0, 0);
	return rasterOf(canvas);
}

function rasterOf(canvas: Canvas): Picture {
	const { width, height } = canvas;
	return pictureOf(canvas.getContext('2d').getImageData(0, 0, width, height).data, width, height);
}

function pictureOf(data: Uint8ClampedArray, width: number, height: number): Picture {
	return {
		width,
		height,
		at: (x, y) => [...data.subarray((y * width + x) * 4, (y * width + x) * 4 + 4)],
	};
}

/** The part of the pixels that is so. Large pictures are looked at in a grid. */
function share(
	picture: Picture | undefined,
	isSo: (pixel: number[], x: number, y: number) => boolean,
): number {
	if (!picture) throw new Error('There is no such picture');
	// Odd, so that a grid of blocks is met at all of their pixels.
	const step = Math.floor(picture.width / 96) | 1;
	let [count, total] = [0, 0];
	for (let y = 0; y < picture.height; y += step) {
		for (let x = 0; x < picture.width; x += step) {
			total++;
			if (isSo(picture.at(x, y), x, y)) count++;
		}
	}
	return count / total;
}

/** All cells of a sheet of so many columns and rows. */
function cellsOf(sheet: Picture, columns: number, rows = columns): Picture[] {
	const width = sheet.width / columns;
	const height = sheet.height / rows;
	return Array.from({ length: columns * rows }, (_, index) => {
		const left = (index % columns) * width;
		const top = Math.floor(index / columns) * height;
		return { width, height, at: (x, y) => sheet.at(left + x, top + y) };
	});
}

function isClose(pixel: number[], color: readonly number[], tolerance = 3): boolean {
	return pixel.every((value, channel) => Math.abs(value - (color[channel] ?? 0)) <= tolerance);
}

const isRed = (pixel: number[]): boolean => isClose(pixel, RED);
const isBlue = (pixel: number[]): boolean => isClose(pixel, BLUE);
const isWhite = (pixel: number[]): boolean => isClose(pixel, WHITE);
const isClear = (pixel: number[]): boolean => pixel[3] === 0;
const isOpaque = (pixel: number[]): boolean => pixel[3] === 255;

function likeness(one: Picture, other: Picture): number {
	return share(one, (pixel, x, y) => isClose(pixel, other.at(x, y), 6));
}

function blockiness(picture: Picture): number {
	return share(picture, (pixel, x, y) => isClose(pixel, picture.at(x - (x % 4), y - (y % 4)), 0));
}

/** A picture without a plain background. */
function photo(width: number, height: number): Canvas {
	const canvas = createCanvas(width, height);
	const context = canvas.getContext('2d');
	const sky = context.createLinearGradient(0, 0, 0, height);
	sky.addColorStop(0, '#1c4f8f');
	sky.addColorStop(1, '#f3b26b');
	context.fillStyle = sky;
	context.fillRect(0, 0, width, height);
	return canvas;
}

/** A figure in the middle of a white picture. */
function figure(color: readonly number[]): Buffer {
	const canvas = createCanvas(120, 120);
	const context = canvas.getContext('2d');
	context.fillStyle = '#ffffff';
	context.fillRect(0, 0, 120, 120);
	context.fillStyle = `rgb(${color.slice(0, 3).join(' ')})`;
	context.fillRect(40, 20, 40, 80);
	return canvas.toBuffer('image/png');
}

describe('a picture of a prompt', () => {
	it('is a PNG of 1024×1024 and moderate size', async () => {
		const [content = Buffer.alloc(0)] = await results(IMAGE);
		expect(content.subarray(0, 8).toString('hex')).toBe('89504e470d0a1a0a');
		expect([content.readUInt32BE(16), content.readUInt32BE(20)]).toEqual([1024, 1024]);
		expect(content.length).toBeLessThan(400_000);
	});

	it('shows the prompt, the model and its number, and is the same one when drawn again', async () => {
		// A colour follows from the job and the prompt; the words alone tell these apart.
		const id = '0b0e51de-3c86-4a4f-9f0c-3d6f0f6f1c11';
		const drawn = async (subject: Partial<PictureSubject>, number = 1) => {
			const jobs = new Jobs(() => 0, { durationMs: 0, imagesPerJob: 2 });
			return (await draw(jobs.add({ id, subject }), number, 'png')).toString('base64');
		};
		const lighthouse = { prompt: 'A lighthouse', model: 'GPT Image 2' };
		const pictures = [
			await drawn(lighthouse),
			await drawn({ ...lighthouse, prompt: 'A ship' }),
			await drawn({ ...lighthouse, model: 'Nano Banana' }),
			await drawn(lighthouse, 2),
		];
		expect(new Set(pictures).size).toBe(4);
		expect(await drawn(lighthouse)).toBe(pictures[0]);
	});

	it('shows each reference, and a tile for one that cannot be decoded', async () => {
		const redWith = async (...references: Buffer[]) =>
			share(await onlyPicture(IMAGE, { files: { ref_images: references } }), isRed);
		const one = await redWith(figure(RED));
		expect(await redWith()).toBe(0);
		expect(one).toBeGreaterThan(0.005);
		expect((await redWith(figure(RED), HEIC, figure(RED))) / one).toBeCloseTo(2, 0);
	});

	it('is a GIF too', async () => {
		const [, gif = Buffer.alloc(0)] = await results(IMAGE, { fields: { prompt: 'A ship #gif' } });
		expect(gif.subarray(0, 6).toString()).toMatch(/^GIF8[79]a$/);
		expect(await loadImage(gif)).toMatchObject({ width: 1024, height: 1024 });
	});

	it.each([
		['without spaces', 'x'.repeat(100_000)],
		['without end', 'two words '.repeat(10_000)],
		['of other scripts', '🦊漢'.repeat(300)],
		['of tags alone', '#images-1'],
	])('copes with prompts %s', async (_, prompt) => {
		expect((await onlyPicture(IMAGE, { fields: { prompt } })).width).toBe(1024);
	});
});

it.each([
	['1K', 1024, 512],
	['2K', 2048, 1024],
	// The largest takes seconds to encode, so it is drawn only here.
	['4K', 4096, 2048],
])('upscaling gives %s on the longer side and shows the input', async (scale, width, height) => {
	const files = { image: [photo(400, 200).toBuffer('image/png')] };
	const [content = ''] = await results(UPSCALE, { fields: { scale }, files });
	const image = await loadImage(content);
	expect([image.width, image.height]).toEqual([width, height]);
	const small = createCanvas(400, 200);
	small.getContext('2d').drawImage(image, 0, 0, 400, 200);
	expect(likeness(rasterOf(small), rasterOf(photo(400, 200)))).toBeGreaterThan(0.8);
});

it('inpainting changes a part of the input and keeps its size', async () => {
	const image = photo(500, 300);
	const picture = await onlyPicture(INPAINT, { files: { image: [image.toBuffer('image/png')] } });
	expect([picture.width, picture.height]).toEqual([500, 300]);
	const kept = likeness(picture, rasterOf(image));
	expect(kept).toBeGreaterThan(0.6);
	expect(kept).toBeLessThan(0.97);
});

describe('split layers', () => {
	it('are transparent in part, and show the input when they are stacked', async () => {
		const image = photo(320, 240);
		const files = { image: [image.toBuffer('image/png')] };
		const layers = await results(SPLIT_LAYER, { files });
		expect(layers).toHaveLength(4);
		for (const layer of layers) {
			const picture = await decoded(layer);
			expect(share(picture, isClear)).toBeGreaterThan(0.5);
			expect(share(picture, isOpaque)).toBeGreaterThan(0.15);
		}
		expect(likeness(await decoded(...layers), rasterOf(image))).toBe(1);
	});

	it('are as many as a tag asks for', async () => {
		expect(await results(SPLIT_LAYER, { fields: { keyword: 'arm #images-2' } })).toHaveLength(2);
	});
});

describe('a sprite', () => {
	it.each([
		[SPRITE_V1, 25, 'false'],
		[SPRITE_V2, 49, 'true'],
	])('of %s with %i frames is a square sheet and an animation', async (path, count, pixel) => {
		const fields = { frame: String(count), is_pixel: pixel };
		const [sheetContent, gif = Buffer.alloc(0)] = await results(path, { fields });
		const sheet = await decoded(sheetContent);
		const columns = Math.sqrt(count);
		expect(sheet.width).toBe(sheet.height);
		expect(sheet.width % columns).toBe(0);
		// It goes on without end.
		expect(gif.toString('latin1')).toContain('NETSCAPE2.0\x03\x01\0\0');
		const animation = parseGIF(new Uint8Array(gif).buffer);
		expect(animation.lsd.width).toBe(sheet.width / columns);
		const frames = decompressFrames(animation, true);
		expect(frames).toHaveLength(count);
		expect(new Set(frames.map(({ delay }) => delay))).toEqual(new Set([60]));
		const cells = cellsOf(sheet, columns);
		for (const [index, { patch, dims }] of frames.entries()) {
			const cell = cells[index];
			const frame = pictureOf(patch, dims.width, dims.height);
			expect(share(cell, isOpaque)).toBeGreaterThan(0.08);
			expect(cell?.at(0, 0)[3]).toBe(0);
			// The GIF is the same figure on white, in at most 256 colors a frame.
			expect(frame.at(0, 0)).toEqual(WHITE);
			const alike = share(
				cell,
				(drawn, x, y) => !isOpaque(drawn) || isClose(frame.at(x, y), drawn, 40),
			);
			expect(alike).toBeGreaterThan(0.97);
		}
		const [first, second] = cells;
		if (first && second) expect(likeness(first, second)).toBeLessThan(0.999);
	});

	it('is drawn in pixels where the input is', async () => {
		const [sheet] = await results(SPRITE_V1, { fields: { is_pixel: 'true' } });
		expect(blockiness(await decoded(sheet))).toBe(1);
	});

	it('is the figure of the input, in every cell', async () => {
		const [sheet] = await results(SPRITE_V1, { files: { image: [figure(RED)] } });
		for (const cell of cellsOf(await decoded(sheet), 5)) {
			expect(share(cell, isRed)).toBeGreaterThan(0.1);
			expect(share(cell, isWhite)).toBe(0);
		}
	});

	it('turns from the start frame into the end frame', async () => {
		const files = { start_frame_image: [figure(RED)], end_frame_image: [figure(BLUE)] };
		const [sheet] = await results(SPRITE_V2, { files });
		const cells = cellsOf(await decoded(sheet), 7);
		expect(share(cells.at(0), isRed)).toBeGreaterThan(0.1);
		expect(share(cells.at(0), isBlue)).toBe(0);
		expect(share(cells.at(-1), isBlue)).toBeGreaterThan(0.1);
		expect(share(cells.at(-1), isRed)).toBe(0);
	});
});

describe('a reskinned sheet', () => {
	it.each([
		['/public/v1/sprite/reskin/v1', { resolution: '2K' }, 2048],
		['/public/v1/sprite/reskin/v2', { quality: 'pro' }, 1024],
	])('of %s keeps its shapes in other colors', async (path, fields, side) => {
		const [sheet = Buffer.alloc(0)] = await results(SPRITE_V1, { files: { image: [figure(RED)] } });
		const picture = await onlyPicture(path, { fields, files: { image: [sheet] } });
		expect([picture.width, picture.height]).toEqual([side, side]);
		const before = await decoded(sheet);
		expect(share(picture, isOpaque)).toBeCloseTo(share(before, isOpaque), 1);
		expect(share(picture, isClear)).toBeCloseTo(share(before, isClear), 1);
		expect(share(picture, (pixel) => isClose(pixel, RED, 30))).toBe(0);
	});

	it('is drawn in pixels in the pixel style', async () => {
		const picture = await onlyPicture('/public/v1/sprite/reskin/v1', {
			fields: { style: 'pixel' },
			files: { image: [photo(64, 64).toBuffer('image/png')] },
		});
		expect(blockiness(picture)).toBe(1);
	});
});

it.each([
	['/public/v1/sprite/character-overlay/v1', { resolution: '2K' }, 2048],
	['/public/v1/sprite/character-overlay/v2', { quality: 'pro' }, 1024],
])('a character overlay of %s has a row of frames for each row', async (path, fields, side) => {
	const rows = ['Idle', 'Walk', 'Jump'].map((title, index) => ({
		row: index + 1,
		title,
		description: '',
	}));
	const picture = await onlyPicture(path, {
		fields: { ...fields, rows: JSON.stringify(rows) },
		files: { character_images: [figure(RED), figure(BLUE)] },
	});
	expect([picture.width, picture.height]).toEqual([side, (3 * side) / 8]);
	expect(isClear(picture.at(0, 0))).toBe(true);
	for (const [index, cell] of cellsOf(picture, 8, 3).entries()) {
		// The characters take turns, one a row.
		const isItsColor = Math.floor(index / 8) === 1 ? isBlue : isRed;
		expect(share(cell, isItsColor)).toBeGreaterThan(0.1);
	}
});

it.each([
	['1K', 1024],
	['2K', 2048],
])('an effect of version 1 is a square of %s', async (resolution, side) => {
	const picture = await onlyPicture('/public/v1/generate/effect/v1', { fields: { resolution } });
	expect([picture.width, picture.height]).toEqual([side, side]);
	expect(share(picture, isOpaque)).toBe(1);
});

it.each([4, 9, 16])('an effect of version 2 is a sheet of %i frames on white', async (count) => {
	const picture = await onlyPicture('/public/v1/generate/effect/v2', {
		fields: { frame: String(count) },
	});
	expect(picture.width).toBe(picture.height);
	for (const cell of cellsOf(picture, Math.sqrt(count))) {
		const far = cell.width - 1;
		const corners = [cell.at(0, 0), cell.at(far, 0), cell.at(0, far), cell.at(far, far)];
		expect(corners).toEqual([WHITE, WHITE, WHITE, WHITE]);
		const painted = 1 - share(cell, isWhite);
		expect(painted).toBeGreaterThan(0.02);
		expect(painted).toBeLessThan(0.8);
	}
});

const PATHS_WITH_INPUT = ENDPOINT_CASES.map(({ path }) => path).filter(
	(path) => Object.keys(exampleFor(path).files).length > 0,
);

it.each(PATHS_WITH_INPUT)('%s has results for inputs that cannot be decoded', async (path) => {
	const fields = Object.keys(exampleFor(path).files);
	const contents = await results(path, {
		fields: path === UPSCALE ? { scale: '1K' } : {},
		files: Object.fromEntries(fields.map((field) => [field, [HEIC]])),
	});
	for (const content of contents) {
		expect((await loadImage(content)).width).toBeGreaterThan(100);
	}
});
