import { isJobId } from '../../api/job';

/**
 * Where n8n keeps what the Executions list can be searched for: jobs are found by this key and a part
 * of its value, which is how the list compares unless it is told otherwise. One key per job could
 * not be searched for.
 */
const KEY = 'aetherforge_jobs';

/** Of the ten that n8n keeps for an execution: the rest is the workflow's own. */
const MOST_KEYS = 3;

/** n8n takes longer values, but logs an error for each. */
const LONGEST_VALUE = 255;

/** n8n's own types know of no version without it, and of no key without a value. */
interface ExecutionWithCustomData {
	customData?: {
		get(key: string): string | undefined;
		set(key: string, value: string): void;
	};
}

/**
 * Makes an execution findable by the ID of a job. n8n 2.16 and later have a place for it. Whatever
 * is wrong with it, nothing may come between the user and a job that has been charged: this never throws.
 */
export function noteInCustomData(execution: ExecutionWithCustomData, jobId: string): void {
	try {
		// Reading it can throw too.
		const { customData } = execution;
		if (!customData) return;
		for (let number = 1; number <= MOST_KEYS; number++) {
			const key = number === 1 ? KEY : `${KEY}_${number}`;
			const listed = customData.get(key)?.split(',') ?? [];
			if (listed.includes(jobId)) return;
			const longer = [...listed, jobId].join(',');
			// What holds anything else is the workflow's own.
			if (!listed.every(isJobId) || longer.length > LONGEST_VALUE) continue;
			customData.set(key, longer);
			return;
		}
	} catch {
		// The output, the context, and n8n's log still name the job.
	}
}
