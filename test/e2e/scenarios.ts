import { randomUUID } from 'node:crypto';
import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import type { INode, INodeParameters } from 'n8n-workflow';
import type { EmulatorOptions } from '../emulator/emulator';
import { until, type Lab } from './lab';
import type { Execution, SavedWorkflow, WorkflowFile } from './real-n8n/rest-client';
import {
	chain,
	imageGenerate,
	oneItem,
	splitOut,
	webhook,
	withCredential,
	workflow,
	type NodeSettings,
} from './workflow';

/** From Stop until nothing more may be sent. */
export const silenceWithinMs = 1000;
/** Longer than any sleep of the node, so that what would still be sent is seen. */
export const observationMs = 3500;

export const retryOnFail: NodeSettings = { retryOnFail: true, maxTries: 3, waitBetweenTries: 0 };

/** Prompts of jobs that never end. */
export const manyLate = Array.from({ length: 4 }, (_, index) => `${index} #never`);
export const twoAtATime: INodeParameters = { options: { maxConcurrentJobs: 2 } };

/** The job of the second submit fails, as it does when a service has a bad moment. */
export function secondJobFails(): EmulatorOptions {
	let submits = 0;
	return { wish: () => (++submits === 2 ? { outcome: { status: 'Failed' } } : undefined) };
}

/** A workflow that makes an image of each prompt of a list. */
export function generateFrom(
	start: INode,
	prompts: readonly string[],
	parameters: INodeParameters,
	settings: NodeSettings = {},
): WorkflowFile {
	return workflow(
		'Generate',
		chain(
			start,
			oneItem('Prompts', { prompt: [...prompts] }),
			splitOut('prompt'),
			imageGenerate({ prompt: '={{ $json.prompt }}', ...parameters }, settings),
		),
	);
}

/** Saves a workflow with the lab's credential. */
export async function save(lab: Lab, file: WorkflowFile): Promise<SavedWorkflow> {
	return await lab.n8n.createWorkflow(withCredential(file, lab.credential));
}

/** The IDs of the jobs that a node put out. */
export function jobIds(execution: Execution, nodeName = 'Generate'): unknown[] {
	return execution.items(nodeName).map(({ json }) => json.job_id);
}

/** Saves a workflow and runs it in production, by what somebody sends to its webhook or form. */
export async function runBySending(
	lab: Lab,
	file: WorkflowFile,
	path: string,
	body: FormData,
): Promise<{ execution: Execution; saved: SavedWorkflow }> {
	const saved = await save(lab, file);
	await lab.n8n.activate(saved);
	await lab.n8n.post(path, body);
	const execution = await lab.n8n.nextExecution(saved);
	await lab.n8n.deactivate(saved);
	return { execution, saved };
}

/** Takes the picture of {@link lateJobOfWebhook}; its job is never done by itself. */
const lateGenerate = imageGenerate({
	prompt: '=Like this #never {{ $execution.id }}',
	referenceImages: 'all',
	options: { timeout: 1 },
});

/**
 * A form with a picture, sent to a webhook whose job is not done in time.
 *
 * @param nodes take the picture from the field `picture`.
 */
export async function lateJobOfWebhook(
	lab: Lab,
	...nodes: INode[]
): Promise<{ execution: Execution; saved: SavedWorkflow }> {
	const path = randomUUID();
	const form = new FormData();
	const icon = await readFile(join(__dirname, '..', '..', 'docs', 'images', 'get-job-light.png'));
	form.append('picture', new File([icon], 'picture.png', { type: 'image/png' }));
	const { execution, saved } = await runBySending(
		lab,
		workflow('Webhook', chain(webhook(path), ...(nodes.length === 0 ? [lateGenerate] : nodes))),
		`webhook/${path}`,
		form,
	);
	expect([execution.status, execution.errorMessage]).toEqual([
		'error',
		expect.stringContaining('is not finished after'),
	]);
	expect(lab.emulator.submits).toHaveLength(1);
	expect(lab.emulator.submits[0]?.files).toHaveLength(1);
	return { execution, saved };
}

/** Ends all jobs well. */
export function finishJobs({ emulator }: Lab): void {
	for (const { id } of emulator.jobs.all()) emulator.jobs.finish(id);
}

/** Calls a workflow's webhook, ends its execution when so many jobs run, and tells what was sent after that. */
export async function sentAfterStopOf(
	lab: Lab,
	saved: SavedWorkflow,
	path: string,
	jobCount: number,
): Promise<number[]> {
	await lab.n8n.activate(saved);
	const answer = lab.n8n.post(`webhook/${path}`, {}).catch(() => undefined);
	const late = await sentAfter(lab, jobCount, async () => {
		const [execution] = await lab.n8n.executions(saved);
		await lab.n8n.stop(execution?.id ?? '');
	});
	await lab.n8n.deactivate(saved);
	await answer;
	return late;
}

/** Waits until the jobs run, ends them somehow, and tells what was sent after that. */
export async function sentAfter(
	{ emulator }: Lab,
	jobCount: number,
	end: () => Promise<void>,
): Promise<number[]> {
	await until(() => emulator.submits.length === jobCount);
	await sleep(300);
	const endedAtMs = Date.now();
	await end();
	await sleep(observationMs);
	return emulator.requests
		.map(({ startedAtMs }) => startedAtMs - endedAtMs)
		.filter((afterMs) => afterMs > silenceWithinMs);
}

/** Every paid job is in the log: when it was started, and when its execution was stopped. */
export function expectJobsNamed({ emulator }: Lab, log: string): void {
	// Compared as booleans: a failure must not print the whole log.
	for (const { jobId } of emulator.submits) {
		expect({
			isStartLogged: log.includes(`AetherForge started the job ${jobId}`),
			isStopLogged: new RegExp(
				`stopped before these AetherForge jobs were collected: .*${jobId}`,
			).test(log),
		}).toEqual({ isStartLogged: true, isStopLogged: true });
	}
}
