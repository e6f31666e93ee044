import type { Account } from '../../nodes/shared/api/account';
import type { Api, SubmitOutcome } from '../../nodes/shared/api/api';
import type { JobRequest, RequestFile } from '../../nodes/shared/api/request';
import type { JobSettings } from '../../nodes/shared/engine/check/settings';
import type { JobBook } from '../../nodes/shared/engine/jobs/jobBook';
import { Submitter } from '../../nodes/shared/engine/jobs/submit';
import { Failure } from '../../nodes/shared/failure';
import { VirtualClock } from '../support/virtualClock';

const submit: JobRequest = { path: '/public/v1/generate/image', values: {}, files: [] };
const settings = { resubmitIfUnknown: false } as JobSettings;
const PLAN = { slot: { itemIndex: 0, jobNumber: 1, jobCount: 1 }, settings, echo: {}, submit };
const ANSWER_MS = 40;
const ACCEPTED: SubmitOutcome = { kind: 'accepted', jobId: 'job' };
const REFUSED: SubmitOutcome = { kind: 'neverConnected', reason: 'ECONNREFUSED' };
const UNKNOWN = {
	kind: 'failed' as const,
	failure: new Failure({ message: 'm', description: 'd', outcomeUnknown: true }),
};
const RATE_LIMITING = 'AetherForge is rate limiting this account';

function limited(retryAfterMs?: number): SubmitOutcome {
	return { kind: 'rateLimited', detail: 'Too Many Requests', retryAfterMs };
}

const failed = (error: Failure) => error;
/** The jobs of so many submits. */
const jobs = (count: number): string[] => Array<string>(count).fill('job');

/** An API that answers by its own rule, and what the book is told of a submitter's only slot. */
function serviceThat(
	answer: (postCount: number, atMs: number) => SubmitOutcome,
	{ answerMs = ANSWER_MS, isSent = true } = {},
) {
	const clock = new VirtualClock(0);
	/** When the POSTs came in. */
	const postsAtMs: number[] = [];
	const told: string[] = [];
	const account: Account = { baseUrl: new URL('https://api.example'), apiKey: 'key' };
	const api: Pick<Api, 'accountOf' | 'postJob'> = {
		accountOf: async () => await Promise.resolve(account),
		postJob: () => {
			const outcome = answer(postsAtMs.push(clock.now()), clock.now());
			return {
				outcome: clock.sleep(answerMs).then(() => outcome),
				isSent: () => isSent,
				cancel: () => {
					told.push('canceled');
				},
			};
		},
	};
	const book: Pick<JobBook, 'submitting' | 'started' | 'unknown' | 'notStarted' | 'stopped'> = {
		submitting: async () => {
			await Promise.resolve();
			return undefined;
		},
		started: (_, jobId) => told.push(`started ${jobId}`),
		unknown: () => told.push('unknown'),
		notStarted: () => told.push('not started'),
		stopped: () => told.push('stopped'),
	};
	const submitter = new Submitter(api as Api, book as JobBook, clock);
	const submitOne = async (signal = new AbortController().signal, canceled?: AbortSignal) =>
		await submitter.submit(PLAN, { signal, canceled });
	/** Submits so many at once, and gives the job IDs or what went wrong. */
	const submitAll = async (count: number): Promise<(string | Failure)[]> => {
		const all = Array.from({ length: count }, async () => await submitOne().catch(failed));
		return await clock.run(Promise.all(all));
	};
	return { clock, submitter, book, told, postsAtMs, submitOne, submitAll };
}

beforeEach(() => {
	jest.spyOn(Math, 'random').mockReturnValue(0.5);
});
afterEach(() => {
	jest.restoreAllMocks();
});

