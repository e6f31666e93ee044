import { createCanvas } from '@napi-rs/canvas';
import type { Canvas } from '@napi-rs/canvas';

/** How far a pixel's channels may be from the background's to count as background. */
const TOLERANCE = 36;
const OPAQUE = 128;
/** How much of a picture's border must be like its first pixel: a figure may touch the border. */
const PLAIN_SHARE = 0.8;

/** A figure taken off its background. */
export interface CutOut {
	/** The figure alone, on transparency, in the place it has in the picture. */
	figure: Canvas;
	/** The rectangle that holds it. */
	bounds: { left: number; top: number; width: number; height: number };
	/** The color behind it, as a CSS color. */
	background: string;
}

/**
 * Takes a figure off a plain or transparent background, as sprite endpoints want their input.
 * `undefined` for any other picture: a photo, or a picture of one color.
 */
export function cutOut(picture: Canvas): CutOut | undefined {
	const { width, height } = picture;
	const pixels = picture.getContext('2d').getImageData(0, 0, width, height);
	const { data } = pixels;
	const border = borderOf(width, height);
	const plain = border.filter((at) => isAlike(data, 0, at));
	if (plain.length < border.length * PLAIN_SHARE) return undefined;
	const background = `rgba(${[...data.subarray(0, 3)].join(', ')}, ${(data[3] ?? 255) / 255})`;
	const seen = flood(pixels, plain);
	let [left, top, right, bottom] = [width, height, -1, -1];
	for (let at = 0; at < seen.length; at++) {
		if (seen[at]) data[at * 4 + 3] = 0;
		if ((data[at * 4 + 3] ?? 0) < OPAQUE) continue;
		const x = at % width;
		const y = (at - x) / width;
		left = Math.min(left, x);
		right = Math.max(right, x);
		top = Math.min(top, y);
		bottom = Math.max(bottom, y);
	}
	if (right - left < width / 20 || bottom - top < height / 20) return undefined;
	const figure = createCanvas(width, height);
	figure.getContext('2d').putImageData(pixels, 0, 0);
	return {
		figure,
		bounds: { left, top, width: right - left + 1, height: bottom - top + 1 },
		background,
	};
}

function borderOf(width: number, height: number): number[] {
	const border: number[] = [];
	for (let x = 0; x < width; x++) border.push(x, x + (height - 1) * width);
	for (let y = 0; y < height; y++) border.push(y * width, y * width + width - 1);
	return border;
}

/** Marks every pixel that is like the first one and joined to one of the given. */
function flood(
	{ data, width, height }: { data: Uint8ClampedArray; width: number; height: number },
	starts: readonly number[],
): Uint8Array {
	const seen = new Uint8Array(width * height);
	const open = [...starts];
	for (let at = open.pop(); at !== undefined; at = open.pop()) {
		if (seen[at] || !isAlike(data, 0, at)) continue;
		seen[at] = 1;
		const x = at % width;
		if (x > 0) open.push(at - 1);
		if (x < width - 1) open.push(at + 1);
		if (at >= width) open.push(at - width);
		if (at < width * (height - 1)) open.push(at + width);
	}
	return seen;
}

function isAlike(data: Uint8ClampedArray, one: number, other: number): boolean {
	const isClear = (data[one * 4 + 3] ?? 0) < OPAQUE;
	if (isClear !== (data[other * 4 + 3] ?? 0) < OPAQUE) return false;
	if (isClear) return true;
	for (let channel = 0; channel < 3; channel++) {
		const distance = (data[one * 4 + channel] ?? 0) - (data[other * 4 + channel] ?? 0);
		if (Math.abs(distance) > TOLERANCE) return false;
	}
	return true;
}
