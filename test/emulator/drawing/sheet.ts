import { createCanvas, GifEncoder } from '@napi-rs/canvas';
import type { Canvas } from '@napi-rs/canvas';

const FRAME_MS = 60;

/** The frames in rows from left to right, each in a cell of its own, on transparency. */
export function sheetOf(frames: readonly Canvas[], columns: number): Canvas {
	const width = frames[0]?.width ?? 1;
	const height = frames[0]?.height ?? 1;
	const rows = Math.ceil(frames.length / columns);
	const sheet = createCanvas(width * columns, height * rows);
	const context = sheet.getContext('2d');
	// Smoothing blurs edges even where nothing is scaled.
	context.imageSmoothingEnabled = false;
	for (const [index, frame] of frames.entries()) {
		context.drawImage(frame, (index % columns) * width, Math.floor(index / columns) * height);
	}
	return sheet;
}

/** The frames one after the other, without end, on white: half a transparency is none in a GIF. */
export function animationOf(frames: readonly Canvas[]): Buffer {
	const width = frames[0]?.width ?? 1;
	const height = frames[0]?.height ?? 1;
	const encoder = new GifEncoder(width, height, { repeat: 0, quality: 10 });
	for (const frame of frames) {
		const canvas = createCanvas(width, height);
		const context = canvas.getContext('2d');
		context.imageSmoothingEnabled = false;
		context.fillStyle = '#ffffff';
		context.fillRect(0, 0, width, height);
		context.drawImage(frame, 0, 0);
		const { data } = context.getImageData(0, 0, width, height);
		encoder.addFrame(new Uint8Array(data), width, height, { delay: FRAME_MS });
	}
	return encoder.finish();
}

/** The picture in blocks of so many pixels, each of one color and either there or not. */
export function pixelated(picture: Canvas, block: number): Canvas {
	const small = createCanvas(
		Math.max(1, Math.round(picture.width / block)),
		Math.max(1, Math.round(picture.height / block)),
	);
	const smallContext = small.getContext('2d');
	smallContext.imageSmoothingQuality = 'medium';
	smallContext.drawImage(picture, 0, 0, small.width, small.height);
	const pixels = smallContext.getImageData(0, 0, small.width, small.height);
	for (let at = 3; at < pixels.data.length; at += 4) {
		pixels.data[at] = (pixels.data[at] ?? 0) < 128 ? 0 : 255;
	}
	smallContext.putImageData(pixels, 0, 0);
	const canvas = createCanvas(picture.width, picture.height);
	const context = canvas.getContext('2d');
	context.imageSmoothingEnabled = false;
	context.drawImage(small, 0, 0, canvas.width, canvas.height);
	return canvas;
}
