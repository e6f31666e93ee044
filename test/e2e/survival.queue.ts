import { isN8n1, useLab } from './lab';
import { begin, ofBodies, retryAll, several, Trial } from './survival';

// A worker is killed while jobs run: nothing is paid for twice by the next one.

/** A killed worker's jobs soon count as stalled, for workers that look. */
const STALLS = { QUEUE_WORKER_LOCK_DURATION: '5000', QUEUE_WORKER_LOCK_RENEW_TIME: '1000' };
/** As docs/scaling.md advises: n8n 2 saves a stalled execution without its data, and a retry runs nothing. */
const NEVER_LOOKS = { ...STALLS, QUEUE_WORKER_STALLED_INTERVAL: '0' };
const RUNS_AGAIN = {
	...STALLS,
	QUEUE_WORKER_STALLED_INTERVAL: '3000',
	QUEUE_WORKER_MAX_STALLED_COUNT: '1',
};

const lab = useLab(() => ({ jobDurationMs: Infinity }), [beforeAll, afterAll]);

beforeAll(async () => {
	await lab.addWorker(NEVER_LOOKS);
	await lab.crashWorker();
}, 200_000);

afterAll(async () => {
	await lab.addWorker();
	await lab.crashWorker();
}, 200_000);

it('Retry on the next worker pays for nothing twice', async () => {
	// Five executions: what one worker runs at once.
	const trials = [
		several('killed', 5),
		several('killed, trigger last', 5, { triggerLast: true }),
		ofBodies('killed, three', 3),
	].map((scenario) => new Trial(lab, scenario));
	await begin(lab, ...trials);
	await lab.crashWorker();
	await lab.addWorker(NEVER_LOOKS);
	await retryAll(trials);
	const told = trials.map((trial) => [trial.scenario.name, trial.told] as const);
	expect(told.map(([name, [is]]) => [name, is])).toEqual(
		told.map(([name, [, shouldBe]]) => [name, shouldBe]),
	);
}, 200_000);

// n8n 2 runs none of them again.
if (isN8n1) {
	it('what n8n 1 runs again as stalled resumes its jobs', async () => {
		const trial = new Trial(lab, ofBodies('stalled', 6));
		// Before the executions begin: a worker that starts on the same data calls those that run crashed.
		await lab.addWorker(RUNS_AGAIN);
		await begin(lab, trial);
		const startsBefore = await starts();
		await lab.crashWorker();
		await retryAll([trial]);
		expect(await starts()).toBeGreaterThan(startsBefore);
		const ids = await trial.executions();
		expect(ids).toHaveLength(6);
		const ended = ids.map(async (id) => await lab.n8n.waitForExecution(id));
		trial.retried = await Promise.all(ended);
		const [is, shouldBe] = trial.told;
		expect(is).toEqual(shouldBe);
	}, 200_000);
}

async function starts(): Promise<number> {
	return (await lab.log()).split('Worker started execution').length;
}
