import type { IExecuteFunctions, INodeProperties } from 'n8n-workflow';

import type { Clock } from '../../clock';
import { runFailures } from '../../messages';
import { isTool } from '../../n8n';
import { ParameterReader } from '../check/parameters';

/** How long the run may keep n8n from answering other requests. */
const SLICE_MS = 25;

/** What one run of a node works with, and what ends it. */
export class Run {
	readonly context: IExecuteFunctions;
	readonly clock: Clock;
	readonly reader: ParameterReader;
	readonly isTool: boolean;
	readonly itemCount: number;
	/** Whether failed items become error items. */
	readonly continues: boolean;
	/** n8n's Stop and workflow timeout. */
	readonly canceled: AbortSignal | undefined;
	/** Ends waiting: {@link canceled}, or a failure that ends the run. */
	readonly signal: AbortSignal;

	readonly #end = new AbortController();
	#sliceStartedAtMs: number;

	/** @param properties those of the node's parameters that are not of an endpoint */
	constructor(context: IExecuteFunctions, clock: Clock, properties: readonly INodeProperties[]) {
		this.context = context;
		this.clock = clock;
		this.reader = new ParameterReader(context, properties);
		this.isTool = isTool(context);
		this.itemCount = context.getInputData().length;
		this.continues = context.continueOnFail();
		this.canceled = context.getExecutionCancelSignal();
		const { signal } = this.#end;
		this.signal = this.canceled ? AbortSignal.any([this.canceled, signal]) : signal;
		this.#sliceStartedAtMs = clock.now();
	}

	end(): void {
		this.#end.abort();
	}

	/** @throws Failure when the run has been ended */
	stopIfOver(): void {
		if (this.signal.aborted) throw runFailures.canceled();
	}

	/** Lets n8n answer other requests: thousands of items are a long time for it. */
	async letOthersRun(): Promise<void> {
		if (this.clock.now() - this.#sliceStartedAtMs <= SLICE_MS) return;
		await this.clock.sleep(0);
		this.#sliceStartedAtMs = this.clock.now();
	}

	/** Says something in the output panel. */
	hint(message: string): void {
		this.context.addExecutionHints({ message, type: 'info', location: 'outputPane' });
	}
}
