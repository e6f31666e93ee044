import type { IExecuteFunctions } from 'n8n-workflow';

import { contextOf } from '../../n8n';

/** The count's place in the context that n8n keeps for a node while its workflow runs. */
const KEY = 'aetherForgeJobCount';

interface Count {
	executionId: string | undefined;
	/** For the limit: a job that replaces another one is not counted again. */
	jobs: number;
	/** All that were started, or may have been. */
	started: number;
}

/**
 * How many jobs the node has started in this execution: in all rounds of a loop, and all calls by an
 * agent. A retry from the executions list gets a copy of the count and starts from zero, and so does each call
 * without an execution, by an MCP Server Trigger or by one of n8n's own Agents.
 */
export class JobCount {
	readonly #count: Count;

	constructor(context: IExecuteFunctions) {
		const kept = contextOf(context);
		const executionId = context.getExecutionId() as string | undefined;
		const count = kept[KEY] as Count | undefined;
		const isSame = executionId !== undefined && count?.executionId === executionId;
		this.#count = isSame ? count : { executionId, jobs: 0, started: 0 };
		kept[KEY] = this.#count;
	}

	/** The execution that is counted, if there is one. */
	get executionId(): string | undefined {
		return this.#count.executionId;
	}

	get jobs(): number {
		return this.#count.jobs;
	}

	get started(): number {
		return this.#count.started;
	}

	/** Counts jobs for the limit before they are started, or takes back what was not started. */
	reserve(jobs: number): void {
		this.#count.jobs += jobs;
	}

	start(): void {
		this.#count.started++;
	}
}
