import { readFile, writeFile } from 'node:fs/promises';
import { cpus } from 'node:os';
import { join, resolve } from 'node:path';
import { Command, Option } from 'commander';
import { costsOfBadDays } from '../test/bench/badDay';
import { toSvg } from '../test/bench/chart';
import { checkItems } from '../test/bench/checking';
import { cpuMsPerItem, jobTimes } from '../test/bench/concurrency';
import { runCommand, say, wholeNumber, withPackage } from '../test/bench/frame';
import {
	costOfWebhooks,
	RepeatedJobs,
	withoutJournal,
	type WebhooksCost,
} from '../test/bench/journal';
import { loadMs, packedKilobytes } from '../test/bench/lightness';
import { downloadPeak, uploadPeak, type Way } from '../test/bench/memory';
import { prepareN8n, startFreshN8n, type N8nKit } from '../test/bench/n8n';
import { delayShare, mostPollsInASecond, shortestGapMs } from '../test/bench/pacing';
import {
	badDaySection,
	comparisonLines,
	goalLine,
	isMet,
	toMarkdown,
	withSection,
	type Report,
} from '../test/bench/report';
import { simulate } from '../test/bench/simulation';
import { startPostgres } from '../test/e2e/real-n8n/postgres';
import type { Started } from '../test/e2e/real-n8n/started';

const root = resolve(__dirname, '..');
/** A quick answer over the internet. */
const ANSWER_MS = 40;
const LOOPED_ITEMS = 3;
const CONCURRENT_ITEMS = 20;
const CPU_ITEMS = 300;
const CHECKED_ITEMS = [1000, 10_000] as const;

const ways: readonly [Way, string][] = [
	['node', 'this node'],
	['httpRequest', 'HTTP Request'],
	['buffered', 'buffered'],
	['piped', 'Node.js alone'],
];

interface Bench {
	report: Report;
	runs: number;
	kit: N8nKit;
	tarball: string;
	started: Started;
}

type Scenario = (bench: Bench) => Promise<void>;

/** Runs each way in turn, as often as asked, so that what else the machine does meets all alike. */
async function inTurn<T extends string>(
	title: string,
	names: readonly T[],
	runs: number,
	measure: (name: T) => Promise<number>,
): Promise<Map<T, number[]>> {
	const values = new Map<T, number[]>(names.map((name) => [name, []]));
	for (let run = 1; run <= runs; run++) {
		for (const name of names) {
			const value = await measure(name);
			values.get(name)?.push(value);
			say(`${title}, run ${run}, ${name}: ${value.toFixed(2)}`);
		}
	}
	return values;
}

interface Memory {
	/** What is measured, of files of a size in megabytes. */
	titleOf: (megabytes: number) => string;
	measure: (way: Way, megabytes: number) => Promise<number>;
	sizes: readonly [number, number];
	/** The names of the goals: of one of the two sizes, and of the difference. */
	goalOf: { megabytes: number; rise: string; more: string };
}

async function measureMemory(
	{ runs, report }: Bench,
	{ titleOf, measure, sizes, goalOf }: Memory,
): Promise<void> {
	const names = ways.map(([way]) => way);
	const peaks = new Map<number, Map<Way, number[]>>();
	for (const megabytes of sizes) {
		const title = titleOf(megabytes);
		const values = await inTurn(title, names, runs, async (way) => await measure(way, megabytes));
		peaks.set(megabytes, values);
		const rows = ways.map(([way, label]) => ({ label, values: values.get(way) ?? [] }));
		report.comparisons.push({ title, unit: 'MB', rows });
	}
	const of = (megabytes: number, way: Way) => peaks.get(megabytes)?.get(way) ?? [];
	const [small, large] = sizes.map((megabytes) => of(megabytes, 'node'));
	const own = of(goalOf.megabytes, 'node');
	const beyondNodeJs = differences(own, of(goalOf.megabytes, 'piped'));
	const more = differences(large ?? [], small ?? []);
	report.goals.push(
		{ name: goalOf.rise, limit: 15, unit: 'MB', values: own },
		{
			name: 'The same beyond what Node.js alone takes',
			limit: 15,
			unit: 'MB',
			values: beyondNodeJs,
		},
		{ name: goalOf.more, limit: 5, unit: 'MB', values: more },
	);
}

