import { readFile, stat, writeFile } from 'node:fs/promises';
import { cpus } from 'node:os';
import { join, resolve } from 'node:path';
import { Command, Option } from 'commander';
import { costsOfBadDays } from '../test/bench/badDay';
import { toSvg } from '../test/bench/chart';
import { runCommand, say, wholeNumber, withPackage } from '../test/bench/frame';
import {
	costOfWebhooks,
	RepeatedJobs,
	withoutJournal,
	type WebhooksCost,
} from '../test/bench/journal';
import { memoryPeak, type Way } from '../test/bench/memory';
import { prepareN8n, startFreshN8n, type FreshN8n, type N8nKit } from '../test/bench/n8n';
import { isMet, partsOf, withPart, type Report } from '../test/bench/report';
import { delayShare, mostPollsInASecond, shortestGapMs, simulate } from '../test/bench/simulation';
import { checkItems, cpuMsPerItem, jobTimes, loadMs, type Pattern } from '../test/bench/speed';
import { startPostgres } from '../test/e2e/real-n8n/postgres';
import type { Started } from '../test/e2e/real-n8n/started';

const docs = resolve(__dirname, '..', 'docs');
/** A quick answer over the internet. */
const ANSWER_MS = 40;
const LOOPED_ITEMS = 3;
const CONCURRENT_ITEMS = 20;
const CPU_ITEMS = 300;
const CHECKED_ITEMS = [1000, 10_000] as const;

