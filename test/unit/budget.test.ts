import type { IDataObject, IExecuteFunctions } from 'n8n-workflow';
import { JobBudget } from '../../nodes/shared/engine/jobs/budget';

/** The budget of one call of the node, with what n8n keeps for the node between the calls. */
function budgetOf(kept: IDataObject, executionId = '1'): JobBudget {
	const context: Pick<IExecuteFunctions, 'getContext' | 'getExecutionId'> = {
		getContext: () => kept,
		getExecutionId: () => executionId,
	};
	return new JobBudget(context as IExecuteFunctions);
}

describe('the number of jobs that a node has started', () => {
	it('adds up over all calls of the node in an execution, also while they run side by side', () => {
		const kept: IDataObject = {};
		const [first, second] = [budgetOf(kept), budgetOf(kept)];
		first.reserve(3);
		expect(second.jobs).toBe(3);
		second.reserve(2);
		first.release(1);
		expect([first.jobs, second.jobs, budgetOf(kept).jobs]).toEqual([4, 4, 4]);
	});

	it('is kept as JSON, as n8n keeps an execution that waits', () => {
		const kept: IDataObject = {};
		budgetOf(kept).reserve(3);
		expect(budgetOf(JSON.parse(JSON.stringify(kept)) as IDataObject).jobs).toBe(3);
	});

	it('begins anew in a retry from the executions list, which gets a copy of what n8n has kept', () => {
		const kept: IDataObject = {};
		budgetOf(kept, '1').reserve(3);
		const copy = structuredClone(kept);
		expect(budgetOf(copy, '2').jobs).toBe(0);
		budgetOf(copy, '2').reserve(1);
		expect(budgetOf(copy, '2').jobs).toBe(1);
		expect(budgetOf(kept, '1').jobs).toBe(3);
	});
});
