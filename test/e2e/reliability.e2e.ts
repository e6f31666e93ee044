import { randomUUID } from 'node:crypto';
import { setTimeout as sleep } from 'node:timers/promises';
import type { INode } from 'n8n-workflow';
import { credentialType, openLab, until, type Lab } from './lab';
import type { Execution } from './real-n8n/rest-client';
import {
	finishJobs,
	generateFrom,
	jobIds,
	lateJobOfWebhook,
	manyLate,
	expectJobsNamed,
	observationMs,
	retryOnFail,
	save,
	secondJobFails,
	sentAfter,
	sentAfterStopOf,
	silenceWithinMs,
	twoAtATime,
} from './scenarios';
import {
	calledByWorkflow,
	callForEachItem,
	chain,
	imageGenerate,
	loopOverItems,
	manualTrigger,
	noOp,
	oneItem,
	setField,
	splitOut,
	webhook,
	withCredential,
	workflow,
	type NodeSettings,
} from './workflow';

let lab: Lab;
beforeEach(async () => {
	lab = await openLab();
});
afterEach(async () => {
	await lab.close();
});

async function openLabWhereOneJobFails(): Promise<void> {
	await lab.close();
	lab = await openLab(secondJobFails());
}

describe('a retry', () => {
	it.each([
		['the same prompts', '={{ $json.prompt }}'],
		['prompts that change with every try', '={{ $json.prompt }} at {{ $now.toMillis() }}'],
	])('by Retry On Fail pays for the failed job alone: %s', async (_, prompt) => {
		await openLabWhereOneJobFails();
		const execution = await lab.run(
			generateFrom(
				manualTrigger(),
				['one', 'two', 'three'],
				{ prompt, options: { maxConcurrentJobs: 3 } },
				retryOnFail,
			),
		);
		expect(execution.status).toBe('success');
		expect(lab.emulator.submits).toHaveLength(4);
		expect(execution.items('Generate').map(({ pairedItem }) => pairedItem)).toEqual(
			[0, 1, 2].map((item) => ({ item })),
		);
		expect(new Set(jobIds(execution)).size).toBe(3);
	});

	it('from the executions list resumes the job of a webhook, and pays nothing', async () => {
		const { execution } = await lateJobOfWebhook(lab);
		finishJobs(lab);
		const retried = await lab.n8n.retry(execution.id);
		expect([retried.status, retried.errorMessage]).toEqual(['success', undefined]);
		expect(jobIds(retried)).toEqual([lab.emulator.submits[0]?.jobId]);
		expect(retried.items('Generate')[0]?.binary?.data?.mimeType).toBe('image/png');
		expect(lab.emulator.submits).toHaveLength(1);
	});

	it('resumes the job of an item whose JSON holds the webhook’s file, which n8n has moved', async () => {
		const file = "$('Start').item.binary.picture";
		const { execution } = await lateJobOfWebhook(
			lab,
			setField('photo', `={{ ${file} }}`),
			imageGenerate({
				prompt: 'Like this #never',
				referenceImages: 'selected',
				binaryPropertyName: `={{ ${file} }}`,
				options: { timeout: 1 },
			}),
		);
		finishJobs(lab);
		const retried = await lab.n8n.retry(execution.id);
		expect([retried.status, retried.errorMessage]).toEqual(['success', undefined]);
		expect(lab.emulator.submits).toHaveLength(1);
	});

	it('with the current workflow pays nothing when only the timeout was raised', async () => {
		const { execution, saved } = await lateJobOfWebhook(lab);
		finishJobs(lab);
		await lab.n8n.update(saved, (node) => {
			if (node.name === 'Generate') node.parameters.options = { timeout: 60 };
		});
		const retried = await lab.n8n.retry(execution.id, { loadWorkflow: true });
		expect(retried.status).toBe('success');
		expect(lab.emulator.submits).toHaveLength(1);
	});

	it('with the current workflow pays for a prompt that was edited', async () => {
		const { execution, saved } = await lateJobOfWebhook(lab);
		await lab.n8n.update(saved, (node) => {
			if (node.name === 'Generate') node.parameters.prompt = 'Something else';
		});
		const retried = await lab.n8n.retry(execution.id, { loadWorkflow: true });
		expect(retried.status).toBe('success');
		expect(lab.emulator.submits.map(({ fields }) => fields.prompt)).toEqual([
			expect.stringContaining('#never'),
			'Something else',
		]);
	});

	it('is not what the rounds of a loop are', async () => {
		const start = manualTrigger();
		const items = oneItem('Prompts', { prompt: Array.from({ length: 5 }, () => 'the same') });
		const split = splitOut('prompt');
		const loop = loopOverItems();
		const generate = imageGenerate({ prompt: '={{ $json.prompt }}', waitForCompletion: false });
		const execution = await lab.run(
			workflow('Loop', [
				...chain(start, items, split, loop),
				[loop, noOp('Done'), 0],
				[loop, generate, 1],
				[generate, loop],
			]),
		);
		expect(execution.status).toBe('success');
		expect(execution.runCount('Generate')).toBe(5);
		expect(lab.emulator.submits).toHaveLength(5);
	});
});