describe('a rate limit', () => {
	it.each([0, 0.999])(
		'of one job a second lets 20 requests through, with at most 4 POSTs for each (jitter %d)',
		async (random) => {
			jest.spyOn(Math, 'random').mockReturnValue(random);
			let lastMs = -Infinity;
			const service = serviceThat((_, atMs) => {
				if (atMs - lastMs < 1000) return limited();
				lastMs = atMs;
				return ACCEPTED;
			});
			expect(await service.submitAll(20)).toEqual(jobs(20));
			expect(service.postsAtMs.length).toBeLessThanOrEqual(80);
		},
	);

	it.each([undefined, 0])(
		'that asks for no pause (%j) still makes requests wait, longer each time',
		async (retryAfterMs) => {
			const service = serviceThat((count) => (count > 5 ? ACCEPTED : limited(retryAfterMs)));
			expect(await service.submitAll(1)).toEqual(jobs(1));
			const times = service.postsAtMs;
			const sleeps = times.slice(1).map((at, index) => at - (times[index] ?? 0) - ANSWER_MS);
			expect(sleeps).toEqual([1125, 2250, 4500, 9000, 18_000]);
		},
	);

	it('pauses all that were under way at once, then one at a time probes until three are accepted', async () => {
		const service = serviceThat((count) => (count > 20 ? ACCEPTED : limited()));
		expect(await service.submitAll(60)).toEqual(jobs(60));
		expect(service.postsAtMs.slice(0, 20)).toEqual(Array(20).fill(0));
		// Twenty refusals at once are no reason to wait longer than one.
		const resumedAtMs = ANSWER_MS + 1125;
		const probes = [0, 1, 2].map((probe) => resumedAtMs + probe * ANSWER_MS);
		expect(service.postsAtMs.slice(20, 23)).toEqual(probes);
		expect(service.postsAtMs[24]).toBe(service.postsAtMs[23]);
		// Side by side: one after the other the rest would take 57 times 40 ms.
		expect(service.postsAtMs).toHaveLength(80);
		expect((service.postsAtMs.at(-1) ?? 0) - resumedAtMs).toBeLessThan(30 * ANSWER_MS);
	});

	it('in which a probe is limited too makes the next one wait twice as long, however many were under way', async () => {
		const service = serviceThat((count) => (count > 21 ? ACCEPTED : limited()));
		expect(await service.submitAll(20)).toEqual(jobs(20));
		const probedAtMs = ANSWER_MS + 1125;
		expect(service.postsAtMs.slice(20, 22)).toEqual([probedAtMs, probedAtMs + ANSWER_MS + 2250]);
	});

	it.each([
		[60_000, 0, 60_000],
		[60_000, 0.999, 75_000],
		[89_000, 0, 89_000],
		[89_000, 0.999, 90_000],
	])('that asks for %i ms is waited for, with jitter %d for %i ms', async (...row) => {
		const [retryAfterMs, random, waitedMs] = row;
		jest.spyOn(Math, 'random').mockReturnValue(random);
		const service = serviceThat((count) => (count > 3 ? ACCEPTED : limited(retryAfterMs)));
		expect(await service.submitAll(3)).toEqual(jobs(3));
		expect(service.postsAtMs[3]).toBeGreaterThanOrEqual(ANSWER_MS + retryAfterMs);
		expect(service.postsAtMs[3]).toBeLessThanOrEqual(ANSWER_MS + waitedMs);
	});

	it('that asks for more than 90 s ends it at once, for those in line too, whatever is running', async () => {
		const service = serviceThat((count) => limited(count === 1 ? 5000 : 120_000));
		void service.submitter.whileRunning(async () => {
			await service.clock.sleep(1_000_000);
		});
		const limitedOne = async () => {
			await expect(service.submitOne()).rejects.toThrow(RATE_LIMITING);
		};
		const inLine = service.clock.sleep(100).then(async () => {
			await Promise.all([limitedOne(), limitedOne(), limitedOne()]);
		});
		await service.clock.run(Promise.all([limitedOne(), inLine]));
		expect(service.postsAtMs).toHaveLength(2);
		expect(service.clock.now()).toBeLessThan(7000);
	});

	it('in which nothing is accepted for 90 s ends it, until its last pause is over', async () => {
		const service = serviceThat((_, atMs) => (atMs > 200_000 ? ACCEPTED : limited()));
		for (const outcome of await service.submitAll(5)) {
			const { message, facts } = outcome as Failure;
			expect([message, facts.httpStatus]).toEqual([RATE_LIMITING, 429]);
			expect(facts.outcomeUnknown).toBeUndefined();
		}
		expect(service.clock.now()).toBeLessThanOrEqual(90_100);
		expect(service.clock.now()).toBeGreaterThan(45_000);
		expect(service.postsAtMs.length).toBeLessThan(15);
		await service.clock.run(service.clock.sleep(200_000));
		expect(await service.submitAll(1)).toEqual(jobs(1));
	});

	it('gives everyone 90 s anew whenever a job is accepted', async () => {
		let lastMs = 0;
		const service = serviceThat((_, atMs) => {
			if (atMs - lastMs < 40_000) return limited(40_000);
			lastMs = atMs;
			return ACCEPTED;
		});
		expect(await service.submitAll(6)).toEqual(jobs(6));
		expect(service.clock.now()).toBeGreaterThan(200_000);
	});

	it('by jobs at once is waited for while jobs of the run are running, and 90 s longer', async () => {
		const service = serviceThat(() => limited(10_000));
		const running = service.submitter.whileRunning(async () => {
			await service.clock.sleep(200_000);
		});
		const [outcome] = await service.submitAll(1);
		await service.clock.run(running);
		expect((outcome as Failure).message).toBe(RATE_LIMITING);
		expect(service.clock.now()).toBeGreaterThan(270_000);
		expect(service.clock.now()).toBeLessThan(291_000);
	});

	it('does not keep a run that is over waiting', async () => {
		const service = serviceThat(() => limited(60_000));
		const controller = new AbortController();
		const submits = [1, 2, 3].map(async () => {
			const submitted = service.submitOne(controller.signal);
			await expect(submitted).rejects.toThrow('The execution was stopped');
		});
		void service.clock.sleep(5000).then(() => {
			controller.abort();
		});
		await service.clock.run(Promise.all(submits));
		expect(service.clock.now()).toBe(5000);
		expect(service.postsAtMs).toHaveLength(3);
	});
});