function differences(values: readonly number[], from: readonly number[]): number[] {
	return values.map((value, run) => value - (from[run] ?? Number.NaN));
}

async function uploads(bench: Bench): Promise<void> {
	await measureMemory(bench, {
		titleOf: (megabytes) => `Peak memory, uploading 10 × ${megabytes} MB`,
		measure: async (way, megabytes) =>
			await uploadPeak(bench.kit, way, megabytes, bench.started.add),
		sizes: [20, 40],
		goalOf: {
			megabytes: 20,
			rise: 'Uploading 10 × 20 MB adds to peak memory',
			more: 'Extra peak memory with 40 MB files instead of 20 MB',
		},
	});
}

async function downloads(bench: Bench): Promise<void> {
	await measureMemory(bench, {
		titleOf: (megabytes) => `Peak memory, downloading ${megabytes} MB`,
		measure: async (way, megabytes) =>
			await downloadPeak(bench.kit, way, megabytes, bench.started.add),
		sizes: [100, 200],
		goalOf: {
			megabytes: 200,
			rise: 'Downloading 200 MB adds to peak memory',
			more: 'Extra peak memory with 200 MB instead of 100 MB',
		},
	});
}

async function concurrency({ report, kit, runs, started }: Bench): Promise<void> {
	const n8n = await startFreshN8n(kit, started.add);
	const title = `Time of ${CONCURRENT_ITEMS} jobs of 10 s`;
	const values = await inTurn(title, ['node', 'batched', 'looped'], runs, async (pattern) => {
		if (pattern !== 'looped') return await jobTimes(n8n, pattern, CONCURRENT_ITEMS);
		const some = await jobTimes(n8n, pattern, LOOPED_ITEMS);
		return (some / LOOPED_ITEMS) * CONCURRENT_ITEMS;
	});
	await n8n.stop();
	const own = values.get('node') ?? [];
	report.comparisons.push({
		title,
		unit: 'times one job',
		rows: [
			{ label: 'this node', values: own },
			{ label: 'HTTP Request, Wait, IF: batched', values: values.get('batched') ?? [] },
			{ label: `the same, looped (${LOOPED_ITEMS} measured)`, values: values.get('looped') ?? [] },
		],
	});
	report.goals.push({ name: title, limit: 1.2, unit: 'times one job', values: own });
}

async function items({ report, kit, runs, started }: Bench): Promise<void> {
	const n8n = await startFreshN8n(kit, started.add);
	const title = `CPU for an item of ${CPU_ITEMS} in n8n`;
	// Until it has run for a while the code is compiled anew; that counts for neither.
	await cpuMsPerItem(n8n, 'node', CPU_ITEMS);
	await cpuMsPerItem(n8n, 'bareRequests', CPU_ITEMS);
	const values = await inTurn(title, ['node', 'bareRequests'], runs, async (way) => {
		return await cpuMsPerItem(n8n, way, CPU_ITEMS);
	});
	await n8n.stop();
	const [own = [], bare = []] = [values.get('node'), values.get('bareRequests')];
	report.comparisons.push({
		title,
		unit: 'ms',
		rows: [
			{ label: 'this node', values: own },
			{ label: 'its requests alone', values: bare },
		],
	});
	report.goals.push({
		name: 'CPU an item beyond HTTP itself, in n8n',
		limit: 2,
		unit: 'ms',
		values: differences(own, bare),
	});
}

