import { randomUUID } from 'node:crypto';
import { openLab, type Lab } from './lab';
import type { Execution } from './real-n8n/rest-client';
import {
	finishJobs,
	generateFrom,
	jobIds,
	lateJobOfWebhook,
	retryOnFail,
	runBySending,
	secondJobFails,
} from './scenarios';
import {
	chain,
	imageGenerate,
	manualTrigger,
	oneItem,
	splitOut,
	webhook,
	workflow,
} from './workflow';

// "Number of Images", "File Name", the options "Include Input Fields" and "More API Fields (JSON)", and
// what "Dry Run" says of them.

let lab: Lab;
beforeEach(async () => {
	lab = await openLab();
});
afterEach(async () => {
	await lab.close();
});

function expectSuccess(execution: Execution): void {
	expect([execution.status, execution.errorMessage]).toEqual(['success', undefined]);
}

/** What the editor shows above the output of a node's last run. */
function hintsOf(execution: Execution, nodeName = 'Generate'): unknown[] {
	const hints = execution.runData[nodeName]?.at(-1)?.hints ?? [];
	return hints.map(({ message }) => message);
}

describe('variations', () => {
	it('come out in order, numbered and paired, and a retry pays only for the one that failed', async () => {
		await lab.close();
		lab = await openLab(secondJobFails());
		const parameters = { jobsPerItem: 3 };
		const execution = await lab.run(
			generateFrom(manualTrigger(), ['a fox', 'a whale'], parameters, retryOnFail),
		);
		expectSuccess(execution);
		expect(
			execution
				.items('Generate')
				.map(({ json, pairedItem }) => [json.prompt, json.job_number, json.job_count, pairedItem]),
		).toEqual(
			['a fox', 'a whale'].flatMap((prompt, item) =>
				[1, 2, 3].map((number) => [prompt, number, 3, { item }]),
			),
		);
		const [first, failed, ...others] = lab.emulator.submits.map(({ jobId }) => jobId);
		expect(others).toHaveLength(5);
		expect(new Set(jobIds(execution))).toEqual(new Set([first, ...others]));
		expect(jobIds(execution)).not.toContain(failed);
		expect(hintsOf(execution)).toEqual([
			expect.stringMatching(
				/^1 job started \(7 in this execution\), 5 resumed \(not charged again\)\./,
			),
		]);
	});

	it('that are no longer asked for in a retry are named, and cost nothing', async () => {
		const path = randomUUID();
		const node = imageGenerate({
			prompt: 'Late #never',
			jobsPerItem: 2,
			options: { timeout: 1 },
		});
		const file = workflow('Variations', chain(webhook(path), node));
		const { execution, saved } = await runBySending(lab, file, `webhook/${path}`, new FormData());
		expect(execution.errorMessage).toContain('is not finished after');
		finishJobs(lab);
		await lab.n8n.update(saved, ({ name, parameters }) => {
			if (name === 'Generate') Object.assign(parameters, { jobsPerItem: 1, options: {} });
		});
		const retried = await lab.n8n.retry(execution.id, { loadWorkflow: true });
		expectSuccess(retried);
		const [collected, ...more] = jobIds(retried);
		expect(more).toEqual([]);
		const [left] = lab.emulator.submits.filter(({ jobId }) => jobId !== collected);
		expect(hintsOf(retried)).toEqual([
			'0 jobs started, 1 resumed (not charged again).',
			expect.stringContaining(`so it was not collected: ${String(left?.jobId)}.`),
		]);
		expect(lab.emulator.submits).toHaveLength(2);
	});
});

describe('the fields of the input item', () => {
	it('with an error of an earlier node do not make n8n run the node, and pay, again', async () => {
		const json = { p: 'x', error: { message: 'An earlier node failed' }, job_id: 'no job' };
		const options = { includeInputFields: true };
		const generate = imageGenerate({ prompt: 'a fox', options }, retryOnFail);
		const execution = await lab.run(
			workflow('Input fields', chain(manualTrigger(), oneItem('Given', json), generate)),
		);
		expectSuccess(execution);
		expect(execution.items('Given').map((item) => item.json)).toEqual([json]);
		const [submit, ...more] = lab.emulator.submits;
		expect(more).toEqual([]);
		const [item] = execution.items('Generate');
		expect(item?.json).toMatchObject({ p: 'x', job_id: submit?.jobId, status: 'Succeed' });
		expect(item?.json).not.toHaveProperty('error');
	});
});

