import { readFile } from 'node:fs/promises';
import { Command } from 'commander';
import {
	runCommand,
	say,
	startQueue,
	untilReady,
	wholeNumber,
	withPackage,
} from '../test/bench/frame';
import {
	activated,
	openService,
	prepareN8n,
	startServer,
	unsavedJobs,
	type User,
} from '../test/bench/n8n';
import type { N8nProcess } from '../test/e2e/real-n8n/server';
import { until } from '../test/e2e/real-n8n/until';
import { chain, imageGenerate, webhook, workflow } from '../test/e2e/workflow';

const JOB_MS = 5000;
/** n8n's own default. */
const WORKER_CONCURRENCY = 10;
const CALLS_AT_ONCE = 20;
/** After this long without an execution that ends, the rest is given up; n8n notices a dead worker within 90 s. */
const STALLED_MS = 180_000;
const LONGEST_MS = 3_600_000;

/** What became of as many executions of one job each, a row of the table. */
type Row = Record<string, string | number>;

/**
 * Calls a webhook many times and waits until the executions have ended.
 *
 * @param halfway what happens once half of them have ended
 */
async function runExecutions(
	title: string,
	user: User,
	processes: readonly N8nProcess[],
	executions: number,
	halfway?: () => Promise<void>,
): Promise<Row> {
	const { client, emulator } = user;
	const paidBefore = emulator.submits.length;
	const generate = imageGenerate({ prompt: 'A lighthouse' });
	const { saved, call } = await activated(user, (path) =>
		workflow(title, chain(webhook(path, 'onReceived'), generate)),
	);
	const begunAtMs = Date.now();
	for (let called = 0; called < executions; called += CALLS_AT_ONCE) {
		const length = Math.min(CALLS_AT_ONCE, executions - called);
		await Promise.all(Array.from({ length }, call));
	}
	say(`${title}: ${executions} webhook calls answered`);
	let ended = await client.endedExecutions(saved);
	let endedAtMs = Date.now();
	let toDo = halfway;
	const isOver = async () => {
		const now = await client.endedExecutions(saved);
		if (now.length > ended.length) endedAtMs = Date.now();
		ended = now;
		if (toDo && ended.length >= executions / 2) {
			await toDo();
			toDo = undefined;
			say(`${title}: a worker was killed after ${ended.length} executions`);
		}
		return ended.length >= executions || Date.now() > endedAtMs + STALLED_MS;
	};
	await until(isOver, LONGEST_MS, 300);
	await client.deactivate(saved);

	const texts: string[] = [];
	for (const { id } of ended) texts.push(await client.savedText(id));
	const logs = processes.map(async ({ logFile }) => await readFile(logFile, 'utf8'));
	const paid = emulator.submits.slice(paidBefore).map(({ jobId }) => jobId);
	const { onlyInLogs, nowhere } = unsavedJobs(paid, texts, await Promise.all(logs));
	const finished = ended.filter(({ status }) => status === 'success');
	const lastAtMs = Math.max(...finished.map(({ stoppedAt = '' }) => Date.parse(stoppedAt)));
	const minutes = (lastAtMs - begunAtMs) / 60_000;
	return {
		'': title,
		finished: finished.length,
		crashed: ended.length - finished.length,
		lost: executions - ended.length,
		'jobs paid': paid.length,
		'IDs in a log only': onlyInLogs.length,
		'IDs lost': nowhere.length,
		'executions a minute': Math.round(finished.length / minutes),
	};
}

async function main({ executions }: { executions: number }): Promise<void> {
	await withPackage(async (installNodes, started) => {
		const env = await startQueue(started);
		say('Starting n8n with PostgreSQL and Redis …');
		const server = await startServer(await prepareN8n(installNodes, started), started, env);
		const user = await openService(server.url, { jobDurationMs: JOB_MS }, started);
		const startWorker = async (name: string) =>
			await untilReady(await server.startWorker(name, WORKER_CONCURRENCY), started);
		const first = await startWorker('worker-1');
		const rows = [await runExecutions('one worker', user, [server, first], executions)];
		const second = await startWorker('worker-2');
		const all = [server, first, second];
		rows.push(await runExecutions('two workers', user, all, executions));
		const title = 'two workers, one killed halfway';
		rows.push(await runExecutions(title, user, all, executions, second.kill));
		console.log(`\n${executions} webhook executions of one job of ${JOB_MS / 1000} s each`);
		console.table(rows);
	});
}

runCommand(
	new Command('scale')
		.description(
			"Runs many executions in n8n's queue mode, with PostgreSQL, Redis, and one or two workers.",
		)
		.option('--executions <number>', 'how many executions each time', wholeNumber, 300)
		.action(main),
);
