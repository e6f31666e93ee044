import type { SimulatedJob, SimulationResult } from './simulation';

/** Goals of polling, for any number of jobs. */
export const MOST_POLLS_PER_SECOND = 20;

/** The most polls in any window of one second. */
export function mostPollsInASecond(pollsAtMs: readonly number[]): number {
	let most = 0;
	let from = 0;
	pollsAtMs.forEach((at, to) => {
		while (at - (pollsAtMs[from] ?? at) >= 1000) from++;
		most = Math.max(most, to - from + 1);
	});
	return most;
}

/** The shortest time between two polls of a node, whatever their jobs. */
export function shortestGapMs(pollsAtMs: readonly number[]): number {
	return pollsAtMs
		.slice(1)
		.reduce((gap, at, index) => Math.min(gap, at - (pollsAtMs[index] ?? -Infinity)), Infinity);
}

/** How late a result may be noticed: 10 % of the job's time, 2 s, or jobs ÷ 20 s. */
export function allowedDelayMs(job: SimulatedJob, jobsAtOnce: number): number {
	const jobMs = job.endsAtMs - job.submittedAtMs;
	return Math.max(jobMs / 10, 2000, (jobsAtOnce / MOST_POLLS_PER_SECOND) * 1000);
}

/**
 * The largest share that any job took of the delay it was allowed.
 *
 * @param answerMs the round trip of a request. No pacing can save those of two: of the poll that came
 *   just too early, and of the one that noticed
 */
export function delayShare(
	{ jobs }: SimulationResult,
	jobsAtOnce: number,
	answerMs: number,
): number {
	return jobs.reduce((share, job) => {
		const delayMs = job.noticedAtMs - job.endsAtMs - 2 * answerMs;
		return Math.max(share, delayMs / allowedDelayMs(job, jobsAtOnce));
	}, 0);
}
