import type { AddedFault } from '../emulator/emulator';
import { startBinaryStorage, type EngineOptions, type EngineResult } from '../support/engine';
import { deferred } from '../support/deferred';
import { openScene, type Scene } from '../support/scene';

beforeAll(startBinaryStorage);
// A run that outlives its test would go on in real time, beside the next one.
jest.setTimeout(60_000);

let scene: Scene;

beforeEach(async () => {
	scene = await openScene({ jobDurationMs: 0 });
});

afterEach(async () => {
	await scene.close();
});

const CONTINUES: Partial<EngineOptions> = { nodeSettings: { onError: 'continueErrorOutput' } };
const MODES: [string, Partial<EngineOptions>][] = [
	['that ends at the first failure', {}],
	['that continues on error', CONTINUES],
];
/** What a run submits side by side. */
const CONCURRENT_SUBMITS = 20;
/** Doubling from one second up to sixteen, so many tries fit into 90 seconds. */
const MOST_PROBES = 9;

async function generate(
	itemCount: number,
	engine: Partial<EngineOptions> = {},
): Promise<EngineResult> {
	return await scene.run({
		node: 'imageGenerate',
		parameters: { prompt: '={{ "item " + $itemIndex }}', waitForCompletion: false },
		items: Array.from({ length: itemCount }, (_, id) => ({ json: { id } })),
		...engine,
	});
}

/** A service that accepts a submit only so long after the one before. */
function acceptOneEvery(intervalMs: number): AddedFault {
	let acceptedAtMs = -Infinity;
	return scene.emulator.faults.add({
		at: 'submit',
		kind: 'respond',
		status: 429,
		body: { detail: 'Slow down' },
		times: Infinity,
		match: () => {
			const now = scene.clock.now();
			if (now - acceptedAtMs < intervalMs) return true;
			acceptedAtMs = now;
			return false;
		},
	});
}

function limit(times: number, retryAfter?: string): AddedFault {
	return scene.emulator.faults.add({
		at: 'submit',
		kind: 'respond',
		status: 429,
		body: { detail: 'Slow down' },
		times,
		...(retryAfter === undefined ? {} : { headers: { 'retry-after': retryAfter } }),
	});
}

/** When the POSTs came in, from the first one on, in milliseconds. */
function postTimes(): number[] {
	const posts = scene.emulator.requests.filter(({ method }) => method === 'POST');
	return posts.map(({ startedAtMs }) => startedAtMs - (posts[0]?.startedAtMs ?? 0));
}

describe.each(MODES)('in a run %s', (_, mode) => {
	it('20 items all get through a service that takes one submit per second', async () => {
		acceptOneEvery(1000);
		const { error, items, errorItems } = await generate(20, mode);
		expect(error).toBeUndefined();
		expect(errorItems).toEqual([]);
		expect(items.map(({ json }) => json.prompt)).toEqual(
			Array.from({ length: 20 }, (__, index) => `item ${index}`),
		);
		expect(scene.emulator.submits).toHaveLength(20);
		expect(scene.postCount()).toBeLessThanOrEqual(4 * 20);
	});

	it('the 90 seconds start anew whenever a job is accepted', async () => {
		acceptOneEvery(40_000);
		const { error, items } = await generate(6, mode);
		expect(error).toBeUndefined();
		expect(items).toHaveLength(6);
		expect(scene.emulator.submits).toHaveLength(6);
		expect(postTimes().at(-1)).toBeGreaterThan(5 * 40_000);
	});

	it.each(['0', 'Sun, 22 Nov 2026 11:00:00 GMT'])(
		'Retry-After without a wait does not lead to a burst: %s',
		async (retryAfter) => {
			limit(Infinity, retryAfter);
			const { error, errorItems } = await generate(30, mode);
			expect(scene.emulator.submits).toEqual([]);
			expect(scene.postCount()).toBeLessThanOrEqual(CONCURRENT_SUBMITS + MOST_PROBES);
			const later = postTimes().slice(CONCURRENT_SUBMITS);
			expect(later.length).toBeGreaterThan(3);
			later.forEach((at, index) => {
				expect(at - (later[index - 1] ?? 0)).toBeGreaterThanOrEqual(1000);
			});
			expect(later.at(-1)).toBeLessThanOrEqual(90_000);
			const failures = errorItems.map(({ json }) => json.error);
			for (const failure of mode === CONTINUES ? failures : [error?.context.data]) {
				expect(failure).toMatchObject({ http_status: 429 });
			}
			expect(errorItems).toHaveLength(mode === CONTINUES ? 30 : 0);
		},
	);

	it('a Retry-After of a minute is waited for, once for all items', async () => {
		limit(3, '60');
		const { error, items } = await generate(3, mode);
		expect(error).toBeUndefined();
		expect(items).toHaveLength(3);
		const again = postTimes().slice(3);
		expect(again).toHaveLength(3);
		for (const at of again) {
			expect(at).toBeGreaterThanOrEqual(60_000);
			expect(at).toBeLessThanOrEqual(90_000);
		}
	});

	it('a Retry-After beyond the 90 seconds ends the tries at once', async () => {
		limit(Infinity, '91');
		const { error, errorItems } = await generate(1, mode);
		const failure = mode === CONTINUES ? errorItems[0]?.json.error : error;
		expect(failure).toMatchObject({
			message: expect.stringMatching(/is rate limiting/) as string,
			description: expect.stringMatching(/nothing was charged/) as string,
		});
		expect(postTimes()).toEqual([0]);
	});
});

it('one probe at a time asks whether the API accepts jobs again', async () => {
	limit(CONCURRENT_SUBMITS);
	const held = deferred();
	scene.emulator.faults.add({
		at: 'submit',
		kind: 'hold',
		until: held.promise,
		match: () => {
			// Any others would have the time to come in.
			setTimeout(held.resolve, 50);
			return true;
		},
	});
	let postsBeforeAnswer = 0;
	void held.promise.then(() => {
		postsBeforeAnswer = scene.postCount();
	});
	const { items } = await generate(CONCURRENT_SUBMITS);
	expect(items).toHaveLength(CONCURRENT_SUBMITS);
	expect(postsBeforeAnswer).toBe(CONCURRENT_SUBMITS + 1);
});

it('jobs that are accepted again end the probing, and the rest are submitted side by side', async () => {
	limit(1);
	const held = deferred();
	let heldCount = 0;
	scene.emulator.faults.add({
		at: 'submit',
		kind: 'hold',
		until: held.promise,
		times: Infinity,
		match: () => {
			if (scene.emulator.submits.length < 30) return false;
			if (heldCount++ === 0) setTimeout(held.resolve, 50);
			return true;
		},
	});
	let atOnceCount = 0;
	void held.promise.then(() => {
		atOnceCount = heldCount;
	});
	const { items } = await generate(60);
	expect(items).toHaveLength(60);
	expect(atOnceCount).toBeGreaterThan(1);
	expect(postTimes().at(-1)).toBeLessThanOrEqual(2000);
});

it('jobs that were accepted beside a rate-limited one are named when it fails', async () => {
	scene.emulator.faults.add({
		at: 'submit',
		kind: 'respond',
		status: 429,
		times: Infinity,
		match: ({ form }) => form?.fields.prompt === 'item 1',
	});
	const { error } = await generate(3);
	const jobIds = scene.emulator.submits.map(({ jobId }) => jobId);
	expect(jobIds).toHaveLength(2);
	expect(error?.context.data).toMatchObject({ http_status: 429, running_job_ids: jobIds });
});
