import type {
	IExecuteFunctions,
	INode,
	INodeExecutionData,
	INodeParameters,
	INodeType,
	IWorkflowExecutionCustomData,
} from 'n8n-workflow';

import { ImageGenerate } from '../../nodes/ImageGenerate/ImageGenerate.node';
import type { EngineOptions, EngineResult } from '../support/engine';
import { useScene } from '../support/scene';

// What n8n keeps of an execution for its Executions list, which finds the execution of a job by it.

const EARLIER = '123e4567-e89b-12d3-a456-426614174000';
const RETRIES: Partial<INode> = { retryOnFail: true, maxTries: 3, waitBetweenTries: 1 };

const scene = useScene({ jobDurationMs: 0 });

async function generate(
	{ jobsPerItem = 1, ...options }: INodeParameters = {},
	more: Partial<EngineOptions> = {},
): Promise<EngineResult> {
	return await scene.run({
		node: 'imageGenerate',
		parameters: { prompt: 'p', downloadImages: false, jobsPerItem, options },
		...more,
	});
}

function customDataOf({ saved }: EngineResult): Record<string, string> {
	return saved.resultData.metadata ?? {};
}

/** The jobs that are listed, whichever was accepted first. */
function listedIn(result: EngineResult): string[] {
	return Object.values(customDataOf(result)).flatMap((value) => value.split(','));
}

function started(): string[] {
	return scene.emulator.submits.map(({ jobId }) => jobId);
}

/** A node before ours that stores what a workflow wants to find again. */
function storing(customData: Record<string, string>): Partial<EngineOptions> {
	const own: INodeType = {
		description: {
			...new ImageGenerate().description,
			name: 'own',
			credentials: [],
			properties: [],
		},
		async execute(this: IExecuteFunctions) {
			this.customData.setAll(customData);
			return await Promise.resolve([this.getInputData()]);
		},
	};
	const node: INode = {
		id: 'own',
		name: 'Own',
		type: 'own',
		typeVersion: 1,
		position: [0, 0],
		parameters: {},
	};
	const connections = { Own: { main: [[{ node: 'Node', type: 'main' as const, index: 0 }]] } };
	return { around: { nodes: [node], nodeTypes: { own }, connections, startAt: 'Own' } };
}

it.each(['manual', 'trigger'] as const)('lists the jobs of a run in mode %s', async (mode) => {
	const result = await generate({ jobsPerItem: 3 }, { mode });
	expect(started()).toHaveLength(3);
	expect(Object.keys(customDataOf(result))).toEqual(['aetherforge_jobs']);
	expect(listedIn(result).sort()).toEqual(started().sort());
});

it('lists a job once although Retry On Fail resumes it', async () => {
	let submits = 0;
	const match = () => ++submits === 2;
	scene.emulator.faults.add({ at: 'submit', kind: 'respond', status: 400, body: {}, match });
	const result = await generate({ jobsPerItem: 2 }, { nodeSettings: RETRIES });
	expect([result.calls, result.error]).toEqual([2, undefined]);
	expect(listedIn(result).sort()).toEqual(started().sort());
});

it('lists the job that Retry in the executions list resumes', async () => {
	const { id } = scene.emulator.jobs.add({ durationMs: Infinity });
	scene.emulator.faults.add({ at: 'submit', kind: 'respond', status: 200, body: { job_id: id } });
	const retryOf = await generate({ timeout: 1 });
	expect(retryOf.error?.message).toContain(id);
	scene.emulator.jobs.finish(id);
	const result = await generate({ timeout: 1 }, { retryOf, executionId: '2' });
	expect(result.error).toBeUndefined();
	expect(listedIn(result)).toEqual([id]);
	expect(scene.postCount()).toBe(1);
});

it('lists the jobs of all nodes of a workflow under the same key', async () => {
	const result = await generate({}, storing({ aetherforge_jobs: EARLIER }));
	expect(customDataOf(result)).toEqual({ aetherforge_jobs: `${EARLIER},${scene.jobIdOf(0)}` });
});

it('lists eighteen jobs at most, in three entries that n8n takes without complaint', async () => {
	const items: INodeExecutionData[] = [{ json: {} }, { json: {} }];
	const result = await generate({ jobsPerItem: 16 }, { items });
	expect(started()).toHaveLength(32);
	const entries = customDataOf(result);
	expect(Object.keys(entries)).toEqual(
		['', '_2', '_3'].map((suffix) => `aetherforge_jobs${suffix}`),
	);
	for (const value of Object.values(entries)) expect(value.split(',')).toHaveLength(6);
	expect(new Set(started())).toEqual(new Set([...started(), ...listedIn(result)]));
	expect(new Set(listedIn(result)).size).toBe(18);
	expect(result.log.filter((line) => line.startsWith('error'))).toEqual([]);
});

it('leaves what the workflow itself has stored as it is', async () => {
	const own = { customer: '7', aetherforge_jobs: 'mine', aetherforge_jobs_2: 'a,b' };
	const result = await generate({}, storing(own));
	expect(customDataOf(result)).toEqual({ ...own, aetherforge_jobs_3: scene.jobIdOf(0) });
});

it('does without where the workflow has used up all that n8n keeps', async () => {
	const own = Object.fromEntries(Array.from({ length: 10 }, (_, index) => [`key_${index}`, 'x']));
	const result = await generate({}, storing(own));
	expect(result.error).toBeUndefined();
	expect(result.items[0]?.json.job_id).toBe(scene.jobIdOf(0));
	expect(customDataOf(result)).toEqual(own);
});

function refusing(): never {
	throw new Error('no custom data today');
}
const BROKEN: IWorkflowExecutionCustomData = {
	get: refusing,
	getAll: refusing,
	set: refusing,
	setAll: refusing,
};

it.each<[string, PropertyDescriptor]>([
	['has no custom data, as before 2.16', { value: undefined }],
	['throws when asked for custom data', { get: refusing }],
	['throws when custom data are read', { value: BROKEN }],
	['throws when custom data are written', { value: { ...BROKEN, get: () => EARLIER } }],
])('loses no job where n8n %s', async (_, customData) => {
	const generator = new ImageGenerate();
	const node: INodeType = {
		description: generator.description,
		async execute(this: IExecuteFunctions) {
			const context = Object.create(this, { customData }) as typeof this;
			return await generator.execute.call(context);
		},
	};
	const result = await generate({}, { node });
	expect(result.error).toBeUndefined();
	expect(result.items[0]?.json).toMatchObject({ job_id: scene.jobIdOf(0), status: 'Succeed' });
	expect(result.log).toContain(`info AetherForge started the job ${scene.jobIdOf(0)} for item 0`);
	expect(customDataOf(result)).toEqual({});
});
