import type { Account } from '../../nodes/shared/api/account';
import type { Api, SubmitOutcome } from '../../nodes/shared/api/api';
import type { JobRequest } from '../../nodes/shared/api/request';
import type { JobSettings } from '../../nodes/shared/engine/check/settings';
import type { JobBook } from '../../nodes/shared/engine/jobs/jobBook';
import { Submitter } from '../../nodes/shared/engine/jobs/submit';
import { Failure } from '../../nodes/shared/failure';
import { VirtualClock } from '../support/virtualClock';

const submit: JobRequest = { path: '/public/v1/generate/image', values: {}, files: [] };
const settings = { resubmitIfUnknown: false } as JobSettings;
const PLAN = { slot: { itemIndex: 0, jobNumber: 1, jobCount: 1 }, settings, echo: {}, submit };
const REFUSED = 'ECONNREFUSED';

function limited(retryAfterMs?: number): SubmitOutcome {
	const detail = 'Too Many Requests';
	return {
		kind: 'rateLimited',
		detail,
		...(retryAfterMs === undefined ? {} : { retryAfterMs }),
	};
}

function accepted(): SubmitOutcome {
	return { kind: 'accepted', jobId: 'job' };
}

interface Service {
	clock: VirtualClock;
	submitter: Submitter;
	/** When the POSTs came in, and what came of them. */
	posts: { atMs: number; kind: SubmitOutcome['kind'] }[];
	submit: (signal?: AbortSignal) => Promise<string>;
}

const account: Account = { baseUrl: new URL('https://api.example'), apiKey: 'key' };

/** A submitter, and what the book was told of its only slot. */
function submitterOf(postJob: Api['postJob'], clock: VirtualClock) {
	const api: Pick<Api, 'accountOf' | 'postJob'> = {
		accountOf: async () => await Promise.resolve(account),
		postJob,
	};
	const told: string[] = [];
	const book: Pick<JobBook, 'submitting' | 'started' | 'unknown' | 'notStarted' | 'stopped'> = {
		started: (_, jobId) => told.push(`started ${jobId}`),
		unknown: () => told.push('unknown'),
		submitting: async () => {
			await Promise.resolve();
			return undefined;
		},
		notStarted: () => told.push('not started'),
		stopped: () => told.push('stopped'),
	};
	const submitter = new Submitter(api as Api, book as JobBook, clock);
	return { submitter, told };
}

/** An API that answers after 40 ms, by its own rule. */
function serviceThat(answer: (atMs: number, postCount: number) => SubmitOutcome): Service {
	const clock = new VirtualClock(0);
	const posts: Service['posts'] = [];
	const postJob: Api['postJob'] = () => {
		const atMs = clock.now();
		const outcome = answer(atMs, posts.length + 1);
		posts.push({ atMs, kind: outcome.kind });
		return {
			outcome: clock.sleep(40).then(() => outcome),
			isSent: () => true,
			cancel: () => undefined,
		};
	};
	const { submitter } = submitterOf(postJob, clock);
	return {
		clock,
		submitter,
		posts,
		submit: async (signal = new AbortController().signal) =>
			await submitter.submit(PLAN, { signal, canceled: undefined }),
	};
}

/** Submits so many at once, and gives the job IDs or what went wrong. */
async function submitAll({ clock, submit }: Service, count: number): Promise<(string | Failure)[]> {
	const all = Array.from({ length: count }, async () => {
		try {
			return await submit();
		} catch (error) {
			if (error instanceof Failure) return error;
			throw error;
		}
	});
	return await clock.run(Promise.all(all));
}

function timesOf({ posts }: Service): number[] {
	return posts.map(({ atMs }) => atMs);
}

beforeEach(() => {
	jest.spyOn(Math, 'random').mockReturnValue(0.5);
});
afterEach(() => {
	jest.restoreAllMocks();
});

