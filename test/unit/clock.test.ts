import { systemClock } from '../../nodes/shared/clock';

describe('the real clock', () => {
	beforeEach(() => jest.useFakeTimers({ now: 1_000_000 }));
	afterEach(() => jest.useRealTimers());

	/** Whether a pause is over, as far as waiting promises can tell. */
	async function watched(pause: Promise<void>): Promise<() => Promise<boolean>> {
		let isOver = false;
		void pause.then(() => {
			isOver = true;
		});
		const look = async () => {
			await jest.advanceTimersByTimeAsync(0);
			return isOver;
		};
		await look();
		return look;
	}

	it('tells the time', () => {
		expect(systemClock.now()).toBe(1_000_000);
	});

	it.each([undefined, new AbortController().signal])(
		'pauses for the time given',
		async (signal) => {
			const isOver = await watched(systemClock.pause(5000, signal));
			await jest.advanceTimersByTimeAsync(4999);
			expect(await isOver()).toBe(false);
			await jest.advanceTimersByTimeAsync(1);
			expect(await isOver()).toBe(true);
		},
	);

	it('ends at once when the signal aborts, and leaves no listener behind', async () => {
		const controller = new AbortController();
		const { signal } = controller;
		const added = jest.spyOn(signal, 'addEventListener');
		const removed = jest.spyOn(signal, 'removeEventListener');
		const isOver = await watched(systemClock.pause(5000, signal));
		expect(await isOver()).toBe(false);
		controller.abort();
		expect(await isOver()).toBe(true);
		const ours = added.mock.calls[0]?.[1];
		expect(ours).toBeDefined();
		expect(removed.mock.calls.map(([, listener]) => listener)).toContain(ours);
	});

	it('does not begin to pause when the signal is aborted already', async () => {
		const isOver = await watched(systemClock.pause(5000, AbortSignal.abort()));
		expect(await isOver()).toBe(true);
		expect(jest.getTimerCount()).toBe(0);
	});
});
