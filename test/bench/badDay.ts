import { readFile } from 'node:fs/promises';
import { setTimeout as sleep } from 'node:timers/promises';
import type { Emulator, EmulatorOptions } from '../emulator/emulator';
import type { JobWish } from '../emulator/jobs';
import {
	N8nRequestError,
	type Execution,
	type N8nClient,
	type SavedWorkflow,
} from '../e2e/real-n8n/rest-client';
import type { N8nServer } from '../e2e/real-n8n/server';
import type { Started } from '../e2e/real-n8n/started';
import { until } from '../e2e/real-n8n/until';
import { WAYS, workflowFor, type Order, type Way } from './badDayWorkflows';
import { say } from './frame';
import {
	activated,
	BENCH_KEY,
	openService,
	startServer,
	unsavedJobs,
	type N8nKit,
	type User,
} from './n8n';
import { markdownTable } from './report';

const ITEMS = 20;
const JOB_MS = 2000;
/** Longer than n8n takes to end, so that jobs are under way when it does. */
const LONG_JOB_MS = 8000;
const RUN_LIMIT_SECONDS = 580;
/** Nothing more is paid for once nothing was for this long. */
const QUIET_MS = 8000;
const RETRIES = 3;
const BETWEEN_RETRIES_MS = 10_000;

/** A run in n8n that something happens to. */
interface Day extends User {
	way: Way;
	saved: SavedWorkflow;
	/** Waits until so many jobs have been paid for. */
	untilPaid: (jobs: number) => Promise<void>;
	/** How n8n has marked the newest execution, once it has ended. */
	ended: () => Promise<string | undefined>;
	stop: () => Promise<void>;
	restart: () => Promise<void>;
}

interface BadDay {
	title: string;
	/** Absent: the usual ones. */
	ways?: readonly Way[];
	order?: Partial<Order>;
	jobMs?: number;
	/** Makes the emulator misbehave: from the start, or as it accepts a submit. */
	begin?: (emulator: Emulator) => void;
	wish?: (emulator: Emulator) => JobWish | undefined;
	/** What happens while the workflow runs. */
	during?: (day: Day) => Promise<void>;
	/** What is put right before a person presses Retry. Absent: nobody retries. */
	putRight?: (day: Day) => Promise<void> | void;
}

const USUAL_WAYS: readonly Way[] = ['node', 'retried', 'errorOutput', 'looped'];

/** Once a job has been paid for, and a second later. */
async function restartOnceUnderWay({ untilPaid, restart }: Day): Promise<void> {
	await untilPaid(1);
	await sleep(1000);
	await restart();
}

const badDays: readonly BadDay[] = [
	{
		title: 'A 502 after the 5th of 20 jobs was accepted',
		begin: ({ faults, submits }) => {
			const match = () => submits.length === 5;
			faults.add({ at: 'submit', when: 'accepted', kind: 'html', status: 502, match });
		},
		putRight: async ({ client, saved, way }) => {
			if (way !== 'node') return;
			await client.update(saved, (node) => {
				if (node.name === 'Generate') node.parameters.options = { resubmitIfUnknown: true };
			});
		},
	},
	{
		title: 'One of 20 jobs fails',
		wish: ({ submits }) => (submits.length === 4 ? { outcome: { status: 'Failed' } } : undefined),
		putRight: () => undefined,
	},
	{
		title: 'Stop when 20 of 40 jobs are paid',
		order: { items: 40 },
		jobMs: 5000,
		during: async ({ untilPaid, stop }) => {
			await untilPaid(20);
			await stop();
		},
	},
	{
		title: 'n8n restarted while 20 jobs are running',
		ways: ['node', 'collected', 'retried', 'errorOutput', 'looped'],
		jobMs: LONG_JOB_MS,
		during: restartOnceUnderWay,
		putRight: () => undefined,
	},
	{
		title: 'The same without Save execution progress',
		ways: ['node', 'collected', 'retried'],
		order: { savesProgress: false },
		jobMs: LONG_JOB_MS,
		during: restartOnceUnderWay,
		putRight: () => undefined,
	},
	{
		title: 'The key expires at item 40 of 100',
		order: { items: 100 },
		wish: ({ submits, apiKeys }) => {
			if (submits.length === 39) apiKeys.delete(BENCH_KEY);
			return undefined;
		},
		putRight: ({ emulator }) => void emulator.apiKeys.add(BENCH_KEY),
	},
	{ title: '11 reference images in one item', order: { items: 1, files: 11 } },
	{
		title: 'The last of 20 rows has a reference image too many',
		order: {
			files: 2,
			model: `={{ $json.row === ${ITEMS - 1} ? 'Grok Imagine Pro' : 'GPT Image 1.5' }}`,
		},
	},
	{
		title: '5,000 rows by accident, stopped after 60 s',
		order: { items: 5000 },
		during: async ({ ended, stop }) => {
			await until(ended, 60_000, 300).catch(stop);
		},
	},
	{
		title: 'The CDN has the images 20 s late',
		begin: ({ faults, jobs }) => {
			const match = ({ jobId = '' }: { jobId?: string }) => {
				const { createdAtMs, durationMs } = jobs.get(jobId);
				return Date.now() < createdAtMs + durationMs + 20_000;
			};
			faults.add({ at: 'download', kind: 'respond', status: 404, times: Infinity, match });
		},
		putRight: () => undefined,
	},
];

