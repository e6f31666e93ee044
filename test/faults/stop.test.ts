import type { FaultPlace } from '../emulator/emulator';
import { startBinaryStorage, type EngineResult } from '../support/engine';
import { openScene, type Scene } from '../support/scene';

/** From Stop until nothing moves any more. */
const SILENCE_MS = 1000;

beforeAll(startBinaryStorage);
// A run that outlives its test would go on in real time, beside the next one.
jest.setTimeout(60_000);

let scene: Scene;

afterEach(async () => {
	await scene.close();
});

interface Stopped extends EngineResult {
	/** From Stop to the end of the run, in real time or on the nodes' clock, whichever is more. */
	silenceMs: number;
	/** Requests that came in after Stop. */
	lateRequestCount: number;
}

/** A sleep that goes on after Stop passes at once in real time, and shows on the nodes' clock alone. */
function silenceFromNow(): () => number {
	const { clock } = scene;
	const [realMs, virtualMs] = [performance.now(), clock.now()];
	return () => Math.max(performance.now() - realMs, clock.now() - virtualMs);
}

/** Stops an execution as soon as a fault strikes at a place, or `when` says. */
async function stopAt(
	fault: { at: FaultPlace; kind: 'stall' | 'stallBody' } | { at: FaultPlace; status: number },
	node: 'imageGenerate' | 'getJob' = 'imageGenerate',
): Promise<Stopped> {
	const { emulator } = scene;
	let stop: () => void = () => undefined;
	const stopped = new Promise<void>((resolve) => {
		stop = resolve;
	});
	emulator.faults.add({
		times: Infinity,
		...('status' in fault
			? { at: fault.at, kind: 'respond', status: fault.status, headers: { 'retry-after': '20' } }
			: fault),
		match: () => {
			// Time stands still from now on, and Stop comes when the answer, if any, has come.
			scene.clock.begin();
			setTimeout(stop, 30);
			return true;
		},
	});
	let silence = () => Number.NaN;
	let requestCount = 0;
	void stopped.then(() => {
		silence = silenceFromNow();
		requestCount = emulator.requests.length;
	});
	const ids = node === 'getJob' ? [emulator.jobs.add().id, emulator.jobs.add().id] : ['', ''];
	const result = await scene.run({
		node,
		parameters:
			node === 'getJob'
				? { jobId: '={{ $json.id }}', waitForCompletion: true }
				: { prompt: '={{ "item " + $itemIndex }}', options: { maxConcurrentJobs: 2 } },
		items: [...ids, '', ''].slice(0, node === 'getJob' ? 2 : 4).map((id) => ({ json: { id } })),
		nodeSettings: { retryOnFail: true, maxTries: 3, waitBetweenTries: 1 },
		cancelWhen: stopped,
	});
	const silenceMs = silence();
	// Whatever were still to come would come now.
	await new Promise((resolve) => setTimeout(resolve, 50));
	return { ...result, silenceMs, lateRequestCount: emulator.requests.length - requestCount };
}

function infoLines({ log }: EngineResult): string[] {
	return log.filter((line) => line.startsWith('info ') && line.includes('AetherForge'));
}

