import { createCanvas, loadImage } from '@napi-rs/canvas';
import type { Canvas } from '@napi-rs/canvas';
import { decompressFrames, parseGIF } from 'gifuct-js';
import { downloadResults, formOf, post, type Sending } from './client';
import { startEmulator, type Emulator } from './emulator';
import { EXAMPLES } from './examples';

// What a person sees of each endpoint's results, drawn and served.

const UPSCALE = '/public/v1/image-tune/upscale';
const SPLIT_LAYER = '/public/v1/image-tune/split-layer';
const SPRITE_V1 = '/public/v1/sprite/make-sprite/v1';
const SPRITE_V2 = '/public/v1/sprite/make-sprite/v2';
const RED = [230, 30, 40, 255];
const WHITE = [255, 255, 255, 255];

let emulator: Emulator;

beforeAll(async () => {
	emulator = await startEmulator({ jobDurationMs: 0 });
});

afterAll(async () => {
	await emulator.close();
});

/** The results of the endpoint's example, changed. */
async function results(path: string, change: Sending = {}): Promise<Buffer[]> {
	const example = EXAMPLES[path];
	const form = formOf({
		fields: { ...example?.fields, ...change.fields },
		files: { ...example?.files, ...change.files },
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

async function decoded(content: Buffer | undefined): Promise<Picture> {
	if (!content) throw new Error('There is no such result');
	const { width, height } = await loadImage(content);
	const canvas = createCanvas(width, height);
	const context = canvas.getContext('2d');
	context.imageSmoothingEnabled = false;
	context.drawImage(await loadImage(content), 0, 0);
	return pictureOf(canvas);
}

function pictureOf(canvas: Canvas): Picture {
	const { width, height } = canvas;
	const { data } = canvas.getContext('2d').getImageData(0, 0, width, height);
	return rasterOf(data, width, height);
}

function rasterOf(data: Uint8ClampedArray, width: number, height: number): Picture {
	return {
		width,
		height,
		at: (x, y) => {
			const from = (y * width + x) * 4;
			return [data[from] ?? 0, data[from + 1] ?? 0, data[from + 2] ?? 0, data[from + 3] ?? 0];
		},
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

/** A cell of a sheet of so many columns and rows. */
function cellOf(sheet: Picture, columns: number, rows: number, index: number): Picture {
	const width = sheet.width / columns;
	const height = sheet.height / rows;
	const left = (index % columns) * width;
	const top = Math.floor(index / columns) * height;
	return { width, height, at: (x, y) => sheet.at(left + x, top + y) };
}

function likeness(one: Picture, other: Picture): number {
	return share(one, (pixel, x, y) => isClose(pixel, other.at(x, y), 6));
}

function isClose(pixel: number[], color: number[], tolerance: number): boolean {
	return pixel.every((value, channel) => Math.abs(value - (color[channel] ?? 0)) <= tolerance);
}

const isClear = (pixel: number[]): boolean => pixel[3] === 0;
const isOpaque = (pixel: number[]): boolean => pixel[3] === 255;

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

/** A red figure in the middle of a white picture. */
function redFigure(): Buffer {
	const canvas = createCanvas(120, 120);
	const context = canvas.getContext('2d');
	context.fillStyle = '#ffffff';
	context.fillRect(0, 0, 120, 120);
	context.fillStyle = `rgb(${RED.slice(0, 3).join(' ')})`;
	context.fillRect(40, 20, 40, 80);
	return canvas.toBuffer('image/png');
}

describe('an upscaled image', () => {
	it.each([
		['1K', 1024, 512],
		['2K', 2048, 1024],
		// The largest takes seconds to encode, so it is drawn only here.
		['4K', 4096, 2048],
	])('has %s on its longer side and shows the input', async (scale, width, height) => {
		const image = photo(400, 200).toBuffer('image/png');
		const [content] = await results(UPSCALE, { fields: { scale }, files: { image: [image] } });
		const loaded = await loadImage(content ?? Buffer.alloc(0));
		expect([loaded.width, loaded.height]).toEqual([width, height]);
		const small = createCanvas(400, 200);
		small.getContext('2d').drawImage(loaded, 0, 0, 400, 200);
		expect(likeness(pictureOf(small), pictureOf(photo(400, 200)))).toBeGreaterThan(0.8);
	});
});

it('inpainting changes a part of the input and keeps its size', async () => {
	const image = photo(500, 300);
	const path = '/public/v1/image-tune/inpaint/v2';
	const picture = await onlyPicture(path, { files: { image: [image.toBuffer('image/png')] } });
	expect([picture.width, picture.height]).toEqual([500, 300]);
	const kept = likeness(picture, pictureOf(image));
	expect(kept).toBeGreaterThan(0.6);
	expect(kept).toBeLessThan(0.97);
});

describe('split layers', () => {
	async function stacked(layers: readonly Buffer[]): Promise<Picture> {
		const { width, height } = await loadImage(layers[0] ?? Buffer.alloc(0));
		const canvas = createCanvas(width, height);
		const context = canvas.getContext('2d');
		context.imageSmoothingEnabled = false;
		for (const layer of layers) context.drawImage(await loadImage(layer), 0, 0);
		return pictureOf(canvas);
	}

	it('are transparent in part, and show the input when they are stacked', async () => {
		const image = photo(320, 240);
		const layers = await results(SPLIT_LAYER, {
			files: { image: [image.toBuffer('image/png')] },
		});
		expect(layers).toHaveLength(4);
		for (const layer of layers) {
			const picture = await decoded(layer);
			expect(share(picture, isClear)).toBeGreaterThan(0.5);
			expect(share(picture, isOpaque)).toBeGreaterThan(0.15);
		}
		expect(likeness(await stacked(layers), pictureOf(image))).toBe(1);
	});

	it('of a figure on a plain background are the background and parts of the figure', async () => {
		const image = redFigure();
		const [background, ...parts] = await results(SPLIT_LAYER, { files: { image: [image] } });
		expect(share(await decoded(background), (pixel) => isClose(pixel, WHITE, 0))).toBe(1);
		expect(parts).toHaveLength(3);
		for (const part of parts) {
			const picture = await decoded(part);
			const isRed = (pixel: number[]): boolean => isClose(pixel, RED, 0);
			expect(share(picture, isRed)).toBeGreaterThan(0.05);
			expect(share(picture, (pixel) => isClear(pixel) || isRed(pixel))).toBeGreaterThan(0.99);
		}
		const whole = await stacked([background ?? Buffer.alloc(0), ...parts]);
		expect(likeness(whole, await decoded(image))).toBe(1);
	});

	it('are as many as a tag asks for', async () => {
		const layers = await results(SPLIT_LAYER, { fields: { keyword: 'arm #images-2' } });
		expect(layers).toHaveLength(2);
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
		const { frames, width } = animation(gif);
		expect(frames).toHaveLength(count);
		// It goes on without end.
		expect(gif.toString('latin1')).toContain('NETSCAPE2.0\x03\x01\0\0');
		expect(width).toBe(sheet.width / columns);
		for (const index of [0, 1, Math.floor(count / 2), count - 1]) {
			const cell = cellOf(sheet, columns, columns, index);
			expect(isClear(cell.at(0, 0))).toBe(true);
			expect(share(cell, isOpaque)).toBeGreaterThan(0.08);
			// The GIF is the same figure on white, in at most 256 colors a frame.
			const frame = frames[index];
			const alike = share(frame, (color, x, y) => {
				const drawn = cell.at(x, y);
				return !isOpaque(drawn) || isClose(color, drawn, 40);
			});
			expect(alike).toBeGreaterThan(0.97);
			expect(frame?.at(0, 0)).toEqual(WHITE);
		}
		const [first, second] = [0, 1].map((index) => cellOf(sheet, columns, columns, index));
		if (first && second) expect(likeness(first, second)).toBeLessThan(0.999);
	});

	it('is drawn in pixels where the input is', async () => {
		const [sheet] = await results(SPRITE_V1, { fields: { is_pixel: 'true' } });
		const cell = cellOf(await decoded(sheet), 5, 5, 3);
		expect(share(cell, (pixel, x, y) => isClose(pixel, cell.at(x - (x % 4), y - (y % 4)), 0))).toBe(
			1,
		);
	});

	it('is the figure of the input, in every cell', async () => {
		const [content] = await results(SPRITE_V1, { files: { image: [redFigure()] } });
		const sheet = await decoded(content);
		for (let index = 0; index < 25; index++) {
			const cell = cellOf(sheet, 5, 5, index);
			expect(share(cell, (pixel) => isClose(pixel, RED, 3))).toBeGreaterThan(0.1);
			expect(share(cell, (pixel) => isClose(pixel, WHITE, 3))).toBe(0);
		}
	});

	it('turns from the start frame into the end frame', async () => {
		const blue = createCanvas(100, 100);
		blue.getContext('2d').fillStyle = '#1020e0';
		blue.getContext('2d').fillRect(30, 10, 40, 80);
		const [content] = await results(SPRITE_V2, {
			files: {
				start_frame_image: [redFigure()],
				end_frame_image: [blue.toBuffer('image/png')],
			},
		});
		const sheet = await decoded(content);
		const isBlue = (pixel: number[]): boolean => isClose(pixel, [16, 32, 224, 255], 3);
		const [first, last] = [0, 48].map((index) => cellOf(sheet, 7, 7, index));
		expect(share(first, (pixel) => isClose(pixel, RED, 3))).toBeGreaterThan(0.1);
		expect(share(first, isBlue)).toBe(0);
		expect(share(last, isBlue)).toBeGreaterThan(0.1);
		expect(share(last, (pixel) => isClose(pixel, RED, 3))).toBe(0);
	});
});

function animation(gif: Buffer): { width: number; frames: Picture[] } {
	const parsed = parseGIF(new Uint8Array(gif).buffer);
	const frames = decompressFrames(parsed, true).map(({ patch, dims, delay }) => {
		expect(delay).toBe(60);
		return rasterOf(patch, dims.width, dims.height);
	});
	return { width: parsed.lsd.width, frames };
}

describe('a reskinned sheet', () => {
	it.each([
		['/public/v1/sprite/reskin/v1', { resolution: '2K' }, 2048],
		['/public/v1/sprite/reskin/v2', { quality: 'pro' }, 1024],
	])('of %s keeps its shapes in other colors', async (path, fields, side) => {
		const [sheet] = await results(SPRITE_V1, { files: { image: [redFigure()] } });
		const files = { image: [sheet ?? Buffer.alloc(0)] };
		const picture = await onlyPicture(path, { fields, files });
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
		const isBlocky = share(picture, (pixel, x, y) =>
			isClose(pixel, picture.at(x - (x % 4), y - (y % 4)), 0),
		);
		expect(isBlocky).toBe(1);
	});
});

describe('a character overlay', () => {
	it.each([
		['/public/v1/sprite/character-overlay/v1', { resolution: '2K' }, 2048],
		['/public/v1/sprite/character-overlay/v2', { quality: 'pro' }, 1024],
	])('of %s has a row of frames for each row', async (path, fields, side) => {
		const rows = ['Idle', 'Walk', 'Jump'].map((title, index) => ({
			row: index + 1,
			title,
			description: '',
		}));
		const picture = await onlyPicture(path, {
			fields: { ...fields, rows: JSON.stringify(rows) },
			files: { character_images: [redFigure()] },
		});
		const [columns, cell] = [8, side / 8];
		expect([picture.width, picture.height]).toEqual([side, 3 * cell]);
		expect(isClear(picture.at(0, 0))).toBe(true);
		for (let index = 0; index < 3 * columns; index++) {
			const frame = cellOf(picture, columns, 3, index);
			expect(share(frame, (pixel) => isClose(pixel, RED, 3))).toBeGreaterThan(0.1);
		}
	});
});

describe('an effect', () => {
	it.each([
		['1K', 1024],
		['2K', 2048],
	])('of version 1 is a square of %s', async (resolution, side) => {
		const picture = await onlyPicture('/public/v1/generate/effect/v1', { fields: { resolution } });
		expect([picture.width, picture.height]).toEqual([side, side]);
		expect(share(picture, isOpaque)).toBe(1);
	});

	it.each([4, 9, 16])('of version 2 is a sheet of %i frames on white', async (count) => {
		const picture = await onlyPicture('/public/v1/generate/effect/v2', {
			fields: { frame: String(count), description: 'A burst on black' },
		});
		expect(picture.width).toBe(picture.height);
		const columns = Math.sqrt(count);
		for (let index = 0; index < count; index++) {
			const cell = cellOf(picture, columns, columns, index);
			const far = cell.width - 1;
			for (const [x, y] of [
				[0, 0],
				[far, 0],
				[0, far],
				[far, far],
			] as const) {
				expect(cell.at(x, y)).toEqual(WHITE);
			}
			const painted = share(cell, (pixel) => !isClose(pixel, WHITE, 8));
			expect(painted).toBeGreaterThan(0.02);
			expect(painted).toBeLessThan(0.8);
		}
	});
});

const PATHS_WITH_INPUT = Object.keys(EXAMPLES).filter(
	(path) => Object.keys(EXAMPLES[path]?.files ?? {}).length > 0,
);

it.each(PATHS_WITH_INPUT)('%s has results for inputs that cannot be decoded', async (path) => {
	const { files = {} } = EXAMPLES[path] ?? {};
	const heic = Buffer.from('\0\0\0\x1cftypheic');
	const contents = await results(path, {
		fields: path === UPSCALE ? { scale: '1K' } : {},
		files: Object.fromEntries(Object.keys(files).map((field) => [field, [heic]])),
	});
	for (const content of contents) {
		expect((await loadImage(content)).width).toBeGreaterThan(100);
	}
});
