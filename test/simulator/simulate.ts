import * as fc from 'fast-check';
import { inspect } from 'node:util';

import { days, type Day } from './day';
import { judge } from './rules';
import { play, type Played } from './run';

/** A day on which a rule did not hold. */
export interface Finding {
	/** With these the same day comes again. */
	seed: number;
	/** What was wrong with the smallest day that still fails. */
	problems: string[];
	day: Day;
}

interface Options {
	days: number;
	seed: number;
	/** How many days a failing one may be shrunk through. */
	shrinks: number;
	onDay: (played: Played) => void;
	/** Whether to end with this finding. */
	onFinding: (finding: Finding) => boolean;
}

/** Plays days one after the other; each is drawn from a seed of its own. */
export async function playDays(options: Options): Promise<void> {
	for (let count = 0; count < options.days; count++) {
		const seed = (options.seed + count) | 0;
		const [day] = fc.sample(days(), { seed, numRuns: 1 });
		if (!day) throw new Error('no day was drawn');
		const played = await play(day);
		options.onDay(played);
		const rules = new Set(judge(played).map(ruleOf));
		if (rules.size === 0) continue;
		// A smaller day that fails of something else is another finding.
		const smallest = await shrink(day, seed, options.shrinks, async (smaller) =>
			judge(await play(smaller)).some((problem) => rules.has(ruleOf(problem))),
		);
		const finding = { seed, day: smallest, problems: judge(await play(smallest)) };
		if (options.onFinding(finding)) return;
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
		if (left-- <= 0 || !(await fails(candidate))) return;
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
	// fast-check's records have no prototype, which would be shown.
	const shown = inspect(structuredClone(day), { depth: 9, breakLength: 100 });
	return [
		`// npm run simulate -- --seed ${seed} --days 1`,
		...problems.slice(0, 5).map((problem) => `// ${problem}`),
		`it(${JSON.stringify((problems[0] ?? '').slice(0, 70))}, async () => {`,
		`	const day: Day = ${shown.replaceAll('\n', '\n\t')};`,
		'	expect(judge(await play(day))).toEqual([]);',
		'});',
	].join('\n');
}
