import { randomUUID } from 'node:crypto';
import { setTimeout as sleep } from 'node:timers/promises';
import type { INode } from 'n8n-workflow';
import { isQueueMode, useLab } from './lab';
import type { SavedWorkflow } from './real-n8n/rest-client';
import { until } from './real-n8n/until';
import { expectRunByWorker, generateFrom, retryOnFail } from './scenarios';
import { manualTrigger, webhook, type NodeSettings } from './workflow';

// In production, also in queue mode, and by hand.

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
	const polled = () => lab.emulator.requests.filter(({ method }) => method === 'GET');
	await until(() => new Set(polled().map(({ jobId }) => jobId)).size === jobCount);
	const [execution] = await lab.n8n.executions(saved);
	if (!isByHand) await lab.n8n.deactivate(saved);
	return execution?.id ?? '';
}

it.each<[string, INode, NodeSettings]>([
	['in production', webhook(path, 'onReceived'), {}],
	['in production with Retry On Fail', webhook(path, 'onReceived'), retryOnFail],
	...(isQueueMode ? [] : [['by hand', manualTrigger(), retryOnFail] as [string, INode, object]]),
])('after Stop of a run %s nothing more is sent, and the log names its jobs', async (...row) => {
	const [, start, settings] = row;
	const saved = await lab.save(generateFrom(start, neverDone, limited, settings));
	const id = await started(saved, start, 2);
	await lab.n8n.stop(id);
	// Of both jobs, as they are in one line.
	await until(
		async () => (await logged('stopped before these AetherForge jobs were collected')) === 2,
	);
	const before = lab.emulator.requests.length;
	await sleep(observationMs);
	expect(lab.emulator.requests.slice(before)).toEqual([]);
	expect(lab.emulator.submits).toHaveLength(2);
	expect(await logged('AetherForge started the job')).toBe(2);
	expect((await lab.n8n.waitForExecution(id)).status).toBe('canceled');
});

/** Of how many jobs the log has a line that begins so. */
async function logged(beginning: string): Promise<number> {
	const log = await lab.log();
	const isLogged = ({ jobId }: { jobId: string }) =>
		new RegExp(`${beginning}.* ${jobId}`).test(log);
	return lab.emulator.submits.filter(isLogged).length;
}
