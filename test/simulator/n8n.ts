// First of all, since n8n-core reads the environment when it is loaded.
import { additionalDataOf, logTo, nodeType, nodeTypesOf } from '../support/n8nServer';

import { Container } from '@n8n/di';
import { parse, stringify } from 'flatted';
import {
	BinaryDataService,
	DataDeduplicationService,
	ExecutionLifecycleHooks,
	WorkflowExecute,
	type BinaryData,
} from 'n8n-core';
import {
	createRunExecutionData,
	Workflow,
	type IBinaryData,
	type IExecuteFunctions,
	type INodeExecutionData,
	type INodeType,
	type IRunExecutionData,
	type ITaskData,
	type IWorkflowBase,
	type WorkflowExecuteMode,
} from 'n8n-workflow';

import type { VirtualClock as DayClock } from '../support/virtualClock';
import type { Day } from './day';
import { BinaryStore, Deduplication } from './disk';
import { freshNodes } from './freshNodes';
import type { Network } from './network';
import { FIRST_RETRY, ROUNDS, type SavedWorkflow } from './workflow';

const WORKFLOW_ID = 'workflow';
/** How long n8n waits for running executions after SIGTERM. */
const GRACE_MS = 30_000;
const PREFIX = 'n8n-nodes-aetherforge.';
/** The error that Stop leaves in what n8n 2 saves; a retry does not take it away. */
export const STOPPED = 'The execution was cancelled manually';

/** An execution as n8n lists it, and how it came about. */
export interface Execution {
	id: string;
	retryOf?: Execution;
	/** The same execution, run again by n8n 1. */
	isRerunOf?: Execution;
	/** Tells its items from those of another trigger. */
	label: string;
	workflow: SavedWorkflow;
	mode: WorkflowExecuteMode;
	startedAtMs: number;
	endedAtMs: number;
	stoppedAtMs?: number;
	/** What it came to. n8n lists a good retry of a stopped execution as an error: Stop's own stays. */
	ending: 'running' | 'success' | 'error' | 'stopped' | 'timedOut' | 'crashed';
	/** What n8n's database has of it. */
	saved: IRunExecutionData;
	/** The same before n8n's start found it unfinished. */
	unfinished?: IRunExecutionData;
	/** What it came to in memory, which Stop does not save; of a crash nobody knows. */
	result?: IRunExecutionData;
	/** How often n8n called a node's execute, by name. */
	calls: Map<string, number>;
	/** The runs that it found when it began: those of what it retries, and artificial ones. */
	before: IRunExecutionData['resultData']['runData'];
}

interface Running {
	execution: Execution;
	/** Nodes that have begun, and those of them that have ended, as n8n's event log tells. */
	started: Map<string, boolean>;
	running: { cancel: () => void };
	end: (ending: Execution['ending']) => void;
}

/** n8n's node for loops, as far as it matters here: what is left of the loop is in its context. */
const loop = nodeType(
	'loop',
	{ outputs: ['main', 'main'] },
	{
		async execute(this: IExecuteFunctions) {
			const context = this.getContext('node');
			context.items ??= this.getInputData();
			const round = Number(context.round ?? 0) + 1;
			context.round = round;
			const items = context.items as INodeExecutionData[];
			return await Promise.resolve(round > ROUNDS ? [items, []] : [[], items]);
		},
	},
);
const hook = nodeType('hook', { inputs: [] }, { webhook: async () => await Promise.resolve({}) });

// n8n-core keeps one for the whole process: each day puts its own in place of it.
void DataDeduplicationService.init(undefined as never);

/** As n8n writes it to its database and reads it again. */
function copyOf<T>(data: T): T {
	return parse(stringify(data)) as T;
}

/**
 * One n8n: what its process holds, which a crash ends, and what its database and disk hold. Everything
 * that runs a workflow is n8n-core's own; what its server does around it is modeled after the code and
 * the measurements of n8n 2.41 and 1.123.
 */
export class N8n {
	readonly executions: Execution[] = [];
	readonly log: string[] = [];
	readonly files = new BinaryStore();
	readonly deduplication: Deduplication;
	/** The workflow's setting, if it has one. */
	timeoutAfterMs: number | undefined;
	#nodes: readonly INodeType[] = [];
	#running = new Set<Running>();
	#retryCount = 0;

	constructor(
		private readonly day: Day,
		private readonly clock: DayClock,
		private readonly credentialOf: (itemIndex: number) => { apiKey: string; baseUrl: string },
		private readonly network: Network,
	) {
		this.timeoutAfterMs = day.timeoutAfterMs;
		this.#loadNodes();
		const binaryData = Container.get(BinaryDataService);
		binaryData.setManager('filesystem-v2', this.files as object as BinaryData.Manager);
		this.deduplication = new Deduplication(clock, 4);
		Object.assign(DataDeduplicationService.getInstance(), { deduplicator: this.deduplication });
		logTo(this.log);
	}

