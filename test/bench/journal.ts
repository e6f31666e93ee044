import { randomUUID } from 'node:crypto';
import { cp, mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';

import type { SavedWorkflow } from '../e2e/real-n8n/rest-client';
import type { Started } from '../e2e/real-n8n/started';
import { chain, imageGenerate, manualTrigger, workflow } from '../e2e/workflow';
import { makeGate } from './gate';
import { benchNode, startByWebhook, withKey, type FreshN8n, type N8nKit } from './n8n';
import { cpuMs } from './processMemory';
import { startService } from './service';

// What it costs to keep job IDs in n8n's database: the same jobs with the journal, and without it.

const SWITCH = 'static canKeep(context) {';
const LIMIT_SECONDS = 600;
const WARM_CALLS = 20;
const WEBHOOKS = 100;
const MINUTE_MS = 60_000;
const SETTLED_MS = 3000;

/** The same community nodes, whose jobs are not kept in the database. */
export async function withoutJournal(kit: N8nKit, onStarted: Started['add']): Promise<N8nKit> {
	const nodesDirectory = await mkdtemp(join(tmpdir(), 'aetherforge-bench-nodes-'));
	onStarted(async () => {
		await rm(nodesDirectory, { recursive: true, force: true });
	});
	await cp(kit.nodesDirectory, nodesDirectory, { recursive: true });
	const file = join(
		nodesDirectory,
		'node_modules/n8n-nodes-aetherforge/dist/nodes/shared/engine/jobs/journal.js',
	);
	const code = await readFile(file, 'utf8');
	if (!code.includes(SWITCH)) throw new Error('The journal has no such switch.');
	await writeFile(file, code.replace(SWITCH, `${SWITCH} return false;`));
	return { ...kit, nodesDirectory };
}

export interface JobsCost {
	/** From the node's start to its end, in milliseconds. */
	nodeMs: number;
	/** Of n8n's process meanwhile. */
	cpuMs: number;
}

/** Runs so many jobs again and again in one workflow, whose node has one row in the database. */
export class RepeatedJobs {
	readonly #n8n: FreshN8n;
	readonly #jobMs: number;
	#saved: SavedWorkflow | undefined;

	constructor(n8n: FreshN8n, jobMs: number) {
		this.#n8n = n8n;
		this.#jobMs = jobMs;
	}

	async run(jobs: number): Promise<JobsCost> {
		const { client } = this.#n8n;
		const service = await startService({ jobDurationMs: this.#jobMs });
		const gate = await makeGate();
		try {
			const details = { items: jobs, files: 0, bytes: 0 };
			const fresh = withKey(
				workflow(
					'Jobs',
					chain(
						manualTrigger(),
						benchNode('Stage', 'stage', details),
						benchNode('Before', 'gate', { url: gate.url }),
						imageGenerate({
							prompt: '=A lighthouse, number {{ $json.row }}',
							downloadImages: false,
							options: { maxJobsPerExecution: 0 },
						}),
						benchNode('After', 'gate', { url: gate.url }),
					),
				),
				await this.#n8n.credentialFor(service.apiUrl),
			);
			this.#saved ??= await client.createWorkflow(fresh);
			this.#saved = await client.update(this.#saved, (node) => {
				const { parameters, credentials } =
					fresh.nodes.find(({ name }) => name === node.name) ?? {};
				Object.assign(node, { parameters, credentials });
			});
			const executionId = await client.startManually(this.#saved, 'Start');
			const begin = await gate.arrival(LIMIT_SECONDS * 1000);
			const before = await cpuMs(begin.pid);
			begin.open();
			const end = await gate.arrival(LIMIT_SECONDS * 1000);
			const after = await cpuMs(end.pid);
			end.open();
			const execution = await client.waitForExecution(executionId, LIMIT_SECONDS);
			if (execution.status !== 'success')
				throw new Error(execution.errorMessage ?? execution.status);
			const nodeMs = execution.runData.Generate?.[0]?.executionTime;
			if (nodeMs === undefined) throw new Error('The node has not run.');
			return { nodeMs, cpuMs: after - before };
		} finally {
			await gate.close();
			await service.stop();
		}
	}
}

/** What a minute of webhooks takes of n8n. */
export interface WebhooksCost {
	cpuMs: number;
	writtenKilobytes: number;
}

/**
 * A minute of webhook calls, one every 0.6 s, each of which starts one job.
 *
 * @param held how many jobs the node has started before in one execution, for a full row
 */
export async function costOfWebhooks(n8n: FreshN8n, held: number): Promise<WebhooksCost> {
	const { client } = n8n;
	const service = await startService({ jobDurationMs: 0 });
	try {
		const path = randomUUID();
		const start = { ...startByWebhook(path) };
		const details = '={{ JSON.stringify({ items: $json.body.items, files: 0, bytes: 0 }) }}';
		const stage = benchNode('Stage', 'stage', {});
		stage.parameters.details = details;
		const generate = imageGenerate({
			prompt: '=A lighthouse, number {{ $json.row }}',
			downloadImages: false,
			options: { maxJobsPerExecution: 0 },
		});
		const file = workflow('Webhooks', chain(start, stage, generate));
		const saved = await client.createWorkflow(
			withKey(file, await n8n.credentialFor(service.apiUrl)),
		);
		await client.activate(saved);
		const call = async (items: number) => {
			const { status } = await client.post(`webhook/${path}`, { items });
			if (status !== 200) throw new Error(`A webhook call was answered with ${status}.`);
		};
		const ended = async (executions: number) => {
			const deadlineMs = Date.now() + LIMIT_SECONDS * 1000;
			while ((await client.endedExecutions(saved)).length < executions) {
				if (Date.now() > deadlineMs) throw new Error('The executions did not end.');
				await sleep(500);
			}
		};
		// The first calls have the code compiled.
		const first = [...Array<number>(WARM_CALLS).fill(1), ...(held > 0 ? [held] : [])];
		for (const items of first) await call(items);
		await ended(first.length);
		await sleep(SETTLED_MS);
		const [cpuBefore, writtenBefore] = [await cpuMs(n8n.pid), await n8n.writtenBytes()];
		for (let calls = 0; calls < WEBHOOKS; calls++) {
			await Promise.all([call(1), sleep(MINUTE_MS / WEBHOOKS)]);
		}
		await ended(first.length + WEBHOOKS);
		await sleep(SETTLED_MS);
		const executions = await client.endedExecutions(saved);
		if (!executions.every(({ status }) => status === 'success')) throw new Error('One has failed.');
		return {
			cpuMs: (await cpuMs(n8n.pid)) - cpuBefore,
			writtenKilobytes: ((await n8n.writtenBytes()) - writtenBefore) / 1000,
		};
	} finally {
		await service.stop();
	}
}
