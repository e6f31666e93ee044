import { randomUUID } from 'node:crypto';
import type { INode, INodeParameters } from 'n8n-workflow';
import type { EmulatorOptions } from '../emulator/emulator';
import { tinyPicture } from '../emulator/pictures';
import { isQueueMode, type Lab } from './lab';
import type { Execution, SavedWorkflow, WorkflowFile } from './real-n8n/rest-client';
import {
	chain,
	imageGenerate,
	oneItem,
	splitOut,
	webhook,
	workflow,
	type NodeSettings,
} from './workflow';

export const retryOnFail: NodeSettings = { retryOnFail: true, maxTries: 3, waitBetweenTries: 0 };

/** The job of the second submit fails, as it does when a service has a bad moment. */
export function secondJobFails(): EmulatorOptions {
	let submits = 0;
	return { wish: () => (++submits === 2 ? { outcome: { status: 'Failed' } } : undefined) };
}

/** A workflow that makes an image of each prompt of a list. */
export function generateFrom(
	start: INode,
	prompts: readonly string[],
	parameters: INodeParameters = {},
	settings: NodeSettings = {},
): WorkflowFile {
	const generate = imageGenerate({ prompt: '={{ $json.prompt }}', ...parameters }, settings);
	const items = oneItem('Prompts', { prompt: [...prompts] });
	return workflow('Generate', chain(start, items, splitOut('prompt'), generate));
}

/** The name and the bytes of a picture to upload. */
export function pictureForm(pictures: Record<string, string>): FormData {
	const form = new FormData();
	for (const [field, name] of Object.entries(pictures)) {
		form.append(field, new File([tinyPicture(name, 'png')], name, { type: 'image/png' }));
	}
	return form;
}

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
	const file = workflow('Webhook', chain(webhook(path), ...nodes));
	const sent = await lab.send(file, `webhook/${path}`, pictureForm({ picture: 'picture.png' }));
	expect([sent.execution.status, sent.execution.errorMessage]).toEqual([
		'error',
		expect.stringContaining('is not finished after'),
	]);
	expect(lab.emulator.submits.map(({ files }) => files.length)).toEqual([1]);
	return sent;
}

/** In queue mode all of it happens in the worker. */
export async function expectRunByWorker({ log, mainLog, emulator }: Lab): Promise<void> {
	if (!isQueueMode) return;
	const [workerLog, n8nLog] = [await log(), await mainLog()];
	for (const { jobId } of emulator.submits) {
		const line = `AetherForge started the job ${jobId}`;
		expect({ jobId, byWorker: workerLog.includes(line), byMain: n8nLog.includes(line) }).toEqual({
			jobId,
			byWorker: true,
			byMain: false,
		});
	}
}
