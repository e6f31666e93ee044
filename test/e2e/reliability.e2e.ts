import { randomUUID } from 'node:crypto';
import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import type { INodeParameters } from 'n8n-workflow';
import { openLab, until, type Lab } from './lab';
import type { Execution, SavedWorkflow, WorkflowFile } from './real-n8n/rest-client';
import {
	chain,
	imageGenerate,
	loopOverItems,
	manualTrigger,
	noOp,
	oneItem,
	splitOut,
	webhook,
	withCredential,
	workflow,
	type NodeSettings,
} from './workflow';

/** From Stop until nothing more may be sent. */
const silenceWithinMs = 1000;
/** Longer than any pause of the node, so that what would still be sent is seen. */
const observationMs = 3500;

let lab: Lab;
beforeEach(async () => {
	lab = await openLab();
});
afterEach(async () => {
	await lab.close();
});

function generateFrom(
	prompts: readonly string[],
	parameters: INodeParameters,
	settings: NodeSettings = {},
): WorkflowFile {
	return workflow(
		'Generate',
		chain(
			manualTrigger(),
			oneItem('Prompts', { prompt: [...prompts] }),
			splitOut('prompt'),
			imageGenerate({ prompt: '={{ $json.prompt }}', ...parameters }, settings),
		),
	);
}

async function save(file: WorkflowFile): Promise<SavedWorkflow> {
	return await lab.n8n.createWorkflow(withCredential(file, lab.credential));
}

function jobIds(execution: Execution): unknown[] {
	return execution.items('Generate').map(({ json }) => json.job_id);
}

/** The job of the second submit fails, as it does when a service has a bad moment. */
async function openLabWhereOneJobFails(): Promise<void> {
	await lab.close();
	let submits = 0;
	lab = await openLab({
		wish: () => (++submits === 2 ? { outcome: { status: 'Failed' } } : undefined),
	});
}

