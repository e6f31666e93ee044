import { setMaxListeners } from 'node:events';
import type { Api, PollOutcome } from '../../nodes/shared/api/api';
import { Poller } from '../../nodes/shared/engine/jobs/poll';
import { VirtualClock } from '../support/virtualClock';

/** Jobs that a node waits for, all of which were started at 0 ms. */
interface Waiting {
	/** How long each of them takes. */
	jobsMs: readonly number[];
	/** The round trip of a status check; by default that of a quick answer over the internet. */
	answerMs?: number;
	/** When the service answers 429 once, and asks for 10 s. */
	rateLimitedAtMs?: number;
}

const POLLS_A_SECOND = 20;

/** What the nodes' own polling does, in virtual time. */
export async function pollsOf({ jobsMs, answerMs = 40, rateLimitedAtMs = Infinity }: Waiting) {
	const clock = new VirtualClock(0, Infinity);
	/** Every status check, and those of each job. */
	const pollsAtMs: number[] = [];
	const ofJob: number[][] = jobsMs.map(() => []);
	const noticedAtMs: number[] = [];
	let underWay = 0;
	let mostAtOnce = 0;
	let isToLimit = true;
	const getJob = async (job: number, jobId: string): Promise<PollOutcome> => {
		const now = clock.now();
		pollsAtMs.push(now);
		ofJob[job]?.push(now);
		mostAtOnce = Math.max(mostAtOnce, ++underWay);
		await clock.wait(answerMs / 2);
		const isOver = clock.now() >= (jobsMs[job] ?? 0);
		await clock.wait(answerMs / 2);
		underWay--;
		if (isToLimit && now >= rateLimitedAtMs) {
			isToLimit = false;
			return { kind: 'transient', reason: '429', isRateLimited: true, retryAfterMs: 10_000 };
		}
		const imageUrls = isOver ? ['https://cdn.aetherforgeai.com/1.png'] : [];
		return { kind: 'job', job: { jobId, status: isOver ? 'Succeed' : 'Pending', imageUrls } };
	};
	const poller = new Poller({ getJob } as unknown as Api, clock);
	const { signal } = new AbortController();
	setMaxListeners(0, signal);
	const work = jobsMs.map(async (_, job) => {
		const options = { itemIndex: job, isNew: true, timeoutMs: 86_400_000, signal } as const;
		await poller.waitFor(`job-${job}`, { ...options, until: 'finished' });
		noticedAtMs[job] = clock.now();
	});
	await clock.run(Promise.all(work));
	/**
	 * The largest share that any job took of the delay it was allowed: its result may be noticed 10 % of
	 * the job's time late, or 2 s, or jobs ÷ 20 s. No pacing can save the round trips of two requests: of
	 * the poll that came just too early, and of the one that noticed.
	 */
	const delayShare = jobsMs.reduce((share, jobMs, job) => {
		const allowedMs = Math.max(jobMs / 10, 2000, (jobsMs.length / POLLS_A_SECOND) * 1000);
		const lateMs = (noticedAtMs[job] ?? Infinity) - jobMs - 2 * answerMs;
		return Math.max(share, lateMs / allowedMs);
	}, 0);
	/** The shortest time between two polls, whatever their jobs. */
	const shortestGapMs = pollsAtMs.reduce((gap, at, poll) => {
		return Math.min(gap, at - (pollsAtMs[poll - 1] ?? -Infinity));
	}, Infinity);
	return { pollsAtMs, ofJob, mostAtOnce, delayShare, shortestGapMs };
}
