import type { FaultPlace } from '../emulator/emulator';
import { deferred } from '../support/deferred';
import { numbered } from '../support/items';
import { RETRIES, useScene } from '../support/scene';

// What becomes of a request or an upload that is open at Stop: unit/submit, unit/jobBook, and unit/upload.

/** From Stop until nothing moves any more. */
const SILENCE_MS = 1000;
const STOPPED = 'info The execution was stopped';
const realTime = async (ms: number) => await new Promise((resolve) => setTimeout(resolve, ms));

const scene = useScene({ jobDurationMs: 0 });

type Trouble = { at: FaultPlace } & ({ kind: 'stall' | 'stallBody' } | { status: number });

/**
 * Runs a node and stops it as soon as a request is stalled, or two have been told to pause. A sleep that
 * goes on after Stop passes at once, and shows on the nodes' clock alone.
 */
async function runUntilStopped(trouble: Trouble, options: Parameters<typeof scene.run>[0]) {
	const { clock, emulator } = scene;
	const { requests, faults } = emulator;
	const stop = deferred();
	const isPause = 'status' in trouble;
	let stoppedAt = { realMs: Number.NaN, virtualMs: Number.NaN, requests: Number.NaN };
	const stopNow = (): void => {
		const now = { realMs: performance.now(), virtualMs: clock.now() };
		stoppedAt = { ...now, requests: requests.length };
		stop.resolve();
	};
	const stopOnceAnswered = (): void => {
		const isOpen = isPause && requests.some(({ endedAtMs }) => endedAtMs === undefined);
		setTimeout(isOpen ? stopOnceAnswered : stopNow, 30);
	};
	let struck = 0;
	faults.add({
		...(isPause ? { kind: 'respond', headers: { 'retry-after': '20' }, ...trouble } : trouble),
		times: Infinity,
		match: () => {
			// Time stands still from now on.
			clock.begin();
			if (++struck === (isPause ? 2 : 1)) setTimeout(stopOnceAnswered, 30);
			return true;
		},
	});
	const given = { nodeSettings: RETRIES, ...options, cancelWhen: stop.promise };
	const result = await scene.run(given);
	const silentMs = [performance.now() - stoppedAt.realMs, clock.now() - stoppedAt.virtualMs];
	expect(Math.max(...silentMs)).toBeLessThan(SILENCE_MS);
	// Whatever were still to come would come now.
	await realTime(50);
	expect(requests.length).toBe(stoppedAt.requests);
	return result;
}

// The first of them, since it measures no time: the first run loads what all of them need.
it('logs the jobs that are still running, not those that are finished', async () => {
	scene.wishes.push({}, { durationMs: Infinity });
	const stop = deferred();
	const startedAtMs = scene.clock.now();
	const match = (): boolean => {
		const isLate = scene.clock.now() - startedAtMs >= 10_000;
		if (isLate) stop.resolve();
		return isLate;
	};
	scene.emulator.faults.add({ at: 'poll', kind: 'stall', match });
	const { log } = await scene.generate({}, { items: numbered(2), cancelWhen: stop.promise });
	const line = log.find((each) => each.startsWith(STOPPED));
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
	const { calls, log } = await runUntilStopped(trouble, {
		node: 'imageGenerate',
		parameters: { prompt: '={{ "item " + $itemIndex }}', options: { maxConcurrentJobs: 2 } },
		items: numbered(4),
	});
	expect(scene.paidPrompts()).toEqual(['item 0', 'item 1']);
	const line = log.findLast((each) => each.startsWith(STOPPED));
	for (const { jobId } of scene.emulator.submits) expect(line).toContain(jobId);
	// n8n runs the node again, and its signal is aborted from the start.
	expect(calls).toBe(3);
});

it('ends Get Job within a second', async () => {
	const jobId = scene.emulator.jobs.add().id;
	const parameters = { jobId, waitForCompletion: true };
	await runUntilStopped({ at: 'poll', kind: 'stall' }, { node: 'getJob', parameters });
});
