// First of all, since n8n-core reads the environment when it is loaded.
import { additionalDataOf, logTo, nodeType, nodeTypesOf } from './n8nServer';

import { Container } from '@n8n/di';
import { BinaryDataService, ExecutionLifecycleHooks, WorkflowExecute } from 'n8n-core';
import {
	createRunExecutionData,
	Workflow,
	type IBinaryData,
	type IConnections,
	type IExecuteFunctions,
	type IN8nHttpFullResponse,
	type INode,
	type INodeExecutionData,
	type INodeParameters,
	type INodeType,
	type IRunExecutionData,
	type ITaskData,
	type IWorkflowBase,
	type IWorkflowSettings,
	type NodeExecutionHint,
	type WorkflowExecuteMode,
} from 'n8n-workflow';
import { Readable } from 'node:stream';

import { systemClock } from '../../nodes/shared/clock';
import { nodeCalled } from './nodes';
import { EngineClock } from './virtualClock';

const PREFIX = 'n8n-nodes-aetherforge.';

export interface CredentialValues {
	apiKey?: unknown;
	baseUrl?: unknown;
}

export interface EngineOptions {
	/** The name of one of the package's nodes, or one that is built like them. */
	node: string | INodeType;
	parameters?: INodeParameters;
	items?: INodeExecutionData[];
	/** What the credential's expressions return, which need not be text and may differ by item. */
	credential?: CredentialValues | ((itemIndex: number) => CredentialValues);
	/** `retryOnFail`, `maxTries`, `onError` and the like. */
	nodeSettings?: Partial<INode>;
	workflowSettings?: IWorkflowSettings;
	mode?: WorkflowExecuteMode;
	/** Runs as an AI agent's tool would be named. */
	asTool?: boolean;
	/** What an earlier execution left, as Retry in the executions list hands it on. */
	retryOf?: EngineResult;
	executionId?: string;
	/** A workflow around the node, which is called "Node"; the execution begins at `startAt`. */
	around?: {
		nodes: INode[];
		nodeTypes: Record<string, INodeType>;
		connections: IConnections;
		startAt: string;
	};
	/** Cancels the execution, as Stop does, when it resolves. */
	cancelWhen?: Promise<unknown>;
	clock?: EngineClock;
}

export interface EngineResult {
	/** The items of the (success) output. */
	items: INodeExecutionData[];
	/** The items of the error output, with `onError: 'continueErrorOutput'`. */
	errorItems: INodeExecutionData[];
	/** The error that ended the execution. */
	error: NodeFailure | undefined;
	hints: NodeExecutionHint[];
	/** How often n8n called the node's execute. */
	calls: number;
	/** All that n8n would save of the execution. */
	saved: IRunExecutionData;
	/** n8n's log, as lines "level message", with the metadata behind if there are any. */
	log: string[];
}

/** What n8n shows and saves of an error. */
export interface NodeFailure {
	name: string;
	message: string;
	description: string | undefined;
	context: { itemIndex?: number; data?: Record<string, unknown> };
	httpCode?: string;
}

/** Prepares n8n's filesystem binary storage; once per test file. */
export async function startBinaryStorage(): Promise<void> {
	await Container.get(BinaryDataService).init();
}

/** Puts bytes into n8n's binary storage, as a node before this one would have. */
export async function storeBinary(
	bytes: Buffer,
	fileName: string | undefined,
	mimeType: string,
	workflowId = 'workflow',
): Promise<IBinaryData> {
	return await Container.get(BinaryDataService).store(
		{ type: 'execution', workflowId, executionId: 'input' },
		bytes,
		{ data: '', mimeType, ...(fileName === undefined ? {} : { fileName }) },
	);
}

/** The bytes behind an item's binary data. */
export async function bytesOf(binary: IBinaryData | undefined): Promise<Buffer> {
	if (!binary) throw new Error('the item has no such binary data');
	return await Container.get(BinaryDataService).getAsBuffer(binary);
}

/** The node, with its requests and files known to the virtual clock. */
function timed(tested: INodeType, clock: EngineClock, onCall: () => void): INodeType {
	const trackBody = (body: unknown, end: () => void): void => {
		if (!(body instanceof Readable)) {
			end();
			return;
		}
		for (const event of ['end', 'error', 'close']) body.once(event, end);
		const read = body.read.bind(body);
		body.read = (size): unknown => {
			clock.moved();
			return read(size);
		};
	};
	const tracked = async <T>(work: Promise<T>): Promise<T> => {
		const end = clock.begin();
		try {
			const result = await work;
			trackBody((result as Partial<IN8nHttpFullResponse>).body, end);
			return result;
		} catch (error) {
			const { cause } = error as { cause?: { response?: { data?: unknown } } };
			trackBody(cause?.response?.data, end);
			throw error;
		}
	};
	return {
		description: tested.description,
		async execute(this: IExecuteFunctions) {
			onCall();
			const { helpers } = this;
			const original = { ...helpers };
			// Its time limit is virtual, too: like axios' it counts until an answer starts.
			helpers.httpRequest = async (options) => {
				const [answered, late] = [new AbortController(), new AbortController()];
				const { timeout = 300_000, abortSignal = late.signal } = options;
				const either = AbortSignal.any([abortSignal as AbortSignal, late.signal]);
				const request: Promise<unknown> = original.httpRequest({ ...options, abortSignal: either });
				const limit = clock.wait(timeout, 'n8n', answered.signal).then(async () => {
					if (answered.signal.aborted) return await request;
					late.abort();
					const error = new Error(`timeout of ${timeout}ms exceeded`);
					throw Object.assign(error, { code: 'ECONNABORTED' });
				});
				try {
					return await tracked(Promise.race([request, limit]));
				} finally {
					answered.abort();
				}
			};
			// The nodes end this one by a limit of their own.
			helpers.httpRequestWithAuthentication = async function (...given) {
				const request: Promise<unknown> = original.httpRequestWithAuthentication.apply(this, given);
				return await tracked(request);
			};
			helpers.prepareBinaryData = async (...given) =>
				await tracked(original.prepareBinaryData(...given));
			return (await tested.execute?.call(this)) ?? [];
		},
	};
}

