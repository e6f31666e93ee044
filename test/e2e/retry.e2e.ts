import { randomUUID } from 'node:crypto';
import type { INode, INodeParameters } from 'n8n-workflow';
import { isN8n1, expectSuccess, isQueueMode, jobIds, servedSha256, sha256, useLab } from './lab';
import type { Execution } from './real-n8n/rest-client';
import {
	expectRunByWorker,
	generateFrom,
	lateJobOfWebhook,
	retryOnFail,
	secondJobFails,
} from './scenarios';
import {
	calledByWorkflow,
	callForEachItem,
	chain,
	effectGenerate,
	imageGenerate,
	imageTune,
	manualTrigger,
	oneItem,
	setField,
	splitOut,
	sprite,
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

	it('pays for the failed job alone, although the prompts change with every try', async () => {
		const path = randomUUID();
		const parameters = {
			prompt: '={{ $json.prompt }} at {{ $now.toMillis() }}',
			options: { maxConcurrentJobs: 3 },
		};
		const prompts = ['one', 'two', 'three'];
		const { execution } = await lab.send(
			generateFrom(webhook(path), prompts, parameters, retryOnFail),
			`webhook/${path}`,
		);
		expectSuccess(execution);
		expect(lab.emulator.submits).toHaveLength(4);
		const items = execution.items('Generate').map(({ pairedItem }) => pairedItem);
		expect(items).toEqual([0, 1, 2].map((item) => ({ item })));
		expect(new Set(jobIds(execution)).size).toBe(3);
	});

	it('resumes no job of a branch beside it with the same prompt', async () => {
		const path = randomUUID();
		const start = webhook(path);
		// n8n runs branches in the order of their places on the canvas.
		const branches = ['Upper', 'Lower'].map((name, index): INode => ({
			...imageGenerate({ prompt: 'the same' }, retryOnFail),
			name,
			position: [200, 200 * index],
		}));
		const file = workflow(
			'Branches',
			branches.map((branch) => [start, branch]),
		);
		const { execution } = await lab.send(file, `webhook/${path}`);
		expectSuccess(execution);
		const [upper, , lower, ...more] = lab.emulator.submits;
		expect(branches.flatMap(({ name }) => jobIds(execution, name))).toEqual([
			upper?.jobId,
			lower?.jobId,
		]);
		expect(more).toEqual([]);
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

	const late: INodeParameters = { options: { timeout: 1 } };
	const file = "$('Start').item.binary.picture";
	const ofPicture = { ...late, imageSource: 'binary', imageField: 'picture' };
	const ofAll = { ...late, prompt: '=Like this {{ $execution.id }}', referenceImages: 'all' };

	/** The file of the first image, where this n8n keeps files, is what the service serves. */
	async function expectFile(execution: Execution, nodeName: string): Promise<void> {
		const [item] = execution.items(nodeName);
		const [image] = Object.values(item?.binary ?? {});
		if (image === undefined) throw new Error('No image came out.');
		const places = isQueueMode ? (isN8n1 ? undefined : 'database') : 'filesystem-v2';
		expect([image.mimeType, image.id?.split(':', 1)[0]]).toEqual(['image/png', places]);
		const [url = item?.json.image_url] = (item?.json.image_urls ?? []) as string[];
		expect(sha256(await lab.n8n.download(image))).toBe(await servedSha256(url));
	}

	it.each<[string, ...INode[]]>([
		['Image Generate', imageGenerate(ofAll)],
		['Image Tune', imageTune(ofPicture)],
		['Effect Generate', effectGenerate({ ...ofPicture, description: '={{ $execution.id }}' })],
		['Sprite', sprite({ ...ofPicture, text: 'Walking' })],
		[
			'an item whose JSON holds the webhook’s file, which n8n has moved',
			setField('photo', `={{ ${file} }}`),
			imageGenerate({
				...late,
				prompt: 'a fox',
				referenceImages: 'selected',
				binaryPropertyName: `={{ ${file} }}`,
			}),
		],
	])('resumes the job of %s, and pays nothing', async (_, ...nodes) => {
		const { execution } = await lateJobOfWebhook(lab, ...nodes);
		lab.finishJobs();
		const retried = await lab.n8n.retry(execution.id);
		expectSuccess(retried);
		const { name = '' } = nodes.at(-1) ?? {};
		expect(lab.emulator.submits).toHaveLength(1);
		expect(new Set(jobIds(retried, name))).toEqual(new Set([lab.emulator.submits[0]?.jobId]));
		await expectFile(retried, name);
	});

	it.each<[string, INodeParameters, paid: number]>([
		['pays nothing when only the timeout was raised', { options: { timeout: 60 } }, 1],
		['pays for a prompt that was edited', { prompt: 'else', waitForCompletion: false }, 2],
	])('with the saved workflow %s', async (_, edited, paid) => {
		const { execution, saved } = await lateJobOfWebhook(lab, imageGenerate(ofAll));
		lab.finishJobs();
		await lab.n8n.update(saved, ({ name, parameters }) => {
			if (name === 'Generate') Object.assign(parameters, edited);
		});
		const retried = await lab.n8n.retry(execution.id, { loadWorkflow: true });
		expectSuccess(retried);
		expect(lab.emulator.submits).toHaveLength(paid);
		expect(jobIds(retried)).toEqual([lab.emulator.submits.at(-1)?.jobId]);
	});

	// In queue mode, n8n's main process runs what is run by hand.
	if (!isQueueMode) {
		it('is not what Execute step is: n8n then knows no paid job', async () => {
			const saved = await lab.save(generateFrom(manualTrigger(), ['a fox'], late));
			const execution = await lab.n8n.runManually(saved, 'Start');
			expect(execution.errorMessage).toContain('is not finished after');
			lab.finishJobs();
			const step = await lab.n8n.runStep(saved, 'Generate', execution);
			expect(lab.emulator.submits).toHaveLength(2);
			expect(step.errorMessage).toContain(lab.emulator.submits[1]?.jobId);
			// The nodes before it were not run: what they did is the first execution's, times and all.
			expect(step.runData['Split prompt']).toEqual(execution.runData['Split prompt']);
		});
	}
});
