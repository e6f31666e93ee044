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

/** What a bad day costs in one of the ways to have images made. */
export interface BadDayRow {
	/** What went wrong. */
	title: string;
	way: string;
	paid: number;
	images: number;
	/** Paid jobs whose IDs are neither in an execution that n8n saved nor in its log. */
	lost: number;
	/** Paid jobs whose IDs are in n8n's log alone. */
	onlyInLog: number;
	seconds: number;
	/** How often Retry was pressed in the executions list. */
	retries: number;
	/** How n8n has marked the last execution. */
	ending: string;
}

export interface Report {
	/** What it ran on. */
	setting: string;
	goals: Goal[];
	comparisons: Comparison[];
	badDays: BadDayRow[];
	/** What could not be measured, and why. */
	missing: string[];
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
export function withSpread(values: readonly number[]): string {
	const [least, most] = [rounded(Math.min(...values)), rounded(Math.max(...values))];
	const middle = rounded(median(values));
	return least === most ? middle : `${middle} (${least}–${most})`;
}

/** How many times as much a row is as the node, run for run. */
export function ratios({ rows }: Comparison, row: number): number[] {
	const own = rows[0]?.values ?? [];
	return (rows[row]?.values ?? []).map(
		(value, index) => value / Math.max(LEAST_DIVISOR, own[index] ?? Number.NaN),
	);
}

export function goalLine(goal: Goal): string {
	const { name, limit, unit } = goal;
	const verdict = isMet(goal) ? 'met' : 'NOT met';
	return `${verdict.padEnd(8)}${name}: ${withSpread(goal.values)} ${unit}, at most ${rounded(limit)}`;
}

export function comparisonLines(comparison: Comparison): string[] {
	const { title, unit, rows } = comparison;
	return [
		`${title} (${unit})`,
		...rows.map(({ label, values }, row) => {
			const times = row === 0 ? '' : `  ${withSpread(ratios(comparison, row))} times as much`;
			return `  ${label.padEnd(36)}${withSpread(values)}${times}`;
		}),
	];
}

export function markdownTable(
	head: readonly string[],
	rows: readonly (readonly string[])[],
): string {
	const line = (cells: readonly string[]) => `| ${cells.join(' | ')} |`;
	return [line(head), line(head.map(() => '---')), ...rows.map(line)].join('\n');
}

/** The whole report as `docs/benchmarks.md`. */
export function toMarkdown({ setting, goals, comparisons, badDays, missing }: Report): string {
	const goalRows = goals.map((goal) => [
		goal.name,
		`${rounded(goal.limit)} ${goal.unit}`,
		withSpread(goal.values),
		isMet(goal) ? 'met' : '**not met**',
	]);
	const sections = comparisons.map((comparison) => {
		const rows = comparison.rows.map(({ label, values }, row) => [
			label,
			withSpread(values),
			row === 0 ? '1' : withSpread(ratios(comparison, row)),
		]);
		return `### ${comparison.title}\n\n${markdownTable(['', comparison.unit, 'times the node'], rows)}`;
	});
	return [
		'# Benchmarks',
		`Written by \`npm run bench\`. ${setting}`,
		'Values are medians; the minimum and maximum are in parentheses.',
		'## Goals',
		markdownTable(['goal', 'at most', 'measured', ''], goalRows),
		...missing.map((line) => `Not measured: ${line}`),
		'## Compared with the alternatives',
		'![The comparisons below as bars](benchmarks.svg)',
		...sections,
		...(badDays.length > 0 ? [badDaySection(badDays)] : []),
		METHOD_HEADING,
		METHOD,
	].join('\n\n');
}

/** What bad days cost, as a section of `docs/benchmarks.md`. */
export function badDaySection(rows: readonly BadDayRow[]): string {
	const head = [
		'what happened',
		'built with',
		'jobs paid',
		'images received',
		'job IDs lost',
		'seconds',
		'ended as',
	];
	const cells = rows.map((row, index) => [
		row.title === rows[index - 1]?.title ? '' : row.title,
		row.way,
		String(row.paid),
		String(row.images),
		row.onlyInLog > 0 ? `${row.lost} (${row.onlyInLog} in the log only)` : String(row.lost),
		row.seconds.toFixed(0),
		row.retries === 0 ? row.ending : `${row.ending} after ${row.retries} × Retry`,
	]);
	return [BAD_DAY_HEADING, markdownTable(head, cells), BAD_DAY_METHOD].join('\n\n');
}

/** A page with one of its sections replaced, or put before how it is measured. */
export function withSection(page: string, section: string): string {
	const [heading = ''] = section.split('\n', 1);
	const next = page.indexOf(`\n${METHOD_HEADING}\n`);
	if (next === -1) throw new Error(`The page has no "${METHOD_HEADING}".`);
	const own = page.indexOf(`\n${heading}\n`);
	return `${page.slice(0, own === -1 ? next : own)}\n${section}\n${page.slice(next)}`;
}

const METHOD_HEADING = '## How it is measured';
const BAD_DAY_HEADING = '## What a bad day costs';

const BAD_DAY_METHOD = `The emulator counts the paid jobs. Every row is one execution, started by a webhook. The counts are what matters; the seconds only show
the order of magnitude. A job takes 2 s (5 s for Stop, 8 s for the restart), and n8n gets 2 s to shut down. Real jobs take up to 130 s, and n8n gives
them 30 s by default.

- **Save execution progress** is on in the workflow settings, unless a row says otherwise. n8n's default is off.
- **This node** has its defaults, and **Retry On Fail**. **This node, then Get Job**: **Wait for Completion** is off, and Get Job waits for the jobs.
- **HTTP Request, Wait, IF**: 20 submits a second (**Batching**), a Wait of 2 s, a status check, and an IF. Finished jobs go to the download, failed jobs are
  submitted again, and the others go back to Wait. All requests have **Retry On Fail**. **Submits never repeated**: the submit has an error output instead.
- **Loop Over Items**: submit, Wait, status check, IF, and download for one item after the other, all with **Retry On Fail**. A failed job ends the execution.
- **Retry**: where an execution failed or crashed, Retry is used in the Executions tab, with the current workflow, up to three times. The
  expired key is renewed first. After the 502, **Resubmit If Unknown** is turned on in this node. There is no Retry after Stop, and none for
  too many reference images.
- **Images received** are files in the output of an execution. **Job IDs lost** are neither in a saved execution nor in n8n's log. After the 502, one job ID
  was only in the response that never arrived.
- **5,000 rows**: this node starts none of the jobs (**Max Jobs per Execution** is 100), and ends by itself. HTTP Request keeps sending after Stop.
- **The CDN** answers 404 until 20 s after a job has finished.`;

const METHOD = `- The service is the [emulator](../test/emulator), in a separate process on the same machine.
- **Memory**: a fresh n8n for each case, files on disk. The value is the rise of the peak of n8n's resident memory (\`VmHWM\`, cleared before the node
  starts), in megabytes of 10⁶ bytes. **HTTP Request** sends several files under one name, with a body parameter for each. **Buffered** is a node that
  reads files into buffers. **Node.js alone** is a pipe between file and socket in the same n8n: no node can be below that.
- **Jobs in parallel**: from the start of the node until the last image has arrived, as a multiple of the 10 s that each job takes. **Batched** is HTTP
  Request, Wait 3 s, HTTP Request, IF, back to Wait; **looped** is the same inside Loop Over Items.
- **CPU**: of n8n's process, by \`/proc/<pid>/stat\`, less the same number of submits, single status checks, and stored downloads made by bare requests.
- **Polling and thousands of items**: the node's own code, with n8n and the service simulated on a virtual clock. The counts are exact, and
  [tests](../test/bench) hold them.
`;