describe('the limit of jobs per execution', () => {
	it('holds for all rounds of a loop together', async () => {
		const loop = loopOverItems();
		const generate = imageGenerate({
			prompt: '={{ $json.prompt }}',
			waitForCompletion: false,
			options: { maxJobsPerExecution: 2 },
		});
		const prompts = oneItem('Prompts', { prompt: ['one', 'two', 'three'] });
		const execution = await lab.run(
			workflow('Loop', [
				...chain(manualTrigger(), prompts, splitOut('prompt'), loop),
				[loop, noOp('Done'), 0],
				[loop, generate, 1],
				[generate, loop],
			]),
		);
		expect(execution.errorMessage).toContain(
			'This execution would start 3 jobs, more than the 2 that "Max Jobs per Execution" allows',
		);
		expect(lab.emulator.submits).toHaveLength(2);
	});
});

describe('a connection that is never established', () => {
	it('starts no job, and the next try sends the request', async () => {
		const nowhere = await lab.n8n.createCredential('Nowhere', credentialType, {
			apiKey: lab.apiKey,
			// No process can listen on port 0: the attempt ends with EADDRNOTAVAIL or ECONNREFUSED.
			baseUrl: 'http://127.0.0.1:0',
		});
		const file = generateFrom(manualTrigger(), ['a fox'], {});
		const saved = await lab.n8n.createWorkflow(withCredential(file, nowhere));
		const execution = await lab.n8n.runManually(saved, 'Start');
		expect(execution.errorMessage).toContain('AetherForge cannot be reached');
		expect(execution.savedText).toContain(
			'The request started no job, and nothing was charged for it.',
		);
	});
});

describe('a credential', () => {
	it('by expression pays for each item with its own key', async () => {
		const keys = ['af-key-of-ann-11111111', 'af-key-of-bob-22222222'];
		for (const key of keys) lab.emulator.apiKeys.add(key);
		const byItem = await lab.n8n.createCredential('By item', credentialType, {
			apiKey: `={{ ${JSON.stringify(keys)}[$itemIndex] }}`,
			baseUrl: lab.emulator.apiUrl,
		});
		const file = generateFrom(manualTrigger(), keys, {});
		const saved = await lab.n8n.createWorkflow(withCredential(file, byItem));
		const execution = await lab.n8n.runManually(saved, 'Start');
		expect([execution.status, execution.errorMessage]).toEqual(['success', undefined]);
		const posts = lab.emulator.requests.filter(({ method }) => method === 'POST');
		expect(posts).toHaveLength(2);
		for (const { form, headers } of posts) {
			expect(headers.authorization).toBe(`Bearer ${String(form?.fields.prompt)}`);
		}
	});

	it('that is deleted while a job runs ends the run, which names the job', async () => {
		const file = generateFrom(manualTrigger(), ['A fox #never'], {});
		const saved = await save(lab, file);
		const executionId = await lab.n8n.startManually(saved, 'Start');
		await until(() => lab.emulator.submits.length === 1);
		await lab.n8n.deleteCredential(lab.credential);
		const execution = await lab.n8n.waitForExecution(executionId);
		expect(execution.errorMessage).toContain('The AetherForge credential could not be read');
		expect(execution.savedText).toContain(lab.emulator.submits[0]?.jobId);
	});
});

