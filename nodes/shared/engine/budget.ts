import type { IExecuteFunctions } from 'n8n-workflow';

/** The count's place in the context that n8n keeps for a node while its workflow runs. */
const KEY = 'aetherForgeJobCount';

interface Count {
	executionId: string;
	jobs: number;
}

/**
 * How many jobs this node has started in this execution. n8n keeps one context for all rounds of a
 * loop and all calls by an agent; a retry from the executions list gets a copy of it and counts anew.
 */
export class JobBudget {
	readonly #count: Count;

	constructor(context: IExecuteFunctions) {
		const stored = context.getContext('node');
		const executionId = context.getExecutionId();
		const known = stored[KEY] as Count | undefined;
		this.#count = known?.executionId === executionId ? known : { executionId, jobs: 0 };
		stored[KEY] = this.#count;
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
