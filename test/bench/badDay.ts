import { randomUUID } from 'node:crypto';
import { cp, readFile } from 'node:fs/promises';
import { setTimeout as sleep } from 'node:timers/promises';
import type { Emulator, EmulatorOptions } from '../emulator/emulator';
import {
	N8nClient,
	N8nRequestError,
	type Execution,
	type SavedWorkflow,
} from '../e2e/real-n8n/rest-client';
import { startN8n, type N8nServer } from '../e2e/real-n8n/server';
import type { Started } from '../e2e/real-n8n/started';
import { imageNodes, WAYS, workflowFor, type Order, type Way } from './badDayWorkflows';
import { callWebhook, startService } from './frame';
import { withKey, type N8nKit } from './n8n';
import type { BadDayRow } from './report';
import { BENCH_KEY } from './service';

const ITEMS = 20;
const JOB_MS = 2000;
/** Longer than n8n takes to end, so that jobs are under way when it does. */
const LONG_JOB_MS = 8000;
const KEY_ITEMS = 100;
const KEY_ENDS_AFTER = 40;
const ACCIDENT_ROWS = 5000;
const NOTICED_AFTER_MS = 60_000;
const CDN_LATE_MS = 20_000;
const RUN_LIMIT_SECONDS = 580;
/** Nothing more is paid for once nothing was for this long. */
const QUIET_MS = 8000;
const RETRIES = 3;
const BETWEEN_RETRIES_MS = 10_000;

/** A run in n8n that something happens to. */
interface Day {
	emulator: Emulator;
	/** Waits until so many jobs have been paid for. */
	untilPaid: (jobs: number) => Promise<void>;
	isOver: () => Promise<boolean>;
	stop: () => Promise<void>;
	restart: () => Promise<void>;
}

interface BadDay {
	title: string;
	/** Absent: the usual ones. */
	ways?: readonly Way[];
	order?: Partial<Order>;
	jobMs?: number;
	/** Makes the emulator misbehave, by its options or once it has started. */
	options?: (emulator: () => Emulator) => EmulatorOptions;
	begin?: (emulator: Emulator) => void;
	/** What happens while the workflow runs. */
	during?: (day: Day) => Promise<void>;
	/** What is put right before a person presses Retry. Absent: nobody retries. */
	putRight?: (day: {
		emulator: Emulator;
		client: N8nClient;
		saved: SavedWorkflow;
		way: Way;
	}) => Promise<void> | void;
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
		options: () => {
			let submits = 0;
			return { wish: () => (++submits === 5 ? { outcome: { status: 'Failed' } } : undefined) };
		},
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
		title: `The key expires at item ${KEY_ENDS_AFTER} of ${KEY_ITEMS}`,
		order: { items: KEY_ITEMS },
		options: (emulator) => {
			let submits = 0;
			return {
				wish: () => {
					if (++submits === KEY_ENDS_AFTER) emulator().apiKeys.delete(BENCH_KEY);
					return undefined;
				},
			};
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
		order: { items: ACCIDENT_ROWS },
		during: async ({ isOver, stop }) => {
			const noticedAtMs = Date.now() + NOTICED_AFTER_MS;
			while (Date.now() < noticedAtMs) {
				if (await isOver()) return;
				await sleep(300);
			}
			await stop();
		},
	},
	{
		title: 'The CDN has the images 20 s late',
		begin: ({ faults, jobs }) => {
			const match = ({ jobId = '' }: { jobId?: string }) => {
				const { createdAtMs, durationMs } = jobs.get(jobId);
				return Date.now() < createdAtMs + durationMs + CDN_LATE_MS;
			};
			faults.add({ at: 'download', kind: 'respond', status: 404, times: Infinity, match });
		},
		putRight: () => undefined,
	},
];

/** What every bad day costs in every way, in an n8n of its own. */
export async function costsOfBadDays(
	kit: N8nKit,
	onStarted: Started['add'],
	say: (line: string) => void,
): Promise<BadDayRow[]> {
	const server = await startN8n(kit.install, {
		installNodes: async (directory) => {
			await cp(kit.nodesDirectory, directory, { recursive: true });
		},
		// Jobs of the emulator are short, and so is what n8n waits for them when it is asked to end.
		env: { N8N_GRACEFUL_SHUTDOWN_TIMEOUT: '2' },
	});
	onStarted(server.stop);
	await server.ready;
	const client = new N8nClient(server.url);
	await client.signIn();
	const rows: BadDayRow[] = [];
	for (const badDay of badDays) {
		for (const way of badDay.ways ?? USUAL_WAYS) {
			const row = await costOf(badDay, way, { server, client });
			rows.push(row);
			say(`${row.title}, ${row.way}: ${row.paid} paid, ${row.images} images, ${row.lost} lost`);
		}
	}
	return rows;
}

