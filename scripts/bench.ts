import { readFile, writeFile } from 'node:fs/promises';
import { cpus } from 'node:os';
import { resolve } from 'node:path';
import { Command, Option } from 'commander';
import { costsOfBadDays } from '../test/bench/badDay';
import { runCommand, say, wholeNumber, withPackage } from '../test/bench/frame';
import { jobsMs, repeatedJobs, withoutJournal } from '../test/bench/journal';
import { memoryPeak, type Way } from '../test/bench/memory';
import { openService, prepareN8n, startServer, type N8nKit } from '../test/bench/n8n';
import { pollsOf } from '../test/bench/polling';
import { isMet, partsOf, withPart, type Report } from '../test/bench/report';
import { checkItems, cpuMsPerItem, jobTimes, type Checked } from '../test/bench/speed';
import type { Started } from '../test/e2e/real-n8n/started';

const page = resolve(__dirname, '..', 'docs', 'benchmarks.md');

interface Bench {
	report: Report;
	runs: number;
	kit: N8nKit;
	started: Started;
	/** A promise of the project: at most so much, in the middle of the runs. */
	goal: (name: string, limit: number, unit: string, values: readonly number[]) => void;
}

type Scenario = (bench: Bench) => Promise<void>;

/**
 * Measures each way in turn, as often as asked, so that what else the machine does meets all alike.
 *
 * @param labels of the ways that are compared in the report, by name; the node itself comes first
 */
async function compare<T extends string>(
	{ report, runs }: Bench,
	title: string,
	unit: string,
	labels: Record<T, string>,
	measure: (way: T) => Promise<number>,
): Promise<Record<T, number[]>> {
	const ways = Object.keys(labels) as T[];
	const values = Object.fromEntries(ways.map((way) => [way, []])) as unknown as Record<T, number[]>;
	for (let run = 1; run <= runs; run++) {
		for (const way of ways) {
			const value = await measure(way);
			values[way].push(value);
			say(`${title}, run ${run}, ${way}: ${value.toFixed(2)}`);
		}
	}
	const rows = ways.map((way) => ({ label: labels[way], values: values[way] }));
	report.comparisons.push({ title, unit, rows });
	return values;
}

function differences(values: readonly number[], from: readonly number[]): number[] {
	return values.map((value, run) => value - (from[run] ?? Number.NaN));
}

function quotients(values: readonly number[], by: readonly number[]): number[] {
	return values.map((value, run) => value / (by[run] ?? Number.NaN));
}

const memoryWays: Record<Way, string> = {
	node: 'this node',
	httpRequest: 'HTTP Request',
	piped: 'Node.js alone',
};

/** The peaks of the node itself, and what it takes beyond Node.js alone, with so many megabytes. */
async function memory(bench: Bench, what: 'upload' | 'download', megabytes: number) {
	const title = `Peak memory, ${what}ing ${what === 'upload' ? '10 × ' : ''}${megabytes} MB`;
	const { node, piped } = await compare(bench, title, 'MB', memoryWays, async (way) => {
		return await memoryPeak(bench.kit, what, way, megabytes, bench.started);
	});
	return { node, beyond: differences(node, piped) };
}

const BEYOND = 'The same beyond what Node.js alone takes';

async function uploads(bench: Bench): Promise<void> {
	const small = await memory(bench, 'upload', 20);
	const large = await memory(bench, 'upload', 40);
	bench.goal('Uploading 10 × 20 MB adds to peak memory', 15, 'MB', small.node);
	bench.goal(BEYOND, 15, 'MB', small.beyond);
	const more = differences(large.node, small.node);
	bench.goal('Extra peak memory with 40 MB files instead of 20 MB', 5, 'MB', more);
}

async function downloads(bench: Bench): Promise<void> {
	const small = await memory(bench, 'download', 100);
	const large = await memory(bench, 'download', 200);
	bench.goal('Downloading 200 MB adds to peak memory', 15, 'MB', large.node);
	bench.goal(BEYOND, 15, 'MB', large.beyond);
	const more = differences(large.node, small.node);
	bench.goal('Extra peak memory with 200 MB instead of 100 MB', 5, 'MB', more);
}

async function concurrency({ kit, runs, started, goal }: Bench): Promise<void> {
	const server = await startServer(kit, started);
	const times: number[] = [];
	for (let run = 0; run < runs; run++) times.push(await jobTimes(server, 20, started));
	await server.stop();
	goal('Time of 20 jobs of 10 s', 1.2, 'times one job', times);
}

async function items(bench: Bench): Promise<void> {
	const labels = { node: 'this node', bareRequests: 'its requests alone' };
	const server = await startServer(bench.kit, bench.started);
	const measure = async (way: keyof typeof labels) =>
		await cpuMsPerItem(server, way, 300, bench.started);
	// Until it has run for a while the code is compiled anew; that counts for neither.
	await measure('node');
	await measure('bareRequests');
	const title = 'CPU for an item of 300 in n8n';
	const { node, bareRequests } = await compare(bench, title, 'ms', labels, measure);
	await server.stop();
	const beyond = differences(node, bareRequests);
	bench.goal('CPU an item beyond HTTP itself, in n8n', 2, 'ms', beyond);
}

