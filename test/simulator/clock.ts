import type { Clock } from '../../nodes/shared/clock';

/** Whose waiting ends with n8n's process, and whose does not. */
export type Owner = 'n8n' | 'service';

interface Timer {
	at: number;
	order: number;
	owner: Owner;
	ring: () => void;
}

/**
 * How often the event loop comes round with nothing to do before time goes on. Once would do for
 * promises and streams; a module that is loaded takes a few more.
 */
const QUIET_TURNS = 3;
/** A day that has come no further by then never ends. */
const MOST_RINGS = 300_000;

const real = { setTimeout, clearTimeout, now: Date.now };

/**
 * The time of one simulated day. It belongs to everything: to the nodes' clock, to n8n's own timers and
 * `Date.now`, and to the service. Nothing real is waited for, so that a seed gives the same day each time.
 */
export class DayClock {
	#now = Date.UTC(2026, 10, 22, 12);
	#order = 0;
	#rings = 0;
	#timers: Timer[] = [];
	/** Those of this very moment that have not rung yet. */
	#due: Timer[] = [];

	now(): number {
		return this.#now;
	}

	/** Calls back later, unless what is returned is called first, or the owner has died. */
	after(durationMs: number, owner: Owner, ring: () => void): () => void {
		const timer = { at: this.#now + Math.max(0, durationMs), order: this.#order++, owner, ring };
		this.#timers.push(timer);
		return () => {
			this.#timers = this.#timers.filter((other) => other !== timer);
		};
	}

	async wait(durationMs: number, owner: Owner, signal?: AbortSignal): Promise<void> {
		if (signal?.aborted) return;
		await new Promise<void>((resolve) => {
			const end = () => {
				cancel();
				signal?.removeEventListener('abort', end);
				resolve();
			};
			const cancel = this.after(durationMs, owner, end);
			signal?.addEventListener('abort', end, { once: true });
		});
	}

	/** Whoever waits in n8n's process waits for ever: it is dead. */
	crash(): void {
		const isAlive = ({ owner }: Timer) => owner !== 'n8n';
		this.#timers = this.#timers.filter(isAlive);
		this.#due = this.#due.filter(isAlive);
	}

	/**
	 * Lets time pass until the work is done.
	 * @throws Error when nothing is waited for, or something goes on for ever
	 */
	async run<T>(work: Promise<T>): Promise<T> {
		const state = { isDone: false };
		const done = work.finally(() => {
			state.isDone = true;
		});
		done.catch(() => undefined);
		for (;;) {
			for (let turn = 0; turn < QUIET_TURNS; turn++) {
				await new Promise((resolve) => setImmediate(resolve));
			}
			if (state.isDone) return await done;
			const at = Math.min(...this.#timers.map((timer) => timer.at));
			if (at === Infinity) throw new Error('the day hangs: nothing is waited for');
			if (this.#rings++ > MOST_RINGS) throw new Error('the day does not end');
			this.#now = Math.max(this.#now, at);
			this.#due = this.#timers
				.filter((timer) => timer.at <= this.#now)
				.sort((a, b) => a.order - b.order);
			this.#timers = this.#timers.filter((timer) => timer.at > this.#now);
			for (let timer = this.#due.shift(); timer; timer = this.#due.shift()) timer.ring();
		}
	}

	/** The nodes' own clock is this one from now on. */
	drive(nodes: Clock): void {
		nodes.now = () => this.#now;
		nodes.sleep = async (durationMs, signal) => {
			await this.wait(durationMs, 'n8n', signal);
		};
	}

	/** Puts this clock in the place of every other one, until what is returned is called. */
	install(): () => void {
		Date.now = () => this.#now;
		const later = (ring: (...given: unknown[]) => void, durationMs = 0, ...given: unknown[]) => {
			const cancel = this.after(durationMs, 'n8n', () => {
				ring(...given);
			});
			return { cancel, ref: () => undefined, unref: () => undefined, hasRef: () => true };
		};
		globalThis.setTimeout = later as unknown as typeof setTimeout;
		globalThis.clearTimeout = ((timer?: { cancel?: () => void }) =>
			timer?.cancel?.()) as typeof clearTimeout;
		return () => {
			Date.now = real.now;
			globalThis.setTimeout = real.setTimeout;
			globalThis.clearTimeout = real.clearTimeout;
		};
	}
}
