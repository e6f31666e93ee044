import { nextPauseMs, PollScheduler } from '../../nodes/shared/engine/jobs/poll';
import { VirtualClock } from '../support/virtualClock';

it('polls a job every 2 s, and from 20 s on after a tenth of its time, but at least every 5 s', () => {
	const seconds = [0, 1, 19, 20, 30, 49, 50, 51, 3600];
	const pauses = seconds.map((waited) => nextPauseMs(waited * 1000));
	expect(pauses).toEqual([2000, 2000, 2000, 2000, 3000, 4900, 5000, 5000, 5000]);
});

it('spreads the polls whose time came while n8n was busy', async () => {
	const clock = new VirtualClock(0);
	const BUSY_UNTIL_MS = 1000;
	const scheduler = new PollScheduler({
		now: () => clock.now(),
		sleep: async (durationMs, signal) => {
			await clock.sleep(Math.max(durationMs, BUSY_UNTIL_MS - clock.now()), signal);
		},
	});
	const { signal } = new AbortController();
	const slots = Array.from({ length: 20 }, async () => {
		await scheduler.waitForSlot(Infinity, signal);
		return clock.now();
	});
	const atMs = await clock.run(Promise.all(slots));
	expect(atMs).toEqual([0, ...Array.from({ length: 19 }, (_, n) => BUSY_UNTIL_MS + 50 * n)]);
});