interface Place {
	server: N8nServer;
	client: N8nClient;
}

async function costOf(badDay: BadDay, way: Way, { server, client }: Place): Promise<BadDayRow> {
	const order: Order = {
		items: ITEMS,
		files: 0,
		model: 'GPT Image 1.5',
		savesProgress: true,
		...badDay.order,
	};
	const service = await startService(client, {
		jobDurationMs: badDay.jobMs ?? JOB_MS,
		...badDay.options?.(() => service.emulator),
	});
	const { emulator, credential } = service;
	try {
		badDay.begin?.(emulator);
		const path = randomUUID();
		const file = workflowFor(way, order, emulator.apiUrl, path);
		const saved = await client.createWorkflow(withKey(file, credential));
		await client.activate(saved);
		await callWebhook(client, path);
		const startedAtMs = Date.now();
		const idOf = async () => (await client.executions(saved))[0]?.id ?? '';
		await badDay.during?.({
			emulator,
			untilPaid: async (jobs) => {
				while (emulator.submits.length < jobs) await sleep(5);
			},
			isOver: async () => (await finalStatus(client, saved)) !== undefined,
			stop: async () => {
				await client.stop(await idOf()).catch(ignoreRefusal);
			},
			restart: async () => {
				await server.restart();
				await client.signIn();
			},
		});
		let ending = await settled(client, saved);
		let retries = 0;
		while (badDay.putRight && ending !== 'success' && retries < RETRIES) {
			retries++;
			if (retries === 1) await badDay.putRight({ emulator, client, saved, way });
			else await sleep(BETWEEN_RETRIES_MS);
			const options = { loadWorkflow: true, timeoutSeconds: RUN_LIMIT_SECONDS };
			const retried = await client.retry(await idOf(), options).catch(ignoreRefusal);
			if (retried === undefined) break;
			ending = retried.status;
		}
		const endedAtMs = Date.now();
		await quiet(emulator);
		await client.deactivate(saved);
		const lastPaidAtMs = emulator.submits.at(-1)?.acceptedAtMs ?? 0;
		const executions = await savedExecutions(client, saved);
		const log = await readFile(server.logFile, 'utf8');
		const unsaved = emulator.submits.filter(
			({ jobId }) => !executions.some(({ savedText }) => savedText.includes(jobId)),
		);
		const lost = unsaved.filter(({ jobId }) => !log.includes(jobId));
		return {
			title: badDay.title,
			way: WAYS[way],
			paid: emulator.submits.length,
			images: Math.max(0, ...executions.map((execution) => imagesIn(execution, imageNodes[way]))),
			lost: lost.length,
			onlyInLog: unsaved.length - lost.length,
			seconds: (Math.max(endedAtMs, lastPaidAtMs) - startedAtMs) / 1000,
			retries,
			ending,
		};
	} finally {
		await emulator.close();
	}
}

/** n8n refuses to stop what has ended, and to retry what it kept no data of. */
function ignoreRefusal(error: unknown): undefined {
	if (!(error instanceof N8nRequestError)) throw error;
}

const UNSETTLED = ['new', 'running', 'waiting'];

async function settled(client: N8nClient, saved: SavedWorkflow): Promise<string> {
	const deadline = Date.now() + RUN_LIMIT_SECONDS * 1000;
	for (;;) {
		const status = await finalStatus(client, saved);
		if (status !== undefined) return status;
		if (Date.now() > deadline) throw new Error(`It has not ended in ${RUN_LIMIT_SECONDS} s.`);
		await sleep(300);
	}
}

/** The status of the newest execution, once it has ended. */
async function finalStatus(client: N8nClient, saved: SavedWorkflow): Promise<string | undefined> {
	const [newest] = await client.executions(saved);
	return newest !== undefined && !UNSETTLED.includes(newest.status) ? newest.status : undefined;
}

async function quiet({ submits }: Emulator): Promise<void> {
	while (Date.now() < (submits.at(-1)?.acceptedAtMs ?? 0) + QUIET_MS) await sleep(300);
}

async function savedExecutions(client: N8nClient, saved: SavedWorkflow): Promise<Execution[]> {
	const executions = await client.executions(saved);
	const found = await Promise.all(
		// Of a crashed execution there may be no data to wait for.
		executions.map(async ({ id }) => await client.waitForExecution(id, 5).catch(() => undefined)),
	);
	return found.filter((execution) => execution !== undefined);
}

/** The items with a file that a node has put out, of all its runs. */
function imagesIn({ runData }: Execution, nodeName: string): number {
	const items = (runData[nodeName] ?? []).flatMap(({ data }) => data?.main?.flat() ?? []);
	return items.filter((item) => item?.binary?.data !== undefined).length;
}
