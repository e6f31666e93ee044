import type { Job } from '../jobs';

/** What an artist is asked for: one result of a job. */
export interface Commission {
	job: Job;
	/** Which result, counted from 1. */
	number: number;
	/** Numbers from 0 to 1, the same ones whenever this result is drawn. */
	random: () => number;
}
