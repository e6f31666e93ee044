import { randomUUID } from 'node:crypto';
import { readFile } from 'node:fs/promises';
import { setTimeout as sleep } from 'node:timers/promises';
import { Command } from 'commander';
import {
	callWebhook,
	openService,
	runCommand,
	say,
	wholeNumber,
	withPackage,
	type Service,
} from '../test/bench/frame';
import { startByWebhook } from '../test/bench/n8n';
import { markdownTable } from '../test/bench/report';
import { installN8n } from '../test/e2e/real-n8n/install';
import { installCommunityPackage } from '../test/e2e/real-n8n/package-tarball';
import { requirePostgres, startPostgres } from '../test/e2e/real-n8n/postgres';
import { requireRedis, startRedis } from '../test/e2e/real-n8n/redis';
import {
	queueMode,
	startN8n,
	type N8nProcess,
	type N8nServer,
	type N8nWorker,
} from '../test/e2e/real-n8n/server';
import type { Started } from '../test/e2e/real-n8n/started';
import { chain, imageGenerate, withCredential, workflow } from '../test/e2e/workflow';

const JOB_MS = 5000;
/** n8n's own default. */
const WORKER_CONCURRENCY = 10;
const POSTS_AT_ONCE = 20;
const READS_AT_ONCE = 10;
/** After this long without an execution that ends, the rest is given up; n8n notices a dead worker within 90 s. */
const STALLED_MS = 180_000;

interface Stack extends Service {
	server: N8nServer;
}

interface Outcome {
	title: string;
	finished: number;
	crashed: number;
	/** Accepted by the webhook, and in the end neither finished nor crashed. */
	missing: number;
	paid: number;
	/** Paid jobs by where their IDs are. */
	inExecutions: number;
	onlyInLogs: number;
	nowhere: number;
	/** From the first webhook call to the last execution that finished. */
	seconds: number;
}

async function startStack(tarball: string, started: Started): Promise<Stack> {
	const install = await installN8n('n8n-2.41', say);
	const redis = await startRedis();
	started.add(redis.stop);
	const postgres = await startPostgres();
	started.add(postgres.stop);
	await Promise.all([redis.ready, postgres.ready]);
	say('Starting n8n with PostgreSQL and Redis …');
	const server = await startN8n(install, {
		installNodes: async (nodes) => await installCommunityPackage(tarball, nodes),
		env: { ...queueMode(redis.port), ...postgres.env },
	});
	started.add(server.stop);
	await server.ready;
	return { server, ...(await openService(server.url, { jobDurationMs: JOB_MS }, started)) };
}

/** Does something with each number below a limit, so many at once. */
async function sideBySide(
	count: number,
	atOnce: number,
	work: (index: number) => Promise<void>,
): Promise<void> {
	let next = 0;
	const workOn = async () => {
		while (next < count) await work(next++);
	};
	await Promise.all(Array.from({ length: atOnce }, workOn));
}

/**
 * Calls a webhook many times and waits until the executions have ended.
 *
 * @param halfway what happens once half of them have finished
 */
async function runExecutions(
	title: string,
	{ server, client, credential, emulator }: Stack,
	workers: readonly N8nProcess[],
	executions: number,
	halfway?: () => Promise<void>,
): Promise<Outcome> {
	const paidBefore = emulator.submits.length;
	const path = randomUUID();
	const generate = imageGenerate({ prompt: '=A lighthouse, execution {{ $execution.id }}' });
	const file = workflow(title, chain(startByWebhook(path), generate));
	const saved = await client.createWorkflow(withCredential(file, credential));
	await client.activate(saved);
	const begunAtMs = Date.now();
	await sideBySide(executions, POSTS_AT_ONCE, async () => {
		await callWebhook(client, path);
	});
	say(`${title}: ${executions} webhook calls answered`);
	let ended = await client.endedExecutions(saved);
	let endedAtMs = Date.now();
	let isHalfwayOver = halfway === undefined;
	while (ended.length < executions && Date.now() < endedAtMs + STALLED_MS) {
		await sleep(500);
		const now = await client.endedExecutions(saved);
		if (now.length > ended.length) endedAtMs = Date.now();
		ended = now;
		if (!isHalfwayOver && ended.length >= executions / 2) {
			isHalfwayOver = true;
			await halfway?.();
			say(`${title}: a worker was killed after ${ended.length} executions`);
		}
	}
	await client.deactivate(saved);

	const texts: string[] = [];
	await sideBySide(ended.length, READS_AT_ONCE, async (index) => {
		texts.push(await client.savedText(ended[index]?.id ?? ''));
	});
	const logs = await Promise.all(
		[server, ...workers].map(async ({ logFile }) => await readFile(logFile, 'utf8')),
	);
	const paid = emulator.submits.slice(paidBefore).map(({ jobId }) => jobId);
	const unsaved = paid.filter((jobId) => !texts.some((text) => text.includes(jobId)));
	const nowhere = unsaved.filter((jobId) => !logs.some((log) => log.includes(jobId)));
	const finished = ended.filter(({ status }) => status === 'success');
	const lastAtMs = Math.max(...finished.map(({ stoppedAt = '' }) => Date.parse(stoppedAt)));
	const outcome: Outcome = {
		title,
		finished: finished.length,
		crashed: ended.length - finished.length,
		missing: executions - ended.length,
		paid: paid.length,
		inExecutions: paid.length - unsaved.length,
		onlyInLogs: unsaved.length - nowhere.length,
		nowhere: nowhere.length,
		seconds: (lastAtMs - begunAtMs) / 1000,
	};
	say(JSON.stringify(outcome));
	return outcome;
}

function tableOf(outcomes: readonly Outcome[]): string {
	return markdownTable(
		[
			'',
			'finished',
			'crashed',
			'lost',
			'jobs paid',
			'IDs in an execution',
			'IDs in a log only',
			'IDs lost',
			'seconds',
			'executions a minute',
		],
		outcomes.map((outcome) => [
			outcome.title,
			String(outcome.finished),
			String(outcome.crashed),
			String(outcome.missing),
			String(outcome.paid),
			String(outcome.inExecutions),
			String(outcome.onlyInLogs),
			String(outcome.nowhere),
			outcome.seconds.toFixed(0),
			((outcome.finished / outcome.seconds) * 60).toFixed(0),
		]),
	);
}

async function main({ executions }: { executions: number }): Promise<void> {
	await requireRedis();
	await requirePostgres();
	const outcomes: Outcome[] = [];
	await withPackage(async (tarball, started) => {
		const stack = await startStack(tarball, started);
		const startWorker = async (name: string): Promise<N8nWorker> => {
			const worker = await stack.server.startWorker(name, WORKER_CONCURRENCY);
			started.add(worker.stop);
			await worker.ready;
			return worker;
		};
		const first = await startWorker('worker-1');
		outcomes.push(await runExecutions('one worker', stack, [first], executions));
		const second = await startWorker('worker-2');
		const workers = [first, second];
		outcomes.push(await runExecutions('two workers', stack, workers, executions));
		const title = 'two workers, one killed halfway';
		outcomes.push(await runExecutions(title, stack, workers, executions, second.kill));
	});
	console.log(
		`\n${executions} webhook executions of one job of ${JOB_MS / 1000} s each, ` +
			`${WORKER_CONCURRENCY} at once in a worker\n\n${tableOf(outcomes)}`,
	);
}

runCommand(
	new Command('scale')
		.description(
			"Runs many executions in n8n's queue mode, with PostgreSQL, Redis, and one or two workers.",
		)
		.option('--executions <number>', 'how many executions each time', wholeNumber, 300)
		.action(main),
);
