import { backOffMs, type Api, type Job, type LookUp } from '../api/api';
import type { Clock } from '../clock';
import { Gate } from '../concurrency';
import { api as sentences, run, trouble } from '../messages';

/** The API advises to look 1 s after creation, and then every 2 to 5 s (aetherforge-api.md). */
const FIRST_LOOK_MS = 1000;
const LONG_JOB_INTERVAL_MS = 5000;
/** From here on a job counts as long, and the interval grows: a tenth of the time waited so far. */
const INTERVAL_GROWTH = 0.1;
/** Look-ups of one node, whatever the number of its jobs: 20 a second. */
const LOOK_SPACING_MS = 50;
/** Longest time that one answer can hold up all look-ups. */
const LONGEST_SLOW_DOWN_MS = 60_000;
const SLOW_DOWN_MS = 1000;
/** How long a new job may be unknown to the API before that counts. */
const VISIBILITY_MS = 30_000;
/** A look at the deadline still gets a fair time for its answer. */
const LAST_LOOK_MS = 5000;
/** Look-ups under way at one time, however slow the answers: as many as may start within a last look's time. */
export const CONCURRENT_LOOK_UPS = LAST_LOOK_MS / LOOK_SPACING_MS;
/** All tries of a single look-up. */
export const SINGLE_LOOK_BUDGET_MS = 30_000;

/** Spreads the look-ups of all jobs of a node evenly, and slows them all when the API asks for it. */
export class LookUpPace {
	readonly #clock: Clock;
	readonly #underWay = new Gate(CONCURRENT_LOOK_UPS);
	/** New jobs that wait for their first look. */
	#newJobs = 0;
	#nextAt = 0;
	#heldUntil = 0;

	constructor(clock: Clock) {
		this.#clock = clock;
	}

