import { randomUUID } from 'node:crypto';
import { isN8n1, expectSuccess, isQueueMode, jobIds, servedSha256, sha256, useLab } from './lab';
import { expectRunByWorker, pictureForm, retryOnFail } from './scenarios';
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
} from './workflow';

// In production, also in queue mode.

const lab = useLab(() => {
	let submits = 0;
	return { wish: () => (++submits === 2 ? { outcome: { status: 'Failed' } } : undefined) };
});
afterEach(async () => {
	await expectRunByWorker(lab);
});

it('Retry On Fail of the node in a sub-workflow pays for the failed job alone', async () => {
	const generate = imageGenerate({ prompt: '={{ $json.prompt }}' }, retryOnFail);
	const called = await lab.save(workflow('Called', chain(calledByWorkflow(), generate)));
	if (!isN8n1) await lab.n8n.activate(called);
	const path = randomUUID();
	const prompts = oneItem('Prompts', { prompt: ['the same', 'the same'] });
	const links = chain(webhook(path), prompts, splitOut('prompt'), callForEachItem(called.id));
	const { execution } = await lab.send(workflow('Caller', links), `webhook/${path}`);
	expectSuccess(execution);
	const [first, , third, ...more] = lab.emulator.submits;
	expect(more).toEqual([]);
	expect(jobIds(execution, 'Call')).toEqual([first?.jobId, third?.jobId]);
});

it('Retry of an execution resumes a job with a file of a webhook, which n8n has moved, and pays nothing', async () => {
	const path = randomUUID();
	const file = "$('Start').item.binary.picture";
	const generate = imageGenerate({
		prompt: '=Like this {{ $execution.id }} #never',
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
