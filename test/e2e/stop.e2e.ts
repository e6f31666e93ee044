import { randomUUID } from 'node:crypto';
import { setTimeout as sleep } from 'node:timers/promises';
import type { INode } from 'n8n-workflow';
import { isQueueMode, useLab } from './lab';
import type { SavedWorkflow } from './real-n8n/rest-client';
import { until } from './real-n8n/until';
import { expectRunByWorker, generateFrom, retryOnFail } from './scenarios';
import { manualTrigger, webhook, type NodeSettings } from './workflow';

// In production, also in queue mode, and by hand.

/** From Stop until nothing more may be sent. */
const silenceWithinMs = 1000;
/** Longer than any sleep of the node, so that what would still be sent is seen. */
const observationMs = 3500;

const lab = useLab();
afterEach(async () => {
	await expectRunByWorker(lab);
});

const path = randomUUID();
const limited = { options: { maxConcurrentJobs: 2 } };
const neverDone = ['1 #never', '2 #never', '3 #never', '4 #never'];

/** Starts a workflow by its trigger; gives the ID of the execution, whose jobs have been started. */
async function started(saved: SavedWorkflow, start: INode, jobCount: number): Promise<string> {
	const isByHand = start.parameters.path === undefined;
	if (isByHand) await lab.n8n.startManually(saved, 'Start');
	else {
		await lab.n8n.activate(saved);
		await lab.n8n.post(`webhook/${path}`, {});
	}
	await until(() => lab.emulator.submits.length === jobCount);
	await sleep(300);
	const [execution] = await lab.n8n.executions(saved);
	if (!isByHand) await lab.n8n.deactivate(saved);
	return execution?.id ?? '';
}

it.each<[string, INode, NodeSettings]>([
	['in production', webhook(path, 'onReceived'), {}],
	['in production with Retry On Fail', webhook(path, 'onReceived'), retryOnFail],
	...(isQueueMode ? [] : [['by hand', manualTrigger(), retryOnFail] as [string, INode, object]]),
])('Stop ends a run %s within a second, and the log names its jobs', async (_, start, settings) => {
	const saved = await lab.save(generateFrom(start, neverDone, limited, settings));
	const id = await started(saved, start, 2);
	const stoppedAtMs = Date.now();
	await lab.n8n.stop(id);
	await sleep(observationMs);
	const sentAfterMs = lab.emulator.requests.map(({ startedAtMs }) => startedAtMs - stoppedAtMs);
	expect(sentAfterMs.filter((afterMs) => afterMs > silenceWithinMs)).toEqual([]);
	expect(lab.emulator.submits).toHaveLength(2);
	expect((await lab.n8n.waitForExecution(id)).status).toBe('canceled');
	const log = await lab.log();
	for (const { jobId } of lab.emulator.submits) {
		const stopped = `stopped before these AetherForge jobs were collected: .*${jobId}`;
		// Compared as booleans: a failure must not print the whole log.
		const isStartLogged = log.includes(`AetherForge started the job ${jobId}`);
		const isStopLogged = new RegExp(stopped).test(log);
		expect({ isStartLogged, isStopLogged }).toEqual({ isStartLogged: true, isStopLogged: true });
	}
});
