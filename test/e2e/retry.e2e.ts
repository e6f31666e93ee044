import { randomUUID } from 'node:crypto';
import { isN8n1, expectSuccess, isQueueMode, jobIds, servedSha256, sha256, useLab } from './lab';
import { expectRunByWorker, pictureForm, retryOnFail, secondJobFails } from './scenarios';
import {
	calledByWorkflow,
	callForEachItem,
	chain,
	imageGenerate,
	oneItem,
	setField,
	splitOut,
	webhook,
	workflow,
	type NodeSettings,
} from './workflow';

// In production, also in queue mode.

describe('Retry On Fail', () => {
	const lab = useLab(secondJobFails);
	afterEach(async () => {
		await expectRunByWorker(lab);
	});

	// Of a call that is tried again n8n forgets what the called workflow did.
	it.each<[string, NodeSettings, NodeSettings, number[], paid: number]>([
		['of the node in a sub-workflow pays for the failed job alone', {}, retryOnFail, [0, 2], 3],
		['of the call of a sub-workflow pays for all again', retryOnFail, {}, [2, 3], 4],
	])('%s', async (_, callSettings, generateSettings, collected, paid) => {
		const generate = imageGenerate({ prompt: '={{ $json.prompt }}' }, generateSettings);
		const called = await lab.save(workflow('Called', chain(calledByWorkflow(), generate)));
		if (!isN8n1) await lab.n8n.activate(called);
		const path = randomUUID();
		const prompts = oneItem('Prompts', { prompt: ['the same', 'the same'] });
		const call = callForEachItem(called.id, callSettings);
		const caller = workflow('Caller', chain(webhook(path), prompts, splitOut('prompt'), call));
		const { execution } = await lab.send(caller, `webhook/${path}`);
		expectSuccess(execution);
		const { submits } = lab.emulator;
		expect(submits).toHaveLength(paid);
		expect(jobIds(execution, 'Call')).toEqual(collected.map((index) => submits[index]?.jobId));
	});
});

describe('Retry in the executions list', () => {
	const lab = useLab(() => ({ jobDurationMs: Infinity }));
	afterEach(async () => {
		await expectRunByWorker(lab);
	});

	it('resumes a job with a file of a webhook, which n8n has moved, and pays nothing', async () => {
		const path = randomUUID();
		const file = "$('Start').item.binary.picture";
		const generate = imageGenerate({
			prompt: '=Like this {{ $execution.id }}',
			referenceImages: 'selected',
			binaryPropertyName: `={{ ${file} }}`,
			options: { timeout: 1 },
		});
		const links = chain(webhook(path), setField('photo', `={{ ${file} }}`), generate);
		const form = pictureForm({ picture: 'picture.png' });
		const { execution } = await lab.send(workflow('Late', links), `webhook/${path}`, form);
		expect(execution.errorMessage).toContain('is not finished after');
		expect(lab.emulator.submits.map(({ files }) => files.length)).toEqual([1]);
		lab.finishJobs();
		const retried = await lab.n8n.retry(execution.id);
		expectSuccess(retried);
		expect(jobIds(retried)).toEqual(lab.emulator.submits.map(({ jobId }) => jobId));
		const [{ json, binary } = {}] = retried.items('Generate');
		if (binary?.data === undefined) throw new Error('No image came out.');
		const place = isQueueMode ? (isN8n1 ? undefined : 'database') : 'filesystem-v2';
		expect(binary.data.id?.split(':', 1)[0]).toBe(place);
		expect(sha256(await lab.n8n.download(binary.data))).toBe(await servedSha256(json?.image_url));
	});
});
