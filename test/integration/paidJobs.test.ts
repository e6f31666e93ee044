import type { ServerResponse } from 'node:http';
import type { IDataObject, INode, INodeExecutionData } from 'n8n-workflow';

import { runEngine, type EngineResult } from '../support/engine';
import { KEY, shownText, type Scene, useScene } from '../support/scene';
import { serve } from '../support/server';

// A job that was paid for is never lost, whatever happens around its answer.

const JOB = '123e4567-e89b-12d3-a456-426614174000';
const RETRIES: Partial<INode> = { retryOnFail: true, maxTries: 3, waitBetweenTries: 1 };

const scene = useScene({ wish: () => ({ durationMs: Infinity }) });

describe('a chain on its defaults', () => {
	const scene = useScene({ jobDurationMs: 0 });

	it('charges one job for a character in each node', async () => {
		let items: INodeExecutionData[] = [{ json: { words: 'A knight' } }];
		const steps = [
			['imageGenerate', { prompt: 'A knight' }],
			['imageTune', {}],
			['sprite', { text: 'Walking' }],
			['sprite', { operation: 'reskin', description: 'In golden armor' }],
		] as const;
		for (const [node, parameters] of steps) {
			({ items } = await scene.run({ node, parameters, items }));
			expect(items).toHaveLength(1);
		}
		expect(scene.emulator.submits).toHaveLength(4);
	});
});

function referringToItself(): IDataObject {
	const json: IDataObject = { p: 'x' };
	json.self = json;
	return json;
}

/** No JSON value, but a Code node can put anything into an item. */
function odd(value: object): IDataObject {
	return Object.assign({ p: 'x' }, value);
}

function throwing(): never {
	throw new Error('no JSON for you');
}

describe.each([
	['that refers to itself', referringToItself],
	['with a BigInt', () => odd({ big: 5n })],
	['with a toJSON that throws', () => odd({ date: { toJSON: throwing } })],
])('an item %s', (_, makeJson) => {
	/** Not by the scene, which checks what n8n would save: n8n itself cannot save all of these. */
	async function generate(items: INodeExecutionData[]): Promise<EngineResult> {
		return await runEngine({
			clock: scene.clock,
			credential: { apiKey: KEY, baseUrl: scene.emulator.apiUrl },
			node: 'imageGenerate',
			parameters: { prompt: 'x', options: { timeout: 2 } },
			items,
			nodeSettings: RETRIES,
		});
	}

	it('is paid for once however often it is retried, and its job is named', async () => {
		const result = await generate([{ json: makeJson() }]);
		expect(result.calls).toBe(3);
		expect(scene.postCount()).toBe(1);
		expect(result.error?.message).toContain(scene.jobIdOf(0));
		expect(result.log).toContain(`info AetherForge started the job ${scene.jobIdOf(0)} for item 0`);
	});

	it('is not sent again while the outcome of its request is unknown', async () => {
		scene.emulator.faults.add({ at: 'submit', kind: 'html', status: 502, times: Infinity });
		const { error, calls } = await generate([{ json: makeJson() }]);
		expect(calls).toBe(3);
		expect(scene.postCount()).toBe(1);
		expect(error?.message).toBe('It is not known whether an earlier attempt started the job');
	});
});

describe('a job ID that has arrived is kept', () => {
	const body = JSON.stringify({ job_id: JOB });

	it.each<[string, (response: ServerResponse) => void]>([
		[
			'although the connection is cut right after it',
			(response) => {
				response.write(body, () => setImmediate(() => response.destroy()));
			},
		],
		[
			'although the response never ends',
			(response) => {
				response.write(body);
			},
		],
		[
			'although less arrives than was announced',
			(response) => {
				response.setHeader('content-length', 500);
				response.write(body, () => setImmediate(() => response.destroy()));
			},
		],
		[
			'behind a byte order mark',
			(response) => {
				response.end(`\ufeff${body}`);
			},
		],
	])('%s', async (_, answer) => {
		let postCount = 0;
		const server = await serve((request, response) => {
			postCount++;
			request.resume().on('end', () => {
				response.setHeader('content-type', 'application/json');
				answer(response);
			});
		});
		const { items, error } = await scene.run({
			node: 'imageGenerate',
			credential: { baseUrl: server.url },
			parameters: { prompt: 'p', waitForCompletion: false },
		});
		server.close();
		expect(error).toBeUndefined();
		expect(items[0]?.json).toMatchObject({ job_id: JOB, status: 'Pending' });
		expect(postCount).toBe(1);
	});

	it('only if it is complete: half of one is an unknown outcome', async () => {
		scene.emulator.faults.add({ at: 'submit', kind: 'truncate' });
		const { error, items } = await scene.run({
			node: 'imageGenerate',
			parameters: { prompt: 'p' },
		});
		expect(items).toEqual([]);
		expect(error?.message).toBe('It is not known whether AetherForge started the job');
		expect(error?.description).toContain('the response was cut off');
	});
});

