import * as fc from 'fast-check';
import { inspect } from 'node:util';

import { Books } from './books';
import { days, type Day } from './day';
import * as rules from './rules';
import { play } from './run';

/** What scripts/simulate.ts asks of one of its processes. */
export interface Part {
	days: number;
	/** Of the first day; each is drawn from a seed of its own. */
	seed: number;
	/** Ends with the first finding, and writes nothing but that. */
	json: boolean;
}

/** A day on which a rule did not hold. */
export interface Finding {
	day: number;
	problem: string;
}

/** How many days a failing one may be shrunk through. */
const SHRINKS = 300;

async function main({ days: dayCount, seed: firstSeed, json }: Part): Promise<void> {
	let findingCount = 0;
	let finding: Finding | null = null;
	for (let count = 1; count <= dayCount && !(json && finding); count++) {
		const seed = (firstSeed + count - 1) | 0;
		const [day] = fc.sample(days(), { seed, numRuns: 1 });
		const problems = day ? await problemsOf(day) : [];
		const [problem] = problems;
		if (!day || problem === undefined) continue;
		findingCount++;
		finding = { day: count, problem };
		if (!json) await show(day, seed, new Set(problems.map(ruleOf)));
	}
	if (json) console.log(JSON.stringify(finding));
	else console.log(`${dayCount} days from seed ${firstSeed}, ${findingCount} findings`);
	process.exitCode = json || findingCount === 0 ? 0 : 1;
}

/** Prints the smallest day that still fails: one that fails of something else is another finding. */
async function show(day: Day, seed: number, wanted: Set<string>): Promise<void> {
	let left = SHRINKS;
	const holds = async (candidate: Day) =>
		left-- <= 0 || !(await problemsOf(candidate)).some((each) => wanted.has(ruleOf(each)));
	const { counterexample } = await fc.check(fc.asyncProperty(days(), holds), { seed, numRuns: 1 });
	const [smallest] = counterexample ?? [day];
	console.log(`\nnpm run simulate -- --seed ${seed} --days 1\n`);
	for (const problem of (await problemsOf(smallest)).slice(0, 5)) console.log(problem);
	// fast-check's records have no prototype, which would be shown.
	console.log(inspect(structuredClone(smallest), { depth: 9, breakLength: 100 }));
}

/** Plays a day, and tells what is wrong with it, as "rule: what". */
async function problemsOf(day: Day): Promise<string[]> {
	const books = new Books(await play(day));
	return Object.entries(rules).flatMap(([name, rule]) =>
		[...new Set<string>(rule(books))].map((what) => `${name}: ${what}`),
	);
}

function ruleOf(problem: string): string {
	return problem.slice(0, problem.indexOf(':'));
}

void main(JSON.parse(process.argv[2] ?? '') as Part);
