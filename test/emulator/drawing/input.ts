import { createCanvas, loadImage } from '@napi-rs/canvas';
import type { Canvas } from '@napi-rs/canvas';
import type { Commission } from './commission';
import { drawLandscape, SIZE } from './landscape';

/** The files that a job was sent in a field, decoded; those that cannot be are left out. */
export async function inputsOf(
	{ job }: Commission,
	field: string,
	maxSide: number,
): Promise<Canvas[]> {
	const inputs: Canvas[] = [];
	for (const reference of job.subject.references) {
		if (reference.field !== field) continue;
		try {
			const image = await loadImage(reference.content);
			const scale = Math.min(1, maxSide / Math.max(image.width, image.height));
			const canvas = createCanvas(
				Math.max(1, Math.round(image.width * scale)),
				Math.max(1, Math.round(image.height * scale)),
			);
			const context = canvas.getContext('2d');
			context.imageSmoothingEnabled = scale < 1;
			context.imageSmoothingQuality = 'high';
			context.drawImage(image, 0, 0, canvas.width, canvas.height);
			inputs.push(canvas);
		} catch {
			// Some formats that the API takes (HEIC, TIFF) cannot be decoded here.
		}
	}
	return inputs;
}

/** The picture in the `image` field; a landscape in place of one that was not kept or decoded. */
export async function inputPicture(commission: Commission, maxSide: number): Promise<Canvas> {
	const input = (await inputsOf(commission, 'image', maxSide)).at(-1);
	if (input) return input;
	const canvas = createCanvas(SIZE, SIZE);
	drawLandscape(canvas.getContext('2d'), commission.random);
	return canvas;
}