describe('a sub-workflow', () => {
	/** A workflow that calls one with Image Generate for each of two items with the same prompt. */
	async function callTwice(
		callSettings: NodeSettings,
		generateSettings: NodeSettings,
	): Promise<Execution> {
		const generate = imageGenerate({ prompt: '={{ $json.prompt }}' }, generateSettings);
		const called = await save(lab, workflow('Called', chain(calledByWorkflow(), generate)));
		return await lab.run(
			workflow(
				'Caller',
				chain(
					manualTrigger(),
					oneItem('Prompts', { prompt: ['the same', 'the same'] }),
					splitOut('prompt'),
					callForEachItem(called.id, callSettings),
				),
			),
		);
	}

	it('that is called twice makes a job of its own each time', async () => {
		const execution = await callTwice({}, {});
		expect([execution.status, execution.errorMessage]).toEqual(['success', undefined]);
		expect(jobIds(execution, 'Call')).toEqual(lab.emulator.submits.map(({ jobId }) => jobId));
		expect(lab.emulator.submits).toHaveLength(2);
	});

	it('pays for the failed job alone when Image Generate itself is retried', async () => {
		await openLabWhereOneJobFails();
		const execution = await callTwice({}, retryOnFail);
		expect([execution.status, execution.errorMessage]).toEqual(['success', undefined]);
		const [first, , again] = lab.emulator.submits;
		expect(jobIds(execution, 'Call')).toEqual([first?.jobId, again?.jobId]);
		expect(lab.emulator.submits).toHaveLength(3);
	});

	it('is forgotten by n8n when the call is retried, so that all is paid for again', async () => {
		await openLabWhereOneJobFails();
		const execution = await callTwice(retryOnFail, {});
		expect([execution.status, execution.errorMessage]).toEqual(['success', undefined]);
		const again = lab.emulator.submits.slice(2);
		expect(jobIds(execution, 'Call')).toEqual(again.map(({ jobId }) => jobId));
		expect(lab.emulator.submits).toHaveLength(4);
	});
});

describe('branches side by side', () => {
	it.each<[string, NodeSettings, number[]]>([
		['make a job each of the same prompt', {}, [0, 1]],
		['resume no job of each other in a retry', retryOnFail, [0, 2]],
	])('%s', async (_, settings, submits) => {
		if (settings.retryOnFail === true) await openLabWhereOneJobFails();
		const start = manualTrigger();
		// n8n runs branches in the order of their places on the canvas.
		const branches = ['Upper', 'Lower'].map((name, index): INode => ({
			...imageGenerate({ prompt: 'the same' }, settings),
			name,
			position: [200, 200 * index],
		}));
		const execution = await lab.run(
			workflow(
				'Branches',
				branches.map((branch) => [start, branch]),
			),
		);
		expect([execution.status, execution.errorMessage]).toEqual(['success', undefined]);
		expect(branches.flatMap(({ name }) => jobIds(execution, name))).toEqual(
			submits.map((index) => lab.emulator.submits[index]?.jobId),
		);
		expect(lab.emulator.submits).toHaveLength((submits.at(-1) ?? 0) + 1);
	});
});

describe('pinned data', () => {
	const prompts = ['a fox'];

	it('of Image Generate keeps it from running, until it is unpinned', async () => {
		const pinned = [{ json: { job_id: 'pinned' } }];
		const saved = await save(lab, {
			...generateFrom(manualTrigger(), prompts, {}),
			pinData: { Generate: pinned },
		});
		const execution = await lab.n8n.runManually(saved, 'Start');
		expect([execution.status, jobIds(execution)]).toEqual(['success', ['pinned']]);
		expect(lab.emulator.requests).toEqual([]);

		const unpinned = await lab.n8n.runManually(await lab.n8n.unpin(saved), 'Start');
		expect(jobIds(unpinned)).toEqual([lab.emulator.submits[0]?.jobId]);
		expect(lab.emulator.submits).toHaveLength(1);
	});

	it('of the node before it is paid for in every run', async () => {
		const saved = await save(lab, {
			...generateFrom(manualTrigger(), prompts, {}),
			pinData: { 'Split prompt': [{ json: { prompt: 'a pinned wolf' } }] },
		});
		for (const count of [1, 2]) {
			const execution = await lab.n8n.runManually(saved, 'Start');
			expect([execution.status, execution.errorMessage]).toEqual(['success', undefined]);
			expect(jobIds(execution)).toEqual([lab.emulator.submits[count - 1]?.jobId]);
			expect(lab.emulator.submits).toHaveLength(count);
		}
		expect(new Set(lab.emulator.submits.map(({ fields }) => fields.prompt))).toEqual(
			new Set(['a pinned wolf']),
		);
	});
});

