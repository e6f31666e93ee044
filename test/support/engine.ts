import 'reflect-metadata';

import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { Readable } from 'node:stream';
import { inspect } from 'node:util';

const userFolder = mkdtempSync(join(tmpdir(), 'aetherforge-n8n-'));

// Each test file loads this module anew and so has a folder of its own.
afterAll(() => {
	rmSync(userFolder, { recursive: true, force: true });
});

// n8n-core reads these when it is loaded.
process.env.N8N_USER_FOLDER = userFolder;
process.env.N8N_ENCRYPTION_KEY = 'not a secret';
process.env.N8N_ENFORCE_SETTINGS_FILE_PERMISSIONS = 'false';
process.env.N8N_LOG_LEVEL = 'silent';

import { Logger } from '@n8n/backend-common';
import { Container } from '@n8n/di';
import {
	BinaryDataService,
	ExecuteContext,
	ExecutionLifecycleHooks,
	SupplyDataContext,
	WorkflowExecute,
} from 'n8n-core';
import {
	createEmptyRunExecutionData,
	createRunExecutionData,
	LoggerProxy,
	Workflow,
	type IBinaryData,
	type IConnections,
	type ICredentialDataDecryptedObject,
	type ICredentialsHelper,
	type IExecuteFunctions,
	type IHttpRequestOptions,
	type IN8nHttpFullResponse,
	type INode,
	type INodeExecutionData,
	type INodeParameters,
	type INodeType,
	type IPinData,
	type IRunExecutionData,
	type ITaskData,
	type IWorkflowBase,
	type IWorkflowExecuteAdditionalData,
	type IWorkflowSettings,
	type NodeExecutionHint,
	type WorkflowExecuteMode,
} from 'n8n-workflow';

import { AetherForgeApi } from '../../credentials/AetherForgeApi.credentials';
import { systemClock } from '../../nodes/shared/clock';
import { nodeCalled } from './nodes';
import { VirtualClock } from './virtualClock';

export const TEST_KEY = 'test-key';
export const SERVICE_URL = 'https://api.aetherforgeai.com';

const PREFIX = 'n8n-nodes-aetherforge.';

export interface CredentialValues {
	apiKey?: unknown;
	baseUrl?: unknown;
}

