import { cp, mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';

import type { SavedWorkflow } from '../e2e/real-n8n/rest-client';
import type { Started } from '../e2e/real-n8n/started';
import { chain, imageGenerate, manualTrigger, workflow } from '../e2e/workflow';
import { makeGate } from './gate';
import { benchNode, withKey, type FreshN8n, type N8nKit } from './n8n';
import { cpuMs } from './processMemory';
import { startService } from './service';

// What it costs to keep job IDs in n8n's database: the same jobs with the journal, and without it.

const SWITCH = 'static canKeep(context) {';
const LIMIT_SECONDS = 600;

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
