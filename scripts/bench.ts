import { readFile, writeFile } from 'node:fs/promises';
import { cpus } from 'node:os';
import { resolve } from 'node:path';
import { Command, Option } from 'commander';
import { costsOfBadDays } from '../test/bench/badDay';
import { runCommand, say, untilReady, wholeNumber, withPackage } from '../test/bench/frame';
import { costOfWebhooks, repeatedJobs, withoutJournal } from '../test/bench/journal';
import { memoryPeak, type Way } from '../test/bench/memory';
import { openService, prepareN8n, startServer, type N8nKit } from '../test/bench/n8n';
import { isMet, partsOf, withPart, type Report } from '../test/bench/report';
import { checkItems, cpuMsPerItem, jobTimes } from '../test/bench/speed';
import { startPostgres } from '../test/e2e/real-n8n/postgres';
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
 * @param tables of the report, by what a measurement gives
 * @param labels of the ways that are compared, by name; the node itself comes first
 * @returns gives the values of a way, run for run
 */
async function compare<What extends string, Way extends string>(
	{ report, runs }: Pick<Bench, 'report' | 'runs'>,
	tables: Record<What, readonly [title: string, unit: string]>,
	labels: Record<Way, string>,
	measure: (way: Way) => Promise<Record<What, number>>,
): Promise<(what: What, way: Way) => number[]> {
	const ways = Object.keys(labels) as Way[];
	const costs: { way: Way; cost: Record<What, number> }[] = [];
	for (let run = 1; run <= runs; run++) {
		for (const way of ways) {
			const cost = await measure(way);
			costs.push({ way, cost });
			say(`run ${run}, ${labels[way]}: ${JSON.stringify(cost)}`);
		}
	}
	const valuesOf = (what: What, way: Way) =>
		costs.filter((each) => each.way === way).map(({ cost }) => cost[what]);
	for (const what of Object.keys(tables) as What[]) {
		const [title, unit] = tables[what];
		const rows = ways.map((way) => ({ label: labels[way], values: valuesOf(what, way) }));
		report.comparisons.push({ title, unit, rows });
	}
	return valuesOf;
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
	const peaks = await compare(bench, { peak: [title, 'MB'] }, memoryWays, async (way) => {
		return { peak: await memoryPeak(bench.kit, what, way, megabytes, bench.started) };
	});
	const node = peaks('peak', 'node');
	return { node, beyond: differences(node, peaks('peak', 'piped')) };
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
	const measure = async (way: keyof typeof labels) => {
		return { cpu: await cpuMsPerItem(server, way, 300, bench.started) };
	};
	// Until it has run for a while the code is compiled anew; that counts for neither.
	await measure('node');
	await measure('bareRequests');
	const table = { cpu: ['CPU for an item of 300 in n8n', 'ms'] } as const;
	const valuesOf = await compare(bench, table, labels, measure);
	await server.stop();
	const beyond = differences(valuesOf('cpu', 'node'), valuesOf('cpu', 'bareRequests'));
	bench.goal('CPU an item beyond HTTP itself, in n8n', 2, 'ms', beyond);
}

async function checking(bench: Bench): Promise<void> {
	const labels = {
		node: 'this node',
		bareLoop: 'one expression of each item',
		noOperation: 'No Operation',
	};
	const server = await startServer(bench.kit, bench.started);
	const user = await openService(server.url, {}, bench.started);
	const measure = async (count: number) => {
		// Until it has run for a while the code is compiled anew; that counts for none.
		await checkItems(user, 'node', count);
		const title = `Check of ${count.toLocaleString('en')} items`;
		const tables = {
			checkMs: [title, 'ms'],
			slowestMs: [`${title}: slowest response of n8n meanwhile`, 'ms'],
		} as const;
		return await compare(bench, tables, labels, async (way) => await checkItems(user, way, count));
	};
	const few = await measure(1000);
	const many = await measure(10_000);
	await server.stop();
	const multiples = quotients(many('checkMs', 'node'), many('checkMs', 'bareLoop'));
	const title = 'Check of 10,000 items as a multiple of one expression of each';
	bench.goal(title, 1.5, 'times', multiples);
	const ratios = quotients(many('checkMs', 'node'), few('checkMs', 'node'));
	const growth = ratios.map((ratio) => ratio / 10);
	bench.goal('Check of an item: of 10,000 as a multiple of 1,000', 1.2, 'times', growth);
	const later = differences(many('slowestMs', 'node'), many('slowestMs', 'noOperation'));
	const latency = 'Extra latency of other requests, compared with a No Operation node';
	bench.goal(latency, 250, 'ms', later);
}

const journalWays = { node: 'with the journal', without: 'without' };

/** The same jobs with the journal and without it, in an n8n each. */
async function journal(bench: Bench): Promise<void> {
	const { kit, report, started } = bench;
	const bare = await withoutJournal(kit, started);
	const measure = async (title: string, runs: number, jobs: Parameters<typeof repeatedJobs>[1]) => {
		const tables = { nodeMs: [title, 'ms'], cpuMs: [`CPU of n8n: ${title}`, 'ms'] } as const;
		const repeated = {
			node: await repeatedJobs(kit, jobs, started),
			without: await repeatedJobs(bare, jobs, started),
		};
		const valuesOf = await compare({ report, runs }, tables, journalWays, async (way) => {
			return await repeated[way].run();
		});
		await repeated.node.stop();
		await repeated.without.stop();
		return [valuesOf('nodeMs', 'node'), valuesOf('nodeMs', 'without')] as const;
	};
	const one = await measure('One job', bench.runs * 5, { jobs: 1, jobMs: 0 });
	const many = await measure('100 jobs of 2 s', bench.runs, { jobs: 100, jobMs: 2000 });
	const full = { jobs: 1, jobMs: 0, held: 1000 };
	await measure('One job, 1,000 jobs in the row', bench.runs * 5, full);
	const most = kit.postgres ? 30 : 60;
	bench.goal('The journal adds to one job', most, 'ms', differences(...one));
	const times = quotients(...many);
	bench.goal('100 jobs of 2 s as a multiple of those without the journal', 1.03, 'times', times);
}

/** A minute of webhooks, each of which starts a job, with the journal and without it. */
async function webhooks({ kit, report, started }: Bench): Promise<void> {
	const kits = { node: kit, without: await withoutJournal(kit, started) };
	for (const held of [0, 1000]) {
		const title = `100 webhooks in a minute, ${held.toLocaleString('en')} jobs in the row`;
		const tables = {
			cpuMs: [`CPU of n8n: ${title}`, 'ms'],
			kilobytes: [`Written to the database: ${title}`, 'kB'],
		} as const;
		await compare({ report, runs: 1 }, tables, journalWays, async (way) => {
			return await costOfWebhooks(kits[way], held, started);
		});
	}
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
		setting: `n8n 2.41 with ${database}, ${cpus().length} cores (${processor?.model ?? 'unknown'}), measured ${runs} ×.`,
		goals: [],
		comparisons: [],
	};
	const goal: Bench['goal'] = (name, limit, unit, values) => {
		report.goals.push({ name, limit, unit, values });
	};
	await withPackage(async (installNodes, started) => {
		const kit = await prepareN8n(installNodes, started);
		if (database === 'postgres') kit.postgres = await untilReady(await startPostgres(), started);
		const bench = { report, runs, kit, started, goal };
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
		.addOption(
			new Option('--database <name>', 'where n8n keeps its data')
				.choices(['sqlite', 'postgres'])
				.default('sqlite'),
		)
		.option('--runs <number>', 'how often everything is measured', wholeNumber, 3)
		.action(main),
);
