import fc from 'fast-check';
import type { Clock } from '../../nodes/shared/clock';
import { isFinished } from '../../nodes/shared/api/job';
import { nextPauseMs, PollScheduler } from '../../nodes/shared/engine/jobs/poll';
import { VirtualClock } from '../support/virtualClock';

const INTERVAL_MS = 2000;
const FIRST_POLL_MS = 1000;

/** How many polls it takes to see the end of a job, when an answer takes no time. */
function pollsOf(jobMs: number): number {
	let polls = 1;
	for (let waited = FIRST_POLL_MS; waited < jobMs; polls++) {
		waited += nextPauseMs(waited);
	}
	return polls;
}

describe('the time between two polls of a job', () => {
	const waited = fc.integer({ min: 0, max: 3_600_000 });

	it('is never shorter than 2 s, and never longer than 5 s', () => {
		fc.assert(
			fc.property(waited, (waitedMs) => {
				const sleepMs = nextPauseMs(waitedMs);
				expect(sleepMs).toBeGreaterThanOrEqual(INTERVAL_MS);
				expect(sleepMs).toBeLessThanOrEqual(5000);
			}),
		);
	});

	it('never gets shorter while a job goes on', () => {
		fc.assert(
			fc.property(waited, waited, (a, b) => {
				const [early, late] = [Math.min(a, b), Math.max(a, b)];
				expect(nextPauseMs(late)).toBeGreaterThanOrEqual(nextPauseMs(early));
			}),
		);
	});

	it('notices the end of a job within the larger of an interval and a tenth of its time', () => {
		fc.assert(
			fc.property(fc.integer({ min: FIRST_POLL_MS, max: 600_000 }), (jobMs) => {
				let waitedMs = FIRST_POLL_MS;
				while (waitedMs < jobMs) waitedMs += nextPauseMs(waitedMs);
				expect(waitedMs - jobMs).toBeLessThanOrEqual(Math.max(INTERVAL_MS, jobMs / 10));
			}),
		);
	});

	it.each([
		[10, 7],
		[60, 23],
	])('polls a job of %i s at most %i times', (seconds, most) => {
		const polls = pollsOf(seconds * 1000);
		expect(polls).toBeLessThanOrEqual(most);
		expect(polls).toBeGreaterThan(most / 2);
	});
});

it('spreads the polls whose time came while n8n was busy', async () => {
	const clock = new VirtualClock(0);
	const BUSY_UNTIL_MS = 1000;
	const late: Clock = {
		now: () => clock.now(),
		sleep: async (durationMs, signal) => {
			await clock.sleep(Math.max(durationMs, BUSY_UNTIL_MS - clock.now()), signal);
		},
	};
	const scheduler = new PollScheduler(late);
	const { signal } = new AbortController();
	const slots = Array.from({ length: 20 }, async () => {
		await scheduler.waitForSlot(Infinity, signal);
		return clock.now();
	});
	const atMs = await clock.run(Promise.all(slots));
	expect(atMs).toEqual([0, ...Array.from({ length: 19 }, (_, n) => BUSY_UNTIL_MS + 50 * n)]);
});

describe('whether a job is finished', () => {
	it.each(['Succeed', 'Failed'])('%s is an end', (status) => {
		expect(isFinished(status)).toBe(true);
	});

	it.each(['Pending', 'Processing', 'succeed', 'FAILED', ' Failed', 'Succeeded', ''])(
		'%j is not',
		(status) => {
			expect(isFinished(status)).toBe(false);
		},
	);
});