describe('a rate limit', () => {
	it.each([0, 0.5, 0.999])(
		'of one job a second lets 20 requests through, with at most 4 POSTs for each (jitter %d)',
		async (random) => {
			jest.spyOn(Math, 'random').mockReturnValue(random);
			let lastMs = -Infinity;
			const service = serviceThat((atMs) => {
				if (atMs - lastMs < 1000) return limited();
				lastMs = atMs;
				return accepted();
			});
			expect(await submitAll(service, 20)).toEqual(Array.from({ length: 20 }, () => 'job'));
			expect(service.posts.length).toBeLessThanOrEqual(80);
		},
	);

	it.each([
		['names no time', undefined],
		['names no time to wait', 0],
	])('that %s still makes requests wait, longer each time', async (_, retryAfterMs) => {
		const service = serviceThat((__, count) => (count > 5 ? accepted() : limited(retryAfterMs)));
		expect(await submitAll(service, 1)).toEqual(['job']);
		const times = timesOf(service);
		const sleeps = times.slice(1).map((at, index) => at - (times[index] ?? 0) - 40);
		expect(sleeps).toEqual([1125, 2250, 4500, 9000, 18_000]);
	});

	it('is one for all requests that were under way when it began', async () => {
		const service = serviceThat((_, count) => (count > 20 ? accepted() : limited()));
		await submitAll(service, 20);
		const times = timesOf(service);
		expect(times.slice(0, 20)).toEqual(Array.from({ length: 20 }, () => 0));
		// Twenty refusals at once are no reason to wait longer than one.
		expect(times[20]).toBe(40 + 1125);
	});

	it('ends in probing by one request at a time, until three in a row are accepted', async () => {
		const service = serviceThat((_, count) => (count > 20 ? accepted() : limited()));
		await submitAll(service, 20);
		const probes = timesOf(service).slice(20);
		expect(new Set(probes.slice(0, 3)).size).toBe(3);
		expect(probes).toHaveLength(20);
	});

	it('that has ended lets the rest be sent side by side', async () => {
		const service = serviceThat((_, count) => (count > 20 ? accepted() : limited()));
		await submitAll(service, 60);
		const times = timesOf(service).slice(20);
		expect(times).toHaveLength(60);
		// One after the other they would take 40 ms each.
		expect((times.at(-1) ?? 0) - (times[0] ?? 0)).toBeLessThan(30 * 40);
	});

	it('that asks for 60 s is waited for, and not for much longer', async () => {
		const service = serviceThat((_, count) => (count > 3 ? accepted() : limited(60_000)));
		expect(await submitAll(service, 3)).toEqual(['job', 'job', 'job']);
		const [again = 0] = timesOf(service).slice(3);
		expect(again).toBeGreaterThanOrEqual(60_000);
		expect(again).toBeLessThanOrEqual(40 + 75_000);
	});

	it.each([0, 0.999])('that asks for just under 90 s is waited for (jitter %d)', async (random) => {
		jest.spyOn(Math, 'random').mockReturnValue(random);
		const service = serviceThat((_, count) => (count > 1 ? accepted() : limited(89_000)));
		expect(await submitAll(service, 1)).toEqual(['job']);
		expect(timesOf(service)[1]).toBeGreaterThanOrEqual(89_000);
	});

	it('that asks for more than 90 s ends it at once, for those in line too', async () => {
		const service = serviceThat((_, count) => (count === 1 ? limited(5000) : limited(120_000)));
		const first = service.submit();
		const inLine = service.clock.sleep(100).then(async () => {
			await Promise.all(
				[1, 2, 3].map(async () => {
					await expect(service.submit()).rejects.toThrow('AetherForge is rate limiting');
				}),
			);
		});
		await service.clock.run(
			Promise.all([expect(first).rejects.toThrow('AetherForge is rate limiting'), inLine]),
		);
		expect(service.posts).toHaveLength(2);
		expect(service.clock.now()).toBeLessThan(7000);
	});

	it('in which nothing is accepted for 90 s ends it', async () => {
		const service = serviceThat(() => limited());
		const outcomes = await submitAll(service, 5);
		for (const outcome of outcomes) {
			const { message, facts } = outcome as Failure;
			expect(message).toBe('AetherForge is rate limiting this account');
			expect(facts).toMatchObject({ httpStatus: 429 });
			expect(facts.outcomeUnknown).toBeUndefined();
		}
		expect(service.clock.now()).toBeLessThanOrEqual(90_100);
		expect(service.clock.now()).toBeGreaterThan(45_000);
		expect(service.posts.length).toBeLessThan(15);
	});

	it('gives everyone 90 s anew whenever a job is accepted', async () => {
		let lastMs = 0;
		const service = serviceThat((atMs) => {
			if (atMs - lastMs < 40_000) return limited(40_000);
			lastMs = atMs;
			return accepted();
		});
		const outcomes = await submitAll(service, 6);
		expect(outcomes).toEqual(Array.from({ length: 6 }, () => 'job'));
		expect(service.clock.now()).toBeGreaterThan(200_000);
	});

	it('by jobs at once is waited for while jobs of the run are running, and 90 s longer', async () => {
		const service = serviceThat(() => limited(10_000));
		const running = service.submitter.whileRunning(async () => {
			await service.clock.sleep(200_000);
		});
		const [outcome] = await submitAll(service, 1);
		await service.clock.run(running);
		expect((outcome as Failure).message).toBe('AetherForge is rate limiting this account');
		expect(service.clock.now()).toBeGreaterThan(270_000);
		expect(service.clock.now()).toBeLessThan(291_000);
	});

	it('does not keep a run that is over waiting', async () => {
		const service = serviceThat(() => limited(60_000));
		const controller = new AbortController();
		const { signal } = controller;
		const submits = [1, 2, 3].map(async () => {
			await expect(service.submit(signal)).rejects.toThrow('The execution was stopped');
		});
		void service.clock.sleep(5000).then(() => {
			controller.abort();
		});
		await service.clock.run(Promise.all(submits));
		expect(service.clock.now()).toBe(5000);
		expect(service.posts).toHaveLength(3);
	});
});

