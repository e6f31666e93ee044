import { createCanvas } from '@napi-rs/canvas';
import type { Canvas } from '@napi-rs/canvas';
import type { Artwork, SpriteStyle } from '../artwork';
import { adventurer } from './adventurer';
import { frameOf } from './character';
import type { Commission } from './commission';
import { inputsOf } from './input';
import { pixelated, sheetOf } from './sheet';

const COLUMNS = 4;

/** The input sheet, as large as was asked for, in other colors. */
export async function paintReskin(
	commission: Commission,
	{ pixels, style }: Extract<Artwork, { kind: 'reskin' }>,
): Promise<Canvas> {
	const input = (await inputsOf(commission, 'image', pixels)).at(-1);
	const sheet = input ?? walkCycle(commission, pixels / COLUMNS);
	const scale = pixels / Math.max(sheet.width, sheet.height);
	const canvas = createCanvas(
		Math.max(1, Math.round(sheet.width * scale)),
		Math.max(1, Math.round(sheet.height * scale)),
	);
	const context = canvas.getContext('2d');
	context.imageSmoothingQuality = 'high';
	const turn = Math.round(70 + commission.random() * 220);
	context.filter = `hue-rotate(${turn}deg) ${accentOf(style)}`;
	context.drawImage(sheet, 0, 0, canvas.width, canvas.height);
	return style === 'pixel' ? pixelated(canvas, Math.max(2, Math.round(pixels / 256))) : canvas;
}

function accentOf(style: SpriteStyle | undefined): string {
	return style === 'cartoon' ? 'saturate(1.7) contrast(1.15)' : 'saturate(1.15)';
}

/** A sheet in place of one that was not kept or decoded. */
function walkCycle({ random }: Commission, side: number): Canvas {
	const character = adventurer(random);
	const frames = Array.from({ length: COLUMNS ** 2 }, (_, index) =>
		frameOf(character, { motion: 'walk', phase: index / COLUMNS ** 2, side }),
	);
	return sheetOf(frames, COLUMNS);
}
