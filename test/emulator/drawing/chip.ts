import type { SKRSContext2D } from '@napi-rs/canvas';
import { cut, FAMILY } from './text';

/** A line of text on a dark ground in the upper left corner: below, an input may have text of its own. */
export function drawChip(context: SKRSContext2D, text: string): void {
	const { width, height } = context.canvas;
	const unit = Math.min(width, height) / 100;
	const margin = 4 * unit;
	const tall = 7 * unit;
	context.save();
	context.font = `600 ${3 * unit}px ${FAMILY}`;
	const label = cut(context, text, width - 2 * margin - 5 * unit);
	context.fillStyle = 'rgba(10, 12, 24, 0.72)';
	context.beginPath();
	context.roundRect(margin, margin, context.measureText(label).width + 5 * unit, tall, tall / 2);
	context.fill();
	context.fillStyle = '#ffffff';
	context.textBaseline = 'middle';
	context.fillText(label, margin + 2.5 * unit, margin + tall / 2 + 0.15 * unit);
	context.restore();
}
