import { createCanvas } from '@napi-rs/canvas';
import type { Canvas, SKRSContext2D } from '@napi-rs/canvas';
import type { Artwork } from '../artwork';
import type { Commission } from './commission';

const SHEET_SIDE = 1024;
/** The moment of the effect that shows most of it. */
const PEAK = 0.42;

/** One moment of a burst, before the dark that it lights up. */
export function paintEffect(
	{ random }: Commission,
	{ pixels }: Extract<Artwork, { kind: 'effect' }>,
): Canvas {
	const canvas = createCanvas(pixels, pixels);
	const context = canvas.getContext('2d');
	context.scale(pixels / 100, pixels / 100);
	const burst = plannedBurst(random);
	const night = context.createRadialGradient(50, 50, 4, 50, 50, 72);
	night.addColorStop(0, `hsl(${burst.hue}, 70%, 34%)`);
	night.addColorStop(0.5, `hsl(${burst.hue + 20}, 55%, 14%)`);
	night.addColorStop(1, '#07060f');
	context.fillStyle = night;
	context.fillRect(0, 0, 100, 100);
	context.shadowColor = `hsla(${burst.hue}, 100%, 60%, 0.55)`;
	context.shadowBlur = pixels / 24;
	drawBurst(context, burst, PEAK);
	return canvas;
}

/** The burst from its first spark to its last smoke, on white. */
export function paintEffectSheet(
	{ random }: Commission,
	{ frames }: Extract<Artwork, { kind: 'effectSheet' }>,
): Canvas {
	const columns = Math.ceil(Math.sqrt(frames));
	const side = Math.floor(SHEET_SIDE / columns);
	const canvas = createCanvas(side * columns, side * columns);
	const context = canvas.getContext('2d');
	context.fillStyle = '#ffffff';
	context.fillRect(0, 0, canvas.width, canvas.height);
	const burst = plannedBurst(random);
	for (let frame = 0; frame < frames; frame++) {
		context.save();
		context.translate((frame % columns) * side, Math.floor(frame / columns) * side);
		context.scale(side / 100, side / 100);
		drawBurst(context, burst, 0.08 + (0.66 * frame) / Math.max(1, frames - 1));
		context.restore();
	}
	return canvas;
}

interface Burst {
	hue: number;
	/** Clouds that fly out of the middle, grow, and vanish. */
	puffs: { angle: number; reach: number; size: number; delay: number }[];
	sparks: { angle: number; reach: number; length: number }[];
}

function plannedBurst(random: () => number): Burst {
	const puffs = 15;
	const sparks = 20;
	return {
		hue: [18, 42, 190, 265, 130, 330][Math.floor(random() * 6)] ?? 18,
		puffs: Array.from({ length: puffs }, (_, index) => ({
			angle: ((index + random() * 0.7) / puffs) * 2 * Math.PI,
			reach: 12 + random() * 15,
			size: 8 + random() * 6,
			delay: random() * 0.14,
		})),
		sparks: Array.from({ length: sparks }, (_, index) => ({
			angle: ((index + random() * 0.8) / sparks) * 2 * Math.PI,
			reach: 28 + random() * 18,
			length: 4 + random() * 7,
		})),
	};
}

/** @param time from 0, before the first spark, to 1, when nothing is left */
function drawBurst(context: SKRSContext2D, { hue, puffs, sparks }: Burst, time: number): void {
	const flight = 1 - (1 - time) ** 2.4;
	drawRing(context, hue, time);
	for (const { angle, reach, length } of sparks) {
		const from = reach * flight;
		const left = length * Math.sin(Math.PI * Math.min(1, time * 1.1));
		context.strokeStyle = `hsla(${hue + 24}, 100%, 58%, ${Math.max(0, 1 - time ** 3)})`;
		context.lineWidth = 1.3 * (1 - time) + 0.3;
		context.lineCap = 'round';
		context.beginPath();
		context.moveTo(50 + Math.cos(angle) * from, 50 + Math.sin(angle) * from);
		context.lineTo(50 + Math.cos(angle) * (from + left), 50 + Math.sin(angle) * (from + left));
		context.stroke();
	}
	// From the outermost color inward over all clouds, so that they melt into one.
	const shells = [
		{ share: 1.16, color: `hsl(${hue - 12}, 70%, ${30 + 12 * time}%)` },
		{ share: 1, color: `hsl(${hue}, 92%, 52%)` },
		{ share: 0.7, color: `hsl(${hue + 16}, 100%, 62%)` },
		{ share: 0.42, color: `hsl(${hue + 30}, 100%, 80%)` },
	];
	for (const [depth, { share, color }] of shells.entries()) {
		context.fillStyle = color;
		for (const { angle, reach, size, delay } of puffs) {
			const age = Math.max(0, (time - delay) / (1 - delay));
			const heat = Math.max(0, 1 - age * (1 + depth * 0.28));
			const radius = size * share * Math.sin(Math.PI * Math.min(1, age + 0.12)) * heat ** 0.35;
			if (radius <= 0) continue;
			context.beginPath();
			context.arc(
				50 + Math.cos(angle) * reach * flight,
				50 + Math.sin(angle) * reach * flight - age * 3,
				radius,
				0,
				2 * Math.PI,
			);
			context.fill();
		}
	}
	drawCore(context, hue, time);
}

function drawRing(context: SKRSContext2D, hue: number, time: number): void {
	const strength = Math.max(0, 1 - time * 1.5);
	context.strokeStyle = `hsla(${hue + 12}, 95%, 60%, ${strength * 0.8})`;
	context.lineWidth = 5 * strength + 0.1;
	context.beginPath();
	context.arc(50, 50, 8 + 44 * time ** 0.6, 0, 2 * Math.PI);
	context.stroke();
}

function drawCore(context: SKRSContext2D, hue: number, time: number): void {
	const strength = Math.max(0, 1 - time * 1.45);
	if (strength === 0) return;
	const radius = 10 + 18 * Math.min(1, time * 3);
	const glow = context.createRadialGradient(50, 50, 0, 50, 50, radius);
	glow.addColorStop(0, `rgba(255, 255, 255, ${strength})`);
	glow.addColorStop(0.4, `hsla(${hue + 34}, 100%, 88%, ${strength * 0.85})`);
	glow.addColorStop(1, `hsla(${hue + 30}, 100%, 70%, 0)`);
	context.fillStyle = glow;
	context.beginPath();
	context.arc(50, 50, radius, 0, 2 * Math.PI);
	context.fill();
}
