import { pollsOf } from './polling';

// Hundreds of jobs take a second, and a busy machine several times that.
jest.setTimeout(60_000);

const SECOND = 1000;

it.each([
	[10, 7],
	[60, 22],
])('polls a job of %i s at most %i times, and first after 1 s', async (seconds, most) => {
	const { pollsAtMs } = await pollsOf({ jobsMs: [seconds * SECOND] });
	expect(pollsAtMs[0]).toBe(SECOND);
	expect(pollsAtMs.length).toBeGreaterThan(1);
	expect(pollsAtMs.length).toBeLessThanOrEqual(most);
});

it('notices the end of a job of any length within the larger of 2 s and a tenth of its time', async () => {
	const { pollsAtMs } = await pollsOf({ jobsMs: [290 * SECOND] });
	expect(pollsAtMs.length).toBeGreaterThan(20);
	// A job that ends right after a poll is the one that waits longest for the next.
	for (const at of pollsAtMs) {
		const { delayShare } = await pollsOf({ jobsMs: [at + 1], answerMs: 0 });
		expect(delayShare).toBeLessThanOrEqual(1);
	}
});

it.each([
	['of one length', () => 10 * SECOND],
	['of all lengths', (job: number) => SECOND + ((job * 7919) % (60 * SECOND))],
])('polls 500 jobs %s every 50 ms at most, and notices each end in time', async (_, jobMs) => {
	const jobsMs = Array.from({ length: 500 }, (_each, job) => jobMs(job));
	const { ofJob, shortestGapMs, delayShare } = await pollsOf({ jobsMs });
	expect(ofJob[499]?.[0]).toBe(SECOND + 499 * 50);
	expect(shortestGapMs).toBe(50);
	expect(delayShare).toBeLessThanOrEqual(1);
});

it('keeps at most 100 polls under way, however slow the answers', async () => {
	const jobsMs = Array<number>(500).fill(10 * SECOND);
	const { mostAtOnce } = await pollsOf({ jobsMs, answerMs: 20 * SECOND });
	expect(mostAtOnce).toBe(100);
});

it('polls none of 20 jobs while the service limits the rate', async () => {
	const jobsMs = Array<number>(20).fill(30 * SECOND);
	const { pollsAtMs } = await pollsOf({ jobsMs, rateLimitedAtMs: 5 * SECOND });
	const struckAtMs = pollsAtMs.find((at) => at >= 5 * SECOND) ?? Number.NaN;
	// Whoever had its turn already polls once more, within the second that 20 turns take.
	const later = pollsAtMs.filter((at) => at > struckAtMs + SECOND);
	expect(later[0]).toBeGreaterThanOrEqual(struckAtMs + 10 * SECOND);
});