interface Bench {
	report: Report;
	runs: number;
	kit: N8nKit;
	tarball: string;
	started: Started;
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

/** A promise of the project: at most so much, in the middle of the runs. */
function goal(
	{ report }: Bench,
	name: string,
	limit: number,
	unit: string,
	values: readonly number[],
): void {
	report.goals.push({ name, limit, unit, values });
}

function differences(values: readonly number[], from: readonly number[]): number[] {
	return values.map((value, run) => value - (from[run] ?? Number.NaN));
}

function quotients(values: readonly number[], by: readonly number[]): number[] {
	return values.map((value, run) => value / (by[run] ?? Number.NaN));
}

/** Measures in one n8n, which ends with it. */
async function inOneN8n(
	{ kit, started }: Bench,
	measure: (n8n: FreshN8n) => Promise<void>,
): Promise<void> {
	const n8n = await startFreshN8n(kit, started.add);
	await measure(n8n);
	await n8n.stop();
}

const memoryWays: Record<Way, string> = {
	node: 'this node',
	httpRequest: 'HTTP Request',
	buffered: 'buffered',
	piped: 'Node.js alone',
};

/** @param goals of which size they are, and what is measured of it and of the difference between both */
function memory(
	what: 'upload' | 'download',
	titleOf: (megabytes: number) => string,
	sizes: readonly [small: number, large: number],
	goals: { of: 'small' | 'large'; rise: string; more: string },
): Scenario {
	return async (bench) => {
		const peaksOf = async (megabytes: number) =>
			await compare(bench, titleOf(megabytes), 'MB', memoryWays, async (way) => {
				return await memoryPeak(bench.kit, what, way, megabytes, bench.started.add);
			});
		const peaks = { small: await peaksOf(sizes[0]), large: await peaksOf(sizes[1]) };
		const { node, piped } = peaks[goals.of];
		const beyond = 'The same beyond what Node.js alone takes';
		const more = differences(peaks.large.node, peaks.small.node);
		goal(bench, goals.rise, 15, 'MB', node);
		goal(bench, beyond, 15, 'MB', differences(node, piped));
		goal(bench, goals.more, 5, 'MB', more);
	};
}

const uploads = memory(
	'upload',
	(megabytes) => `Peak memory, uploading 10 × ${megabytes} MB`,
	[20, 40],
	{
		of: 'small',
		rise: 'Uploading 10 × 20 MB adds to peak memory',
		more: 'Extra peak memory with 40 MB files instead of 20 MB',
	},
);

const downloads = memory(
	'download',
	(megabytes) => `Peak memory, downloading ${megabytes} MB`,
	[100, 200],
	{
		of: 'large',
		rise: 'Downloading 200 MB adds to peak memory',
		more: 'Extra peak memory with 200 MB instead of 100 MB',
	},
);

async function concurrency(bench: Bench): Promise<void> {
	const title = `Time of ${CONCURRENT_ITEMS} jobs of 10 s`;
	const labels: Record<Pattern, string> = {
		node: 'this node',
		batched: 'HTTP Request, Wait, IF: batched',
		looped: `the same, looped (${LOOPED_ITEMS} measured)`,
	};
	await inOneN8n(bench, async (n8n) => {
		const times = await compare(bench, title, 'times one job', labels, async (pattern) => {
			const items = pattern === 'looped' ? LOOPED_ITEMS : CONCURRENT_ITEMS;
			return ((await jobTimes(n8n, pattern, items)) / items) * CONCURRENT_ITEMS;
		});
		goal(bench, title, 1.2, 'times one job', times.node);
	});
}

async function items(bench: Bench): Promise<void> {
	const title = `CPU for an item of ${CPU_ITEMS} in n8n`;
	const labels = { node: 'this node', bareRequests: 'its requests alone' };
	await inOneN8n(bench, async (n8n) => {
		// Until it has run for a while the code is compiled anew; that counts for neither.
		await cpuMsPerItem(n8n, 'node', CPU_ITEMS);
		await cpuMsPerItem(n8n, 'bareRequests', CPU_ITEMS);
		const measure = async (way: 'node' | 'bareRequests') => await cpuMsPerItem(n8n, way, CPU_ITEMS);
		const { node, bareRequests } = await compare(bench, title, 'ms', labels, measure);
		const beyond = differences(node, bareRequests);
		goal(bench, 'CPU an item beyond HTTP itself, in n8n', 2, 'ms', beyond);
	});
}

async function checking(bench: Bench): Promise<void> {
	const labels = { node: 'this node', bareLoop: 'one expression of each item' };
	const [few, many] = CHECKED_ITEMS;
	await inOneN8n(bench, async (n8n) => {
		let slowestMs: number[] = [];
		const measure = async (count: number) => {
			// Until it has run for a while the code is compiled anew; that counts for none.
			await checkItems(n8n, 'node', count);
			const title = `Check of ${count.toLocaleString('en')} items`;
			slowestMs = [];
			return await compare(bench, title, 'ms', labels, async (way) => {
				const { nodeMs, slowestAnswerMs } = await checkItems(n8n, way, count);
				if (way === 'node') slowestMs.push(slowestAnswerMs);
				return nodeMs;
			});
		};
		const fewMs = await measure(few);
		const manyMs = await measure(many);
		const without: number[] = [];
		for (let run = 0; run < bench.runs; run++) {
			without.push((await checkItems(n8n, 'noOperation', many)).slowestAnswerMs);
		}
		const title = 'Check of 10,000 items as a multiple of one expression of each';
		goal(bench, title, 1.5, 'times', quotients(manyMs.node, manyMs.bareLoop));
		const growth = quotients(manyMs.node, fewMs.node).map((ratio) => (ratio * few) / many);
		goal(bench, 'Check of an item: of 10,000 as a multiple of 1,000', 1.2, 'times', growth);
		const later = 'Extra latency of other requests, compared with a No Operation node';
		goal(bench, later, 250, 'ms', differences(slowestMs, without));
	});
}

async function polling(bench: Bench): Promise<void> {
	const exact = (name: string, limit: number, unit: string, value: number) => {
		goal(bench, name, limit, unit, [value]);
	};
	for (const [seconds, most] of [
		[10, 7],
		[60, 22],
	] as const) {
		const jobMs = () => seconds * 1000;
		const { pollsAtMs } = await simulate({ items: 1, jobMs, answerMs: ANSWER_MS });
		exact(`Polls of a job of ${seconds} s`, most, 'polls', pollsAtMs.length);
		const { pollsAtMs: instant } = await simulate({ items: 1, jobMs });
		exact(`The same if responses took no time`, most, 'polls', instant.length);
	}
	let latest = 0;
	for (let seconds = 1; seconds < 300; seconds += 1.3) {
		const jobMs = () => seconds * 1000;
		const result = await simulate({ items: 1, jobMs, answerMs: ANSWER_MS });
		latest = Math.max(latest, delayShare(result, 1, ANSWER_MS));
	}
	exact('Share of the allowed delay, jobs of 1 to 300 s', 1, '', latest);
	const jobMs = () => 10_000;
	const cpu: Record<number, number[]> = { 1000: [], 10_000: [] };
	for (const [count, values] of Object.entries(cpu)) {
		const items = Number(count);
		const named = items.toLocaleString('en');
		for (let run = 0; run < bench.runs; run++) {
			const result = await simulate({ items, jobMs, answerMs: ANSWER_MS, maxConcurrentJobs: 20 });
			values.push(result.cpuMs / items);
		}
		const result = await simulate({ items, jobMs, answerMs: ANSWER_MS });
		const spread = shortestGapMs(result.pollsAtMs);
		exact(`Polls a second, ${named} jobs`, 20, 'polls', mostPollsInASecond(result.pollsAtMs));
		exact(`Polls a second by their closest pair, ${named} jobs`, 20, 'polls', 1000 / spread);
		exact(`Share of the allowed delay, ${named} jobs`, 1, '', delayShare(result, items, ANSWER_MS));
		goal(bench, `CPU an item of ${named}, simulated service included`, 2, 'ms', values);
		say(`polling, ${named} jobs: done`);
	}
	const growth = quotients(cpu[10_000] ?? [], cpu[1000] ?? []);
	goal(bench, 'CPU an item: 10,000 items as a multiple of 1,000', 1.2, 'times', growth);
}

async function lightness(bench: Bench): Promise<void> {
	const folder = join(bench.kit.nodesDirectory, 'node_modules', 'n8n-nodes-aetherforge');
	const values: number[] = [];
	for (let run = 0; run < bench.runs * 3; run++) values.push(await loadMs(folder));
	goal(bench, 'Loading the package', 10, 'ms', values);
	goal(bench, 'Packed size', 60, 'kB', [(await stat(bench.tarball)).size / 1000]);
}

/** The same jobs with the journal and without it, one after the other. */
async function journal({ report, kit, runs, started }: Bench): Promise<void> {
	const kits = { journal: kit, without: await withoutJournal(kit, started.add) };
	const names = ['journal', 'without'] as const;
	const cpuMs = new Map<string, number[]>();
	const row = async (title: string, jobs: number, jobMs: number, times: number, fill = 0) => {
		const values = new Map<string, number[]>();
		for (const name of names) {
			const n8n = await startFreshN8n(kits[name], started.add);
			const repeated = new RepeatedJobs(n8n, jobMs);
			// Until it has run for a while the code is compiled anew; that counts for none.
			for (let run = 0; run < 3; run++) await repeated.run(jobs);
			if (fill > 0) await repeated.run(fill);
			const costs = [];
			for (let run = 0; run < times; run++) costs.push(await repeated.run(jobs));
			await n8n.stop();
			values.set(
				name,
				costs.map(({ nodeMs }) => nodeMs),
			);
			cpuMs.set(
				`${title} ${name}`,
				costs.map((cost) => cost.cpuMs),
			);
			say(`${title}, ${name}: done`);
		}
		const rows = (all: (name: string) => number[]) => [
			{ label: 'with the journal', values: all('journal') },
			{ label: 'without', values: all('without') },
		];
		report.comparisons.push(
			{ title, unit: 'ms', rows: rows((name) => values.get(name) ?? []) },
			{
				title: `CPU of n8n: ${title}`,
				unit: 'ms',
				rows: rows((name) => cpuMs.get(`${title} ${name}`) ?? []),
			},
		);
		const without = values.get('without') ?? [];
		return { without, more: differences(values.get('journal') ?? [], without) };
	};
	const one = await row('One job', 1, 0, runs * 5);
	const many = await row('100 jobs of 2 s', 100, 2000, runs);
	await row('One job, 1,000 jobs in the row', 1, 0, runs * 5, 1000);
	report.goals.push(
		{
			name: 'The journal adds to one job',
			limit: kit.postgres ? 30 : 60,
			unit: 'ms',
			values: one.more,
		},
		{
			name: 'The journal adds to 100 jobs of 2 s',
			limit: 3,
			unit: '%',
			values: many.more.map((more, run) => (more / (many.without[run] ?? Number.NaN)) * 100),
		},
	);
}

/** A minute of webhooks, each of which starts a job, with the journal and without it. */
async function webhooks({ report, kit, started }: Bench): Promise<void> {
	const kits = { journal: kit, without: await withoutJournal(kit, started.add) };
	const names = ['journal', 'without'] as const;
	for (const held of [0, 1000]) {
		const costs = new Map<string, WebhooksCost>();
		for (const name of names) {
			const n8n = await startFreshN8n(kits[name], started.add);
			costs.set(name, await costOfWebhooks(n8n, held));
			await n8n.stop();
			say(`100 webhooks a minute, ${held} jobs before, ${name}: done`);
		}
		const [own, bare] = names.map((name) => costs.get(name));
		if (!own || !bare) throw new Error('One was not measured.');
		const title = `100 webhooks in a minute, ${held} jobs in the row`;
		for (const [what, unit, of] of [
			['CPU of n8n', 'ms', (cost: WebhooksCost) => cost.cpuMs],
			['Written to the database', 'kB', (cost: WebhooksCost) => cost.writtenKilobytes],
		] as const) {
			report.comparisons.push({
				title: `${what}: ${title}`,
				unit,
				rows: [
					{ label: 'with the journal', values: [of(own)] },
					{ label: 'without', values: [of(bare)] },
				],
			});
		}
	}
}

/** Its costs are counted, and depend on no other scenario: they are written whenever they are known. */
async function badDay({ kit, started }: Bench): Promise<void> {
	const table = await costsOfBadDays(kit, started.add);
	console.log(`${table}\n`);
	await writeParts({ 'bad days': table });
}

async function writeParts(parts: Record<string, string>): Promise<void> {
	const file = join(docs, 'benchmarks.md');
	let page = await readFile(file, 'utf8');
	for (const [name, part] of Object.entries(parts)) page = withPart(page, name, part);
	await writeFile(file, page);
	say(`Written, in docs/benchmarks.md: ${Object.keys(parts).join(', ')}`);
}

const scenarios: Record<string, Scenario> = {
	uploads,
	downloads,
	concurrency,
	items,
	checking,
	polling,
	lightness,
	journal,
	webhooks,
	badDay,
};

interface Options {
	only?: string;
	runs: number;
	database: 'sqlite' | 'postgres';
}

async function main({ only, runs, database }: Options): Promise<void> {
	const [processor] = cpus();
	const report: Report = {
		setting:
			`n8n 2.41 with ${database}, ${cpus().length} cores (${processor?.model.trim() ?? 'unknown'}), ` +
			`${runs} ${runs === 1 ? 'run' : 'runs'} of everything that is measured.`,
		goals: [],
		comparisons: [],
		missing: [],
	};
	await withPackage(async (tarball, started) => {
		const kit = await prepareN8n(tarball, say, started.add);
		if (database === 'postgres') {
			kit.postgres = await startPostgres();
			started.add(kit.postgres.stop);
			await kit.postgres.ready;
		}
		const bench = { report, runs, kit, tarball, started };
		for (const [name, measure] of Object.entries(scenarios)) {
			if (only !== undefined && only !== name) continue;
			try {
				await measure(bench);
			} catch (error) {
				const reason = error instanceof Error ? error.message : String(error);
				report.missing.push(`${name}: ${reason}`);
				say(`${name} could not be measured: ${reason}`);
			}
		}
	});
	const parts = partsOf(report);
	console.log(`\n${Object.values(parts).join('\n\n')}\n`);
	if (only === undefined) {
		await writeParts(parts);
		await writeFile(join(docs, 'benchmarks.svg'), toSvg(report.comparisons));
	}
	if (report.missing.length > 0 || !report.goals.every(isMet)) process.exitCode = 2;
}

runCommand(
	new Command('bench')
		.description('Measures what the project promises, in a real n8n against the emulator.')
		.addOption(
			new Option('--only <scenario>', 'one scenario; only badDay writes its section then').choices(
				Object.keys(scenarios),
			),
		)
		.addOption(
			new Option('--database <name>', 'where n8n keeps its data')
				.choices(['sqlite', 'postgres'])
				.default('sqlite'),
		)
		.option('--runs <number>', 'how often everything is measured', wholeNumber, 3)
		.action(main),
);