describe('a connection that is never established', () => {
	it('is tried five times', async () => {
		const service = serviceThat(() => REFUSED);
		await service.clock.run(service.clock.sleep(1_000_000));
		const [failure] = await service.submitAll(1);
		expect(service.postsAtMs).toHaveLength(5);
		const { message, description, outcomeUnknown } = (failure as Failure).facts;
		expect([message, outcomeUnknown]).toEqual(['AetherForge cannot be reached', undefined]);
		expect(description).toMatch(/within 11\.5 seconds\..*ECONNREFUSED/);
	});

	it('is tried until it works, also after a minute of waiting for a rate limit', async () => {
		const service = serviceThat((count) => {
			if (count <= 2) return limited(60_000);
			return count <= 5 ? REFUSED : ACCEPTED;
		});
		expect(await service.submitAll(2)).toEqual(jobs(2));
	});
});

it('a request that may have been accepted is never sent again', async () => {
	const service = serviceThat(() => UNKNOWN);
	expect(await service.submitAll(1)).toMatchObject([{ facts: UNKNOWN.failure.facts }]);
	expect(service.postsAtMs).toHaveLength(1);
	expect(service.told).toEqual(['unknown']);
});

it('a job that the book knows already is not sent; it is asked with whether there are files', async () => {
	const { submitter, book, postsAtMs } = serviceThat(() => ACCEPTED);
	const submitting = jest.spyOn(book, 'submitting').mockResolvedValue('earlier');
	const signals = { signal: new AbortController().signal, canceled: undefined };
	for (const files of [[], [{ apiName: 'image' } as RequestFile]]) {
		const plan = { ...PLAN, submit: { ...submit, files } };
		expect(await submitter.submit(plan, signals)).toBe('earlier');
	}
	expect(submitting.mock.calls.map(([, hasFiles]) => hasFiles)).toEqual([false, true]);
	expect(postsAtMs).toEqual([]);
});

const TWICE = ['not started', 'not started', 'started job', 'started job'];
const HOPELESS = ['unknown', 'unknown', 'unknown', 'not started'];

it.each<[why: string, before: SubmitOutcome[], told: string[], postsAtMs: number[]]>([
	['there is a rate limit', [limited()], TWICE, [0, 1165, 1205]],
	['three outcomes are unknown', [UNKNOWN, UNKNOWN, UNKNOWN], HOPELESS, [0, 0, 0]],
	['the execution is stopped', [], ['not started'], []],
])('a request is taken back if %s by the time that it is written down', async (...row) => {
	const [, before, told, postsAtMs] = row;
	const service = serviceThat((count) => before[count - 1] ?? ACCEPTED);
	const { clock, book, submitOne } = service;
	let written = 0;
	jest.spyOn(book, 'submitting').mockImplementation(async () => {
		await clock.sleep(written++ === before.length ? 100 : 0);
		return undefined;
	});
	const stop = new AbortController();
	if (before.length === 0)
		void clock.sleep(50).then(() => {
			stop.abort();
		});
	const all = [...before, ACCEPTED].map(async () => await submitOne(stop.signal).catch(failed));
	await clock.run(Promise.all(all));
	expect(service.told).toEqual(told);
	expect(service.postsAtMs).toEqual(postsAtMs);
});

it.each([
	['records the late answer, if the server has the request', true, ['stopped', 'started job']],
	['cancels what is still being uploaded, which starts no job', false, ['canceled', 'not started']],
])('Stop during a request ends it at once, and %s', async (_, isSent, expected) => {
	const answer = isSent ? ACCEPTED : REFUSED;
	const { clock, submitOne, told } = serviceThat(() => answer, { answerMs: 5000, isSent });
	const stop = new AbortController();
	void clock.sleep(1000).then(() => {
		stop.abort();
	});
	const ended = await clock.run(submitOne(stop.signal, stop.signal).catch(failed));
	const { outcomeUnknown } = (ended as Failure).facts;
	expect([clock.now(), outcomeUnknown]).toEqual([1000, isSent || undefined]);
	await clock.run(clock.sleep(10_000));
	expect(told).toEqual(expected);
});
