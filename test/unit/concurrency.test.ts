import fc from 'fast-check';
import { Semaphore } from '../../nodes/shared/concurrency';

/** Lets other work that is ready go first, a number of times. */
async function yieldTimes(times: number): Promise<void> {
	for (let time = 0; time < times; time++) await Promise.resolve();
}

/** Work whose pieces take these times, and how many of them were under way together at most. */
function observed(durations: readonly number[]): {
	work: (index: number) => Promise<void>;
	started: number[];
	finished: number[];
	most: () => number;
} {
	const started: number[] = [];
	const finished: number[] = [];
	let most = 0;
	return {
		started,
		finished,
		most: () => most,
		work: async (index) => {
			started.push(index);
			most = Math.max(most, started.length - finished.length);
			await yieldTimes(durations[index] ?? 0);
			finished.push(index);
		},
	};
}

const durations = fc.array(fc.nat({ max: 20 }), { maxLength: 30 });
const limit = fc.integer({ min: 1, max: 40 });

describe('a semaphore', () => {
	it('runs no more at once than its limit, starts in order, and gives what the work gives', async () => {
		await fc.assert(
			fc.asyncProperty(durations, limit, async (times, atOnce) => {
				const semaphore = new Semaphore(atOnce);
				const { work, started, most } = observed(times);
				const given = await Promise.all(
					times.map((_, index) =>
						semaphore.run(async () => {
							await work(index);
							return index;
						}),
					),
				);
				expect(given).toEqual(times.map((_, index) => index));
				expect(started).toEqual(given);
				expect(most()).toBe(Math.min(atOnce, times.length));
			}),
		);
	});

	it('starts the next one as soon as a place is free, whatever the slow ones do', async () => {
		const semaphore = new Semaphore(2);
		const { work, finished } = observed([1000, 1, 1, 1]);
		await Promise.all([0, 1, 2, 3].map((index) => semaphore.run(() => work(index))));
		expect(finished).toEqual([1, 2, 3, 0]);
	});

	it('frees the place of work that throws, with others waiting or not', async () => {
		const semaphore = new Semaphore(1);
		const failing = () => semaphore.run(() => Promise.reject(new Error('broken')));
		const outcomes = await Promise.allSettled([
			failing(),
			failing(),
			semaphore.run(() => Promise.resolve(3)),
		]);
		expect(outcomes.map(({ status }) => status)).toEqual(['rejected', 'rejected', 'fulfilled']);
		await expect(failing()).rejects.toThrow('broken');
		await expect(semaphore.run(() => Promise.resolve(5))).resolves.toBe(5);
	});

	it('keeps to its limit also for work that comes after a rest', async () => {
		const semaphore = new Semaphore(2);
		await Promise.all([1, 2, 3].map(() => semaphore.run(() => yieldTimes(3))));
		const { work, most } = observed([5, 5, 5, 5]);
		await Promise.all([0, 1, 2, 3].map((index) => semaphore.run(() => work(index))));
		expect(most()).toBe(2);
	});
});