describe('additional form fields', () => {
	it('that are edited are paid for by a retry with the current workflow', async () => {
		const options = { timeout: 1, additionalFields: '{"seed": 1, "is_hd": true}' };
		const node = imageGenerate({ prompt: 'Late #never', referenceImages: 'all', options });
		const { execution, saved } = await lateJobOfWebhook(lab, node);
		finishJobs(lab);
		await lab.n8n.update(saved, ({ name, parameters }) => {
			if (name !== 'Generate') return;
			parameters.waitForCompletion = false;
			parameters.options = { additionalFields: '{"seed": 2, "is_hd": true}' };
		});
		const retried = await lab.n8n.retry(execution.id, { loadWorkflow: true });
		expectSuccess(retried);
		expect(lab.emulator.submits.map(({ fields }) => [fields.seed, fields.is_hd])).toEqual([
			['1', 'true'],
			['2', 'true'],
		]);
		expect(retried.items('Generate').map(({ json }) => json)).toEqual([
			expect.objectContaining({ job_id: lab.emulator.submits[1]?.jobId, seed: 2, is_hd: true }),
		]);
	});
});

describe('a form field called _files', () => {
	it('neither stands in the way of the files in combined mode, nor costs a second job', async () => {
		const options = { additionalFields: '{"_files": "x"}' };
		const generate = imageGenerate({ prompt: 'a fox', options }, retryOnFail);
		const file = workflow('Files', chain(manualTrigger(), generate));
		const settings = { ...file.settings, binaryMode: 'combined' as const };
		const execution = await lab.run({ ...file, settings });
		expectSuccess(execution);
		expect(lab.emulator.submits.map(({ fields }) => fields._files)).toEqual(['x']);
		const [item] = execution.items('Generate');
		expect(item?.json._files ?? item?.binary).toMatchObject({ data: { mimeType: 'image/png' } });
	});
});

describe('the file name', () => {
	it('is that of the item, and no two files of a run have the same one', async () => {
		const title = ['Blue whale.png', '../../Fox', 'blue whale', '龍'.repeat(250)];
		const generate = imageGenerate({
			prompt: 'Sketches #images-2',
			fileName: '={{ $json.title }}',
		});
		const start = [manualTrigger(), oneItem('Titles', { title }), splitOut('title')];
		const execution = await lab.run(workflow('File names', chain(...start, generate)));
		expectSuccess(execution);
		const files = execution.items('Generate').map(({ binary }) => binary?.data?.fileName);
		expect(files).toEqual([
			...['Blue whale.png', 'Blue whale-2.png', '..-..-Fox.png', '..-..-Fox-2.png'],
			...['blue whale-3.png', 'blue whale-4.png'],
			...['龍'.repeat(66), `${'龍'.repeat(66)}-2`].map((name) => `${name}.png`),
		]);
	});
});

describe('a dry run', () => {
	it('says how many jobs would be started with each model, and sends nothing', async () => {
		const aiModel = '={{ $json.prompt === "a fox" ? "Nano Banana" : "GPT Image 1.5" }}';
		const parameters = { aiModel, jobsPerItem: 2, options: { dryRun: true } };
		const prompts = ['a fox', 'a whale', 'a wolf'];
		const execution = await lab.run(generateFrom(manualTrigger(), prompts, parameters));
		expectSuccess(execution);
		expect(hintsOf(execution)).toEqual([
			'Dry run: 6 jobs would be started (2 × Nano Banana, 4 × GPT Image 1.5). Nothing was sent and nothing was charged. Turn off "Dry Run" under Options to start the jobs.',
		]);
		expect(
			execution.items('Generate').map(({ json }) => [json.dry_run, json.prompt, json.job_number]),
		).toEqual(prompts.flatMap((prompt) => [1, 2].map((number) => [true, prompt, number])));
		expect(lab.emulator.requests).toEqual([]);
	});
});
