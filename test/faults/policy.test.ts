import fc from 'fast-check';

import { backOffMs, retryAfterMs } from '../../nodes/shared/api/retry';
import { runEngine, SERVICE_URL, startBinaryStorage } from '../support/engine';
import { openScene } from '../support/scene';
import { nock } from '../support/nock';

beforeAll(startBinaryStorage);
// A run that outlives its test would go on in real time, beside the next one.
jest.setTimeout(60_000);

/** How long a rate limit may last in which nothing is accepted. */
const SUBMIT_BUDGET_MS = 90_000;
/** Doubling from one second up to sixteen, so many fit into the budget. */
const MOST_POSTS = 9;
/** A status check at the deadline may take so long. */
const LAST_POLL_MS = 5000;
const RUNS = 40;

const retryAfter = fc.option(
	fc.oneof(
		fc.integer({ min: 0, max: 100_000 }).map(String),
		fc.constantFrom('soon', '-1', '1e3', 'Sun, 22 Nov 2026 12:00:09 GMT', ''),
	),
	{ nil: undefined },
);

function answers(...statuses: number[]) {
	return fc
		.record({ status: fc.constantFrom(...statuses), after: retryAfter })
		.map(({ status, after }) => ({
			kind: 'respond' as const,
			status,
			...(after === undefined ? {} : { headers: { 'retry-after': after } }),
		}));
}

/** Faults that need no stalling, which takes real time. */
const broken = fc.constantFrom(
	{ kind: 'reset' as const },
	{ kind: 'garbage' as const },
	{ kind: 'html' as const },
	{ kind: 'truncate' as const },
);

const moment = fc.constantFrom('received' as const, 'accepted' as const);

describe('after any sequence of faults at submit', () => {
	const fault = fc.oneof(
		{ weight: 3, arbitrary: answers(429) },
		{ weight: 1, arbitrary: answers(408, 500, 502, 503, 504) },
		{ weight: 1, arbitrary: broken },
	);
	const sequence = fc.array(fc.record({ fault, when: moment }), { minLength: 1, maxLength: 12 });

	it('no item has started more than one job, or has waited beyond its budget', async () => {
		await fc.assert(
			fc.asyncProperty(sequence, async (faults) => {
				const scene = await openScene();
				for (const { fault: body, when } of faults) {
					// 429 says that nothing was accepted.
					const isRefusal = body.kind === 'respond' && body.status === 429;
					scene.emulator.faults.add({
						...body,
						at: 'submit',
						...(isRefusal || body.kind === 'truncate' ? {} : { when }),
					});
				}
				const tries = 3;
				const result = await scene.run({
					node: 'imageGenerate',
					parameters: { prompt: 'a', waitForCompletion: false },
					nodeSettings: { retryOnFail: true, maxTries: tries, waitBetweenTries: 1 },
				});
				await scene.close();
				expect(scene.emulator.submits.length).toBeLessThanOrEqual(1);
				expect(scene.postCount()).toBeLessThanOrEqual(MOST_POSTS * tries);
				expect(elapsedMs(scene.clock)).toBeLessThanOrEqual(SUBMIT_BUDGET_MS * result.calls);
			}),
			{ numRuns: RUNS },
		);
	});

	it('several jobs exist only for those who asked for resubmits', async () => {
		const scene = await openScene();
		scene.emulator.faults.add({ at: 'submit', kind: 'reset', when: 'accepted', times: 2 });
		const { items } = await scene.run({
			node: 'imageGenerate',
			parameters: { prompt: 'a', waitForCompletion: false, options: { resubmitIfUnknown: true } },
			nodeSettings: { retryOnFail: true, maxTries: 3, waitBetweenTries: 1 },
		});
		await scene.close();
		expect(items).toHaveLength(1);
		expect(scene.emulator.submits).toHaveLength(3);
	});
});