	async store(content: Buffer): Promise<IBinaryData> {
		const executionId = this.day.mode === 'webhook' ? '' : '0';
		return await Container.get(BinaryDataService).store(
			{ type: 'execution', workflowId: WORKFLOW_ID, executionId },
			content,
			{ data: '', mimeType: 'image/png', fileName: 'input.png' },
		);
	}

	/** Runs a workflow as its trigger does. */
	async start(label: string, workflow: SavedWorkflow, items: INodeExecutionData[]): Promise<void> {
		const node = workflow.nodes.find(({ name }) => name === 'Hook');
		if (!node) throw new Error('the workflow has no trigger');
		const saved = createRunExecutionData({
			executionData: { nodeExecutionStack: [{ node, data: { main: [items] }, source: null }] },
		});
		const id = String(this.executions.length + 1);
		await this.#run({ id, label, workflow, saved, mode: this.day.mode });
	}

	/** n8n 1 takes a crashed execution of a queue up again: the same one, from its beginning. */
	async rerun(execution: Execution): Promise<void> {
		const { id, label, workflow, mode, unfinished } = execution;
		if (!unfinished) throw new Error('it was not cut off');
		await this.#run({ id, label, workflow, mode, saved: copyOf(unfinished), isRerunOf: execution });
	}

	/** Whether the executions list, or the API for what was stopped, offers it. */
	canRetry(execution: Execution): boolean {
		const { ending, isRerunOf } = execution;
		// Run again under the same ID, it has succeeded.
		const isMended = this.executions.some(
			(each) => each.isRerunOf === execution && each.ending === 'success',
		);
		if (isMended || isRerunOf || ending === 'success' || ending === 'running') return false;
		// There n8n runs nothing of what was canceled and saved, and says that it has succeeded.
		const isSaved = ending === 'timedOut' || (ending === 'stopped' && this.day.keepsStopped);
		return this.day.n8n === '2.41' || !isSaved;
	}

