import type { SKRSContext2D } from '@napi-rs/canvas';
import { mixed, withAlpha } from './color';

/** Width and height of a landscape. */
export const SIZE = 1024;

interface Palette {
	/** From the zenith to the horizon. */
	sky: readonly [string, string, string];
	sun: string;
	/** Color of the farthest and of the nearest ridge; those between are mixed. */
	far: string;
	near: string;
	isNight?: boolean;
}

const PALETTES: readonly Palette[] = [
	{ sky: ['#2b2d5b', '#a45a7c', '#f7b27a'], sun: '#ffe3b3', far: '#c2768a', near: '#2a1f45' },
	{
		sky: ['#0c1a3a', '#1f4168', '#5d8fa8'],
		sun: '#f4f1de',
		far: '#41708c',
		near: '#07142b',
		isNight: true,
	},
	{ sky: ['#6fb3d2', '#b9dfe0', '#fdf3d8'], sun: '#fff8e1', far: '#a5cdbf', near: '#1f5a52' },
	{ sky: ['#3d1f4e', '#b23a6b', '#ff9b71'], sun: '#fff0c9', far: '#c65a78', near: '#24122f' },
	{ sky: ['#e8c7b7', '#f3dcc6', '#fbf1e0'], sun: '#e2725b', far: '#dcb49c', near: '#5b3a3c' },
	{
		sky: ['#14213d', '#3b3561', '#b26e8f'],
		sun: '#ffe5ec',
		far: '#755a86',
		near: '#0d1228',
		isNight: true,
	},
	{ sky: ['#1d6a72', '#66b2a0', '#f2e6b8'], sun: '#fffbe6', far: '#7fb89f', near: '#0e3b43' },
	{
		sky: ['#1a1033', '#46256e', '#d16ba5'],
		sun: '#ffd6e8',
		far: '#84488f',
		near: '#120a26',
		isNight: true,
	},
];

/** Draws mountains under a sky over the whole of a canvas of 1024×1024. */
export function drawLandscape(context: SKRSContext2D, random: () => number): void {
	const palette = PALETTES[Math.floor(random() * PALETTES.length)] ?? PALETTES[0];
	if (!palette) return;
	const horizon = 430 + random() * 90;
	drawSky(context, palette, horizon);
	if (palette.isNight) drawStars(context, random, horizon);
	drawSun(context, random, palette, horizon);
	if (!palette.isNight) drawBirds(context, random, palette);
	const ridges = 5 + Math.floor(random() * 3);
	for (let ridge = 0; ridge < ridges; ridge++) {
		const nearness = ridge / (ridges - 1);
		const base = horizon - 30 + nearness ** 1.15 * 420;
		const color = mixed(palette.far, palette.near, nearness);
		drawRidge(context, random, { base, height: 34 + nearness * 70, color, mist: palette.sky[2] });
	}
}

function drawSky(context: SKRSContext2D, { sky }: Palette, horizon: number): void {
	const gradient = context.createLinearGradient(0, 0, 0, horizon + 120);
	gradient.addColorStop(0, sky[0]);
	gradient.addColorStop(0.55, sky[1]);
	gradient.addColorStop(1, sky[2]);
	context.fillStyle = gradient;
	context.fillRect(0, 0, SIZE, SIZE);
}

function drawStars(context: SKRSContext2D, random: () => number, horizon: number): void {
	for (let star = 0; star < 170; star++) {
		const y = random() ** 1.4 * horizon;
		context.fillStyle = `rgba(255, 255, 255, ${(0.25 + random() * 0.7) * (1 - y / horizon)})`;
		context.beginPath();
		context.arc(random() * SIZE, y, 0.6 + random() ** 3 * 2.2, 0, 2 * Math.PI);
		context.fill();
	}
}

function drawSun(
	context: SKRSContext2D,
	random: () => number,
	palette: Palette,
	horizon: number,
): void {
	const x = 200 + random() * (SIZE - 400);
	const radius = 60 + random() * 70;
	const y = palette.isNight ? 140 + random() * 140 : horizon - 40 - random() * 160;
	const glow = context.createRadialGradient(x, y, radius * 0.9, x, y, radius * 4.2);
	glow.addColorStop(0, withAlpha(palette.sun, 0.5));
	glow.addColorStop(0.35, withAlpha(palette.sun, 0.16));
	glow.addColorStop(1, withAlpha(palette.sun, 0));
	context.fillStyle = glow;
	context.fillRect(0, 0, SIZE, SIZE);
	context.fillStyle = palette.sun;
	context.beginPath();
	context.arc(x, y, radius, 0, 2 * Math.PI);
	context.fill();
	if (!palette.isNight) return;
	for (let crater = 0; crater < 7; crater++) {
		const angle = random() * 2 * Math.PI;
		const distance = random() * radius * 0.68;
		const craterRadius = radius * (0.06 + random() * 0.15);
		context.fillStyle = withAlpha(palette.sky[1], 0.13);
		context.beginPath();
		context.arc(
			x + Math.cos(angle) * distance,
			y + Math.sin(angle) * distance,
			craterRadius,
			0,
			2 * Math.PI,
		);
		context.fill();
	}
}

function drawBirds(context: SKRSContext2D, random: () => number, { near }: Palette): void {
	const flockX = 180 + random() * 600;
	const flockY = 110 + random() * 130;
	context.strokeStyle = withAlpha(near, 0.6);
	context.lineWidth = 3;
	context.lineCap = 'round';
	const birds = 3 + Math.floor(random() * 4);
	for (let bird = 0; bird < birds; bird++) {
		const x = flockX + (random() - 0.5) * 220;
		const y = flockY + (random() - 0.5) * 90;
		const wing = 9 + random() * 9;
		context.beginPath();
		context.moveTo(x - wing, y - wing * 0.45);
		context.quadraticCurveTo(x - wing * 0.4, y - wing * 0.6, x, y);
		context.quadraticCurveTo(x + wing * 0.4, y - wing * 0.6, x + wing, y - wing * 0.45);
		context.stroke();
	}
}

function drawRidge(
	context: SKRSContext2D,
	random: () => number,
	ridge: { base: number; height: number; color: string; mist: string },
): void {
	const waves = [1, 2.3, 4.9, 11].map((frequency) => ({
		frequency: (frequency * (0.8 + random() * 0.5) * 2 * Math.PI) / SIZE,
		phase: random() * 2 * Math.PI,
		share: 1 / frequency ** 0.85,
	}));
	context.beginPath();
	context.moveTo(0, SIZE);
	for (let x = 0; x <= SIZE; x += 4) {
		const rise = waves.reduce(
			(sum, { frequency, phase, share }) => sum + Math.sin(x * frequency + phase) * share,
			0,
		);
		context.lineTo(x, ridge.base - rise * ridge.height);
	}
	context.lineTo(SIZE, SIZE);
	context.closePath();
	// Mist gathers at the foot of each ridge, which sets it off from the next one.
	const body = context.createLinearGradient(0, ridge.base - ridge.height, 0, ridge.base + 190);
	body.addColorStop(0, ridge.color);
	body.addColorStop(1, mixed(ridge.color, ridge.mist, 0.3));
	context.fillStyle = body;
	context.fill();
}
