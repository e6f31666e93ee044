import * as fc from 'fast-check';
import { inspect } from 'node:util';

import { days, type Day } from './day';
import { judge } from './rules';
import { play } from './run';
import type { Tally } from './tally';

/** A day on which a rule did not hold. */
export interface Finding {
	/** With these the same day comes again. */
	seed: number;
	/** What was wrong with the smallest day that still fails. */
	problems: string[];
	day: Day;
}

export interface SimulateOptions {
	days: number;
	seed: number;
	/** How many days a failing one may be shrunk through. */
	shrinks?: number;
	tally?: Tally;
	/** Whether to end with this finding. */
	onFinding: (finding: Finding, dayCount: number) => boolean;
	onProgress?: (dayCount: number) => void;
}

const SHRINKS = 300;

/** Plays days one after the other; each is drawn from a seed of its own. */
export async function simulate(options: SimulateOptions): Promise<void> {
	const { shrinks = SHRINKS, tally } = options;
	const problemsOf = async (day: Day): Promise<string[]> => judge(await play(day));
	for (let count = 0; count < options.days; count++) {
		const seed = (options.seed + count) | 0;
		// The second of two: the first one is drawn with a bias to what is smallest.
		const day = fc.sample(days(), { seed, numRuns: 1 })[0];
		if (!day) throw new Error('no day was drawn');
		const played = await play(day);
		const problems = judge(played);
		tally?.add(played);
		if (problems.length > 0) {
			const rules = new Set(problems.map(ruleOf));
			// A smaller day that fails of something else is another finding.
			const smallest = await shrink(day, seed, shrinks, async (smaller) =>
				(await problemsOf(smaller)).some((problem) => rules.has(ruleOf(problem))),
			);
			const finding = { seed, day: smallest, problems: await problemsOf(smallest) };
			if (options.onFinding(finding, count + 1)) return;
		}
		options.onProgress?.(count + 1);
	}
}

/** The smallest day that fast-check finds within so many tries. */
async function shrink(
	day: Day,
	seed: number,
	tries: number,
	fails: (day: Day) => Promise<boolean>,
): Promise<Day> {
	let left = tries;
	let smallest = day;
	const property = fc.asyncProperty(days(), async (candidate) => {
		if (left-- <= 0) return;
		if (!(await fails(candidate))) return;
		smallest = candidate;
		throw new Error('fails');
	});
	await fc.check(property, { seed, numRuns: 1 });
	return smallest;
}

export function ruleOf(problem: string): string {
	return problem.slice(0, problem.indexOf(':'));
}

/** A finding as a test to paste. */
export function asTest({ day, problems, seed }: Finding): string {
	const shown = inspect(plain(day), { depth: 9, breakLength: 100 });
	return [
		`// npm run simulate -- --seed ${seed} --days 1`,
		...problems.slice(0, 5).map((problem) => `// ${problem}`),
		`it(${JSON.stringify((problems[0] ?? '').slice(0, 70))}, async () => {`,
		`	const day: Day = ${shown.replaceAll('\n', '\n\t')};`,
		'	expect(judge(await play(day))).toEqual([]);',
		'});',
	].join('\n');
}

function plain(value: unknown): unknown {
	if (Array.isArray(value)) return value.map(plain);
	if (typeof value !== 'object' || value === null) return value;
	return Object.fromEntries(Object.entries(value).map(([name, each]) => [name, plain(each)]));
}
