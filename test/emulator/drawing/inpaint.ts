import type { Canvas, SKRSContext2D } from '@napi-rs/canvas';
import { drawChip } from './chip';
import type { Commission } from './commission';
import { inputPicture } from './input';

const MAX_SIDE = 2048;

/** The input with hot-air balloons painted into it, and the prompt that asked for the change. */
export async function paintInpainting(commission: Commission): Promise<Canvas> {
	const { job, random } = commission;
	const canvas = await inputPicture(commission, MAX_SIDE);
	const context = canvas.getContext('2d');
	const { width, height } = canvas;
	const side = Math.min(width, height);
	const hue = random() * 360;
	const balloons = [
		{ x: 0.15 + random() * 0.08, y: 0.34 + random() * 0.1, size: 0.07 + random() * 0.02 },
		{ x: 0.8 + random() * 0.07, y: 0.24 + random() * 0.1, size: 0.05 + random() * 0.02 },
		{ x: 0.47 + random() * 0.08, y: 0.32 + random() * 0.08, size: 0.11 + random() * 0.03 },
	];
	for (const [index, { x, y, size }] of balloons.entries()) {
		context.save();
		context.translate(x * width, y * height);
		context.scale((size * side) / 100, (size * side) / 100);
		drawBalloon(context, (hue + index * 115) % 360);
		context.restore();
	}
	drawChip(context, job.subject.prompt || 'Inpainted');
	return canvas;
}

/** A balloon whose hull is 200 units wide, its middle at the origin. */
function drawBalloon(context: SKRSContext2D, hue: number): void {
	context.strokeStyle = 'rgba(60, 40, 30, 0.8)';
	context.lineWidth = 3;
	for (const side of [-1, 1]) {
		context.beginPath();
		context.moveTo(side * 34, 112);
		context.lineTo(side * 18, 168);
		context.stroke();
	}
	context.fillStyle = '#8a5a35';
	context.beginPath();
	context.roundRect(-22, 166, 44, 34, [4, 4, 10, 10]);
	context.fill();
	context.fillStyle = '#6d4427';
	context.fillRect(-22, 166, 44, 8);

	context.save();
	hull(context);
	context.shadowColor = 'rgba(0, 0, 0, 0.35)';
	context.shadowBlur = 30;
	context.fillStyle = `hsl(${hue}, 72%, 55%)`;
	context.fill();
	context.shadowColor = 'transparent';
	context.clip();
	// Gores: the narrower the farther from the middle, as on something round.
	for (const [inner, outer] of [
		[0.1, 0.34],
		[0.56, 0.76],
		[0.9, 1],
	] as const) {
		for (const side of [-1, 1]) {
			context.fillStyle = `hsl(${(hue + 38) % 360}, 90%, 82%)`;
			context.beginPath();
			gore(context, side * inner);
			gore(context, side * outer);
			context.fill('evenodd');
		}
	}
	const light = context.createRadialGradient(-38, -46, 8, 0, 0, 150);
	light.addColorStop(0, 'rgba(255, 255, 255, 0.5)');
	light.addColorStop(0.45, 'rgba(255, 255, 255, 0)');
	light.addColorStop(1, 'rgba(20, 0, 40, 0.5)');
	context.fillStyle = light;
	context.fillRect(-110, -110, 220, 240);
	context.restore();
}

function hull(context: SKRSContext2D): void {
	context.beginPath();
	context.moveTo(-34, 114);
	context.bezierCurveTo(-50, 80, -100, 60, -100, 0);
	context.bezierCurveTo(-100, -134, 100, -134, 100, 0);
	context.bezierCurveTo(100, 60, 50, 80, 34, 114);
	context.closePath();
}

function gore(context: SKRSContext2D, share: number): void {
	context.moveTo(0, -104);
	context.bezierCurveTo(share * 134, -100, share * 134, 40, share * 36, 114);
	context.lineTo(0, 114);
	context.closePath();
}