/** What every bad day costs in every way, in an n8n of its own: a table for `docs/benchmarks.md`. */
export async function costsOfBadDays(kit: N8nKit, started: Started): Promise<string> {
	// Jobs of the emulator are short, and so is what n8n waits for them when it is asked to end.
	const env = { N8N_GRACEFUL_SHUTDOWN_TIMEOUT: '2' };
	const server = await startServer(kit, started, env);
	const rows: string[][] = [];
	for (const badDay of badDays) {
		for (const [index, way] of (badDay.ways ?? USUAL_WAYS).entries()) {
			const cost = await costOf(badDay, way, server, started);
			say([badDay.title, WAYS[way], ...cost].join(', '));
			rows.push([index === 0 ? badDay.title : '', WAYS[way], ...cost]);
		}
	}
	return markdownTable(HEAD, rows);
}

const HEAD = [
	'what happened',
	'built with',
	'jobs paid',
	'images received',
	'job IDs lost',
	'seconds',
	'ended as',
];

/** What a bad day costs in one of the ways to have images made: the columns from "jobs paid" on. */
async function costOf(
	badDay: BadDay,
	way: Way,
	server: N8nServer,
	started: Started,
): Promise<string[]> {
	const order: Order = {
		items: ITEMS,
		files: 0,
		model: 'GPT Image 1.5',
		savesProgress: true,
		...badDay.order,
	};
	const options: EmulatorOptions = {
		jobDurationMs: badDay.jobMs ?? JOB_MS,
		wish: () => badDay.wish?.(user.emulator),
	};
	const user: User = await openService(server.url, options, started);
	const { client, emulator } = user;
	badDay.begin?.(emulator);
	const { saved, call } = await activated(user, (path) =>
		workflowFor(way, order, emulator.apiUrl, path),
	);
	await call();
	const startedAtMs = Date.now();
	const idOf = async () => (await client.executions(saved))[0]?.id ?? '';
	const ended = async () => {
		const [newest] = await client.executions(saved);
		const isOver = newest && !['new', 'running', 'waiting'].includes(newest.status);
		return isOver ? newest.status : undefined;
	};
	const day: Day = {
		...user,
		way,
		saved,
		ended,
		untilPaid: async (jobs) => {
			await until(() => emulator.submits.length >= jobs, Infinity, 5);
		},
		stop: async () => {
			await client.stop(await idOf()).catch(ignoreRefusal);
		},
		restart: async () => {
			await server.restart();
			await client.signIn();
		},
	};
	await badDay.during?.(day);
	let ending = await until(ended, RUN_LIMIT_SECONDS * 1000, 300);
	let retries = 0;
	while (badDay.putRight && ending !== 'success' && retries < RETRIES) {
		retries++;
		if (retries === 1) await badDay.putRight(day);
		else await sleep(BETWEEN_RETRIES_MS);
		const retried = await client
			.retry(await idOf(), { loadWorkflow: true, timeoutSeconds: RUN_LIMIT_SECONDS })
			.catch(ignoreRefusal);
		if (retried === undefined) break;
		ending = retried.status;
	}
	const endedAtMs = Date.now();
	const lastPaidAtMs = () => emulator.submits.at(-1)?.acceptedAtMs ?? 0;
	await until(() => Date.now() >= lastPaidAtMs() + QUIET_MS, Infinity);
	await client.deactivate(saved);
	const executions = await savedExecutions(client, saved);
	const { onlyInLogs, nowhere } = unsavedJobs(
		emulator.submits.map(({ jobId }) => jobId),
		executions.map(({ savedText }) => savedText),
		[await readFile(server.logFile, 'utf8')],
	);
	await emulator.close();
	const seconds = (Math.max(endedAtMs, lastPaidAtMs()) - startedAtMs) / 1000;
	const inLog = onlyInLogs.length > 0 ? ` (${onlyInLogs.length} in the log only)` : '';
	return [
		String(emulator.submits.length),
		String(Math.max(0, ...executions.map(imagesIn))),
		`${nowhere.length}${inLog}`,
		seconds.toFixed(0),
		`${ending}${retries === 0 ? '' : ` after ${retries} × Retry`}`,
	];
}

/** n8n refuses to stop what has ended, and to retry what it kept no data of. */
function ignoreRefusal(error: unknown): undefined {
	if (!(error instanceof N8nRequestError)) throw error;
}

async function savedExecutions(client: N8nClient, saved: SavedWorkflow): Promise<Execution[]> {
	const executions = await client.executions(saved);
	const found = await Promise.all(
		// Of a crashed execution there may be no data to wait for.
		executions.map(async ({ id }) => await client.waitForExecution(id, 5).catch(() => undefined)),
	);
	return found.filter((execution) => execution !== undefined);
}

/** The items with a result that the node with most of them has put out, in all its runs. */
function imagesIn({ runData }: Execution): number {
	const counts = Object.values(runData).map((runs) => {
		const items = runs.flatMap(({ data }) => data?.main?.flat() ?? []);
		return items.filter((item) => item?.binary?.data !== undefined).length;
	});
	return Math.max(0, ...counts);
}
