import { setMaxListeners } from 'node:events';
import type { Api, PollOutcome } from '../../nodes/shared/api/api';
import { Poller } from '../../nodes/shared/engine/jobs/poll';
import { VirtualClock } from '../support/virtualClock';

// Hundreds of jobs take a second, and a busy machine several times that.
jest.setTimeout(60_000);

const SECOND = 1000;
const SPACING_MS = 50;

interface Service {
	/** The round trip of a status check; by default that of a quick answer over the internet. */
	answerMs?: number;
	/** When it answers 429 once, and asks for 10 s. */
	rateLimitedAtMs?: number;
}

/** What the nodes' own polling does, in virtual time, for jobs that take so long and start together. */
async function pollsOf(
	jobsMs: readonly number[],
	{ answerMs = 40, rateLimitedAtMs = Infinity }: Service = {},
) {
	const clock = new VirtualClock(0, Infinity);
	const pollsAtMs: number[] = [];
	/** The largest share that any job took of the delay it was allowed until its end was noticed. */
	let delayShare = 0;
	let underWay = 0;
	let mostAtOnce = 0;
	let isToLimit = true;
	const getJob = async (job: number, jobId: string): Promise<PollOutcome> => {
		const now = clock.now();
		pollsAtMs.push(now);
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
	const work = jobsMs.map(async (jobMs, itemIndex) => {
		const options = { itemIndex, isNew: true, timeoutMs: 86_400_000, signal } as const;
		await poller.waitFor(`job-${itemIndex}`, { ...options, until: 'finished' });
		// It may be a tenth of the job's time late, or 2 s, or a turn of each job. No pacing can save two
		// round trips: of the poll that came just too early, and of the one that noticed.
		const allowedMs = Math.max(jobMs / 10, 2000, jobsMs.length * SPACING_MS);
		delayShare = Math.max(delayShare, (clock.now() - jobMs - 2 * answerMs) / allowedMs);
	});
	await clock.run(Promise.all(work));
	const gapsMs = pollsAtMs.slice(1).map((at, poll) => at - (pollsAtMs[poll] ?? 0));
	return { pollsAtMs, mostAtOnce, delayShare, shortestGapMs: Math.min(...gapsMs) };
}

it.each([
	[10, 7],
	[60, 22],
])('polls a job of %i s at most %i times, and first after 1 s', async (seconds, most) => {
	const { pollsAtMs } = await pollsOf([seconds * SECOND]);
	expect(pollsAtMs[0]).toBe(SECOND);
	expect(pollsAtMs.length).toBeGreaterThan(1);
	expect(pollsAtMs.length).toBeLessThanOrEqual(most);
});

it('notices the end of a job of any length within the larger of 2 s and a tenth of its time', async () => {
	const { pollsAtMs } = await pollsOf([290 * SECOND]);
	expect(pollsAtMs.length).toBeGreaterThan(20);
	// A job that ends right after a poll is the one that waits longest for the next.
	for (const at of pollsAtMs) {
		const { delayShare } = await pollsOf([at + 1], { answerMs: 0 });
		expect(delayShare).toBeLessThanOrEqual(1);
	}
});

it.each([
	['of one length', () => 10 * SECOND],
	['of all lengths', (job: number) => SECOND + ((job * 7919) % (60 * SECOND))],
])('polls 500 jobs %s every 50 ms at most, and notices each end in time', async (_, jobMs) => {
	const jobs = Array.from({ length: 500 }, (_each, job) => jobMs(job));
	const { pollsAtMs, shortestGapMs, delayShare } = await pollsOf(jobs);
	expect(pollsAtMs[0]).toBe(SECOND);
	expect(shortestGapMs).toBe(SPACING_MS);
	expect(delayShare).toBeLessThanOrEqual(1);
});

it('keeps at most 100 polls under way, however slow the answers', async () => {
	const jobsMs = Array<number>(500).fill(10 * SECOND);
	const { mostAtOnce } = await pollsOf(jobsMs, { answerMs: 20 * SECOND });
	expect(mostAtOnce).toBe(100);
});

it('polls none of 20 jobs while the service limits the rate', async () => {
	const jobsMs = Array<number>(20).fill(30 * SECOND);
	const { pollsAtMs } = await pollsOf(jobsMs, { rateLimitedAtMs: 5 * SECOND });
	const struckAtMs = pollsAtMs.find((at) => at >= 5 * SECOND) ?? Number.NaN;
	// Whoever had its turn already polls once more, within the second that 20 turns take.
	const later = pollsAtMs.filter((at) => at > struckAtMs + SECOND);
	expect(later[0]).toBeGreaterThanOrEqual(struckAtMs + 10 * SECOND);
});