describe('a retry with a check that fails', () => {
	const items = [{ json: { prompt: 'a' } }, { json: { prompt: 'b' } }];
	const parameters = { prompt: '={{ $json.prompt }}', options: { timeout: 2 } };

	it('of another item names every paid job of the run, in the text and in the data', async () => {
		const first = await scene.run({ node: 'imageGenerate', parameters, items });
		const edited = [...items, { json: { prompt: ' ' } }];
		const { error } = await scene.run({
			node: 'imageGenerate',
			parameters,
			items: edited,
			retryOf: first,
		});
		expect(scene.postCount()).toBe(2);
		expect(error?.message).toBe('The "Prompt" parameter is empty');
		expect(error?.description).toContain('No new job was started.');
		expect(error?.context.itemIndex).toBe(2);
		for (const index of [0, 1]) expect(error?.description).toContain(scene.jobIdOf(index));
		expect(error?.context.data).toEqual({
			running_job_ids: [scene.jobIdOf(0), scene.jobIdOf(1)],
		});
	});

	it('of its own expression collects the paid job all the same', async () => {
		const prompt = '={{ $execution.id === "1" ? "a" : "" }}';
		const given = { node: 'imageGenerate', items: items.slice(0, 1) } as const;
		const first = await scene.run({ ...given, parameters: { ...parameters, prompt } });
		scene.emulator.jobs.finish(scene.jobIdOf(0));
		const again = await scene.run({
			...given,
			parameters: { ...parameters, prompt },
			retryOf: first,
			executionId: '2',
		});
		expect(again.error).toBeUndefined();
		expect(again.items[0]?.json).toMatchObject({ job_id: scene.jobIdOf(0), status: 'Succeed' });
		expect(again.items[0]?.json).not.toHaveProperty('prompt');
		expect(scene.postCount()).toBe(1);
	});
});

describe('the output panel says what was paid for', () => {
	async function hintsOf(options: Parameters<Scene['run']>[0]): Promise<string[]> {
		const { hints } = await scene.run(options);
		return hints.map(({ message }) => message);
	}

	it('and what was resumed', async () => {
		const parameters = { prompt: '={{ $json.prompt }}', options: { timeout: 2 } };
		const items = [{ json: { prompt: 'a' } }, { json: { prompt: 'b' } }];
		const first = await scene.run({ node: 'imageGenerate', parameters, items, mode: 'trigger' });
		for (const { jobId } of scene.emulator.submits) scene.emulator.jobs.finish(jobId);
		scene.emulator.jobs.finish(scene.jobIdOf(1), { status: 'Failed' });
		const hints = await hintsOf({
			node: 'imageGenerate',
			parameters: { ...parameters, waitForCompletion: false },
			items,
			mode: 'retry',
			retryOf: first,
		});
		expect(hints[0]).toBe('1 job started (3 in this execution), 1 resumed (not charged again).');
	});
});

it('401 while a job is polled names the paid job to the model of an agent, too', async () => {
	scene.emulator.faults.add({ at: 'poll', kind: 'respond', status: 401, body: { detail: 'No' } });
	const result = await scene.run({
		node: 'imageGenerate',
		asTool: true,
		parameters: { prompt: 'p' },
	});
	expect(result.error?.message).toContain(scene.jobIdOf(0));
	expect(shownText(result)).not.toContain(KEY);
});
