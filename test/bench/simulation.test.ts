import { delayShare, mostPollsInASecond, shortestGapMs, simulate } from './simulation';

const answerMs = 40;

// Thousands of jobs take a second or two, and a busy machine several times that.
jest.setTimeout(60_000);

function seconds(value: number): () => number {
	return () => value * 1000;
}

it.each([
	[10, 7],
	[60, 22],
])(
	'polls a job of %i s at most %i times, and the first time after 1 s',
	async (jobSeconds, most) => {
		const { pollsAtMs } = await simulate({ items: 1, jobMs: seconds(jobSeconds), answerMs });
		expect(pollsAtMs.length).toBeLessThanOrEqual(most);
		expect(pollsAtMs.length).toBeGreaterThan(1);
		expect(pollsAtMs[0]).toBeGreaterThanOrEqual(1000);
		expect(pollsAtMs[0]).toBeLessThan(1500);
	},
);

it('notices the end of a job of any length within the larger of 2 s and a tenth of its time', async () => {
	const { jobs, pollsAtMs } = await simulate({ items: 1, jobMs: seconds(290), answerMs });
	expect(pollsAtMs.length).toBeGreaterThan(20);
	// A job that ends right after a poll is the one that waits longest for the next.
	for (const at of pollsAtMs) {
		const jobMs = () => at - (jobs[0]?.submittedAtMs ?? 0) + 1;
		const result = await simulate({ items: 1, jobMs, answerMs });
		expect(delayShare(result, 1, answerMs)).toBeLessThanOrEqual(1);
	}
});

it.each([
	['of one length', seconds(10)],
	['of all lengths', (itemIndex: number) => 1000 + ((itemIndex * 7919) % 60_000)],
])(
	'polls 500 jobs %s at most 20 times a second, evenly spread, and notices each end in time',
	async (_, jobMs) => {
		const items = 500;
		const result = await simulate({ items, jobMs, answerMs });
		expect(result.outputItems).toBe(items);
		expect(mostPollsInASecond(result.pollsAtMs)).toBeLessThanOrEqual(20);
		expect(shortestGapMs(result.pollsAtMs)).toBeGreaterThanOrEqual(50);
		expect(delayShare(result, items, answerMs)).toBeLessThanOrEqual(1);
	},
);

it('keeps few requests under way however slow the answers: 500 jobs at once', async () => {
	const slow = { items: 500, jobMs: seconds(10), answerMs, pollMs: 20_000 };
	const { mostAtOnce, outputItems } = await simulate(slow);
	expect({ mostAtOnce, outputItems }).toEqual({
		mostAtOnce: { submits: 20, polls: 100 },
		outputItems: 500,
	});
});

it('polls none of 20 jobs while the service limits the rate', async () => {
	const rateLimitedAtMs = 5000;
	const limited = { items: 20, jobMs: seconds(30), answerMs, rateLimitedAtMs };
	const { pollsAtMs } = await simulate(limited);
	const struckAtMs = pollsAtMs.find((at) => at >= rateLimitedAtMs) ?? Number.NaN;
	// Whoever had its turn already polls once more, within the second that 20 turns take.
	const during = pollsAtMs.filter((at) => at > struckAtMs + 1000 && at < struckAtMs + 10_000);
	expect(during).toEqual([]);
	expect(pollsAtMs.some((at) => at > struckAtMs + 10_000)).toBe(true);
});

it('polls jobs that were started together after 1 s, one after the other', async () => {
	const { jobs } = await simulate({ items: 20, jobMs: seconds(10), answerMs });
	const afterMs = jobs.map(({ pollsAtMs, submittedAtMs }) => (pollsAtMs[0] ?? 0) - submittedAtMs);
	expect(Math.min(...afterMs)).toBe(1000 + answerMs);
	expect(Math.max(...afterMs)).toBe(1000 + answerMs + 19 * 50);
});

it('finishes 20 jobs of 10 s in at most 1.2 times the time of one', async () => {
	const { tookMs } = await simulate({ items: 20, jobMs: seconds(10), answerMs: 4 });
	expect(tookMs).toBeLessThanOrEqual(12_000);
});

it('needs as many polls and as much time for ten times the items as ten runs would', async () => {
	const run = async (items: number) =>
		await simulate({ items, jobMs: seconds(10), answerMs, maxConcurrentJobs: 20 });
	const [few, many] = [await run(40), await run(400)];
	expect(many.pollsAtMs.length / 400).toBeCloseTo(few.pollsAtMs.length / 40, 0);
	expect(many.tookMs).toBeLessThanOrEqual(10 * few.tookMs + 1000);
});
