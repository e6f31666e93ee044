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

/** A job that exists. */
export interface PaidJob {
	jobId: string;
	/** Milliseconds since the epoch. */
	submittedAtMs: number;
	/** As the check phase has seen it, if the API has answered. */
	state?: JobState | undefined;
}

/**
 * What one job needs, decided before anything is charged. Performing it reads no parameter and asks for
 * no earlier attempt.
 */
export type Plan<Request = JobRequest> = {
	slot: JobSlot;
	settings: JobSettings;
	/** What output items repeat of the request, by the API's names. */
	echo: Values;
} & ({ submit: Request } | { resume: PaidJob });

/** A plan that starts a job. */
export type SubmitPlan<Request = JobRequest> = Extract<Plan<Request>, { submit: Request }>;

/** A plan whose files have not been fetched yet. */
export type DraftPlan = Plan<JobDraft>;

/** The limit of jobs that holds for plans: the smallest that one of them has. */
export function lowestLimit(plans: readonly SubmitPlan<unknown>[]): number {
	return plans
		.map(({ settings }) => settings.maxJobsPerExecution)
		.filter((each) => each > 0)
		.reduce((least, each) => Math.min(least, each), Infinity);
}

/** The only job of an item. */
export function onlyJobOf(itemIndex: number): JobSlot {
	return { itemIndex, jobNumber: 1, jobCount: 1 };
}

/** Whether a plan is only to be shown, not to be sent. */
export function isDryRun<R>(plan: Plan<R>): plan is SubmitPlan<R> {
	return 'submit' in plan && plan.settings.dryRun;
}

/** Whether a plan starts a job that is charged. */
export function startsJob<R>(plan: Plan<R>): plan is SubmitPlan<R> {
	return 'submit' in plan && !plan.settings.dryRun;
}