export interface EngineOptions {
	/** The name of one of the package's nodes, or any other that is built like them. */
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
	/** Calls the node, as a tool, without an execution, as these do. */
	calledBy?: 'mcpTrigger' | 'agents';
	/** How often the node has run before in this execution: in rounds of a loop, or as an agent's tool. */
	earlierRuns?: number;
	/** What an earlier execution left, as Retry in the executions list hands it on. */
	retryOf?: EngineResult;
	executionId?: string;
	/** A workflow around the node, which is called "Node"; the execution begins at `startAt`. */
	around?: {
		nodes: INode[];
		nodeTypes: Record<string, INodeType>;
		connections: IConnections;
		startAt: string;
		/** Items that nodes put out in place of running, as the editor's pin does. */
		pinData?: IPinData;
	};
	/** Cancels the execution, as Stop does, when it resolves. */
	cancelWhen?: Promise<unknown>;
	clock?: VirtualClock;
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
	clock: VirtualClock;
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

/** n8n's own credentials helper lives in its server; this does what that one does. */
function credentialsHelper(valuesOf: (itemIndex: number) => CredentialValues) {
	const type = new AetherForgeApi();
	return {
		getParentTypes: () => [],
		isCredentialUsableByNode: () => true,
		getCredentialsProperties: () => type.properties,
		getDecrypted: async (...given: Parameters<ICredentialsHelper['getDecrypted']>) => {
			const { itemIndex = 0 } = given[6] ?? {};
			const defaults = { apiKey: TEST_KEY, baseUrl: SERVICE_URL };
			return await Promise.resolve({ ...defaults, ...valuesOf(itemIndex) });
		},
		preAuthentication: async () => {
			await Promise.resolve(undefined);
		},
		authenticate: async (
			data: ICredentialDataDecryptedObject,
			_: string,
			options: IHttpRequestOptions,
		) => {
			if (typeof type.authenticate !== 'function') throw new Error('not a function');
			return await type.authenticate(data, options);
		},
		updateCredentials: async () => {
			await Promise.resolve();
		},
	};
}

/**
 * The time limit of n8n's HTTP layer, in virtual time: like axios' it counts until an answer starts.
 *
 * @param send gets a signal that ends the request, and what rejects when the time is up
 */
async function limited<T>(
	clock: VirtualClock,
	{ timeout }: IHttpRequestOptions,
	send: (signal: AbortSignal, limit?: Promise<never>) => Promise<T>,
): Promise<T> {
	const late = new AbortController();
	if (timeout === undefined) return await send(late.signal);
	const answered = new AbortController();
	const limit = clock.wait(timeout, answered.signal).then(async () => {
		if (answered.signal.aborted) return await new Promise<never>(() => undefined);
		late.abort();
		const message = `timeout of ${timeout}ms exceeded`;
		throw Object.assign(new Error(message), { code: 'ECONNABORTED' });
	});
	try {
		return await send(late.signal, limit);
	} finally {
		answered.abort();
	}
}

/** The node, with its requests and files known to the virtual clock. */
function timed(nodeType: INodeType, clock: VirtualClock, onCall: () => void): INodeType {
	return {
		description: nodeType.description,
		async execute(this: IExecuteFunctions) {
			onCall();
			const { helpers } = this;
			const original = { ...helpers };
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
			const track = async <T>(work: Promise<T>, limit?: Promise<never>): Promise<T> => {
				const end = clock.begin();
				try {
					const result = await Promise.race(limit ? [work, limit] : [work]);
					trackBody((result as Partial<IN8nHttpFullResponse>).body, end);
					return result;
				} catch (error) {
					const { cause } = error as { cause?: { response?: { data?: unknown } } };
					trackBody(cause?.response?.data, end);
					throw error;
				}
			};
			helpers.httpRequest = async (options) =>
				await limited(clock, options, async (signal, limit) => {
					const { abortSignal } = options;
					const either =
						abortSignal instanceof AbortSignal ? AbortSignal.any([abortSignal, signal]) : signal;
					const request = original.httpRequest({ ...options, abortSignal: either });
					return await track(request as Promise<unknown>, limit);
				});
			helpers.httpRequestWithAuthentication = async function (type, options) {
				return await limited(clock, options, async (_, limit) => {
					const request = original.httpRequestWithAuthentication.call(this, type, options);
					return await track(request as Promise<unknown>, limit);
				});
			};
			helpers.prepareBinaryData = async (...given) =>
				await track(original.prepareBinaryData(...given));
			const output = await nodeType.execute?.call(this);
			return output ?? [];
		},
	};
}

/** A node as n8n offers it to agents: parameters for tools alone are told by the type's name. */
function toolOf(nodeType: INodeType): INodeType {
	const { description } = nodeType;
	const tool = { ...description, name: `${description.name}Tool` };
	return Object.create(nodeType, { description: { value: tool } }) as INodeType;
}

/**
 * Calls a node as n8n's server calls a tool where there is no execution. An MCP Server Trigger gives
 * it the context of a webhook; n8n's own Agents, a workflow without an ID that has no other node.
 */
async function call(
	by: 'mcpTrigger' | 'agents',
	nodeType: INodeType,
	workflow: Workflow,
	node: INode,
	additionalData: IWorkflowExecuteAdditionalData,
	items: INodeExecutionData[],
): Promise<Pick<EngineResult, 'items' | 'error' | 'saved'>> {
	const source = { node, data: { main: [items] }, source: null };
	const saved =
		by === 'agents'
			? createEmptyRunExecutionData()
			: createRunExecutionData({ executionData: { nodeExecutionStack: [] } });
	const contextOfAgents = (): ExecuteContext => {
		const { nodeTypes } = workflow;
		const alone = new Workflow({ nodes: [node], connections: {}, active: false, nodeTypes });
		const input = { main: [items] };
		const common = [alone, node, additionalData, 'internal', saved, 0, items] as const;
		return new ExecuteContext(...common, input, source, []);
	};
	const contextOfMcpTrigger = (): SupplyDataContext => {
		const input = { ai_tool: [items] };
		const common = [workflow, node, additionalData, 'webhook', saved, 0, items] as const;
		return new SupplyDataContext(...common, input, 'ai_tool', source, []);
	};
	const context = by === 'agents' ? contextOfAgents() : contextOfMcpTrigger();
	try {
		const output = await nodeType.execute?.call(context as IExecuteFunctions);
		return { items: (output as INodeExecutionData[][])[0] ?? [], error: undefined, saved };
	} catch (error) {
		return { items: [], error: error as NodeFailure, saved };
	}
}

const start: INodeType = {
	description: {
		displayName: 'Start',
		name: 'start',
		group: ['trigger'],
		version: 1,
		description: '',
		defaults: {},
		inputs: [],
		outputs: ['main'],
		properties: [],
	},
};

/**
 * Runs one of the nodes in n8n-core's real engine: its execute context, HTTP helpers, binary storage,
 * Retry On Fail and error outputs. Only time is virtual.
 */
export async function runEngine(options: EngineOptions): Promise<EngineResult> {
	const clock = options.clock ?? new VirtualClock();
	const spies: jest.SpyInstance[] = [
		jest.spyOn(systemClock, 'now').mockImplementation(() => clock.now()),
		jest.spyOn(systemClock, 'sleep').mockImplementation(async (durationMs, signal) => {
			await clock.sleep(durationMs, signal);
		}),
	];
	const log: string[] = [];
	const write = (level: string) => (message: string, metadata?: object) => {
		log.push(
			`${level} ${message}${metadata === undefined ? '' : ` ${inspect(metadata, { depth: 8 })}`}`,
		);
	};
	const logger = {
		error: write('error'),
		warn: write('warn'),
		info: write('info'),
		debug: write('debug'),
	};
	LoggerProxy.init(logger);
	Container.set(Logger, { ...logger, scoped: () => logger } as object as Logger);
	let calls = 0;
	try {
		return await runTimed();
	} finally {
		clock.stop();
		for (const spy of spies) spy.mockRestore();
	}

	async function runTimed(): Promise<EngineResult> {
		const tested = typeof options.node === 'string' ? nodeCalled(options.node) : options.node;
		const type = `${PREFIX}${tested.description.name}${options.asTool ? 'Tool' : ''}`;
		const nodeType = timed(options.asTool ? toolOf(tested) : tested, clock, () => calls++);
		const node: INode = {
			id: 'node',
			name: 'Node',
			type,
			typeVersion: 1,
			position: [0, 0],
			parameters: options.parameters ?? {},
			credentials: { aetherForgeApi: { id: '1', name: 'AetherForge' } },
			...options.nodeSettings,
		};
		const startNode: INode = {
			id: 'start',
			name: 'Start',
			type: 'start',
			typeVersion: 1,
			position: [0, 0],
			parameters: {},
		};
		const { around } = options;
		const nodes = [startNode, node, ...(around?.nodes ?? [])];
		const known: Record<string, INodeType> = { [type]: nodeType, start, ...around?.nodeTypes };
		const byName = (name: string) => {
			const found = known[name];
			if (!found) throw new Error(`no node type ${name}`);
			return found;
		};
		const settings = { executionOrder: 'v1' as const, ...options.workflowSettings };
		const workflow = new Workflow({
			id: 'workflow',
			name: 'workflow',
			nodes,
			connections: {
				Start: { main: [[{ node: around?.startAt ?? 'Node', type: 'main', index: 0 }]] },
				...around?.connections,
			},
			active: false,
			nodeTypes: {
				getByName: byName,
				getByNameAndVersion: byName,
				getKnownTypes: () => ({}),
			},
			settings,
			...(around?.pinData && { pinData: around.pinData }),
		});
		const mode = options.mode ?? 'manual';
		const executionId = options.executionId ?? '1';
		const workflowData = { id: 'workflow', name: 'workflow', nodes };
		const first = nodes.find(({ name }) => name === around?.startAt) ?? node;
		const additionalData = {
			credentialsHelper: credentialsHelper((itemIndex) => {
				const { credential = {} } = options;
				return typeof credential === 'function' ? credential(itemIndex) : credential;
			}),
			executionId,
			restApiUrl: 'http://n8n.test/rest',
			instanceBaseUrl: 'http://n8n.test',
			webhookBaseUrl: 'http://n8n.test/webhook',
			webhookWaitingBaseUrl: 'http://n8n.test/webhook-waiting',
			webhookTestBaseUrl: 'http://n8n.test/webhook-test',
			formWaitingBaseUrl: 'http://n8n.test/form-waiting',
			hooks: new ExecutionLifecycleHooks(mode, executionId, workflowData as IWorkflowBase),
			variables: {},
			currentNodeExecutionIndex: 0,
			setExecutionStatus: () => undefined,
			sendDataToUI: () => undefined,
			logAiEvent: () => undefined,
		} as object as IWorkflowExecuteAdditionalData;

		const items = options.items ?? [{ json: {} }];
		const data = { main: [items] };
		if (options.calledBy) {
			const withoutExecution = { ...additionalData, executionId: undefined, hooks: undefined };
			const given = withoutExecution as object as IWorkflowExecuteAdditionalData;
			const called = await call(options.calledBy, nodeType, workflow, node, given, items);
			return { ...called, errorItems: [], hints: [], calls, log, clock };
		}
		const task: ITaskData = {
			startTime: 0,
			executionTime: 0,
			executionIndex: 0,
			source: [],
			executionStatus: 'success',
			data,
		};
		const runExecutionData = createRunExecutionData({
			executionData: {
				contextData: structuredClone(options.retryOf?.saved.executionData?.contextData ?? {}),
				nodeExecutionStack: [{ node: first, data, source: { main: [{ previousNode: 'Start' }] } }],
			},
			resultData: {
				...(around?.pinData && { pinData: around.pinData }),
				runData: {
					Start: [task],
					...(options.earlierRuns && { Node: Array<ITaskData>(options.earlierRuns).fill(task) }),
				},
			},
		});
		const execution = new WorkflowExecute(
			additionalData,
			mode,
			runExecutionData,
		).processRunExecutionData(workflow);
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
			clock,
		};
	}
}
