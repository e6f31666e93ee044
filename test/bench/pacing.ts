import type { SimulatedJob, SimulationResult } from './simulation';

/** Goals of polling, for any number of jobs. */
export const MOST_LOOKS_PER_SECOND = 20;

/** The most looks in any window of one second. */
export function mostLooksInASecond(looksAtMs: readonly number[]): number {
	let most = 0;
	let from = 0;
	looksAtMs.forEach((at, to) => {
		while (at - (looksAtMs[from] ?? at) >= 1000) from++;
		most = Math.max(most, to - from + 1);
	});
	return most;
}

/** The shortest time between two looks of a node, whatever their jobs. */
export function shortestGapMs(looksAtMs: readonly number[]): number {
	return looksAtMs
		.slice(1)
		.reduce((gap, at, index) => Math.min(gap, at - (looksAtMs[index] ?? -Infinity)), Infinity);
}

/** How late a result may be noticed: 10 % of the job's time, 2 s, or jobs ÷ 20 s. */
export function allowedDelayMs(job: SimulatedJob, jobsAtOnce: number): number {
	const jobMs = job.endsAtMs - job.submittedAtMs;
	return Math.max(jobMs / 10, 2000, (jobsAtOnce / MOST_LOOKS_PER_SECOND) * 1000);
}

/**
 * The largest share that any job took of the delay it was allowed.
 *
 * @param answerMs the round trip of a request. No pacing can save those of two: of the look that came
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
