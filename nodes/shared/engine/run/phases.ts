import { ownSignal } from '../../clock';
import { Semaphore } from '../../concurrency';
import type { JobSlot } from '../jobs/plan';
import type { OutputItem } from '../output/item';
import type { Results } from './results';
import type { Run } from './run';

/**
 * Checks all items one after the other, before anything is performed.
 *
 * @returns the plans of the items that passed
 * @throws NodeApiError or NodeOperationError when an item does not, unless the node continues
 */
export async function checkItems<P>(
	run: Run,
	results: Results,
	check: (itemIndex: number) => Promise<readonly P[]>,
): Promise<P[]> {
	const plans: P[] = [];
	for (let itemIndex = 0; itemIndex < run.itemCount && !run.signal.aborted; itemIndex++) {
		await run.letOthersRun();
		try {
			run.stopIfOver();
			for (const plan of await check(itemIndex)) plans.push(plan);
		} catch (error) {
			results.failItem(itemIndex, error);
		}
	}
	results.throwIfOver();
	return plans;
}

/**
 * Performs plans side by side, up to the limit, in their order.
 * @throws NodeApiError or NodeOperationError for the first one that fails, unless the node continues
 */
export async function performAll<P extends { slot: JobSlot }>(
	run: Run,
	results: Results,
	plans: readonly P[],
	limit: number,
	perform: (plan: P, signal: AbortSignal) => Promise<OutputItem[]>,
): Promise<void> {
	results.beginToPerform();
	const places = new Semaphore(limit);
	const performInTurn = async (plan: P): Promise<void> => {
		await run.letOthersRun();
		if (run.signal.aborted) return;
		try {
			results.put(plan.slot, await perform(plan, ownSignal(run.signal)));
		} catch (error) {
			results.fail(plan.slot, error);
		}
	};
	await Promise.all(
		plans.map(async (plan) => {
			await places.run(async () => {
				await performInTurn(plan);
			});
		}),
	);
	results.throwIfOver();
}
