import { cp, readFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import type { INode } from 'n8n-workflow';
import type { Started } from '../e2e/real-n8n/started';
import { until } from '../e2e/real-n8n/until';
import { chain, imageGenerate, webhook, workflow } from '../e2e/workflow';
import { temporaryFolder } from './frame';
import { makeGates } from './gate';
import { activated, nodeMs, openService, startServer, succeeded, type N8nKit } from './n8n';
import { stage } from './nodes';
import { cpuMs, writtenBytes } from './processMemory';

// What it costs to keep job IDs in n8n's database: the same jobs with the journal, and without it.

const SWITCH = 'static canKeep(context) {';
const JOURNAL = 'n8n-nodes-aetherforge/dist/nodes/shared/engine/jobs/journal.js';
/** Until it has run for a while the code is compiled anew; that counts for none. */
const WARM_UP_RUNS = 3;
const WARM_UP_CALLS = 20;
const CALLS = 100;
const CALL_EVERY_MS = 600;
const SETTLE_MS = 3000;
const LIMIT_MS = 600_000;

/** The same community nodes, whose jobs are not kept in the database. */
export async function withoutJournal(kit: N8nKit, started: Started): Promise<N8nKit> {
	const nodesDirectory = await temporaryFolder('nodes', started);
	await cp(kit.nodesDirectory, nodesDirectory, { recursive: true });
	const file = join(nodesDirectory, 'node_modules', JOURNAL);
	const code = await readFile(file, 'utf8');
	if (!code.includes(SWITCH)) throw new Error('The journal has no such switch.');
	await writeFile(file, code.replace(SWITCH, `${SWITCH} return false;`));
	return { ...kit, nodesDirectory };
}

/**
 * Starts an n8n, in which webhook calls start as many jobs as they ask for, by one node: it has one row
 * in the database.
 */
async function openJobs(
	kit: N8nKit,
	jobDurationMs: number,
	started: Started,
	between: (node: INode) => INode[] = (node) => [node],
) {
	const server = await startServer(kit, started);
	const user = await openService(server.url, { jobDurationMs }, started);
	const generate = imageGenerate({
		prompt: '=A lighthouse, number {{ $json.row }}',
		downloadImages: false,
		options: { maxJobsPerExecution: 0 },
	});
	const work = await activated(user, (path) => {
		const staged = stage('{{ $json.body.items }}');
		return workflow('Jobs', chain(webhook(path, 'onReceived'), staged, ...between(generate)));
	});
	return { server, user, ...work };
}

/**
 * @param held how many jobs the node's row has from an execution before
 * @returns runs so many jobs, and says how long the node takes and what CPU time n8n
 */
export async function repeatedJobs(
	kit: N8nKit,
	{ jobs, jobMs, held = 0 }: { jobs: number; jobMs: number; held?: number },
	started: Started,
) {
	const { before, after, rise } = await makeGates(started);
	const gated = await openJobs(kit, jobMs, started, (node) => [before, node, after]);
	const { server, user, saved, call } = gated;
	const run = async (items = jobs) => {
		await call({ items });
		const cpu = await rise(async () => await cpuMs(server.pid));
		const [newest] = await user.client.executions(saved);
		const execution = await succeeded(user, newest?.id ?? '');
		return { nodeMs: nodeMs(execution, 'Generate'), cpuMs: cpu };
	};
	for (let warm = 0; warm < WARM_UP_RUNS; warm++) await run();
	if (held > 0) await run(held);
	return { run, stop: server.stop };
}

/** What a minute of webhook calls takes of n8n, each of which starts a job. */
export async function costOfWebhooks(kit: N8nKit, held: number, started: Started) {
	const { server, user, saved, call } = await openJobs(kit, 0, started);
	let calls = 0;
	const ended = async () => {
		const all = await user.client.endedExecutions(saved);
		return all.length >= calls && all;
	};
	const callFor = async (items: number) => {
		calls++;
		await call({ items });
	};
	const spent = async () => {
		await until(ended, LIMIT_MS, 500);
		await sleep(SETTLE_MS);
		const written = await (kit.postgres?.writtenBytes() ?? writtenBytes(server.pid));
		return { cpu: await cpuMs(server.pid), written };
	};
	for (let warm = 0; warm < WARM_UP_CALLS; warm++) await callFor(1);
	if (held > 0) await callFor(held);
	const before = await spent();
	for (let made = 0; made < CALLS; made++) await Promise.all([callFor(1), sleep(CALL_EVERY_MS)]);
	const after = await spent();
	const statuses = (await until(ended)).map(({ status }) => status);
	if (statuses.some((status) => status !== 'success')) throw new Error('An execution has failed.');
	await server.stop();
	return { cpuMs: after.cpu - before.cpu, kilobytes: (after.written - before.written) / 1000 };
}