/** A node as n8n offers it to agents: parameters for tools alone are told by the type's name. */
function toolOf(tested: INodeType): INodeType {
	const { description } = tested;
	const tool = { ...description, name: `${description.name}Tool` };
	return Object.create(tested, { description: { value: tool } }) as INodeType;
}

/**
 * Runs one of the nodes in n8n-core's real engine: its execute context, HTTP helpers, binary storage,
 * Retry On Fail and error outputs. Only time is virtual.
 */
export async function runEngine(options: EngineOptions): Promise<EngineResult> {
	const clock = options.clock ?? new EngineClock();
	const real = { ...systemClock };
	clock.drive(systemClock);
	const log: string[] = [];
	logTo(log);
	let calls = 0;
	try {
		return await runTimed();
	} finally {
		clock.stop();
		Object.assign(systemClock, real);
	}

	async function runTimed(): Promise<EngineResult> {
		const tested = typeof options.node === 'string' ? nodeCalled(options.node) : options.node;
		const type = `${PREFIX}${tested.description.name}${options.asTool ? 'Tool' : ''}`;
		const timedType = timed(options.asTool ? toolOf(tested) : tested, clock, () => calls++);
		const { around, parameters = {}, items = [{ json: {} }], mode = 'manual' } = options;
		const common = { typeVersion: 1, position: [0, 0] as [number, number] };
		const start: INode = { ...common, id: 'start', name: 'Start', type: 'start', parameters: {} };
		const credentials = { aetherForgeApi: { id: '1', name: 'AetherForge' } };
		const own = { id: 'node', name: 'Node', type, parameters, credentials };
		const node: INode = { ...common, ...own, ...options.nodeSettings };
		const nodes = [start, node, ...(around?.nodes ?? [])];
		const known: Record<string, INodeType | undefined> = {
			[type]: timedType,
			start: nodeType('start', { group: ['trigger'], inputs: [] }),
			...around?.nodeTypes,
		};
		const workflow = new Workflow({
			id: 'workflow',
			name: 'workflow',
			nodes,
			connections: {
				Start: { main: [[{ node: around?.startAt ?? 'Node', type: 'main', index: 0 }]] },
				...around?.connections,
			},
			active: false,
			nodeTypes: nodeTypesOf(known),
			settings: { executionOrder: 'v1', ...options.workflowSettings },
		});
		const { executionId = '1', credential = {} } = options;
		const workflowData = { id: 'workflow', name: 'workflow', nodes };
		const first = nodes.find(({ name }) => name === around?.startAt) ?? node;
		const hooks = new ExecutionLifecycleHooks(mode, executionId, workflowData as IWorkflowBase);
		const additionalData = additionalDataOf(executionId, hooks, (itemIndex) => ({
			apiKey: 'test-key',
			baseUrl: 'https://api.aetherforgeai.com',
			...(typeof credential === 'function' ? credential(itemIndex) : credential),
		}));
		const data = { main: [items] };
		const timing = { startTime: 0, executionTime: 0, executionIndex: 0 };
		const task: ITaskData = { ...timing, source: [], executionStatus: 'success', data };
		const runExecutionData = createRunExecutionData({
			executionData: {
				contextData: structuredClone(options.retryOf?.saved.executionData?.contextData ?? {}),
				nodeExecutionStack: [{ node: first, data, source: { main: [{ previousNode: 'Start' }] } }],
			},
			resultData: {
				runData: { Start: [task] },
			},
		});
		const engine = new WorkflowExecute(additionalData, mode, runExecutionData);
		const execution = engine.processRunExecutionData(workflow);
		void options.cancelWhen?.then(() => {
			execution.cancel();
		});
		const { data: saved } = await execution;
		const taskData = saved.resultData.runData.Node?.at(-1);
		return {
			items: taskData?.data?.main?.[0] ?? [],
			errorItems: taskData?.data?.main?.[1] ?? [],
			error: saved.resultData.error as NodeFailure | undefined,
			hints: taskData?.hints ?? [],
			calls,
			saved,
			log,
		};
	}
}
