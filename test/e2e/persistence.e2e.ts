import { randomUUID } from 'node:crypto';
import type { IRunData } from 'n8n-workflow';

import type { Day, Disruption } from '../simulator/day';
import { play } from '../simulator/run';
import { openLab, until, type Lab } from './lab';
import type { SavedWorkflow } from './real-n8n/rest-client';
import { finishJobs, save } from './scenarios';
import { chain, imageGenerate, webhook, workflow } from './workflow';

// What the simulator says that n8n keeps of an execution, and what this n8n keeps: it must be the same.

interface Case {
	how: string;
	ending: Disruption['kind'] | 'error' | 'timeout';
	triggerLast: boolean;
	savesProgress: boolean;
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

const JOB_MS = 120_000;
const TIMEOUT_S = 3;

const CASES: Case[] = [
	{ how: 'an error', ending: 'error', triggerLast: false, savesProgress: false },
	{ how: 'a crash', ending: 'crash', triggerLast: false, savesProgress: false },
	{ how: 'a crash, trigger last', ending: 'crash', triggerLast: true, savesProgress: false },
	{ how: 'a crash with progress', ending: 'crash', triggerLast: false, savesProgress: true },
	{ how: 'Stop', ending: 'stop', triggerLast: false, savesProgress: false },
	{ how: 'the workflow timeout', ending: 'timeout', triggerLast: false, savesProgress: false },
];

let lab: Lab;
let release: Day['n8n'];

beforeAll(async () => {
	lab = await openLab({ jobDurationMs: JOB_MS });
	// What was canceled and saved is run again by newer versions only; 2.8 does as 1.123 does.
	release = /Version: (1|2\.8)\./.test(await lab.n8nLog()) ? '1.123' : '2.41';
	// On SIGTERM n8n leaves executions hardly any time: they are crashed then.
	await lab.restartN8n({ N8N_GRACEFUL_SHUTDOWN_TIMEOUT: '1' });
	await lab.n8n.signIn();
}, 200_000);

afterAll(async () => {
	await lab.restartN8n();
	await lab.close();
}, 200_000);

it.each(CASES)(
	'n8n keeps of $how what the simulator says',
	async (given) => {
		// Stop's own write and that of the execution's end race in n8n.
		const expected = [await keptByModel(given, false)];
		if (given.ending === 'stop') expected.push(await keptByModel(given, true));
		expect(expected).toContainEqual(await keptByN8n(given));
	},
	200_000,
);

function endingsIn(runs: IRunData[string] | undefined): string[] {
	return (runs ?? []).map(({ executionStatus, executionTime, data }) => {
		const isMadeUp = data?.main?.[0]?.[0]?.json.isArtificialRecoveredEventItem === true;
		const status = executionStatus ?? 'none';
		return isMadeUp || (status === 'crashed' && executionTime <= 0) ? `made up: ${status}` : status;
	});
}

async function keptByN8n({ ending, triggerLast, savesProgress }: Case): Promise<Kept> {
	const before = lab.emulator.submits.length;
	const path = randomUUID();
	const timeout = ending === 'error' ? 1 : 600;
	const file = workflow(
		'Persistence',
		chain(webhook(path), imageGenerate({ prompt: 'a fox', options: { timeout } })),
	);
	if (triggerLast) file.nodes.reverse();
	const executionTimeout = ending === 'timeout' ? TIMEOUT_S : -1;
	file.settings = { ...file.settings, saveExecutionProgress: savesProgress, executionTimeout };
	const saved = await save(lab, file);
	await lab.n8n.activate(saved);
	const answer = lab.n8n.post(`webhook/${path}`, {}).catch(() => undefined);
	await until(() => lab.emulator.submits.length === before + 1);
	const id = await idOf(saved);
	if (ending === 'stop') await lab.n8n.stop(id);
	if (ending === 'crash') {
		await lab.restartN8n({ N8N_GRACEFUL_SHUTDOWN_TIMEOUT: '1' });
		await lab.n8n.signIn();
	}
	await lab.n8n.waitForExecution(id);
	await answer;
	finishJobs(lab);
	const retried = lab.n8n.retry(id, { timeoutSeconds: 30 });
	const finishing = setInterval(() => {
		finishJobs(lab);
	}, 500);
	const { status, runData } = await retried.finally(() => {
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

async function idOf(saved: SavedWorkflow): Promise<string> {
	const [execution] = await lab.n8n.executions(saved);
	return execution?.id ?? '';
}

async function keptByModel(
	{ ending, triggerLast, savesProgress }: Case,
	keepsStopped: boolean,
): Promise<Kept> {
	const isDisrupted = ending !== 'error' && ending !== 'timeout';
	const day: Day = {
		seed: 1,
		n8n: release,
		mode: 'webhook',
		latencyMs: 20,
		shape: 'plain',
		triggerLast,
		binaryMode: 'separate',
		savesProgress,
		timeoutAfterMs: ending === 'timeout' ? TIMEOUT_S * 1000 : undefined,
		keepsStopped,
		endpoint: 'generate/image',
		second: 'image-tune/upscale',
		itemCount: 1,
		equalItems: false,
		fileInJson: false,
		circularItems: false,
		prompt: 'same',
		files: 'none',
		filesGoInRetry: false,
		credential: 'one',
		onError: 'stopWorkflow',
		retryOnFail: false,
		executeOnce: false,
		waits: true,
		downloads: true,
		variations: 1,
		options: {
			outputItems: 'perImage',
			timeout: ending === 'error' ? 1 : 600,
			onTimeout: 'error',
			onFailed: 'error',
			maxConcurrentJobs: 20,
			maxJobsPerExecution: 100,
			dryRun: false,
			includeInputFields: false,
			resubmitIfUnknown: false,
		},
		fileName: '',
		jobs: ['neverEnds'],
		faults: [],
		refused: undefined,
		disruption: isDisrupted ? { kind: ending, at: 'poll', nth: 0, delayMs: 0 } : undefined,
		beside: undefined,
		retries: [],
		resubmitsAtLast: false,
	};
	const { n8n, service } = await play(day);
	const first = n8n.executions[0];
	const retried = n8n.executions[1];
	const runData = (retried ?? first)?.result?.resultData.runData ?? {};
	return {
		// Of what was canceled n8n 1 runs nothing, and calls it a success.
		ending: retried?.result?.resultData.error ? 'error' : 'success',
		trigger: endingsIn(runData.Hook),
		node: retried ? endingsIn(runData.Node) : [],
		paidJobs: service.emulator.submits.length,
	};
}
