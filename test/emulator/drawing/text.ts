import { dirname, join } from 'node:path';
import { GlobalFonts } from '@napi-rs/canvas';
import type { SKRSContext2D } from '@napi-rs/canvas';

/** Far more than fits; a prompt may have 100 kB. */
const MAX_SHOWN_CHARACTERS = 600;

const SCRIPTS = ['latin', 'latin-ext', 'cyrillic', 'greek', 'vietnamese'];
/** For the `font` of a context. */
export const FAMILY = [...SCRIPTS.map((script) => `"Inter ${script}"`), 'sans-serif'].join(', ');
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

/** The text in lines of the context's font that fit; words too long for a line are broken. */
export function wrapped(
	context: SKRSContext2D,
	text: string,
	{ width, maxLines }: { width: number; maxLines: number },
): string[] {
	const characters = new Intl.Segmenter();
	const words = text.slice(0, MAX_SHOWN_CHARACTERS).split(/\s+/).filter(Boolean);
	const lines: string[] = [];
	let line = '';
	for (const word of words) {
		const joined = line ? `${line} ${word}` : word;
		if (context.measureText(joined).width <= width) {
			line = joined;
			continue;
		}
		if (line) lines.push(line);
		line = '';
		for (const { segment } of characters.segment(word)) {
			if (context.measureText(line + segment).width > width) {
				lines.push(line);
				line = '';
			}
			line += segment;
		}
	}
	lines.push(line);
	if (lines.length <= maxLines && text.length <= MAX_SHOWN_CHARACTERS) return lines;
	const shown = lines.slice(0, maxLines);
	return [...shown.slice(0, -1), cut(context, `${shown.at(-1) ?? ''}…`, width)];
}

/** The text, shortened to the width with an ellipsis if it has to be. */
export function cut(context: SKRSContext2D, text: string, width: number): string {
	if (context.measureText(text).width <= width) return text;
	const characters = Array.from(new Intl.Segmenter().segment(text.replace(/…$/, '')));
	let kept = characters.map(({ segment }) => segment).slice(0, MAX_SHOWN_CHARACTERS);
	while (kept.length > 0 && context.measureText(`${kept.join('')}…`).width > width) {
		kept = kept.slice(0, -1);
	}
	return `${kept.join('').trimEnd()}…`;
}