describe('a connection that fails at the paid POST', () => {
	afterEach(() => {
		nock.cleanAll();
	});

	/** @returns how often it was sent, and what the error says */
	async function failWith(error: Error) {
		let postCount = 0;
		nock(SERVICE_URL)
			.persist()
			.post('/public/v1/generate/image', () => {
				postCount++;
				return true;
			})
			.replyWithError(error);
		const result = await runEngine({ node: 'imageGenerate', parameters: { prompt: 'a' } });
		return { postCount, said: result.error?.description };
	}

	const broken = (code: string) => Object.assign(new Error('broken'), { code });
	/** Node.js says of an error which system call it comes from. */
	const whileConnecting = (code: string) => Object.assign(broken(code), { syscall: 'connect' });
	const ofSeveralAddresses = (...errors: Error[]) =>
		Object.assign(new AggregateError(errors, ''), { code: 'ETIMEDOUT' });

	it.each([
		['ECONNREFUSED', broken('ECONNREFUSED')],
		['ENOTFOUND', broken('ENOTFOUND')],
		['EAI_AGAIN', broken('EAI_AGAIN')],
		['CERT_HAS_EXPIRED', broken('CERT_HAS_EXPIRED')],
		['DEPTH_ZERO_SELF_SIGNED_CERT', broken('DEPTH_ZERO_SELF_SIGNED_CERT')],
		['UNABLE_TO_VERIFY_LEAF_SIGNATURE', broken('UNABLE_TO_VERIFY_LEAF_SIGNATURE')],
		['ERR_TLS_CERT_ALTNAME_INVALID', broken('ERR_TLS_CERT_ALTNAME_INVALID')],
		['EADDRNOTAVAIL', broken('EADDRNOTAVAIL')],
		['EHOSTUNREACH of a connect', whileConnecting('EHOSTUNREACH')],
		['ENETUNREACH of a connect', whileConnecting('ENETUNREACH')],
		['ETIMEDOUT of a connect', whileConnecting('ETIMEDOUT')],
		[
			'ETIMEDOUT of a host with two addresses',
			ofSeveralAddresses(whileConnecting('ETIMEDOUT'), whileConnecting('ENETUNREACH')),
		],
	])('before it is established is tried five times, and costs nothing: %s', async (_, error) => {
		const { postCount, said } = await failWith(error);
		expect(postCount).toBe(5);
		expect(said).toMatch(/nothing was charged/);
	});

	it.each([
		['ECONNRESET', broken('ECONNRESET')],
		['EPIPE', broken('EPIPE')],
		['ETIMEDOUT', broken('ETIMEDOUT')],
		['EHOSTUNREACH of a read', Object.assign(broken('EHOSTUNREACH'), { syscall: 'read' })],
		['ECONNABORTED', broken('ECONNABORTED')],
		['HPE_INVALID_CONSTANT', broken('HPE_INVALID_CONSTANT')],
		['EPROTO', broken('EPROTO')],
		['ERR_SSL_WRONG_VERSION_NUMBER', broken('ERR_SSL_WRONG_VERSION_NUMBER')],
		[
			'ETIMEDOUT of two addresses, one of which was connected',
			ofSeveralAddresses(whileConnecting('ETIMEDOUT'), broken('ECONNRESET')),
		],
		['a code unheard of', broken('unheard of')],
	])('at any time later is not tried again, and may have cost a job: %s', async (_, error) => {
		const { postCount, said } = await failWith(error);
		expect(postCount).toBe(1);
		expect(said).toMatch(/may exist and be charged/);
	});
});

describe('after any sequence of faults at status checks', () => {
	const fault = fc.oneof(answers(408, 425, 429, 500, 502, 503, 504), broken);
	const sequence = fc.array(fault, { maxLength: 15 });
	const timeoutSeconds = fc.integer({ min: 1, max: 200 });

	it('a run has waited no longer than told, and has the image if it was there in time', async () => {
		await fc.assert(
			fc.asyncProperty(sequence, timeoutSeconds, fc.boolean(), async (faults, timeout, ends) => {
				const scene = await openScene({ jobDurationMs: ends ? 0 : Infinity });
				for (const body of faults) scene.emulator.faults.add({ ...body, at: 'poll' });
				const { items } = await scene.run({
					node: 'imageGenerate',
					parameters: {
						prompt: 'a',
						downloadImages: false,
						options: { timeout, onTimeout: 'returnPending' },
					},
				});
				await scene.close();
				expect(elapsedMs(scene.clock)).toBeLessThanOrEqual(timeout * 1000 + LAST_POLL_MS);
				expect(scene.emulator.submits).toHaveLength(1);
				expect(items).toHaveLength(1);
				if (items[0]?.json.timed_out !== true) expect(items[0]?.json.status).toBe('Succeed');
				// Without a fault left, the last status check has told the truth.
				if (ends && scene.polls().length > faults.length) {
					expect(items[0]?.json.status).toBe('Succeed');
				}
			}),
			{ numRuns: RUNS },
		);
	});
});