describe('Stop', () => {
	beforeEach(async () => {
		scene = await openScene({ jobDurationMs: 0 });
	});

	it.each([
		{ at: 'poll', kind: 'stall' },
		{ at: 'poll', kind: 'stallBody' },
		{ at: 'download', kind: 'stall' },
		{ at: 'download', kind: 'stallBody' },
		{ at: 'poll', status: 429 },
		{ at: 'poll', status: 503 },
		{ at: 'download', status: 503 },
	] as const)('ends within a second what is under way, and names the jobs: %j', async (fault) => {
		const { silenceMs, lateRequestCount, ...result } = await stopAt(fault);
		expect(silenceMs).toBeLessThan(SILENCE_MS);
		expect(lateRequestCount).toBe(0);
		expect(scene.paidPrompts()).toEqual(['item 0', 'item 1']);
		const stopLine = infoLines(result).at(-1);
		for (const { jobId } of scene.emulator.submits) expect(stopLine).toContain(jobId);
		// n8n runs the node again, and its signal is aborted from the start.
		expect(result.calls).toBe(3);
	});

	it.each([
		{ at: 'poll', kind: 'stall' },
		{ at: 'download', kind: 'stallBody' },
		{ at: 'poll', status: 503 },
	] as const)('ends looking up: %j', async (fault) => {
		const { silenceMs, lateRequestCount } = await stopAt(fault, 'getJob');
		expect(silenceMs).toBeLessThan(SILENCE_MS);
		expect(lateRequestCount).toBe(0);
	});

	it.each(['stall', 'stallBody'] as const)(
		'logs a submit that it cut off as unclear, with its item: %s',
		async (kind) => {
			const { silenceMs, lateRequestCount, log } = await stopAt({ at: 'submit', kind });
			expect(silenceMs).toBeLessThan(SILENCE_MS);
			expect(lateRequestCount).toBe(0);
			expect(scene.postCount()).toBe(2);
			for (const index of [0, 1]) {
				expect(log).toContainEqual(
					expect.stringMatching(new RegExp(`not known whether .* for item ${index}\\b`)),
				);
			}
		},
	);

	it('submits nothing more out of the back-off after 429', async () => {
		const { silenceMs, lateRequestCount, log } = await stopAt({ at: 'submit', status: 429 });
		// 429 is a clear answer.
		expect(log.join('\n')).not.toContain('not known whether');
		expect(silenceMs).toBeLessThan(SILENCE_MS);
		expect(lateRequestCount).toBe(0);
		expect(scene.emulator.submits).toEqual([]);
	});

	it('remembers what it stopped, where n8n keeps it', async () => {
		const first = await stopAt({ at: 'poll', kind: 'stall' });
		scene.emulator.faults.clear();
		const again = await scene.run({
			node: 'imageGenerate',
			parameters: { prompt: '={{ "item " + $itemIndex }}' },
			items: Array.from({ length: 4 }, () => ({ json: { id: '' } })),
			retryOf: first,
		});
		expect(again.items).toHaveLength(4);
		expect(scene.paidPrompts()).toEqual(['item 0', 'item 1', 'item 2', 'item 3']);
	});
});

it('stops in the midst of waiting for jobs that take long', async () => {
	let stop: () => void = () => undefined;
	const stopped = new Promise<void>((resolve) => {
		stop = resolve;
	});
	let silence = () => Number.NaN;
	let requestCount = 0;
	scene = await openScene({
		jobDurationMs: Infinity,
		onRequest: ({ method }) => {
			if (method !== 'GET' || scene.emulator.requests.length !== 12) return;
			silence = silenceFromNow();
			requestCount = scene.emulator.requests.length;
			stop();
		},
	});
	const result = await scene.run({
		node: 'imageGenerate',
		parameters: { prompt: 'a', options: { timeout: 1_000_000 } },
		items: [{ json: {} }, { json: {} }],
		nodeSettings: { retryOnFail: true, maxTries: 2, waitBetweenTries: 1 },
		cancelWhen: stopped,
	});
	expect(silence()).toBeLessThan(SILENCE_MS);
	expect(scene.emulator.submits).toHaveLength(2);
	// A look may have left the node when Stop came.
	expect(scene.emulator.requests.length - requestCount).toBeLessThanOrEqual(2);
	for (const { jobId } of scene.emulator.submits) {
		expect(infoLines(result).at(-1)).toContain(jobId);
	}
});

it('sends nothing when the execution was stopped before', async () => {
	scene = await openScene();
	const result = await scene.run({
		node: 'imageGenerate',
		parameters: { prompt: 'a' },
		nodeSettings: { retryOnFail: true, maxTries: 3, waitBetweenTries: 1 },
		cancelWhen: Promise.resolve(),
	});
	expect(result.items).toEqual([]);
	expect(scene.emulator.requests).toEqual([]);
});