	/** execution.service.js, `retry`. @param current with the currently saved workflow */
	async retry(execution: Execution, current?: SavedWorkflow): Promise<void> {
		const saved = copyOf(execution.saved);
		const { lastNodeExecuted, runData } = saved.resultData;
		if (lastNodeExecuted !== undefined) {
			delete saved.resultData.error;
			const runs = runData[lastNodeExecuted];
			if (runs?.at(-1)?.error !== undefined) runs.pop();
		}
		for (const entry of current ? (saved.executionData?.nodeExecutionStack ?? []) : []) {
			const node = current && this.#workflow(current, new Map()).getNode(entry.node.name);
			if (!node) throw new Error('no such node');
			entry.node = node;
		}
		const id = String(FIRST_RETRY + this.#retryCount++);
		const workflow = current ?? execution.workflow;
		const { label } = execution;
		await this.#run({ id, label, workflow, saved, mode: 'retry', retryOf: execution });
	}

	stop(): void {
		for (const { execution, running } of this.#running) {
			if (execution.stoppedAtMs !== undefined) continue;
			execution.stoppedAtMs = this.clock.now();
			execution.ending = 'stopped';
			// execution.service.js, `stopDuringRun`
			const { resultData } = execution.saved;
			resultData.error = { message: STOPPED } as NonNullable<typeof resultData.error>;
			running.cancel();
		}
	}

	/** SIGTERM: running executions have some time to end, and are killed then. */
	async deploy(): Promise<void> {
		const before = [...this.#running];
		await this.clock.wait(GRACE_MS, 'service');
		if (before.some((each) => this.#running.has(each))) this.crash();
	}

	crash(): void {
		this.clock.crash();
		this.network.crash();
		this.#loadNodes();
		const killed = [...this.#running];
		this.#running = new Set();
		for (const { execution, started, end } of killed) {
			execution.unfinished = copyOf(execution.saved);
			if (execution.ending !== 'stopped') recover(execution, started);
			end('crashed');
		}
	}

	#loadNodes(): void {
		const { paidNodes, systemClock } = freshNodes();
		this.#nodes = paidNodes;
		this.clock.drive(systemClock);
	}

	async #run(
		given: Pick<Execution, 'id' | 'label' | 'workflow' | 'saved' | 'mode'> & Partial<Execution>,
	): Promise<void> {
		const { id, workflow, mode, saved } = given;
		const execution: Execution = {
			startedAtMs: this.clock.now(),
			endedAtMs: Infinity,
			ending: 'running',
			calls: new Map(),
			before: copyOf(saved.resultData.runData),
			...given,
			saved: copyOf(saved),
		};
		this.executions.push(execution);
		const { timeoutAfterMs } = this;
		const started: Running['started'] = new Map();
		const workflowData = { id: WORKFLOW_ID, name: 'workflow', nodes: workflow.nodes };
		const hooks = new ExecutionLifecycleHooks(mode, id, workflowData as IWorkflowBase);
		hooks.addHandler('nodeExecuteBefore', (name) => {
			started.set(name, false);
		});
		hooks.addHandler('nodeExecuteAfter', (name, _, data) => {
			started.set(name, true);
			if (!this.day.savesProgress || execution.ending !== 'running') return;
			// save-execution-progress.js
			data.resultData.lastNodeExecuted = name;
			execution.saved = copyOf(data);
		});
		const work = new WorkflowExecute(additionalDataOf(id, hooks, this.credentialOf), mode, saved);
		const running = work.processRunExecutionData(this.#workflow(workflow, execution.calls));
		await new Promise<void>((resolve) => {
			const end: Running['end'] = (ending) => {
				if (execution.ending === 'running') execution.ending = ending;
				execution.endedAtMs = this.clock.now();
				this.#running.delete(entry);
				resolve();
			};
			const entry: Running = { execution, started, running, end };
			this.#running.add(entry);
			const timeOut = () => {
				if (execution.ending !== 'running') return;
				execution.ending = 'timedOut';
				execution.stoppedAtMs = this.clock.now();
				running.cancel();
			};
			const stopTimer = timeoutAfterMs && this.clock.after(timeoutAfterMs, 'n8n', timeOut);
			running.then(
				async ({ data }) => {
					// What was still on its way when the process died is not saved.
					if (!this.#running.has(entry)) return;
					if (stopTimer) stopTimer();
					await this.#restoreBinaryIds(data, execution);
					execution.result = data;
					const isKept = execution.ending !== 'stopped' || this.day.keepsStopped;
					if (isKept) execution.saved = copyOf(data);
					const { error, runData } = data.resultData;
					const hasFailed = Object.values(runData).some((runs) => runs.at(-1)?.error);
					entry.end(error && (hasFailed || error.message !== STOPPED) ? 'error' : 'success');
				},
				(error: unknown) => {
					this.log.push(`error the engine itself failed: ${String(error)}`);
					entry.end('error');
				},
			);
		});
	}

	/** restore-binary-data-id.js: a webhook's files get the execution's ID when it ends. */
	async #restoreBinaryIds(data: IRunExecutionData, { id, mode }: Execution): Promise<void> {
		if (mode !== 'webhook') return;
		const found = new Set<IBinaryData>();
		for (const item of Object.values(data.resultData.runData).flat().flatMap(itemsIn)) {
			for (const binary of Object.values(item.binary ?? {})) found.add(binary);
		}
		for (const binary of found) {
			if (!binary.id?.includes('/temp/')) continue;
			const old = binary.id;
			const restored = old.replace('/temp/', `/${id}/`);
			const [oldFile = '', newFile = ''] = [old, restored].map((each) => each.split(':')[1]);
			// Of a file that is gone n8n logs it and goes on.
			if (!(await this.files.rename(oldFile, newFile))) continue;
			for (const each of found) if (each.id === old) each.id = restored;
		}
	}

	#workflow({ nodes, connections, settings }: SavedWorkflow, calls: Execution['calls']): Workflow {
		const known: Record<string, INodeType> = { hook, loop };
		for (const type of this.#nodes) {
			const { description } = type;
			const counted: INodeType['execute'] = async function (this: IExecuteFunctions) {
				const { name } = this.getNode();
				calls.set(name, (calls.get(name) ?? 0) + 1);
				return (await type.execute?.call(this)) ?? [];
			};
			for (const name of [description.name, `${description.name}Tool`]) {
				known[`${PREFIX}${name}`] = { description: { ...description, name }, execute: counted };
			}
		}
		return new Workflow({
			id: WORKFLOW_ID,
			name: 'workflow',
			nodes: copyOf(nodes),
			connections,
			active: false,
			nodeTypes: nodeTypesOf(known),
			settings,
		});
	}
}

/** execution-recovery.service.js: what n8n makes of an execution that its start finds unfinished. */
function recover({ workflow, saved }: Execution, started: Running['started']): void {
	const { resultData } = saved;
	for (const { name } of workflow.nodes) {
		const hasEnded = started.get(name);
		if (hasEnded === undefined || resultData.runData[name] !== undefined) continue;
		const task: ITaskData = {
			startTime: 0,
			executionIndex: 0,
			executionTime: -1,
			source: [null],
			executionStatus: hasEnded ? 'success' : 'crashed',
			...(hasEnded
				? { data: { main: [[{ json: { isArtificialRecoveredEventItem: true } }]] } }
				: { error: { message: 'Node crashed' } as NonNullable<ITaskData['error']> }),
		};
		if (!hasEnded) resultData.error = { message: 'Workflow crashed' } as never;
		resultData.lastNodeExecuted = name;
		resultData.runData[name] = [task];
	}
}

/** The items that a node put out in one run. */
export function itemsIn({ data }: ITaskData): INodeExecutionData[] {
	return (data?.main ?? []).flatMap((items) => items ?? []);
}