describe('a step that is run again by hand', () => {
	it('is a new execution for n8n, which knows no paid job', async () => {
		const saved = await save(
			lab,
			generateFrom(manualTrigger(), ['Late #never'], { options: { timeout: 1 } }),
		);
		const execution = await lab.n8n.runManually(saved, 'Start');
		expect(execution.errorMessage).toContain('is not finished after');
		finishJobs(lab);

		const step = await lab.n8n.runStep(saved, 'Generate', execution);
		expect(step.errorMessage).toContain('is not finished after');
		expect(step.errorMessage).toContain(lab.emulator.submits[1]?.jobId);
		expect(lab.emulator.submits).toHaveLength(2);
		// The nodes before it were not run: what they did is the first execution's, times and all.
		expect(step.runData['Split prompt']).toEqual(execution.runData['Split prompt']);
	});
});

describe('a failed item', () => {
	it('does not take the paid jobs of the others with it when the node continues and n8n runs it again', async () => {
		const execution = await lab.run(
			generateFrom(
				manualTrigger(),
				['', 'two', 'three'],
				{},
				{ ...retryOnFail, onError: 'continueRegularOutput' },
			),
		);
		expect(execution.status).toBe('success');
		expect(lab.emulator.submits).toHaveLength(2);
	});
});

describe('Stop', () => {
	it.each<[string, NodeSettings]>([
		['', {}],
		[', also with Retry On Fail', retryOnFail],
	])('ends a manual run within a second, and nothing more is submitted%s', async (_, settings) => {
		const saved = await save(lab, generateFrom(manualTrigger(), manyLate, twoAtATime, settings));
		const executionId = await lab.n8n.startManually(saved, 'Start');
		const late = await sentAfter(lab, 2, async () => {
			await lab.n8n.stop(executionId);
		});
		expect(late).toEqual([]);
		expect(lab.emulator.submits).toHaveLength(2);
		expect((await lab.n8n.waitForExecution(executionId)).status).toBe('canceled');
		expectJobsNamed(lab, await lab.n8nLog());
	});

	it('ends a production run within a second', async () => {
		const path = randomUUID();
		const saved = await save(lab, generateFrom(webhook(path), manyLate, twoAtATime));
		const late = await sentAfterStopOf(lab, saved, path, 2);
		expect(late).toEqual([]);
		expect(lab.emulator.submits).toHaveLength(2);
		expectJobsNamed(lab, await lab.n8nLog());
	});

	it('lets a submit that is under way be answered, and the log names its job', async () => {
		let answer: () => void = () => undefined;
		const answered = new Promise<void>((resolve) => {
			answer = resolve;
		});
		lab.emulator.faults.add({ at: 'submit', kind: 'hold', until: answered });
		const saved = await save(lab, generateFrom(manualTrigger(), ['a fox'], {}));
		const executionId = await lab.n8n.startManually(saved, 'Start');
		await until(() => lab.emulator.submits.length === 1);
		await lab.n8n.stop(executionId);
		expect((await lab.n8n.waitForExecution(executionId)).status).toBe('canceled');
		const line = `AetherForge started the job ${String(lab.emulator.submits[0]?.jobId)}`;
		expect((await lab.n8nLog()).includes(line)).toBe(false);
		answer();
		await until(async () => (await lab.n8nLog()).includes(line));
	});

	it('is also what the timeout of a workflow is', async () => {
		const file = generateFrom(manualTrigger(), manyLate, twoAtATime);
		const saved = await save(lab, { ...file, settings: { ...file.settings, executionTimeout: 2 } });
		const startedAtMs = Date.now();
		const executionId = await lab.n8n.startManually(saved, 'Start');
		const execution = await lab.n8n.waitForExecution(executionId);
		await sleep(observationMs);
		expect(execution.status).not.toBe('success');
		const sent = lab.emulator.requests.map((request) => request.startedAtMs - startedAtMs);
		expect(sent.filter((afterMs) => afterMs > 2000 + 2 * silenceWithinMs)).toEqual([]);
		expect(lab.emulator.submits).toHaveLength(2);
	});
});
