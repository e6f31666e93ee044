import { abortable, systemClock } from '../../nodes/shared/clock';
import { Semaphore } from '../../nodes/shared/concurrency';

describe('the real clock', () => {
	beforeEach(() => jest.useFakeTimers({ now: 1_000_000 }));
	afterEach(() => jest.useRealTimers());

	it.each([undefined, new AbortController().signal])(
		'sleeps for the time given',
		async (signal) => {
			const onOver = jest.fn();
			const startedAtMs = systemClock.now();
			void systemClock.sleep(5000, signal).then(onOver);
			await jest.advanceTimersByTimeAsync(4999);
			expect(onOver).not.toHaveBeenCalled();
			await jest.advanceTimersByTimeAsync(1);
			expect(onOver).toHaveBeenCalledTimes(1);
			jest.setSystemTime(Date.now() - 3_600_000);
			expect(systemClock.now()).toBe(startedAtMs + 5000);
		},
	);

	it('wakes when the signal aborts, and does not sleep if it has, or for less than nothing', async () => {
		const controller = new AbortController();
		const sleeping = systemClock.sleep(86_400_000, controller.signal);
		controller.abort();
		await sleeping;
		jest.clearAllTimers();
		await systemClock.sleep(5000, controller.signal);
		await systemClock.sleep(-1);
		expect(jest.getTimerCount()).toBe(0);
	});
});

it('what can be aborted leaves no listener behind', async () => {
	const { signal } = new AbortController();
	const added = jest.spyOn(signal, 'addEventListener');
	const removed = jest.spyOn(signal, 'removeEventListener');
	await expect(abortable(Promise.resolve('a'), signal)).resolves.toBe('a');
	expect(removed).toHaveBeenCalledWith('abort', added.mock.calls[0]?.[1]);
});

it('what was aborted gives undefined, whatever its promise does later', async () => {
	let fail: (error: Error) => void = () => undefined;
	const promise = new Promise<string>((_, reject) => {
		fail = reject;
	});
	await expect(abortable(promise, AbortSignal.abort())).resolves.toBeUndefined();
	// Nobody listens any more: unhandled, it would end the process.
	fail(new Error('too late'));
	await new Promise((resolve) => setImmediate(resolve));
});

it('a semaphore begins the next one, in order, also after work that throws', async () => {
	const semaphore = new Semaphore(1);
	const begun: string[] = [];
	const work = async (name: string) => {
		begun.push(name);
		return await (name === 'b' ? Promise.reject(new Error(name)) : Promise.resolve(name));
	};
	for (let round = 0; round < 2; round++) {
		const ends = ['a', 'b', 'c'].map(async (name) => await semaphore.run(() => work(name)));
		expect(begun.splice(0)).toEqual(['a']);
		await Promise.allSettled(ends);
		expect(begun.splice(0)).toEqual(['b', 'c']);
	}
});