describe('a connection that is never established', () => {
	it('is tried five times', async () => {
		const service = serviceThat(() => ({ kind: 'neverConnected', reason: REFUSED }));
		const [failure] = await submitAll(service, 1);
		expect(service.posts).toHaveLength(5);
		expect(failure).toMatchObject({ message: 'AetherForge cannot be reached' });
		const { description, outcomeUnknown } = (failure as Failure).facts;
		expect(description).toContain(REFUSED);
		expect(outcomeUnknown).toBeUndefined();
	});

	it('is tried until it works', async () => {
		const service = serviceThat((_, count) =>
			count < 4 ? { kind: 'neverConnected', reason: REFUSED } : accepted(),
		);
		expect(await submitAll(service, 1)).toEqual(['job']);
	});

	it('is tried again also after the request has waited a minute for a rate limit', async () => {
		const service = serviceThat((_, count) => {
			if (count <= 2) return limited(60_000);
			return count === 3 ? { kind: 'neverConnected', reason: REFUSED } : accepted();
		});
		expect(await submitAll(service, 2)).toEqual(['job', 'job']);
	});
});

describe('a request that may have been accepted', () => {
	it('is never sent again', async () => {
		const failure = new Failure({ message: 'm', description: 'd', outcomeUnknown: true });
		const service = serviceThat(() => ({ kind: 'failed', failure }));
		expect(await submitAll(service, 1)).toMatchObject([{ facts: failure.facts }]);
		expect(service.posts).toHaveLength(1);
	});
});

describe('stopping the execution during a request', () => {
	/** Stops right after the request went out; gives what became of it. */
	async function stopDuring(isSent: boolean, outcome: SubmitOutcome) {
		const clock = new VirtualClock(0);
		const stop = new AbortController();
		const state = { wasCanceled: false };
		const postJob: Api['postJob'] = () => ({
			outcome: clock.sleep(5000).then(() => outcome),
			isSent: () => isSent,
			cancel: () => {
				state.wasCanceled = true;
			},
		});
		const { submitter, told } = submitterOf(postJob, clock);
		const submitted = submitter.submit(PLAN, { signal: stop.signal, canceled: stop.signal });
		void clock.sleep(1000).then(() => {
			stop.abort();
		});
		const failure = await clock.run(submitted.then(String, (error: unknown) => error as Failure));
		const endedAtMs = clock.now();
		await clock.run(clock.sleep(10_000));
		return { failure: failure as Failure, endedAtMs, told, wasCanceled: state.wasCanceled };
	}

	it('ends at once, and records the late answer of a request that the server has', async () => {
		const { failure, endedAtMs, told, wasCanceled } = await stopDuring(true, accepted());
		expect(failure.facts.outcomeUnknown).toBe(true);
		expect(endedAtMs).toBe(1000);
		expect(told).toEqual(['stopped', 'started job']);
		expect(wasCanceled).toBe(false);
	});

	it('cancels a request that is still being uploaded, which starts no job', async () => {
		const { failure, endedAtMs, told, wasCanceled } = await stopDuring(false, accepted());
		expect(failure.facts.outcomeUnknown).toBeUndefined();
		expect(endedAtMs).toBe(1000);
		expect(told).not.toContain('stopped');
		expect(wasCanceled).toBe(true);
	});
});