async function checking(bench: Bench): Promise<void> {
	const labels = { node: 'this node', bareLoop: 'one expression of each item' };
	const server = await startServer(bench.kit, bench.started);
	const user = await openService(server.url, {}, bench.started);
	/** By the way, of the items of the last measurement. */
	let slowestMs: Partial<Record<Checked, number[]>> = {};
	const check = async (way: Checked, count: number) => {
		const { checkMs, slowestAnswerMs } = await checkItems(user, way, count);
		(slowestMs[way] ??= []).push(slowestAnswerMs);
		return checkMs;
	};
	const measure = async (count: number) => {
		// Until it has run for a while the code is compiled anew; that counts for none.
		await check('node', count);
		slowestMs = {};
		const title = `Check of ${count.toLocaleString('en')} items`;
		return await compare(bench, title, 'ms', labels, async (way) => await check(way, count));
	};
	const few = await measure(1000);
	const many = await measure(10_000);
	for (let run = 0; run < bench.runs; run++) await check('noOperation', 10_000);
	await server.stop();
	const multiples = quotients(many.node, many.bareLoop);
	const title = 'Check of 10,000 items as a multiple of one expression of each';
	bench.goal(title, 1.5, 'times', multiples);
	const growth = quotients(many.node, few.node).map((ratio) => ratio / 10);
	bench.goal('Check of an item: of 10,000 as a multiple of 1,000', 1.2, 'times', growth);
	const later = differences(slowestMs.node ?? [], slowestMs.noOperation ?? []);
	const latency = 'Extra latency of other requests, compared with a No Operation node';
	bench.goal(latency, 250, 'ms', later);
}

async function polling({ goal }: Bench): Promise<void> {
	for (const [seconds, most] of [
		[10, 7],
		[60, 22],
	] as const) {
		const { pollsAtMs } = await pollsOf({ jobsMs: [seconds * 1000] });
		goal(`Polls of a job of ${seconds} s`, most, 'polls', [pollsAtMs.length]);
	}
	let latest = 0;
	for (let jobMs = 1000; jobMs < 300_000; jobMs += 1300) {
		const { delayShare } = await pollsOf({ jobsMs: [jobMs] });
		latest = Math.max(latest, delayShare);
	}
	goal('Share of the allowed delay, jobs of 1 to 300 s', 1, '', [latest]);
	for (const jobs of [1000, 10_000]) {
		const named = `${jobs.toLocaleString('en')} jobs of 10 s`;
		const jobsMs = Array<number>(jobs).fill(10_000);
		const { shortestGapMs, delayShare } = await pollsOf({ jobsMs });
		goal(`Polls a second, ${named}`, 20, 'polls', [1000 / shortestGapMs]);
		goal(`Share of the allowed delay, ${named}`, 1, '', [delayShare]);
	}
}

/** The same jobs with the journal and without it, in an n8n each. */
async function journal(bench: Bench): Promise<void> {
	const { kit, started } = bench;
	const bare = await withoutJournal(kit, started);
	const labels = { node: 'with the journal', without: 'without' };
	const measure = async (title: string, jobs: number, jobMs: number, runs: number) => {
		const repeated = {
			node: await repeatedJobs(kit, jobs, jobMs, started),
			without: await repeatedJobs(bare, jobs, jobMs, started),
		};
		const measureOf = async (way: 'node' | 'without') => await jobsMs(repeated[way], runs);
		return await compare(bench, title, 'ms', labels, measureOf);
	};
	const one = await measure('One job', 1, 0, 5);
	bench.goal('The journal adds to one job', 60, 'ms', differences(one.node, one.without));
	const many = await measure('100 jobs of 2 s', 100, 2000, 1);
	const times = quotients(many.node, many.without);
	bench.goal('100 jobs of 2 s as a multiple of those without the journal', 1.03, 'times', times);
}

/** Its costs are counted, and depend on no other scenario: they are written whenever they are known. */
async function badDay({ kit, started }: Bench): Promise<void> {
	await writeParts({ 'bad days': await costsOfBadDays(kit, started) });
}

async function writeParts(parts: Record<string, string>): Promise<void> {
	let text = await readFile(page, 'utf8');
	for (const [name, part] of Object.entries(parts)) text = withPart(text, name, part);
	await writeFile(page, text);
	say(`Written, in docs/benchmarks.md: ${Object.keys(parts).join(', ')}`);
}

const scenarios: Record<string, Scenario> = {
	uploads,
	downloads,
	concurrency,
	items,
	checking,
	polling,
	journal,
	badDay,
};

async function main({ only, runs }: { only?: string; runs: number }): Promise<void> {
	const [processor] = cpus();
	const report: Report = {
		setting:
			`n8n 2.41, ${cpus().length} cores (${processor?.model.trim() ?? 'unknown'}), ` +
			`${runs} ${runs === 1 ? 'run' : 'runs'} of everything that is measured.`,
		goals: [],
		comparisons: [],
	};
	const goal: Bench['goal'] = (name, limit, unit, values) => {
		report.goals.push({ name, limit, unit, values });
	};
	await withPackage(async (tarball, started) => {
		const bench = { report, runs, kit: await prepareN8n(tarball, started), started, goal };
		for (const [name, measure] of Object.entries(scenarios)) {
			if (only === undefined || only === name) await measure(bench);
		}
	});
	const parts = partsOf(report);
	console.log(`\n${Object.values(parts).join('\n\n')}\n`);
	if (only === undefined) await writeParts(parts);
	if (!report.goals.every(isMet)) process.exitCode = 2;
}

runCommand(
	new Command('bench')
		.description('Measures what the project promises, in a real n8n against the emulator.')
		.addOption(
			new Option('--only <scenario>', 'one scenario; only badDay writes its section then').choices(
				Object.keys(scenarios),
			),
		)
		.option('--runs <number>', 'how often everything is measured', wholeNumber, 3)
		.action(main),
);
