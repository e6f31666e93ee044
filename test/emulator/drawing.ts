import { createHash } from 'node:crypto';
import { dirname, join } from 'node:path';
import { createCanvas, GlobalFonts, loadImage } from '@napi-rs/canvas';
import type { SKRSContext2D } from '@napi-rs/canvas';
import type { ImageFormat, Job } from './jobs';

const SIZE = 1024;
const MARGIN = 48;
const PADDING = 40;
const TEXT_WIDTH = SIZE - 2 * MARGIN - 2 * PADDING;
const MAX_LINES = 4;
/** Far more than fits; a prompt may have 100 kB. */
const MAX_SHOWN_CHARACTERS = 600;

const SCRIPTS = ['latin', 'latin-ext', 'cyrillic', 'greek', 'vietnamese'];
const FAMILY = [...SCRIPTS.map((script) => `"Inter ${script}"`), 'sans-serif'].join(', ');
registerFonts();

/** The fonts come from a package, since a machine that runs tests may have none. */
function registerFonts(): void {
	const files = join(dirname(require.resolve('@fontsource/inter/package.json')), 'files');
	for (const script of SCRIPTS) {
		for (const weight of [400, 600]) {
			const file = join(files, `inter-${script}-${weight}-normal.woff2`);
			GlobalFonts.registerFromPath(file, `Inter ${script}`);
		}
	}
}

