import { median, ratios, withSpread, type Comparison } from './report';

const WIDTH = 860;
const MARGIN = 24;
const LABEL_WIDTH = 270;
const VALUE_WIDTH = 190;
const ROW_HEIGHT = 26;
const BAR_HEIGHT = 16;
const TITLE_HEIGHT = 34;
const PANEL_GAP = 14;
const BAR_SPACE = WIDTH - 2 * MARGIN - LABEL_WIDTH - VALUE_WIDTH;

function escaped(text: string): string {
	return text.replaceAll('&', '&amp;').replaceAll('<', '&lt;').replaceAll('>', '&gt;');
}

function text(x: number, y: number, content: string, style = ''): string {
	return `<text x="${x}" y="${y}"${style}>${escaped(content)}</text>`;
}

/** The comparisons as bars, each panel on a scale of its own, with the spread of the runs as a line. */
export function toSvg(comparisons: readonly Comparison[]): string {
	const parts: string[] = [];
	let top = MARGIN;
	for (const comparison of comparisons) {
		const { title, unit, rows } = comparison;
		const most = Math.max(...rows.flatMap(({ values }) => values), Number.EPSILON);
		const scaled = (value: number) => Math.round((Math.max(0, value) / most) * BAR_SPACE);
		parts.push(text(MARGIN, top + 18, `${title} (${unit})`, ' font-weight="600"'));
		top += TITLE_HEIGHT;
		rows.forEach(({ label, values }, row) => {
			const left = MARGIN + LABEL_WIDTH;
			const middle = top + ROW_HEIGHT / 2;
			const length = Math.max(2, scaled(median(values)));
			const [from, to] = [scaled(Math.min(...values)), scaled(Math.max(...values))];
			const times = row === 0 ? '' : `  ×${withSpread([median(ratios(comparison, row))])}`;
			const color = row === 0 ? '#6d4aff' : '#b9bfca';
			parts.push(
				text(left - 10, middle + 5, label, ' text-anchor="end"'),
				`<rect x="${left}" y="${middle - BAR_HEIGHT / 2}" width="${length}" height="${BAR_HEIGHT}" rx="3" fill="${color}"/>`,
				`<path d="M${left + from} ${middle}H${left + to}" stroke="#333a47" stroke-width="2"/>`,
				text(left + Math.max(length, to) + 10, middle + 5, `${withSpread(values)}${times}`),
			);
			top += ROW_HEIGHT;
		});
		top += PANEL_GAP;
	}
	const height = top + MARGIN - PANEL_GAP;
	return [
		`<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 ${WIDTH} ${height}" width="${WIDTH}" height="${height}" font-family="Inter, Segoe UI, Helvetica, Arial, sans-serif" font-size="14" fill="#1d2433">`,
		'<title>Benchmarks: the node compared with the alternatives</title>',
		`<rect width="${WIDTH}" height="${height}" rx="8" fill="#ffffff"/>`,
		...parts,
		'</svg>',
		'',
	].join('\n');
}
