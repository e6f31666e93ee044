import { randomUUID } from 'node:crypto';
import * as fc from 'fast-check';
import type { IRunData } from 'n8n-workflow';

import { days, type Day } from '../simulator/day';
import { play } from '../simulator/run';
import { isNewest, useLab } from './lab';
import { until } from './real-n8n/until';
import { chain, imageGenerate, webhook, workflow } from './workflow';

// What the simulator says that n8n keeps of an execution, and what this n8n keeps: it must be the same.

interface Case {
	how: string;
	ending: 'crash' | 'stop' | 'error' | 'timeout';
	triggerLast?: boolean;
	savesProgress?: boolean;
}

/** What a retry found and did. */
interface Kept {
	ending: string;
	/** How the runs of each node ended; those that n8n made up have no time of their own. */
	trigger: string[];
	node: string[];
	/** Of both executions together. */
	paidJobs: number;
}

const TIMEOUT_S = 3;
/** On SIGTERM n8n leaves executions hardly any time: they are crashed then. */
const GRACE = { N8N_GRACEFUL_SHUTDOWN_TIMEOUT: '1' };

const lab = useLab(() => ({ jobDurationMs: 120_000 }), [beforeAll, afterAll]);

beforeAll(async () => {
	await lab.restartN8n(GRACE);
}, 200_000);

afterAll(async () => {
	await lab.restartN8n();
}, 200_000);

it.each<Case>([
	{ how: 'an error', ending: 'error' },
	{ how: 'a crash', ending: 'crash' },
	{ how: 'a crash, trigger last', ending: 'crash', triggerLast: true },
	{ how: 'a crash with progress', ending: 'crash', savesProgress: true },
	{ how: 'Stop', ending: 'stop' },
	{ how: 'the workflow timeout', ending: 'timeout' },
])(
	'n8n keeps of $how what the simulator says',
	async (given) => {
		const expected = [await keptByModel(given, false)];
		// Stop's own write and that of the execution's end race in n8n.
		if (given.ending === 'stop') expected.push(await keptByModel(given, true));
		expect(expected).toContainEqual(await keptByN8n(given));
	},
	200_000,
);

function endingsIn(runs: IRunData[string] = []): string[] {
	return runs.map(({ executionStatus: status = 'none', executionTime, data }) => {
		const isMadeUp = data?.main?.[0]?.[0]?.json.isArtificialRecoveredEventItem === true;
		return isMadeUp || (status === 'crashed' && executionTime <= 0) ? `made up: ${status}` : status;
	});
}

async function keptByN8n({ ending, triggerLast, savesProgress = false }: Case): Promise<Kept> {
	const before = lab.emulator.submits.length;
	const path = randomUUID();
	const options = { timeout: ending === 'error' ? 1 : 600 };
	const nodes = chain(webhook(path), imageGenerate({ prompt: 'a fox', options }));
	const file = workflow('Persistence', nodes);
	if (triggerLast) file.nodes.reverse();
	const executionTimeout = ending === 'timeout' ? TIMEOUT_S : -1;
	file.settings = { ...file.settings, saveExecutionProgress: savesProgress, executionTimeout };
	const saved = await lab.save(file);
	await lab.n8n.activate(saved);
	const answer = lab.n8n.post(`webhook/${path}`, {}).catch(() => undefined);
	await until(() => lab.emulator.submits.length === before + 1);
	const { id } = await until(async () => (await lab.n8n.executions(saved))[0]);
	if (ending === 'stop') await lab.n8n.stop(id);
	if (ending === 'crash') await lab.restartN8n(GRACE);
	await lab.n8n.waitForExecution(id);
	await answer;
	const finishing = setInterval(lab.finishJobs, 500);
	lab.finishJobs();
	const { status, runData } = await lab.n8n.retry(id, { timeoutSeconds: 30 }).finally(() => {
		clearInterval(finishing);
	});
	await lab.n8n.deactivate(saved);
	return {
		ending: status,
		trigger: endingsIn(runData.Start),
		node: endingsIn(runData.Generate),
		paidJobs: lab.emulator.submits.length - before,
	};
}

/** A day of which the first choice of everything is drawn: nothing happens in it. */
function simplestDay(): Day {
	const lowest = -0x80000000;
	const first = {
		clone() {
			return this;
		},
		next: () => lowest,
		getState: () => [],
	};
	const [day] = fc.sample(days(), { numRuns: 1, randomType: () => first });
	if (day === undefined) throw new Error('No day was drawn.');
	return day;
}

async function keptByModel(
	{ ending, triggerLast = false, savesProgress = false }: Case,
	keepsStopped: boolean,
): Promise<Kept> {
	const isDisrupted = ending === 'crash' || ending === 'stop';
	const simplest = simplestDay();
	const day: Day = {
		...simplest,
		// What was canceled and saved is run again by newer versions only; 2.8 does as 1.123 does.
		n8n: isNewest ? '2.41' : '1.123',
		mode: 'webhook',
		latencyMs: 20,
		triggerLast,
		savesProgress,
		timeoutAfterMs: ending === 'timeout' ? TIMEOUT_S * 1000 : undefined,
		keepsStopped,
		options: { ...simplest.options, timeout: ending === 'error' ? 1 : 600 },
		jobs: ['neverEnds'],
		disruption: isDisrupted ? { kind: ending, at: 'poll', nth: 0, delayMs: 0 } : undefined,
	};
	const { n8n, service } = await play(day);
	const [first, retried] = n8n.executions;
	const runData = (retried ?? first)?.result?.resultData.runData ?? {};
	return {
		// Of what was canceled n8n 1 runs nothing, and calls it a success.
		ending: retried?.result?.resultData.error ? 'error' : 'success',
		trigger: endingsIn(runData.Hook),
		node: retried ? endingsIn(runData.Node) : [],
		paidJobs: service.emulator.submits.length,
	};
}
