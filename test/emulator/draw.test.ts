import { createCanvas, loadImage } from '@napi-rs/canvas';
import { decompressFrames, parseGIF } from 'gifuct-js';
import { draw } from './draw';
import { Jobs, type ImageFormat, type Job } from './jobs';

// What a person and a test recognize of results.

const ID = '0b0e51de-3c86-4a4f-9f0c-3d6f0f6f1c11';
const PNGS: ImageFormat[] = ['png', 'png', 'png'];

async function drawn(
	fields: Job['fields'],
	change: { number?: number; format?: ImageFormat; prompt?: string } = {},
): Promise<Buffer> {
	const { number = 1, format = 'png', prompt = 'A lighthouse' } = change;
	const jobs = new Jobs(() => 0, 0);
	const job = jobs.add({ id: ID, prompt, fields, outcome: { images: PNGS } });
	return await draw(job, number, format);
}

interface Picture {
	width: number;
	height: number;
	/** Whether a point, given as parts of width and height, is "clear", "white", or of a color. */
	at: (x: number, y: number) => 'clear' | 'white' | 'color';
}

async function decoded(content: Buffer): Promise<Picture> {
	const image = await loadImage(content);
	const { width, height } = image;
	const context = createCanvas(width, height).getContext('2d');
	context.drawImage(image, 0, 0);
	const at = (x: number, y: number) => {
		const { data } = context.getImageData(Math.floor(x * width), Math.floor(y * height), 1, 1);
		if (data[3] === 0) return 'clear';
		return data.every((channel) => channel === 255) ? 'white' : 'color';
	};
	return { width, height, at };
}

it('tells prompts, models and the results of one job apart, and draws the same again', async () => {
	const pictures = [
		await drawn({ ai_model: 'GPT Image 2' }),
		await drawn({ ai_model: 'GPT Image 2' }, { prompt: 'A ship' }),
		await drawn({ ai_model: 'Nano Banana' }),
		await drawn({ ai_model: 'GPT Image 2' }, { number: 2 }),
		await drawn({ ai_model: 'GPT Image 2' }),
	].map((picture) => picture.toString('base64'));
	expect(new Set(pictures.slice(0, 4)).size).toBe(4);
	expect(pictures[4]).toBe(pictures[0]);
});

it.each([
	['without spaces', 'x'.repeat(100_000)],
	['of other scripts', '🦊漢\n'.repeat(300)],
	['without a word', ''],
])('copes with prompts %s', async (_, prompt) => {
	for (const format of ['png', 'gif'] as const) {
		const picture = await loadImage(await drawn({}, { prompt, format }));
		expect(picture).toMatchObject({ width: 1024, height: 1024 });
	}
});

const rows = JSON.stringify([1, 2, 3].map((row) => ({ row, title: 'Idle', description: '' })));

it.each<[Job['fields'], width: number, height: number, columns: number, lines: number]>([
	[{ scale: '1K' }, 1024, 1024, 1, 1],
	[{ scale: '4K' }, 4096, 4096, 1, 1],
	[{ resolution: '2K' }, 2048, 2048, 1, 1],
	[{ frame: '25' }, 800, 800, 5, 5],
	[{ frame: '169' }, 2080, 2080, 13, 13],
	[{ rows, resolution: '2K' }, 2048, 768, 8, 3],
	[{ rows, quality: 'pro' }, 1024, 384, 8, 3],
])('draws %j as %i × %i, of %i × %i frames', async (fields, width, height, columns, lines) => {
	const picture = await decoded(await drawn(fields));
	expect(picture).toMatchObject({ width, height });
	for (let cell = 0; cell < columns * lines; cell++) {
		const [x, y] = [(cell % columns) / columns, Math.floor(cell / columns) / lines];
		expect(picture.at(x + 0.5 / columns, y + 0.55 / lines)).toBe('color');
		if (columns > 1) expect(picture.at(x, y)).toBe('white');
	}
});

it('animates the frames of a sheet without end', async () => {
	const gif = await drawn({ frame: '25' }, { format: 'gif' });
	expect(gif.toString('latin1')).toContain('NETSCAPE2.0\x03\x01\0\0');
	const animation = parseGIF(new Uint8Array(gif).buffer);
	expect(animation.lsd).toMatchObject({ width: 160, height: 160 });
	const frames = decompressFrames(animation, true);
	expect(frames.map(({ delay }) => delay)).toEqual(Array(25).fill(60));
	expect(new Set(frames.map(({ patch }) => patch.join())).size).toBe(25);
	// Of the first and the middle frame, the disc has moved to the left.
	const { at } = await decoded(await drawn({ frame: '25' }));
	expect([at(0.04, 0.11), at(0.44, 0.51)]).toEqual(['white', 'color']);
});

it('draws layers that cover the picture when they are stacked', async () => {
	for (const number of [1, 2, 3]) {
		const { at } = await decoded(await drawn({ keyword: 'arm' }, { number }));
		const bands = [1 / 6, 3 / 6, 5 / 6].map((y) => at(0.01, y));
		expect(bands).toEqual([1, 2, 3].map((band) => (band === number ? 'color' : 'clear')));
	}
});
