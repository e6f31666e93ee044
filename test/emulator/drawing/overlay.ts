import { createCanvas } from '@napi-rs/canvas';
import type { Canvas } from '@napi-rs/canvas';
import type { Artwork } from '../artwork';
import { adventurer } from './adventurer';
import { frameOf } from './character';
import type { Commission } from './commission';
import { charactersIn } from './inputCharacter';
import { motionOf } from './motion';
import { pixelated, sheetOf } from './sheet';

const COLUMNS = 8;
/** More would be too small to see. */
const MAX_ROWS = 16;

/** A sheet as large as was asked for, in whose rows the characters do what the titles say. */
export async function paintOverlay(
	commission: Commission,
	{ pixels, titles, style }: Extract<Artwork, { kind: 'overlay' }>,
): Promise<Canvas> {
	const rows = titles.length === 0 ? ['Idle'] : titles.slice(0, MAX_ROWS);
	const side = Math.floor(pixels / Math.max(COLUMNS, rows.length));
	const found = await charactersIn(commission, 'character_images');
	const characters = found.length > 0 ? found : [adventurer(commission.random)];
	const frames = rows.flatMap((title, row) => {
		const character = characters[row % characters.length];
		return Array.from({ length: COLUMNS }, (_, column) =>
			character
				? frameOf(character, { motion: motionOf(title), phase: column / COLUMNS, side })
				: createCanvas(side, side),
		);
	});
	const sheet = sheetOf(frames, COLUMNS);
	return style === 'pixel' ? pixelated(sheet, Math.max(2, Math.round(side / 40))) : sheet;
}
