import type { JobState } from '../../api/job';
import type { JobDraft, JobRequest, Values } from '../../api/request';
import type { JobSettings } from '../check/settings';

/** One of the jobs that an input item starts. */
export interface JobSlot {
	itemIndex: number;
	/** From 1. */
	jobNumber: number;
	/** How many jobs the item starts. */
	jobCount: number;
}

/** A job that an earlier try has paid for. */
export interface ResumedJob {
	jobId: string;
	/** Milliseconds since the epoch. */
	submittedAtMs: number;
	/** As the check phase has seen it, if the API has answered. */
	state?: JobState;
}

/**
 * What one job needs, decided before anything is charged. Carrying it out reads no parameter and
 * asks the ledger nothing.
 */
export type Plan<Request = JobRequest> = {
	slot: JobSlot;
	settings: JobSettings;
	/** What output items repeat of the request, by the API's names. */
	echo: Values;
} & (
	| {
			submit: Request;
			/** Whether the limit of jobs counts it already, as it takes the place of one that failed. */
			isCounted: boolean;
	  }
	| { resume: ResumedJob }
);

/** A plan that starts a job. */
export type SubmitPlan<Request = JobRequest> = Extract<Plan<Request>, { submit: Request }>;

/** A plan whose files have not been fetched yet. */
export type DraftPlan = Plan<JobDraft>;

/** Which of an item's jobs it is, if the item starts several: for the data of a failure. */
export function numberOf({ jobNumber, jobCount }: JobSlot): {
	jobNumber?: number;
	jobCount?: number;
} {
	return jobCount > 1 ? { jobNumber, jobCount } : {};
}