describe('a retry', () => {
	const retryOnFail = { retryOnFail: true, maxTries: 3, waitBetweenTries: 0 };

	it.each([
		['the same prompts', '={{ $json.prompt }}'],
		['prompts that change with every try', '={{ $json.prompt }} at {{ $now.toMillis() }}'],
	])('by Retry On Fail pays for the failed job alone: %s', async (_, prompt) => {
		await openLabWhereOneJobFails();
		const execution = await lab.run(
			generateFrom(
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

	/** A form with a picture, sent to a webhook whose job is not done in time. */
	async function lateJobOfWebhook(): Promise<{ execution: Execution; saved: SavedWorkflow }> {
		const path = randomUUID();
		const saved = await save(
			workflow(
				'Webhook',
				chain(
					webhook(path),
					imageGenerate({
						prompt: '=Like this #never {{ $execution.id }}',
						referenceImages: 'all',
						options: { timeout: 1 },
					}),
				),
			),
		);
		await lab.n8n.activate(saved);
		const form = new FormData();
		const icon = await readFile(join(__dirname, '..', '..', 'docs', 'images', 'get-job-light.png'));
		form.append('picture', new File([icon], 'picture.png', { type: 'image/png' }));
		await lab.n8n.post(`webhook/${path}`, form);
		const execution = await lab.n8n.nextExecution(saved);
		await lab.n8n.deactivate(saved);
		expect([execution.status, execution.errorMessage]).toEqual([
			'error',
			expect.stringContaining('is not finished after'),
		]);
		expect(lab.emulator.submits).toHaveLength(1);
		expect(lab.emulator.submits[0]?.files).toHaveLength(1);
		return { execution, saved };
	}

	function finishJobs(): void {
		for (const { id } of lab.emulator.jobs.all()) lab.emulator.jobs.finish(id);
	}

	it('from the executions list takes up the job of a webhook, and pays nothing', async () => {
		const { execution } = await lateJobOfWebhook();
		finishJobs();
		const retried = await lab.n8n.retry(execution.id);
		expect([retried.status, retried.errorMessage]).toEqual(['success', undefined]);
		expect(jobIds(retried)).toEqual([lab.emulator.submits[0]?.jobId]);
		expect(retried.items('Generate')[0]?.binary?.data?.mimeType).toBe('image/png');
		expect(lab.emulator.submits).toHaveLength(1);
	});

	it('with the current workflow pays nothing when only the timeout was raised', async () => {
		const { execution, saved } = await lateJobOfWebhook();
		finishJobs();
		await lab.n8n.update(saved, (node) => {
			if (node.name === 'Generate') node.parameters.options = { timeout: 60 };
		});
		const retried = await lab.n8n.retry(execution.id, { loadWorkflow: true });
		expect(retried.status).toBe('success');
		expect(lab.emulator.submits).toHaveLength(1);
	});

	it('with the current workflow pays for a prompt that was edited', async () => {
		const { execution, saved } = await lateJobOfWebhook();
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

describe('a failed item', () => {
	it('does not take the paid jobs of the others with it when the node continues and n8n runs it again', async () => {
		await lab.close();
		lab = await openLab();
		const execution = await lab.run(
			generateFrom(
				['', 'two', 'three'],
				{},
				{
					retryOnFail: true,
					maxTries: 3,
					waitBetweenTries: 0,
					onError: 'continueRegularOutput',
				},
			),
		);
		expect(execution.status).toBe('success');
		expect(lab.emulator.submits).toHaveLength(2);
	});
});

describe('Stop', () => {
	/** Waits until the jobs run, ends them somehow, and tells what was sent after that. */
	async function sentAfter(jobCount: number, end: () => Promise<void>): Promise<number[]> {
		await until(() => lab.emulator.submits.length === jobCount);
		await sleep(300);
		const endedAtMs = Date.now();
		await end();
		await sleep(observationMs);
		return lab.emulator.requests
			.map(({ startedAtMs }) => startedAtMs - endedAtMs)
			.filter((afterMs) => afterMs > silenceWithinMs);
	}

	const manyLate = Array.from({ length: 4 }, (_, index) => `${index} #never`);
	const twoAtATime = { options: { maxConcurrentJobs: 2 } };

	async function expectLogToNameJobs(): Promise<void> {
		const log = await lab.n8nLog();
		for (const { jobId } of lab.emulator.submits) {
			expect(log).toContain(`AetherForge started the job ${jobId}`);
			expect(log).toMatch(new RegExp(`these AetherForge jobs were not collected: .*${jobId}`));
		}
	}

	it.each([
		['', {}],
		[', also with Retry On Fail', { retryOnFail: true, maxTries: 3, waitBetweenTries: 0 }],
	])('ends a manual run within a second, and nothing more is submitted%s', async (_, settings) => {
		const saved = await save(generateFrom(manyLate, twoAtATime, settings));
		const executionId = await lab.n8n.startManually(saved, 'Start');
		const late = await sentAfter(2, async () => {
			await lab.n8n.stop(executionId);
		});
		expect(late).toEqual([]);
		expect(lab.emulator.submits).toHaveLength(2);
		expect((await lab.n8n.waitForExecution(executionId)).status).toBe('canceled');
		await expectLogToNameJobs();
	});

	it('ends a production run within a second', async () => {
		const path = randomUUID();
		const saved = await save(
			workflow(
				'Webhook',
				chain(
					webhook(path),
					oneItem('Prompts', { prompt: manyLate }),
					splitOut('prompt'),
					imageGenerate({ prompt: '={{ $json.prompt }}', ...twoAtATime }),
				),
			),
		);
		await lab.n8n.activate(saved);
		const answer = lab.n8n.post(`webhook/${path}`, {}).catch(() => undefined);
		const late = await sentAfter(2, async () => {
			const [execution] = await lab.n8n.executions(saved);
			await lab.n8n.stop(execution?.id ?? '');
		});
		await lab.n8n.deactivate(saved);
		await answer;
		expect(late).toEqual([]);
		expect(lab.emulator.submits).toHaveLength(2);
		await expectLogToNameJobs();
	});

	it('is also what the timeout of a workflow is', async () => {
		const file = generateFrom(manyLate, twoAtATime);
		const saved = await save({ ...file, settings: { ...file.settings, executionTimeout: 2 } });
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