async function checking({ report, kit, runs, started }: Bench): Promise<void> {
	const n8n = await startFreshN8n(kit, started.add);
	const ways = ['node', 'bareLoop', 'noOperation'] as const;
	const nodeMs: Record<number, Map<string, number[]>> = {};
	const slowestMs = new Map<string, number[]>();
	for (const items of CHECKED_ITEMS) {
		// Until it has run for a while the code is compiled anew; that counts for none.
		await checkItems(n8n, 'node', items);
		const title = `Check of ${items.toLocaleString('en')} items`;
		nodeMs[items] = await inTurn(title, ways, runs, async (way) => {
			const result = await checkItems(n8n, way, items);
			slowestMs.set(way, [...(slowestMs.get(way) ?? []), result.slowestAnswerMs].slice(-runs));
			return result.nodeMs;
		});
		report.comparisons.push({
			title,
			unit: 'ms',
			rows: [
				{ label: 'this node', values: nodeMs[items].get('node') ?? [] },
				{ label: 'one expression of each item', values: nodeMs[items].get('bareLoop') ?? [] },
			],
		});
	}
	await n8n.stop();
	const times = (items: number, way: string) => nodeMs[items]?.get(way) ?? [];
	const [few, many] = CHECKED_ITEMS;
	const per = (values: readonly number[], by: readonly number[]) =>
		values.map((value, run) => value / (by[run] ?? Number.NaN));
	report.goals.push(
		{
			name: 'Check of 10,000 items as a multiple of one expression of each',
			limit: 1.5,
			unit: 'times',
			values: per(times(many, 'node'), times(many, 'bareLoop')),
		},
		{
			name: 'Check of an item: of 10,000 as a multiple of 1,000',
			limit: 1.2,
			unit: 'times',
			values: per(times(many, 'node'), times(few, 'node')).map((ratio) => (ratio * few) / many),
		},
		{
			name: 'Extra latency of other requests, compared with a No Operation node',
			limit: 250,
			unit: 'ms',
			values: differences(slowestMs.get('node') ?? [], slowestMs.get('noOperation') ?? []),
		},
	);
}

async function polling({ report, runs }: Bench): Promise<void> {
	const exact = (name: string, limit: number, unit: string, value: number) => {
		report.goals.push({ name, limit, unit, values: [value] });
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
		for (let run = 0; run < runs; run++) {
			const result = await simulate({ items, jobMs, answerMs: ANSWER_MS, maxConcurrentJobs: 20 });
			values.push(result.cpuMs / items);
		}
		const result = await simulate({ items, jobMs, answerMs: ANSWER_MS });
		const spread = shortestGapMs(result.pollsAtMs);
		exact(`Polls a second, ${named} jobs`, 20, 'polls', mostPollsInASecond(result.pollsAtMs));
		exact(`Polls a second by their closest pair, ${named} jobs`, 20, 'polls', 1000 / spread);
		exact(`Share of the allowed delay, ${named} jobs`, 1, '', delayShare(result, items, ANSWER_MS));
		report.goals.push({
			name: `CPU an item of ${named}, simulated service included`,
			limit: 2,
			unit: 'ms',
			values,
		});
		say(`polling, ${named} jobs: done`);
	}
	const [thousand = [], tenThousand = []] = [cpu[1000], cpu[10_000]];
	report.goals.push({
		name: 'CPU an item: 10,000 items as a multiple of 1,000',
		limit: 1.2,
		unit: 'times',
		values: tenThousand.map((value, run) => value / (thousand[run] ?? Number.NaN)),
	});
}

async function lightness({ report, kit, tarball, runs }: Bench): Promise<void> {
	const folder = join(kit.nodesDirectory, 'node_modules', 'n8n-nodes-aetherforge');
	const values: number[] = [];
	for (let run = 0; run < runs * 3; run++) values.push(await loadMs(folder));
	report.goals.push(
		{ name: 'Loading the package', limit: 10, unit: 'ms', values },
		{ name: 'Packed size', limit: 60, unit: 'kB', values: [await packedKilobytes(tarball)] },
	);
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

async function badDay({ report, kit, started }: Bench): Promise<void> {
	report.badDays.push(...(await costsOfBadDays(kit, started.add, say)));
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
		badDays: [],
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
	console.log();
	for (const comparison of report.comparisons) {
		console.log(`${comparisonLines(comparison).join('\n')}\n`);
	}
	for (const goal of report.goals) console.log(goalLine(goal));
	const page = join(root, 'docs', 'benchmarks.md');
	if (report.badDays.length > 0) console.log(`${badDaySection(report.badDays)}\n`);
	if (only === 'badDay' && report.missing.length === 0) {
		// Its costs are counted, and depend on no other scenario.
		const written = await readFile(page, 'utf8');
		await writeFile(page, withSection(written, badDaySection(report.badDays)));
		console.log('Written: a section of docs/benchmarks.md');
	}
	if (only === undefined) {
		await writeFile(page, toMarkdown(report));
		await writeFile(join(root, 'docs', 'benchmarks.svg'), toSvg(report.comparisons));
		console.log('\nWritten: docs/benchmarks.md, docs/benchmarks.svg');
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
