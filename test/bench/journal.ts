import { cp, readFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import type { SavedWorkflow } from '../e2e/real-n8n/rest-client';
import type { Started } from '../e2e/real-n8n/started';
import { chain, imageGenerate, manualTrigger, workflow } from '../e2e/workflow';
import { temporaryFolder } from './frame';
import { nodeMs, openService, ran, saved, startServer, type N8nKit, type User } from './n8n';
import { stage } from './nodes';
import { median } from './report';

// What it costs to keep job IDs in n8n's database: the same jobs with the journal, and without it.

const SWITCH = 'static canKeep(context) {';
const JOURNAL = 'n8n-nodes-aetherforge/dist/nodes/shared/engine/jobs/journal.js';
/** Until it has run for a while the code is compiled anew; that counts for none. */
const WARM_UP_RUNS = 3;

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

/** A workflow that runs the same jobs again and again, so that its node has one row in the database. */
export interface RepeatedJobs {
	user: User;
	workflow: SavedWorkflow;
}

/** Starts an n8n with such a workflow. */
export async function repeatedJobs(
	kit: N8nKit,
	jobs: number,
	jobDurationMs: number,
	started: Started,
): Promise<RepeatedJobs> {
	const { url } = await startServer(kit, started);
	const user = await openService(url, { jobDurationMs }, started);
	const generate = imageGenerate({
		prompt: '=A lighthouse, number {{ $json.row }}',
		downloadImages: false,
		options: { maxJobsPerExecution: 0 },
	});
	const file = workflow('Jobs', chain(manualTrigger(), stage(jobs), generate));
	const repeated = { user, workflow: await saved(user, file) };
	await jobsMs(repeated, WARM_UP_RUNS);
	return repeated;
}

/** How long the node takes for its jobs: the middle of some runs, in milliseconds. */
export async function jobsMs(
	{ user, workflow: file }: RepeatedJobs,
	runs: number,
): Promise<number> {
	const values: number[] = [];
	for (let run = 0; run < runs; run++) values.push(nodeMs(await ran(user, file), 'Generate'));
	return median(values);
}
