import { createCanvas } from '@napi-rs/canvas';
import type { Canvas } from '@napi-rs/canvas';
import type { Artwork } from '../artwork';
import { adventurer } from './adventurer';
import { frameOf } from './character';
import type { Commission } from './commission';
import { charactersIn } from './inputCharacter';
import { motionOf } from './motion';
import { animationOf, pixelated, sheetOf } from './sheet';

type Animation = Extract<Artwork, { kind: 'animation' }>;

/** Width and height of a frame. */
const CELL = 160;
const FRAMES_PER_CYCLE = 16;
/** Side of a pixel in pixel art. */
const PIXEL = 4;

/** All frames of the animation, in as many rows as columns. */
export async function paintAnimationSheet(
	commission: Commission,
	animation: Animation,
): Promise<Canvas> {
	const frames = await framesOf(commission, animation);
	return sheetOf(frames, Math.ceil(Math.sqrt(frames.length)));
}

/** The animation as a GIF. */
export async function paintAnimation(
	commission: Commission,
	animation: Animation,
): Promise<Buffer> {
	return animationOf(await framesOf(commission, animation));
}

async function framesOf(commission: Commission, { frames, isPixel }: Animation): Promise<Canvas[]> {
	const motion = motionOf(commission.job.subject.prompt);
	const [start] = [
		...(await charactersIn(commission, 'image')),
		...(await charactersIn(commission, 'start_frame_image')),
		adventurer(commission.random),
	];
	const end = (await charactersIn(commission, 'end_frame_image')).at(-1);
	// A whole number of cycles, so that the last frame leads to the first.
	const cycles = Math.max(1, Math.round(frames / FRAMES_PER_CYCLE));
	return Array.from({ length: frames }, (_, index) => {
		const phase = ((index * cycles) / frames) % 1;
		let frame = frameOf(start, { motion, phase, side: CELL });
		if (end) {
			const last = frameOf(end, { motion, phase, side: CELL });
			frame = blended(frame, last, index / (frames - 1));
		}
		return isPixel ? pixelated(frame, PIXEL) : frame;
	});
}

/** One frame that turns into another. */
function blended(from: Canvas, to: Canvas, share: number): Canvas {
	const canvas = createCanvas(from.width, from.height);
	const context = canvas.getContext('2d');
	context.imageSmoothingEnabled = false;
	context.globalAlpha = 1 - share;
	context.drawImage(from, 0, 0);
	context.globalAlpha = share;
	context.drawImage(to, 0, 0);
	return canvas;
}
