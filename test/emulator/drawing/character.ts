import { createCanvas } from '@napi-rs/canvas';
import type { Canvas, SKRSContext2D } from '@napi-rs/canvas';
import type { Motion, Pose } from './motion';

/** Draws itself at a moment of a motion, in a cell 100 units wide and tall. */
export type Character = (context: SKRSContext2D, motion: Motion, phase: number) => void;

/** One frame of a motion, square and on transparency. */
export function frameOf(
	character: Character,
	{ motion, phase, side }: { motion: Motion; phase: number; side: number },
): Canvas {
	const canvas = createCanvas(side, side);
	const context = canvas.getContext('2d');
	context.scale(side / 100, side / 100);
	character(context, motion, phase);
	return canvas;
}

const GROUND = 92;

/** Moves the origin between the character's feet; to be restored. */
export function stand(context: SKRSContext2D, { lift, advance, stretch, lean }: Pose): void {
	context.save();
	context.translate(50 + advance, GROUND - lift);
	context.rotate(lean);
	context.scale(1 / Math.sqrt(stretch), stretch);
}

/** What shows that a character is off the ground. */
export function drawShadow(context: SKRSContext2D, { lift, advance }: Pose): void {
	const width = 19 - lift * 0.4;
	context.fillStyle = 'rgba(20, 16, 40, 0.2)';
	context.beginPath();
	context.ellipse(50 + advance, GROUND + 1.5, width, 3.2, 0, 0, 2 * Math.PI);
	context.fill();
}
