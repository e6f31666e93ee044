import { createHash } from 'node:crypto';
import { dirname, join } from 'node:path';
import { createCanvas, GifEncoder, GlobalFonts } from '@napi-rs/canvas';
import type { Canvas } from '@napi-rs/canvas';
import { readRows } from './endpoints';
import type { ImageFormat, Job } from './jobs';

// Results show what people have to recognize of their job: prompt, size, grid, layers, motion.

const SCRIPTS = ['latin', 'latin-ext', 'cyrillic', 'greek', 'vietnamese'];
const FONT = [...SCRIPTS.map((script) => `"Inter ${script}"`), 'sans-serif'].join(', ');
// The fonts come from a package, since a machine that runs tests may have none.
const fonts = join(dirname(require.resolve('@fontsource/inter/package.json')), 'files');
for (const script of SCRIPTS) {
	GlobalFonts.registerFromPath(join(fonts, `inter-${script}-600-normal.woff2`), `Inter ${script}`);
}

const SIDES: Readonly<Record<string, number>> = { '1K': 1024, '2K': 2048, '4K': 4096 };
/** Width and height of a frame of an animation. */
const CELL = 160;
const FRAME_MS = 60;
/** More rows of a sheet would be too small to see. */
const MAX_ROWS = 16;
const ROW_FRAMES = 8;

/** Draws a job's n-th result: always the same picture for the same job and number. */
export async function draw(job: Job, number: number, format: ImageFormat): Promise<Buffer> {
	const { frame, rows, scale, resolution } = job.fields;
	const side = SIDES[scale ?? resolution ?? ''] ?? 1024;
	const titles = rows === undefined ? [] : readRows(rows).slice(0, MAX_ROWS);
	const count = frame === undefined ? titles.length * ROW_FRAMES : Number(frame);
	const columns = frame === undefined ? ROW_FRAMES : Math.sqrt(count);
	const cell = frame === undefined ? side / ROW_FRAMES : CELL;
	const frames = Array.from({ length: count }, (_, index) => {
		const word = titles[Math.floor(index / columns)]?.title ?? String(index + 1);
		return frameOf(colorOf(job), cell, index / count, word);
	});
	if (format === 'gif') return animation(count > 0 ? frames : [pictureOf(job, number, side)]);
	const canvas = count > 0 ? sheetOf(frames, columns) : pictureOf(job, number, side);
	return await canvas.encode('png');
}

function colorOf({ id, prompt }: Job): string {
	const hue = createHash('sha256').update(`${id}/${prompt}`).digest().readUInt16BE() % 360;
	return `hsl(${hue} 60% 60%)`;
}

/** What was asked for, in words. Of several layers, each is a band; stacked, they cover the picture. */
function pictureOf(job: Job, number: number, side: number): Canvas {
	const canvas = createCanvas(side, side);
	const context = canvas.getContext('2d');
	const count = job.outcome.images.length;
	const [band, bands] = job.fields.keyword === undefined ? [1, 1] : [number, count];
	const top = Math.round((side * (band - 1)) / bands);
	context.fillStyle = colorOf(job);
	context.fillRect(0, top, side, Math.round((side * band) / bands) - top);
	const words = job.prompt.replace(/\s+/g, ' ').slice(0, 1000);
	const lines = words.match(/\S{44}|\S.{0,43}(?=\s|$)/gu)?.slice(0, 4) ?? [];
	const ofModel = job.fields.ai_model === undefined ? '' : `${job.fields.ai_model} · `;
	lines.push(`${ofModel}${number} of ${count} · ${side} × ${side} · job ${job.id.slice(0, 8)}`);
	for (const [index, line] of lines.entries()) {
		write(canvas, line, top + (side / 20) * (index + 1), side / 28);
	}
	return canvas;
}

/** A line of text, squeezed where it would be too wide. */
function write(canvas: Canvas, text: string, top: number, size: number): void {
	const context = canvas.getContext('2d');
	const margin = canvas.width / 20;
	context.font = `600 ${size}px ${FONT}`;
	context.textBaseline = 'top';
	context.fillStyle = '#2a2135';
	context.fillText(text, margin, top, canvas.width - 2 * margin);
}

/** A frame of a disc on its way round, on white, with a word above it. */
function frameOf(color: string, side: number, turn: number, word: string): Canvas {
	const canvas = createCanvas(side, side);
	const context = canvas.getContext('2d');
	context.fillStyle = 'white';
	context.fillRect(0, 0, side, side);
	context.fillStyle = color;
	const [x, y] = [Math.cos(2 * Math.PI * turn), Math.sin(2 * Math.PI * turn)];
	context.arc(side * (0.5 + 0.1 * x), side * (0.55 + 0.1 * y), side * 0.3, 0, 2 * Math.PI);
	context.fill();
	write(canvas, word, side * 0.03, side * 0.1);
	return canvas;
}

/** The frames in rows from left to right, each in a cell of its own. */
function sheetOf(frames: readonly Canvas[], columns: number): Canvas {
	const side = frames[0]?.width ?? 1;
	const canvas = createCanvas(side * columns, (side * frames.length) / columns);
	for (const [index, frame] of frames.entries()) {
		const [column, row] = [index % columns, Math.floor(index / columns)];
		canvas.getContext('2d').drawImage(frame, column * side, row * side);
	}
	return canvas;
}

/** The frames one after the other, without end. */
function animation(frames: readonly Canvas[]): Buffer {
	const { width = 1, height = 1 } = frames[0] ?? {};
	const encoder = new GifEncoder(width, height, { repeat: 0, quality: 10 });
	for (const frame of frames) {
		const { data } = frame.getContext('2d').getImageData(0, 0, width, height);
		encoder.addFrame(new Uint8Array(data), width, height, { delay: FRAME_MS });
	}
	return encoder.finish();
}