	/**
	 * Waits until a new job is due for its first look. Jobs started together are looked at one after
	 * the other: the later ones of them are due a little earlier, so that the middle one keeps its time.
	 */
	async firstLook(timeoutMs: number, signal: AbortSignal): Promise<void> {
		const earlierMs = Math.min(FIRST_LOOK_MS, this.#newJobs++ * LOOK_SPACING_MS) / 2;
		try {
			await this.#clock.pause(Math.min(FIRST_LOOK_MS - earlierMs, timeoutMs), signal);
		} finally {
			this.#newJobs--;
		}
	}

	/**
	 * Waits for the next free place.
	 * @param deadline milliseconds since the epoch; the API's wish to be left alone ends there, since
	 *   a job is looked at once more before it counts as late
	 */
	async turn(deadline: number, signal: AbortSignal): Promise<void> {
		while (!signal.aborted) {
			const now = this.#clock.now();
			const heldUntil = Math.min(this.#heldUntil, Math.max(now, deadline));
			if (heldUntil > now) {
				await this.#clock.pause(heldUntil - now, signal);
				continue;
			}
			const at = Math.max(now, this.#nextAt);
			this.#nextAt = at + LOOK_SPACING_MS;
			if (at > now) await this.#clock.pause(at - now, signal);
			// Meanwhile another look may have met a 429.
			if (this.#clock.now() >= Math.min(this.#heldUntil, deadline)) return;
		}
	}

	/**
	 * Does a look-up whose turn it is, once not too many others wait for their answers.
	 * @returns undefined as soon as the signal aborts
	 */
	async look<T>(lookUp: () => Promise<T>, signal: AbortSignal): Promise<T | undefined> {
		return await this.#underWay.pass(async () =>
			signal.aborted ? undefined : await orAborted(lookUp(), signal),
		);
	}

	/** Holds all look-ups up. */
	slowDown(durationMs: number): void {
		const until = this.#clock.now() + Math.min(durationMs, LONGEST_SLOW_DOWN_MS);
		this.#heldUntil = Math.max(this.#heldUntil, until);
	}
}

/** A job as it was when the waiting ended. */
export interface Watched {
	/** As last seen; a job that was never seen is taken for pending. */
	job: Job;
	wasSeen: boolean;
	timedOut: boolean;
	waitedMs: number;
	/** Why the last look-up brought nothing. */
	trouble?: string;
}

export interface WatchOptions {
	/** Whether this run has just started the job: then the API may not list it yet. */
	isNew: boolean;
	/** Wait until the job is finished, or only until it has been seen once. */
	until: 'finished' | 'seen';
	timeoutMs: number;
	pollIntervalMs: number;
	signal: AbortSignal;
}

/** Any other status, also one that is not documented, means that the job goes on. */
export function isFinished(status: string): boolean {
	return status === 'Succeed' || status === 'Failed';
}

/** The pause before the next look at a job that is still pending. */
export function nextPauseMs(waitedMs: number, pollIntervalMs: number): number {
	return Math.max(pollIntervalMs, Math.min(LONG_JOB_INTERVAL_MS, waitedMs * INTERVAL_GROWTH));
}

/**
 * Looks at a job until it is finished or the time is up, and says how it was last seen: what a
 * timeout means is the caller's to decide. Whatever may pass is tried again with growing pauses.
 *
 * The job is always looked at once, and once more at the deadline, before it counts as late.
 *
 * @throws Failure when looking again cannot help, or the signal aborts
 */
export async function watch(
	api: Api,
	clock: Clock,
	pace: LookUpPace,
	jobId: string,
	options: WatchOptions,
): Promise<Watched> {
	const { isNew, until, timeoutMs, pollIntervalMs, signal } = options;
	const startedAt = clock.now();
	const deadline = startedAt + timeoutMs;
	let job: Job = { jobId, status: 'Pending', imageUrls: [] };
	let wasSeen = false;
	let troubleCount = 0;
	let pauseMs = 0;

	if (isNew) await pace.firstLook(timeoutMs, signal);
	for (;;) {
		if (pauseMs > 0) await clock.pause(pauseMs, signal);
		await pace.turn(deadline, signal);
		const look = await pace.look(
			async () => await api.lookUp(jobId, Math.max(LAST_LOOK_MS, deadline - clock.now())),
			signal,
		);
		if (look === undefined) throw run.canceled();

		const now = clock.now();
		const waitedMs = now - startedAt;
		let reason: string | undefined;
		if (look.kind === 'job') {
			({ job } = look);
			wasSeen = true;
			troubleCount = 0;
			if (until === 'seen' || isFinished(job.status))
				return { job, wasSeen, timedOut: false, waitedMs };
			pauseMs = nextPauseMs(waitedMs, pollIntervalMs);
		} else {
			reason = troubleOf(look, jobId, isNew && !wasSeen && waitedMs < VISIBILITY_MS);
			const askedMs = look.kind === 'trouble' ? look.retryAfterMs : undefined;
			if (look.kind === 'trouble' && look.tooMany) pace.slowDown(askedMs ?? SLOW_DOWN_MS);
			pauseMs = Math.max(backOffMs(troubleCount++), askedMs ?? 0);
		}
		if (now >= deadline) {
			return {
				job,
				wasSeen,
				timedOut: true,
				waitedMs,
				...(reason === undefined ? {} : { trouble: reason }),
			};
		}
		pauseMs = Math.min(pauseMs, deadline - now);
	}
}

function troubleOf(
	look: Exclude<LookUp, { kind: 'job' }>,
	jobId: string,
	mayNotBeVisibleYet: boolean,
): string {
	if (look.kind === 'trouble') return look.reason;
	if (!mayNotBeVisibleYet) throw sentences.unknownJob(jobId, look.detail);
	return trouble.notVisibleYet();
}

/** What the promise gives, or undefined as soon as the signal aborts. */
async function orAborted<T>(promise: Promise<T>, signal: AbortSignal): Promise<T | undefined> {
	let stopListening: () => void = () => undefined;
	const aborted = new Promise<undefined>((resolve) => {
		const onAbort = () => {
			resolve(undefined);
		};
		signal.addEventListener('abort', onAbort, { once: true });
		stopListening = () => {
			signal.removeEventListener('abort', onAbort);
		};
	});
	try {
		return await Promise.race([promise, aborted]);
	} finally {
		stopListening();
	}
}