interface Palette {
	/** From the zenith to the horizon. */
	sky: readonly [string, string, string];
	sun: string;
	/** Colour of the farthest and of the nearest ridge; those between are mixed. */
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

/** Draws a job's n-th result, 1024×1024: always the same picture for the same job and number. */
export async function draw(job: Job, number: number, format: ImageFormat): Promise<Buffer> {
	const canvas = createCanvas(SIZE, SIZE);
	const context = canvas.getContext('2d');
	const { prompt, model, references } = job.subject;
	// The format is not part of the seed: a PNG and a GIF of one job show the same result.
	const isAnotherFormat = job.outcome.images[0] === 'png' && format === 'gif';
	const random = randomFrom(`${job.id}/${isAnotherFormat ? 1 : number}/${prompt}`);

	drawLandscape(context, random);
	const lines = wrapped(context, prompt);
	const panelTop = SIZE - MARGIN - (lines.length * 50 + 122);
	drawPanel(context, panelTop, lines);
	drawFooter(
		context,
		model,
		`job ${job.id.slice(0, 8)}  ·  ${number} of ${job.outcome.images.length}`,
	);
	await drawReferences(context, references, panelTop);
	return format === 'gif' ? await canvas.encode('gif', 20) : await canvas.encode('png');
}

/** Numbers from 0 to 1 that follow from the seed alone (a xorshift generator). */
function randomFrom(seed: string): () => number {
	let state = createHash('sha256').update(seed).digest().readUInt32BE() | 1;
	return () => {
		state ^= state << 13;
		state ^= state >>> 17;
		state ^= state << 5;
		return (state >>> 0) / 0x1_0000_0000;
	};
}

function drawLandscape(context: SKRSContext2D, random: () => number): void {
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
		const colour = mixed(palette.far, palette.near, nearness);
		drawRidge(context, random, { base, height: 34 + nearness * 70, colour, mist: palette.sky[2] });
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
	ridge: { base: number; height: number; colour: string; mist: string },
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
	body.addColorStop(0, ridge.colour);
	body.addColorStop(1, mixed(ridge.colour, ridge.mist, 0.3));
	context.fillStyle = body;
	context.fill();
}

function drawPanel(context: SKRSContext2D, top: number, lines: readonly string[]): void {
	context.fillStyle = 'rgba(10, 12, 24, 0.62)';
	context.beginPath();
	context.roundRect(MARGIN, top, SIZE - 2 * MARGIN, SIZE - MARGIN - top, 28);
	context.fill();
	context.strokeStyle = 'rgba(255, 255, 255, 0.16)';
	context.lineWidth = 1.5;
	context.stroke();
	context.font = `600 38px ${FAMILY}`;
	context.fillStyle = '#ffffff';
	context.textBaseline = 'alphabetic';
	for (const [index, line] of lines.entries()) {
		context.fillText(line, MARGIN + PADDING, top + 66 + index * 50);
	}
}

function drawFooter(context: SKRSContext2D, model: string, note: string): void {
	const middle = SIZE - MARGIN - 46;
	context.textBaseline = 'middle';
	context.font = `600 22px ${FAMILY}`;
	const label = cut(context, model, 420);
	const width = context.measureText(label).width + 36;
	context.fillStyle = 'rgba(255, 255, 255, 0.92)';
	context.beginPath();
	context.roundRect(MARGIN + PADDING, middle - 21, width, 42, 21);
	context.fill();
	context.fillStyle = '#171a2e';
	context.fillText(label, MARGIN + PADDING + 18, middle + 1);
	context.font = `400 22px ${FAMILY}`;
	context.fillStyle = 'rgba(255, 255, 255, 0.72)';
	context.textAlign = 'right';
	context.fillText(note, SIZE - MARGIN - PADDING, middle + 1);
	context.textAlign = 'left';
}

async function drawReferences(
	context: SKRSContext2D,
	references: readonly Buffer[],
	panelTop: number,
): Promise<void> {
	if (references.length === 0) return;
	const gap = 14;
	const available = SIZE - 2 * MARGIN - gap * (references.length - 1);
	const side = Math.min(168, Math.floor(available / references.length));
	const top = panelTop - 24 - side;
	for (const [index, reference] of references.entries()) {
		const left = MARGIN + index * (side + gap);
		context.save();
		context.shadowColor = 'rgba(0, 0, 0, 0.45)';
		context.shadowBlur = 18;
		context.shadowOffsetY = 6;
		context.fillStyle = '#ffffff';
		context.beginPath();
		context.roundRect(left, top, side, side, 16);
		context.fill();
		context.restore();
		await drawThumbnail(context, reference, { left: left + 5, top: top + 5, side: side - 10 });
	}
}

async function drawThumbnail(
	context: SKRSContext2D,
	reference: Buffer,
	{ left, top, side }: { left: number; top: number; side: number },
): Promise<void> {
	context.save();
	context.beginPath();
	context.roundRect(left, top, side, side, 12);
	context.clip();
	context.fillStyle = '#dfe3ea';
	context.fillRect(left, top, side, side);
	try {
		const image = await loadImage(reference);
		const crop = Math.min(image.width, image.height);
		const x = (image.width - crop) / 2;
		const y = (image.height - crop) / 2;
		context.drawImage(image, x, y, crop, crop, left, top, side, side);
	} catch {
		// Some formats that the API takes (HEIC, TIFF) cannot be decoded here.
		context.fillStyle = '#7b8494';
		context.font = `600 ${Math.round(side / 2)}px ${FAMILY}`;
		context.textAlign = 'center';
		context.textBaseline = 'middle';
		context.fillText('?', left + side / 2, top + side / 2);
	}
	context.restore();
}

/** The text in lines that fit the panel; words too long for a line are broken. */
function wrapped(context: SKRSContext2D, text: string): string[] {
	context.font = `600 38px ${FAMILY}`;
	const characters = new Intl.Segmenter();
	const words = text.slice(0, MAX_SHOWN_CHARACTERS).split(/\s+/).filter(Boolean);
	const lines: string[] = [];
	let line = '';
	for (const word of words) {
		const joined = line ? `${line} ${word}` : word;
		if (context.measureText(joined).width <= TEXT_WIDTH) {
			line = joined;
			continue;
		}
		if (line) lines.push(line);
		line = '';
		for (const { segment } of characters.segment(word)) {
			if (context.measureText(line + segment).width > TEXT_WIDTH) {
				lines.push(line);
				line = '';
			}
			line += segment;
		}
	}
	lines.push(line);
	if (lines.length <= MAX_LINES && text.length <= MAX_SHOWN_CHARACTERS) return lines;
	const shown = lines.slice(0, MAX_LINES);
	return [...shown.slice(0, -1), cut(context, `${shown.at(-1) ?? ''}…`, TEXT_WIDTH)];
}

/** The text, shortened to the width with an ellipsis if it has to be. */
function cut(context: SKRSContext2D, text: string, width: number): string {
	if (context.measureText(text).width <= width) return text;
	const characters = Array.from(new Intl.Segmenter().segment(text.replace(/…$/, '')));
	let kept = characters.map(({ segment }) => segment).slice(0, MAX_SHOWN_CHARACTERS);
	while (kept.length > 0 && context.measureText(`${kept.join('')}…`).width > width) {
		kept = kept.slice(0, -1);
	}
	return `${kept.join('').trimEnd()}…`;
}

/** A colour between two `#rrggbb` ones. */
function mixed(from: string, to: string, share: number): string {
	const start = channels(from);
	const end = channels(to);
	const mix = start.map((value, index) =>
		Math.round(value + ((end[index] ?? value) - value) * share),
	);
	return `#${Buffer.from(mix).toString('hex')}`;
}

function withAlpha(colour: string, alpha: number): string {
	return `rgba(${channels(colour).join(', ')}, ${alpha})`;
}

function channels(colour: string): number[] {
	return [...Buffer.from(colour.slice(1), 'hex')];
}
