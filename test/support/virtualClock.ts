import type { Clock } from '../../nodes/shared/clock';

/** Whose waiting ends with n8n's process, and whose does not. */
export type Owner = 'n8n' | 'service';

interface Timer {
	at: number;
	owner: Owner;
	ring: () => void;
}

/** Turns of the event loop before time goes on: once would do, but a module that is loaded takes more. */
const QUIET_TURNS = 3;
/** A day that has come no further by then never ends. */
const MOST_RINGS = 300_000;

const real = { setTimeout, clearTimeout, now: Date.now };

/**
 * A clock that jumps to the next thing to wait for once nothing else can go on. It waits for no real
 * input or output, so it is exact and takes no time for itself.
 */
export class VirtualClock implements Clock {
	/** Every sleep that was asked for, in milliseconds. */
	readonly sleeps: number[] = [];
	#now: number;
	#rings = 0;
	readonly #mostRings: number;
	/** The soonest first; of those of one moment, the first that was set. */
	protected timers: Timer[] = [];
	/** Those of this very moment that have not rung yet. */
	#due: Timer[] = [];

	constructor(startAt = Date.UTC(2026, 10, 22, 12), mostRings = MOST_RINGS) {
		this.#now = startAt;
		this.#mostRings = mostRings;
	}

	now(): number {
		return this.#now;
	}

	async sleep(durationMs: number, signal?: AbortSignal): Promise<void> {
		if (signal?.aborted) return;
		this.sleeps.push(durationMs);
		await this.wait(durationMs, 'n8n', signal);
	}

	/** As a sleep, but of something else than the nodes: it does not count among their sleeps. */
	async wait(durationMs: number, owner: Owner = 'service', signal?: AbortSignal): Promise<void> {
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

	/** Calls back later, unless what is returned is called first, or the owner has died. */
	after(durationMs: number, owner: Owner, ring: () => void): () => void {
		const timer = { at: this.#now + Math.max(0, durationMs), owner, ring };
		const place = this.timers.findLastIndex(({ at }) => at <= timer.at) + 1;
		this.timers.splice(place, 0, timer);
		this.changed();
		return () => {
			const index = this.timers.indexOf(timer);
			if (index >= 0) this.timers.splice(index, 1);
			this.changed();
		};
	}

	/** What waits in n8n's process waits for ever: it is dead. */
	crash(): void {
		const isAlive = ({ owner }: Timer) => owner !== 'n8n';
		this.timers = this.timers.filter(isAlive);
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
			if (this.timers.length === 0) throw new Error('the day hangs: nothing is waited for');
			if (this.#rings++ > this.#mostRings) throw new Error('the day does not end');
			this.ringNext();
		}
	}

	/** The nodes' own clock is this one from now on. */
	drive(nodes: Clock): void {
		nodes.now = this.now.bind(this);
		nodes.sleep = this.sleep.bind(this);
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

	/** All that are due ring at once, as real ones do: what one of them starts holds none of them up. */
	protected ringNext(): void {
		this.#now = Math.max(this.#now, this.timers[0]?.at ?? 0);
		this.#due = this.timers.filter(({ at }) => at <= this.#now);
		this.timers = this.timers.slice(this.#due.length);
		for (let timer = this.#due.shift(); timer; timer = this.#due.shift()) timer.ring();
	}

	/** Called when a timer has been set, has rung, or was given up. */
	protected changed(): void {
		// Time stands still until `run` lets it pass.
	}
}

/**
 * How often in a row the event loop may come round, at least so far apart, with nothing happening
 * before a request counts as stalled. A mere time would take a busy machine for a stalled server.
 */
const STALL_TURNS = 40;
const TURN_MS = 5;

/**
 * The clock beside n8n's real engine. It goes on by itself as soon as nothing is under way: hours of
 * waiting pass in milliseconds, while requests on the loopback take the real time they need.
 */
export class EngineClock extends VirtualClock {
	#underWay = 0;
	#quietTurns = 0;
	#pump: NodeJS.Timeout | undefined;

	/** Time stands still while such work is under way, unless it stalls. */
	begin(): () => void {
		this.#underWay++;
		this.changed();
		let isOver = false;
		return () => {
			if (isOver) return;
			isOver = true;
			this.#underWay--;
			this.changed();
		};
	}

	/** What is under way has not stalled. */
	moved(): void {
		this.#quietTurns = 0;
	}

	/** Ends the clock's own real timer. */
	stop(): void {
		this.timers = [];
		clearTimeout(this.#pump);
	}

	protected override changed(): void {
		this.#quietTurns = 0;
		this.#schedule(1);
	}

	#schedule(delayMs: number): void {
		clearTimeout(this.#pump);
		if (this.timers.length === 0) return;
		this.#pump = setTimeout(() => {
			const isBusy = this.#underWay > 0 && this.#quietTurns++ < STALL_TURNS;
			if (isBusy) this.#schedule(TURN_MS);
			else this.ringNext();
		}, delayMs);
	}
}
