import fc from 'fast-check';

import { backOffMs, retryAfterMs } from '../../nodes/shared/api/api';
import { runEngine, SERVICE_URL, startBinaryStorage } from '../support/engine';
import { openScene } from '../support/scene';
import { nock } from '../support/nock';

beforeAll(startBinaryStorage);
// A run that outlives its test would go on in real time, beside the next one.
jest.setTimeout(60_000);

const SUBMIT_BUDGET_MS = 60_000;
/** A look at the deadline may take so long. */
const LAST_LOOK_MS = 5000;
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

describe('any sequence of faults at submit', () => {
	const fault = fc.oneof(
		{ weight: 3, arbitrary: answers(429) },
		{ weight: 1, arbitrary: answers(408, 500, 502, 503, 504) },
		{ weight: 1, arbitrary: broken },
	);
	const sequence = fc.array(fc.record({ fault, when: moment }), { minLength: 1, maxLength: 12 });

	it('never makes more than one job, and waits within its budget', async () => {
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
				expect(scene.postCount()).toBeLessThanOrEqual(5 * tries);
				expect(elapsedMs(scene.clock)).toBeLessThanOrEqual(SUBMIT_BUDGET_MS * result.calls);
			}),
			{ numRuns: RUNS },
		);
	});

	it('may make several only for who asked for it', async () => {
		const scene = await openScene();
		scene.emulator.faults.add({ at: 'submit', kind: 'reset', when: 'accepted', times: 2 });
		const { items } = await scene.run({
			node: 'imageGenerate',
			parameters: { prompt: 'a', waitForCompletion: false, options: { resubmitUnclear: true } },
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
	async function failWith(code: string) {
		let postCount = 0;
		nock(SERVICE_URL)
			.persist()
			.post('/public/v1/generate/image', () => {
				postCount++;
				return true;
			})
			.replyWithError(Object.assign(new Error('broken'), { code }));
		const { error } = await runEngine({ node: 'imageGenerate', parameters: { prompt: 'a' } });
		return { postCount, said: error?.description };
	}

	it.each([
		'ECONNREFUSED',
		'ENOTFOUND',
		'EAI_AGAIN',
		'CERT_HAS_EXPIRED',
		'DEPTH_ZERO_SELF_SIGNED_CERT',
		'UNABLE_TO_VERIFY_LEAF_SIGNATURE',
		'ERR_TLS_CERT_ALTNAME_INVALID',
	])('before it stands is tried again, and cost nothing: %s', async (code) => {
		const { postCount, said } = await failWith(code);
		expect(postCount).toBeGreaterThan(1);
		expect(said).toMatch(/nothing was charged/);
	});

	it.each([
		'ECONNRESET',
		'EPIPE',
		'ETIMEDOUT',
		'ECONNABORTED',
		'HPE_INVALID_CONSTANT',
		'unheard of',
	])('at any time later is not: %s', async (code) => {
		const { postCount, said } = await failWith(code);
		expect(postCount).toBe(1);
		expect(said).toMatch(/may exist and be charged/);
	});
});

describe('any sequence of faults while waiting', () => {
	const fault = fc.oneof(answers(408, 425, 429, 500, 502, 503, 504), broken);
	const sequence = fc.array(fault, { maxLength: 15 });
	const timeoutSeconds = fc.integer({ min: 1, max: 200 });

	it('waits no longer than told, and brings the image if it is there in time', async () => {
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
				expect(elapsedMs(scene.clock)).toBeLessThanOrEqual(timeout * 1000 + LAST_LOOK_MS);
				expect(scene.emulator.submits).toHaveLength(1);
				expect(items).toHaveLength(1);
				if (items[0]?.json.timed_out !== true) expect(items[0]?.json.status).toBe('Succeed');
				// Without a fault left, the last look has told the truth.
				const looks = scene.emulator.requests.filter(({ method }) => method === 'GET');
				if (ends && looks.length > faults.length) {
					expect(items[0]?.json.status).toBe('Succeed');
				}
			}),
			{ numRuns: RUNS },
		);
	});
});

describe('Retry-After', () => {
	it.each([
		{ status: 429, header: '17', pauseMs: 17_000 },
		{ status: 503, header: '17', pauseMs: 17_000 },
		{ status: 429, header: 'Sun, 22 Nov 2026 12:00:31 GMT', pauseMs: 29_000 },
		{ status: 425, header: 'Sun, 22 Nov 2026 12:00:31 GMT', pauseMs: 29_000 },
	])('is honoured between looks: $status, $header', async ({ status, header, pauseMs }) => {
		const scene = await openScene({ jobDurationMs: 0 });
		scene.emulator.faults.add({
			at: 'poll',
			kind: 'respond',
			status,
			headers: { 'retry-after': header },
		});
		await scene.run({ node: 'imageGenerate', parameters: { prompt: 'a' } });
		await scene.close();
		const [first, second] = scene.emulator.requests.filter(({ path }) => path.includes('/job/'));
		const gapMs = (second?.startedAtMs ?? 0) - (first?.startedAtMs ?? 0);
		expect(gapMs).toBeGreaterThanOrEqual(pauseMs);
		expect(gapMs).toBeLessThan(pauseMs + 2000);
	});

	it('is clipped to the deadline, where a last look finds the finished job', async () => {
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

	it('is clipped to the deadline when it asks all looks to slow down, too', async () => {
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
		expect(elapsedMs(scene.clock)).toBeLessThanOrEqual(10_000 + LAST_LOOK_MS);
	});

	it('beyond a submit’s budget ends its tries at once', async () => {
		const scene = await openScene();
		scene.emulator.faults.add({
			at: 'submit',
			kind: 'respond',
			status: 429,
			headers: { 'retry-after': '61' },
		});
		const { error } = await scene.run({ node: 'imageGenerate', parameters: { prompt: 'a' } });
		await scene.close();
		expect(error?.description).toMatch(/nothing was charged/);
		expect(scene.postCount()).toBe(1);
		expect(elapsedMs(scene.clock)).toBe(0);
	});

	it('is read strictly: any text gives a time from now on, or none', () => {
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

it('backs off by doubling, with jitter, up to a limit', () => {
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
