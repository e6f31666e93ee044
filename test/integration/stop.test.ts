import type { FaultPlace } from '../emulator/emulator';
import { deferred } from '../support/deferred';
import type { EngineOptions, EngineResult } from '../support/engine';
import { numbered } from '../support/items';
import { RETRIES, useScene } from '../support/scene';

// What becomes of a request or an upload that is open at Stop: unit/submit, unit/jobBook, and unit/upload.

/** From Stop until nothing moves any more. */
const SILENCE_MS = 1000;
const PROMPT = { prompt: '={{ "item " + $itemIndex }}' };

const scene = useScene({ jobDurationMs: 0 });
/** Stops the execution. */
let stop: ReturnType<typeof deferred>;

beforeEach(() => {
	stop = deferred();
});

interface Stopped extends EngineResult {
	/** From Stop to the end of the run, in real time or on the nodes' clock, whichever is more. */
	silenceMs: number;
	/** Requests that came in after Stop. */
	lateRequests: number;
}

const realTime = async (ms: number) => await new Promise((resolve) => setTimeout(resolve, ms));

/** Runs what `stop` ends. A sleep that goes on after it passes at once, and shows on the nodes' clock alone. */
async function runUntilStopped(options: EngineOptions): Promise<Stopped> {
	const { clock, emulator } = scene;
	let stoppedAt = { realMs: Number.NaN, virtualMs: Number.NaN, requests: Number.NaN };
	void stop.promise.then(() => {
		const requests = emulator.requests.length;
		stoppedAt = { realMs: performance.now(), virtualMs: clock.now(), requests };
	});
	const result = await scene.run({ ...options, cancelWhen: stop.promise });
	const { realMs, virtualMs, requests } = stoppedAt;
	const silenceMs = Math.max(performance.now() - realMs, clock.now() - virtualMs);
	// Whatever were still to come would come now.
	await realTime(50);
	return { ...result, silenceMs, lateRequests: emulator.requests.length - requests };
}

/** Lets time stand still from now on, and stops the execution a moment later. */
function stopSoon(): void {
	scene.clock.begin();
	setTimeout(stop.resolve, 30);
}

type Trouble = { at: FaultPlace } & ({ kind: 'stall' | 'stallBody' } | { status: number });

/** Stops a run as soon as one item is stalled, or two have been told to pause. */
async function stopAt(trouble: Trouble, options: EngineOptions): Promise<Stopped> {
	const { requests, faults } = scene.emulator;
	const isPause = 'status' in trouble;
	const stopOnceAnswered = (): void => {
		if (!isPause || requests.every(({ endedAtMs }) => endedAtMs !== undefined)) stopSoon();
		else setTimeout(stopOnceAnswered, 10);
	};
	let struck = 0;
	faults.add({
		...(isPause ? { kind: 'respond', headers: { 'retry-after': '20' }, ...trouble } : trouble),
		times: Infinity,
		match: () => {
			scene.clock.begin();
			if (++struck === (isPause ? 2 : 1)) setTimeout(stopOnceAnswered, 30);
			return true;
		},
	});
	return await runUntilStopped({ nodeSettings: RETRIES, ...options });
}

// The first of them, since it measures no time: the first run loads what all of them need.
it('logs the jobs that are still running, not those that are finished', async () => {
	scene.wishes.push({ durationMs: 0 }, { durationMs: Infinity });
	const startedAtMs = scene.clock.now();
	scene.emulator.faults.add({
		at: 'poll',
		kind: 'stall',
		match: () => {
			const isLate = scene.clock.now() - startedAtMs >= 10_000;
			if (isLate) stopSoon();
			return isLate;
		},
	});
	const { log } = await runUntilStopped({
		node: 'imageGenerate',
		parameters: PROMPT,
		items: numbered(2),
	});
	const line = log.find((each) => each.startsWith('info The execution was stopped'));
	expect(line).toContain(scene.jobIdOf(1));
	expect(line).not.toContain(scene.jobIdOf(0));
});

it.each<Trouble>([
	{ at: 'poll', kind: 'stall' },
	{ at: 'poll', kind: 'stallBody' },
	{ at: 'download', kind: 'stall' },
	{ at: 'download', kind: 'stallBody' },
	{ at: 'poll', status: 503 },
	{ at: 'download', status: 503 },
])('ends within a second what is under way, and names the jobs: %j', async (trouble) => {
	const { silenceMs, lateRequests, calls, log } = await stopAt(trouble, {
		node: 'imageGenerate',
		parameters: { ...PROMPT, options: { maxConcurrentJobs: 2 } },
		items: numbered(4),
	});
	expect(silenceMs).toBeLessThan(SILENCE_MS);
	expect(lateRequests).toBe(0);
	expect(scene.paidPrompts()).toEqual(['item 0', 'item 1']);
	const line = log.findLast((each) => each.startsWith('info The execution was stopped'));
	for (const { jobId } of scene.emulator.submits) expect(line).toContain(jobId);
	// n8n runs the node again, and its signal is aborted from the start.
	expect(calls).toBe(3);
});

it('ends Get Job within a second', async () => {
	const ids = [scene.emulator.jobs.add().id, scene.emulator.jobs.add().id];
	const { silenceMs, lateRequests } = await stopAt(
		{ at: 'poll', kind: 'stall' },
		{
			node: 'getJob',
			parameters: { jobId: '={{ $json.id }}', waitForCompletion: true },
			items: ids.map((id) => ({ json: { id } })),
		},
	);
	expect(silenceMs).toBeLessThan(SILENCE_MS);
	expect(lateRequests).toBe(0);
});

it('during the paid POST ends at once, and the late job IDs go to the log', async () => {
	const answer = deferred();
	let count = 0;
	scene.emulator.faults.add({
		at: 'submit',
		kind: 'hold',
		until: answer.promise,
		times: 2,
		match: () => {
			scene.clock.begin();
			if (++count === 2) stopSoon();
			return true;
		},
	});
	const given = { node: 'imageGenerate', parameters: PROMPT, items: numbered(2) };
	const { silenceMs, log } = await runUntilStopped(given);
	expect(silenceMs).toBeLessThan(SILENCE_MS);
	const { submits, requests } = scene.emulator;
	for (const { jobId } of submits) expect(log.join()).not.toContain(jobId);
	expect(log.filter((line) => line.startsWith('warn It is')).sort()).toEqual([
		expect.stringMatching(/^warn It is not known whether .* a job for item 0\b/),
		expect.stringMatching(/^warn It is not known whether .* a job for item 1\b/),
	]);

	const before = log.length;
	answer.resolve();
	for (let turn = 0; turn < 200 && log.length < before + 2; turn++) await realTime(5);
	// Jest fails a test with an unhandled rejection, if that comes before its end.
	await realTime(30);
	expect(log.slice(before).sort()).toEqual(
		submits
			.map(({ jobId, fields }) => `info AetherForge started the job ${jobId} for ${fields.prompt}`)
			.sort(),
	);
	// The client has not hung up before.
	expect(requests.map(({ status }) => status)).toEqual([200, 200]);
});
