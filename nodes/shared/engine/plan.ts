import type { JobState } from '../api/answer';
import type { JobRequest, Values } from '../endpoint';
import type { JobSettings } from './settings';

/** One of the jobs that an input item starts. */
export interface JobSlot {
	itemIndex: number;
	/** From 1. */
	jobNumber: number;
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
 * What one job needs, decided before anything is paid for. Carrying it out reads no parameter and
 * asks the ledger nothing.
 */
export type Plan = {
	slot: JobSlot;
	settings: JobSettings;
	/** What output items repeat of the request, by the API's names. */
	echo: Values;
} & ({ submit: JobRequest } | { resume: ResumedJob });
