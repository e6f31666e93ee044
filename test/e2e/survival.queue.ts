import { openLab, type Lab } from './lab';
import { ofBody, several, Survival, type Scenario } from './survival';

// A worker is killed while jobs run: nothing is paid for twice by the other one.

/** Lets workers see at once that another one is gone. */
const WATCHFUL = {
	QUEUE_WORKER_LOCK_DURATION: '5000',
	QUEUE_WORKER_LOCK_RENEW_TIME: '1000',
	QUEUE_WORKER_STALLED_INTERVAL: '3000',
};
/** What n8n 2 does in any case. */
const RUNS_NOTHING_AGAIN = { ...WATCHFUL, QUEUE_WORKER_MAX_STALLED_COUNT: '0' };
const RUNS_AGAIN = { ...WATCHFUL, QUEUE_WORKER_MAX_STALLED_COUNT: '1' };

const isN8n1 = process.env.E2E_N8N_RELEASE === 'n8n-1.123';

let lab: Lab;
let survival: Survival;

beforeAll(async () => {
	lab = await openLab({ jobDurationMs: Infinity });
	survival = new Survival(lab);
	await lab.addWorker(RUNS_NOTHING_AGAIN);
	await lab.crashWorker();
}, 200_000);

afterAll(async () => {
	await lab.addWorker();
	await lab.crashWorker();
	await lab.close();
}, 200_000);

it('Retry on the other worker pays for nothing twice', async () => {
	const scenarios: Scenario[] = [
		{ ...several('killed', 5), startedJobs: 5, paid: 5, images: 5 },
		{
			...several('killed, trigger last', 5),
			startedJobs: 5,
			paid: 5,
			images: 5,
			triggerLast: true,
		},
		{ ...ofBody('killed, three', 3), startedJobs: 3, paid: 3, images: 3 },
	];
	// Five executions: what one worker runs at once.
	await survival.begin(scenarios);
	await lab.addWorker(RUNS_NOTHING_AGAIN);
	await lab.crashWorker();
	await survival.retry(scenarios);
	for (const scenario of scenarios) {
		const { paid, images } = scenario;
		expect(survival.toldOf(scenario)).toEqual({ paid, images, unknown: 0, endings: [] });
	}
}, 200_000);

// n8n 2 runs none of them again.
(isN8n1 ? it : it.skip)(
	'what n8n 1 runs again as stalled resumes its jobs',
	async () => {
		const scenario: Scenario = { ...ofBody('stalled', 6), startedJobs: 6, paid: 6, images: 6 };
		// Before the executions begin: a worker that starts on the same data calls those that run crashed.
		await lab.addWorker(RUNS_AGAIN);
		await survival.begin([scenario]);
		const startsBefore = await starts();
		await lab.crashWorker();
		await survival.retry([scenario]);
		expect(await starts()).toBeGreaterThan(startsBefore);
		const [saved] = survival.workflowsOf.get(scenario.name) ?? [];
		if (!saved) throw new Error('There is none.');
		const ended = await lab.n8n.endedExecutions(saved);
		const succeeded = ended.filter(({ status }) => status === 'success');
		expect(succeeded).toHaveLength(6);
		expect(ended).toHaveLength(6);
		const executions = succeeded.map(async ({ id }) => await lab.n8n.waitForExecution(id));
		survival.retriedOf.set(scenario.name, await Promise.all(executions));
		expect(survival.toldOf(scenario)).toEqual({ paid: 6, images: 6, unknown: 0, endings: [] });
	},
	200_000,
);

async function starts(): Promise<number> {
	return (await lab.workerLog()).split('Worker started execution').length;
}
