import type {
	IBinaryData,
	IBinaryKeyData,
	IDataObject,
	IExecuteFunctions,
	INodeExecutionData,
} from 'n8n-workflow';

import { COMBINED_BINARY_KEY, contextOf } from '../../n8n';
import { sizeOf } from '../files/requestFile';
import { hashOf } from './guard';

/** The place of what the first attempt began with, in the context that n8n saves with the execution. */
const FIRST = 'aetherForgeFirstAttempt';

interface FirstAttempt {
	/** Unless n8n had forgotten it when it was retried. */
	executionId?: string;
	/** One higher after a crash for which n8n has added a run. */
	runIndex: number;
	/** Runs that have ended in any way. */
	endedRuns: number;
	/** A hash of what the trigger put out: made once, not in each round of a loop. */
	origin?: string;
}

const TRIGGER = /trigger$|\.(webhook|start|cron|interval|emailReadImap)$/i;

/** What this attempt is an attempt of, after a crash too, when n8n has forgotten nearly all. */
export interface Attempt {
	/** The execution that was retried first, as far as n8n remembers it. */
	firstExecutionId: string | undefined;
	/** Whether an earlier attempt of this run has ended, so that n8n has saved what it did. */
	hasEnded: boolean;
	/**
	 * Names the jobs of an item: after a crash by what the trigger put out, which also tells one execution
	 * from another. It is a schedule's time, a webhook's request, and the files that came with it. Never
	 * throws.
	 */
	keyOf: (itemIndex: number) => Promise<string>;
	/** The attempt has ended, and n8n saves what it did. */
	end: () => void;
}

/** What an expression gives for a node that has run, whole items included. */
type NodeItems = (nodeName: string, isWhole: true) => { all(): INodeExecutionData[] };

/**
 * @param guardOf tells an edited workflow, or another item, from the same work
 * @param valuesOf what an item makes of the parameters: after a crash the nodes before this one run again
 */
export function attemptOf(
	context: IExecuteFunctions,
	guardOf: (itemIndex: number) => string,
	valuesOf: (itemIndex: number) => readonly unknown[],
): Attempt {
	const runIndex = Number(context.getWorkflowDataProxy(0).$runIndex);
	const began: FirstAttempt = { runIndex, endedRuns: 0 };
	if (context.getMode() !== 'retry') began.executionId = context.getExecutionId();
	const first = (contextOf(context)[FIRST] ??= { ...began }) as IDataObject & FirstAttempt;
	const run = runIndex - first.runIndex;
	const origin = (first.origin ??= hashOf(triggerOutputs(context)));
	const items = context.getInputData();
	return {
		firstExecutionId: first.executionId,
		hasEnded: run < first.endedRuns,
		keyOf: async (itemIndex) => {
			const files = await filesOf(context, items[itemIndex]);
			return hashOf([
				origin,
				run,
				itemIndex,
				guardOf(itemIndex),
				hashOf(valuesOf(itemIndex)),
				files,
			]);
		},
		end: () => {
			first.endedRuns = Math.max(first.endedRuns, run + 1);
		},
	};
}

/**
 * What the nodes put out that have none before them. Asked for without a run index: after a crash n8n
 * puts an artificial run in front.
 */
function triggerOutputs(context: IExecuteFunctions): string[] {
	const itemsOf = context.getWorkflowDataProxy(0).$ as NodeItems;
	const before: { name: string; type?: string }[] = context.getParentNodes(context.getNode().name);
	const triggers = before.filter(({ type = '' }) => TRIGGER.test(type));
	// n8n walks all ways back to answer this, so it is asked of each node only if need be.
	const isFirst = ({ name }: { name: string }) => context.getParentNodes(name).length === 0;
	return (triggers.length > 0 ? triggers : before.filter(isFirst))
		.flatMap(({ name }) => {
			try {
				return [itemsOf(name, true).all()];
			} catch {
				// This one has not run: the workflow has several triggers.
				return [];
			}
		})
		.map((items) => hashOf(items.map(({ json, binary }) => [hashOf(json), hashOf(binary)])))
		.sort();
}

/** Nodes before this one run again after a crash, and their files get other IDs. */
async function filesOf(
	context: IExecuteFunctions,
	item: INodeExecutionData | undefined,
): Promise<unknown[]> {
	const inJson = item?.json[COMBINED_BINARY_KEY];
	const files = Object.entries({ ...(inJson as IBinaryKeyData | undefined), ...item?.binary });
	return await Promise.all(
		files.map(async ([name, file]: [string, Partial<IBinaryData> | null]) => {
			// Its name may hold the time.
			const { mimeType, bytes } = file ?? {};
			const size = bytes ?? (await sizeOf(context, { mimeType, ...file }).catch(() => undefined));
			return [name, mimeType, size];
		}),
	);
}
