import { dirname, join } from 'node:path';
import { createCanvas, GifEncoder, GlobalFonts, loadImage } from '@napi-rs/canvas';
import type { Canvas, SKRSContext2D } from '@napi-rs/canvas';

const SCRIPTS = ['latin', 'latin-ext', 'cyrillic', 'greek', 'vietnamese'];
const FAMILY = [...SCRIPTS.map((script) => `"Inter ${script}"`), 'sans-serif'].join(', ');
// The fonts come from a package, since a machine that runs tests may have none.
const fonts = join(dirname(require.resolve('@fontsource/inter/package.json')), 'files');
for (const script of SCRIPTS) {
	GlobalFonts.registerFromPath(join(fonts, `inter-${script}-600-normal.woff2`), `Inter ${script}`);
}

const FRAME_MS = 60;
/** How far a pixel's channels may be from the background's to count as background. */
const TOLERANCE = 36;

/** An empty canvas with its context. Smoothing, which blurs even unscaled edges, is off. */
export function blank(width: number, height: number): { canvas: Canvas; context: SKRSContext2D } {
	const canvas = createCanvas(Math.max(1, Math.round(width)), Math.max(1, Math.round(height)));
	const context = canvas.getContext('2d');
	context.imageSmoothingEnabled = false;
	return { canvas, context };
}

/** The picture in a file; `undefined` for a format that cannot be decoded here (HEIC, TIFF). */
export async function pictureIn(content: Buffer): Promise<Canvas | undefined> {
	try {
		const image = await loadImage(content);
		const { canvas, context } = blank(image.width, image.height);
		context.drawImage(image, 0, 0);
		return canvas;
	} catch {
		return undefined;
	}
}

/** The picture with its longer side so many pixels long, and what a filter makes of it. */
export function scaled(picture: Canvas, pixels: number, filter = 'none'): Canvas {
	const scale = pixels / Math.max(picture.width, picture.height);
	const { canvas, context } = blank(picture.width * scale, picture.height * scale);
	context.imageSmoothingEnabled = scale !== 1;
	context.imageSmoothingQuality = 'high';
	context.filter = filter;
	context.drawImage(picture, 0, 0, canvas.width, canvas.height);
	return canvas;
}

/** The picture in blocks of so many pixels, each of one color. */
export function pixelated(picture: Canvas, block: number): Canvas {
	const small = scaled(picture, Math.max(picture.width, picture.height) / block);
	const { canvas, context } = blank(picture.width, picture.height);
	context.drawImage(small, 0, 0, canvas.width, canvas.height);
	return canvas;
}

/** A character off its plain background, the color of the first pixel; a picture of one color as it is. */
export function withoutBackground(picture: Canvas): Canvas {
	const { canvas, context } = blank(picture.width, picture.height);
	context.drawImage(picture, 0, 0);
	const pixels = context.getImageData(0, 0, canvas.width, canvas.height);
	const { data } = pixels;
	const background = data.slice(0, 3);
	let isEmpty = true;
	for (let at = 0; at < data.length; at += 4) {
		const isBackground = background.every(
			(value, channel) => Math.abs(value - (data[at + channel] ?? 0)) <= TOLERANCE,
		);
		if (isBackground) data[at + 3] = 0;
		else isEmpty = false;
	}
	if (isEmpty) return picture;
	context.putImageData(pixels, 0, 0);
	return canvas;
}

/** The frames in rows from left to right, each in a cell of its own. */
export function sheetOf(frames: readonly Canvas[], columns: number): Canvas {
	const { width = 1, height = 1 } = frames[0] ?? {};
	const { canvas, context } = blank(width * columns, height * Math.ceil(frames.length / columns));
	for (const [index, frame] of frames.entries()) {
		context.drawImage(frame, (index % columns) * width, Math.floor(index / columns) * height);
	}
	return canvas;
}

/** The frames one after the other, without end, on white: half a transparency is none in a GIF. */
export function animationOf(frames: readonly Canvas[]): Buffer {
	const { width = 1, height = 1 } = frames[0] ?? {};
	const encoder = new GifEncoder(width, height, { repeat: 0, quality: 10 });
	for (const frame of frames) {
		const { context } = blank(width, height);
		context.fillStyle = 'white';
		context.fillRect(0, 0, width, height);
		context.drawImage(frame, 0, 0);
		const { data } = context.getImageData(0, 0, width, height);
		encoder.addFrame(new Uint8Array(data), width, height, { delay: FRAME_MS });
	}
	return encoder.finish();
}

/** A filled circle. */
export function drawDisc(
	context: SKRSContext2D,
	color: string,
	{ x, y, radius }: { x: number; y: number; radius: number },
): void {
	context.fillStyle = color;
	context.beginPath();
	context.arc(x, y, radius, 0, 2 * Math.PI);
	context.fill();
}

/** A line of text, its upper left corner at a point; squeezed where it would be too wide. */
export function drawText(
	context: SKRSContext2D,
	text: string,
	{ x, y, size, color = 'white' }: { x: number; y: number; size: number; color?: string },
): void {
	context.font = `600 ${size}px ${FAMILY}`;
	context.textBaseline = 'top';
	context.fillStyle = color;
	context.fillText(text, x, y, context.canvas.width - 2 * x);
}

/** Lines of text on a dark ground, which begins so far down; unit: a hundredth of the shorter side. */
export function drawCaption(context: SKRSContext2D, lines: readonly string[], top = 3): void {
	const { width, height } = context.canvas;
	const unit = Math.min(width, height) / 100;
	context.fillStyle = 'rgba(10, 12, 24, 0.65)';
	context.fillRect(3 * unit, top * unit, width - 6 * unit, (lines.length * 6 + 3) * unit);
	for (const [index, line] of lines.entries()) {
		const y = (top + 2 + index * 6) * unit;
		drawText(context, line, { x: 6 * unit, y, size: 3.5 * unit });
	}
}

/** The text in at most four lines; words too long for a line are broken. */
export function wrapped(text: string): string[] {
	const lines = [''];
	for (const word of text.slice(0, 1000).match(/\S{1,40}/gu) ?? []) {
		const joined = `${lines.at(-1) ?? ''} ${word}`.trim();
		if (joined.length <= 44) lines.splice(-1, 1, joined);
		else lines.push(word);
	}
	return lines.length <= 4 ? lines : [...lines.slice(0, 3), `${lines[3] ?? ''}…`];
}
