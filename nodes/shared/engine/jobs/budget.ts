import type { IExecuteFunctions } from 'n8n-workflow';

import { contextOf } from '../../n8n';

/** The count's place in the context that n8n keeps for a node while its workflow runs. */
const KEY = 'aetherForgeJobCount';

interface Count {
	executionId: string | undefined;
	jobs: number;
}

/**
 * How many jobs this node has started in this execution. n8n keeps one context for all rounds of a
 * loop and all calls by an agent; a retry from the executions list gets a copy of it and counts anew.
 * An MCP Server Trigger and n8n's own Agents call without an execution: then each call counts alone.
 */
export class JobBudget {
	readonly #count: Count;

	constructor(context: IExecuteFunctions) {
		const stored = contextOf(context);
		const executionId = context.getExecutionId() as string | undefined;
		const known = stored[KEY] as Count | undefined;
		const isSame = executionId !== undefined && known?.executionId === executionId;
		this.#count = isSame ? known : { executionId, jobs: 0 };
		stored[KEY] = this.#count;
	}

	/** The execution that is counted, if there is one. */
	get executionId(): string | undefined {
		return this.#count.executionId;
	}

	/** Jobs that were started before, and those that have been reserved. */
	get jobs(): number {
		return this.#count.jobs;
	}

	/** Counts jobs before they are started, so that calls of an agent side by side cannot both fit. */
	reserve(jobs: number): void {
		this.#count.jobs += jobs;
	}

	/** Takes jobs back that were not started after all. */
	release(jobs: number): void {
		this.#count.jobs -= jobs;
	}
}
