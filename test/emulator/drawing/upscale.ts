import { createCanvas } from '@napi-rs/canvas';
import type { Canvas } from '@napi-rs/canvas';
import type { Artwork } from '../artwork';
import { drawChip } from './chip';
import type { Commission } from './commission';
import { inputPicture } from './input';

/** The input with its longer side as long as was asked for, and its new size written on it. */
export async function paintUpscaled(
	commission: Commission,
	{ pixels }: Extract<Artwork, { kind: 'upscale' }>,
): Promise<Canvas> {
	const input = await inputPicture(commission, pixels);
	const scale = pixels / Math.max(input.width, input.height);
	const canvas = createCanvas(
		Math.max(1, Math.round(input.width * scale)),
		Math.max(1, Math.round(input.height * scale)),
	);
	const context = canvas.getContext('2d');
	context.imageSmoothingQuality = 'high';
	context.drawImage(input, 0, 0, canvas.width, canvas.height);
	drawChip(context, `Upscaled to ${canvas.width} × ${canvas.height}`);
	return canvas;
}
