/** A promise of the project and what was measured of it. */
export interface Goal {
	name: string;
	/** At most this much. */
	limit: number;
	unit: string;
	/** One value a run; a single one where the simulation makes it exact. */
	values: readonly number[];
}

/** The node beside what a user would pick instead, run for run. */
export interface Comparison {
	title: string;
	unit: string;
	/** The node itself comes first. */
	rows: readonly { label: string; values: readonly number[] }[];
}

export interface Report {
	/** What it ran on. */
	setting: string;
	goals: Goal[];
	comparisons: Comparison[];
}

/** A rise of memory below this is noise, and nothing to divide by. */
const LEAST_DIVISOR = 1;

export function median(values: readonly number[]): number {
	const sorted = [...values].sort((a, b) => a - b);
	const middle = sorted.length / 2;
	const [low, high] = [sorted[Math.ceil(middle) - 1], sorted[Math.floor(middle)]];
	if (low === undefined || high === undefined) throw new Error('There is nothing to take.');
	return (low + high) / 2;
}

/** The middle of the runs counts. */
export function isMet({ limit, values }: Goal): boolean {
	return median(values) <= limit;
}

function rounded(value: number): string {
	return value.toLocaleString('en', { maximumFractionDigits: Math.abs(value) < 10 ? 2 : 1 });
}

/** "5.1 (4.8–5.3)", or the value alone where there is no spread. */
function withSpread(values: readonly number[]): string {
	const [least, most] = [rounded(Math.min(...values)), rounded(Math.max(...values))];
	const middle = rounded(median(values));
	return least === most ? middle : `${middle} (${least}–${most})`;
}

export function markdownTable(
	head: readonly string[],
	rows: readonly (readonly string[])[],
): string {
	const line = (cells: readonly string[]) => `| ${cells.join(' | ')} |`;
	return [line(head), line(head.map(() => '---')), ...rows.map(line)].join('\n');
}

/** The report as the parts of `docs/benchmarks.md` that are measured, by name. */
export function partsOf({ setting, goals, comparisons }: Report): Record<string, string> {
	const goalRows = goals.map((goal) => [
		goal.name,
		`${rounded(goal.limit)} ${goal.unit}`,
		withSpread(goal.values),
		isMet(goal) ? 'met' : '**not met**',
	]);
	const sections = comparisons.map(({ title, unit, rows }) => {
		const own = Math.max(LEAST_DIVISOR, median(rows[0]?.values ?? []));
		const lines = rows.map(({ label, values }) => {
			return [label, withSpread(values), rounded(median(values) / own)];
		});
		return `### ${title}\n\n${markdownTable(['', unit, 'times the node'], lines)}`;
	});
	return {
		setting,
		goals: markdownTable(['goal', 'at most', 'measured', ''], goalRows),
		comparisons: sections.join('\n\n'),
	};
}

/** A page whose named part is replaced: what stands between two comments. The rest is written by hand. */
export function withPart(page: string, name: string, part: string): string {
	const begin = `<!-- ${name}, written by npm run bench -->\n`;
	const from = page.indexOf(begin) + begin.length;
	const to = page.indexOf('<!-- end -->', from);
	if (from < begin.length || to === -1) throw new Error(`The page has no part "${name}".`);
	return `${page.slice(0, from)}\n${part}\n\n${page.slice(to)}`;
}
