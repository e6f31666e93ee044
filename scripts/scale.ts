import { readFile } from 'node:fs/promises';
import { Command } from 'commander';
import {
	activated,
	openService,
	runCommand,
	say,
	startQueue,
	unsavedJobs,
	until,
	wholeNumber,
	withPackage,
	type User,
} from '../test/bench/frame';
import { startByWebhook } from '../test/bench/n8n';
import { markdownTable } from '../test/bench/report';
import { installN8n } from '../test/e2e/real-n8n/install';
import { installCommunityPackage } from '../test/e2e/real-n8n/package-tarball';
import { startN8n, type N8nProcess } from '../test/e2e/real-n8n/server';
import { chain, imageGenerate, workflow } from '../test/e2e/workflow';

const JOB_MS = 5000;
/** n8n's own default. */
const WORKER_CONCURRENCY = 10;
const AT_ONCE = 20;
/** After this long without an execution that ends, the rest is given up; n8n notices a dead worker within 90 s. */
const STALLED_MS = 180_000;

/** Does something with each number below a limit, so many at once. */
async function sideBySide(count: number, work: (index: number) => Promise<void>): Promise<void> {
	let next = 0;
	const workOn = async () => {
		while (next < count) await work(next++);
	};
	await Promise.all(Array.from({ length: AT_ONCE }, workOn));
}

/**
 * Calls a webhook many times and waits until the executions have ended.
 *
 * @param halfway what happens once half of them have ended
 * @returns a row of the table
 */
async function runExecutions(
	title: string,
	user: User,
	processes: readonly N8nProcess[],
	executions: number,
	halfway?: () => Promise<void>,
): Promise<string[]> {
	const { client, emulator } = user;
	const paidBefore = emulator.submits.length;
	const generate = imageGenerate({ prompt: '=A lighthouse, execution {{ $execution.id }}' });
	const { saved, call } = await activated(user, (path) =>
		workflow(title, chain(startByWebhook(path), generate)),
	);
	const begunAtMs = Date.now();
	await sideBySide(executions, call);
	say(`${title}: ${executions} webhook calls answered`);
	let ended = await client.endedExecutions(saved);
	let endedAtMs = Date.now();
	let isHalfwayOver = halfway === undefined;
	await until(async () => {
		const now = await client.endedExecutions(saved);
		if (now.length > ended.length) endedAtMs = Date.now();
		ended = now;
		if (!isHalfwayOver && ended.length >= executions / 2) {
			isHalfwayOver = true;
			await halfway?.();
			say(`${title}: a worker was killed after ${ended.length} executions`);
		}
		return ended.length >= executions || Date.now() > endedAtMs + STALLED_MS;
	});
	await client.deactivate(saved);

	const texts: string[] = [];
	await sideBySide(ended.length, async (index) => {
		texts.push(await client.savedText(ended[index]?.id ?? ''));
	});
	const logs = processes.map(async ({ logFile }) => await readFile(logFile, 'utf8'));
	const paid = emulator.submits.slice(paidBefore).map(({ jobId }) => jobId);
	const { onlyInLogs, nowhere } = unsavedJobs(paid, texts, await Promise.all(logs));
	const finished = ended.filter(({ status }) => status === 'success');
	const lastAtMs = Math.max(...finished.map(({ stoppedAt = '' }) => Date.parse(stoppedAt)));
	const seconds = (lastAtMs - begunAtMs) / 1000;
	const numbers = [
		finished.length,
		ended.length - finished.length,
		executions - ended.length,
		paid.length,
		paid.length - onlyInLogs.length - nowhere.length,
		onlyInLogs.length,
		nowhere.length,
		seconds,
		(finished.length / seconds) * 60,
	];
	return [title, ...numbers.map((number) => number.toFixed(0))];
}

const HEAD = [
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
];

async function main({ executions }: { executions: number }): Promise<void> {
	const rows: string[][] = [];
	await withPackage(async (tarball, started) => {
		const install = await installN8n('n8n-2.41', say);
		const env = await startQueue(started);
		say('Starting n8n with PostgreSQL and Redis …');
		const server = await startN8n(install, {
			installNodes: async (nodes) => {
				await installCommunityPackage(tarball, nodes);
			},
			env,
		});
		started.add(server.stop);
		await server.ready;
		const user = await openService(server.url, { jobDurationMs: JOB_MS }, started.add);
		const startWorker = async (name: string) => {
			const worker = await server.startWorker(name, WORKER_CONCURRENCY);
			started.add(worker.stop);
			await worker.ready;
			return worker;
		};
		const first = await startWorker('worker-1');
		rows.push(await runExecutions('one worker', user, [server, first], executions));
		const second = await startWorker('worker-2');
		const all = [server, first, second];
		rows.push(await runExecutions('two workers', user, all, executions));
		const title = 'two workers, one killed halfway';
		rows.push(await runExecutions(title, user, all, executions, second.kill));
	});
	console.log(
		`\n${executions} webhook executions of one job of ${JOB_MS / 1000} s each, ` +
			`${WORKER_CONCURRENCY} at once in a worker\n\n${markdownTable(HEAD, rows)}`,
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
