import type { INode, INodeParameters } from 'n8n-workflow';
import { tinyPicture } from '../emulator/pictures';
import { isQueueMode, type Lab } from './lab';
import type { WorkflowFile } from './real-n8n/rest-client';
import { chain, imageGenerate, oneItem, splitOut, workflow, type NodeSettings } from './workflow';

export const retryOnFail: NodeSettings = { retryOnFail: true, maxTries: 3, waitBetweenTries: 0 };

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