describe('Retry-After at a status check', () => {
	it.each([
		{ status: 429, header: '17', waitMs: 17_000 },
		{ status: 503, header: '17', waitMs: 17_000 },
		{ status: 429, header: 'Sun, 22 Nov 2026 12:00:31 GMT', waitMs: 29_000 },
		{ status: 425, header: 'Sun, 22 Nov 2026 12:00:31 GMT', waitMs: 29_000 },
	])('is honored: $status, $header', async ({ status, header, waitMs }) => {
		const scene = await openScene({ jobDurationMs: 0 });
		scene.emulator.faults.add({
			at: 'poll',
			kind: 'respond',
			status,
			headers: { 'retry-after': header },
		});
		await scene.run({ node: 'imageGenerate', parameters: { prompt: 'a' } });
		await scene.close();
		const [first, second] = scene.polls();
		const gapMs = (second?.startedAtMs ?? 0) - (first?.startedAtMs ?? 0);
		expect(gapMs).toBeGreaterThanOrEqual(waitMs);
		expect(gapMs).toBeLessThan(waitMs + 2000);
	});

	it('is clipped to the deadline, where a last check finds the finished job', async () => {
		const scene = await openScene({ jobDurationMs: 0 });
		scene.emulator.faults.add({
			at: 'poll',
			kind: 'respond',
			status: 503,
			headers: { 'retry-after': '86400' },
		});
		const { items } = await scene.run({
			node: 'imageGenerate',
			parameters: { prompt: 'a', options: { timeout: 20 } },
		});
		await scene.close();
		expect(items[0]?.json.status).toBe('Succeed');
		expect(elapsedMs(scene.clock)).toBe(20_000);
	});

	it('is clipped to the deadline also when it slows down the polls of all jobs', async () => {
		const scene = await openScene({ jobDurationMs: Infinity });
		scene.emulator.faults.add({
			at: 'poll',
			kind: 'respond',
			status: 429,
			headers: { 'retry-after': '60' },
			times: Infinity,
		});
		await scene.run({
			node: 'imageGenerate',
			parameters: { prompt: 'a', options: { timeout: 10 } },
		});
		await scene.close();
		expect(elapsedMs(scene.clock)).toBeLessThanOrEqual(10_000 + LAST_POLL_MS);
	});

	it('is read strictly: any text gives a time that is not in the past, or none', () => {
		const text = fc.oneof(fc.string(), fc.date().map(String), fc.integer().map(String));
		fc.assert(
			fc.property(text, fc.nat(), (header, now) => {
				const ms = retryAfterMs(header, now);
				if (ms !== undefined) expect(ms).toBeGreaterThanOrEqual(0);
				if (/^\s*\d+\s*$/.test(header)) expect(ms).toBe(Number(header) * 1000);
			}),
		);
	});
});

it('back-off doubles with jitter, up to a limit', () => {
	fc.assert(
		fc.property(
			fc.nat({ max: 2000 }),
			fc.double({ min: 0, max: 1, noNaN: true }),
			(attempt, random) => {
				const full = Math.min(16_000, 1000 * 2 ** attempt);
				const ms = backOffMs(attempt, () => random);
				expect(ms).toBeGreaterThanOrEqual(full / 2);
				expect(ms).toBeLessThanOrEqual(full);
			},
		),
	);
});

/** Of virtual time. */
function elapsedMs(clock: { now: () => number }): number {
	return clock.now() - Date.UTC(2026, 10, 22, 12);
}
