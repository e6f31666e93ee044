import { abortable, systemClock } from '../../nodes/shared/clock';
import { Semaphore } from '../../nodes/shared/concurrency';

describe('the real clock', () => {
	beforeEach(() => jest.useFakeTimers({ now: 1_000_000 }));
	afterEach(() => jest.useRealTimers());

	/** Begins to sleep, and tells whether it is over after a time. */
	function sleeping(
		durationMs: number,
		signal?: AbortSignal,
	): (afterMs: number) => Promise<boolean> {
		let isOver = false;
		void systemClock.sleep(durationMs, signal).then(() => {
			isOver = true;
		});
		return async (afterMs) => {
			await jest.advanceTimersByTimeAsync(afterMs);
			return isOver;
		};
	}

	it.each([
		['without a signal', undefined],
		['with a signal', new AbortController().signal],
	])('tells the time, and sleeps for the time given, %s', async (_, signal) => {
		const isOver = sleeping(5000, signal);
		expect(await isOver(4999)).toBe(false);
		expect(await isOver(1)).toBe(true);
		expect(systemClock.now()).toBe(1_005_000);
	});

	it('wakes at once when the signal aborts, and leaves no listener behind', async () => {
		const controller = new AbortController();
		const added = jest.spyOn(controller.signal, 'addEventListener');
		const removed = jest.spyOn(controller.signal, 'removeEventListener');
		const isOver = sleeping(86_400_000, controller.signal);
		expect(await isOver(0)).toBe(false);
		controller.abort();
		expect(await isOver(0)).toBe(true);
		const ours = added.mock.calls.at(-1)?.[1];
		expect(ours).toBeDefined();
		expect(removed.mock.calls.map(([, listener]) => listener)).toContain(ours);
	});

	it('does not begin to sleep when the signal is aborted already, or for less than nothing', async () => {
		expect(await sleeping(5000, AbortSignal.abort())(0)).toBe(true);
		expect(await sleeping(-1)(0)).toBe(true);
		expect(jest.getTimerCount()).toBe(0);
	});
});

describe('what can be aborted', () => {
	it.each([
		['without a signal', undefined],
		['with a signal', new AbortController().signal],
	])('ends as the promise does while nothing aborts it, %s', async (_, signal) => {
		await expect(abortable(Promise.resolve('a'), signal)).resolves.toBe('a');
		const broken = Promise.reject(new Error('broken'));
		await expect(abortable(broken, signal)).rejects.toThrow('broken');
	});

	it('gives undefined as soon as the signal aborts, whatever the promise does later', async () => {
		const controller = new AbortController();
		let fail: (error: Error) => void = () => undefined;
		const promise = new Promise<string>((_, reject) => {
			fail = reject;
		});
		const waiting = abortable(promise, controller.signal);
		controller.abort();
		await expect(waiting).resolves.toBeUndefined();
		await expect(abortable(promise, AbortSignal.abort())).resolves.toBeUndefined();
		// Nobody listens any more: unhandled, it would end the process.
		fail(new Error('too late'));
		await new Promise((resolve) => setImmediate(resolve));
	});
});

describe('a semaphore', () => {
	it('begins the next one, in order, as soon as a place is free, also after a rest', async () => {
		const semaphore = new Semaphore(2);
		const events: string[] = [];
		const work = async (name: string, turns: number) => {
			await semaphore.run(async () => {
				events.push(`${name} begins`);
				for (let turn = 0; turn < turns; turn++) await Promise.resolve();
				events.push(`${name} ends`);
			});
		};
		const inOrder = 'a begins, b begins, b ends, c begins, c ends, d begins, d ends, a ends';
		for (let round = 0; round < 2; round++) {
			await Promise.all([work('a', 100), work('b', 1), work('c', 1), work('d', 1)]);
		}
		expect(events.join(', ')).toBe(`${inOrder}, ${inOrder}`);
	});

	it('frees the place of work that throws', async () => {
		const semaphore = new Semaphore(1);
		const failing = semaphore.run(() => Promise.reject(new Error('broken')));
		const waiting = semaphore.run(() => Promise.resolve(5));
		await expect(failing).rejects.toThrow('broken');
		await expect(waiting).resolves.toBe(5);
	});
});
