import { randomUUID } from 'node:crypto';
import { openLab, servedSha256, sha256, type Lab } from './lab';
import {
	expectJobsNamed,
	finishJobs,
	generateFrom,
	jobIds,
	lateJobOfWebhook,
	manyLate,
	retryOnFail,
	save,
	secondJobFails,
	sentAfterStopOf,
	twoAtATime,
} from './scenarios';
import { webhook, type NodeSettings } from './workflow';

let lab: Lab;
beforeEach(async () => {
	lab = await openLab();
});
afterEach(async () => {
	const [n8nLog, workerLog] = [await lab.n8nLog(), await lab.workerLog()];
	await lab.close();
	// All of this happened in the worker, and without giving the key away.
	expect(lab.emulator.submits.length).toBeGreaterThan(0);
	for (const { jobId } of lab.emulator.submits) {
		expect({
			byWorker: workerLog.includes(`AetherForge started the job ${jobId}`),
			byMain: n8nLog.includes(`AetherForge started the job ${jobId}`),
		}).toEqual({ byWorker: true, byMain: false });
	}
	expect([n8nLog, workerLog].some((log) => log.includes(lab.apiKey))).toBe(false);
});

/** From n8n 2.0 on, files are in the database where there is a queue; before, they are part of the item. */
const keepsFilesInDatabase = process.env.E2E_N8N_RELEASE !== 'n8n-1.123';

describe('in queue mode', () => {
	it('Retry On Fail pays for the failed job alone', async () => {
		await lab.close();
		lab = await openLab(secondJobFails());
		const path = randomUUID();
		const saved = await save(
			lab,
			generateFrom(
				webhook(path),
				['one', 'two', 'three'],
				{ options: { maxConcurrentJobs: 3 } },
				retryOnFail,
			),
		);
		await lab.n8n.activate(saved);
		await lab.n8n.post(`webhook/${path}`, {});
		const execution = await lab.n8n.nextExecution(saved);
		await lab.n8n.deactivate(saved);
		expect([execution.status, execution.errorMessage]).toEqual(['success', undefined]);
		expect(new Set(jobIds(execution)).size).toBe(3);
		expect(lab.emulator.submits).toHaveLength(4);
	});

	it('Retry from the executions list resumes the job, and pays nothing', async () => {
		const { execution } = await lateJobOfWebhook(lab);
		finishJobs(lab);
		const retried = await lab.n8n.retry(execution.id);
		expect([retried.status, retried.errorMessage]).toEqual(['success', undefined]);
		expect(jobIds(retried)).toEqual([lab.emulator.submits[0]?.jobId]);
		expect(lab.emulator.submits).toHaveLength(1);

		const image = retried.items('Generate')[0]?.binary?.data;
		if (image === undefined) throw new Error('No image came out.');
		expect(image.mimeType).toBe('image/png');
		expect(image.id?.startsWith('database:') ?? false).toBe(keepsFilesInDatabase);
		expect(sha256(await lab.n8n.download(image))).toBe(
			await servedSha256(retried.items('Generate')[0]?.json.image_url),
		);
	});

	it.each<[string, NodeSettings]>([
		['', {}],
		[', also with Retry On Fail', retryOnFail],
	])('Stop ends a run within a second, and nothing more is submitted%s', async (_, settings) => {
		const path = randomUUID();
		const saved = await save(lab, generateFrom(webhook(path), manyLate, twoAtATime, settings));
		const late = await sentAfterStopOf(lab, saved, path, 2);
		expect(late).toEqual([]);
		expect(lab.emulator.submits).toHaveLength(2);
		expect((await lab.n8n.nextExecution(saved)).status).toBe('canceled');
		expectJobsNamed(lab, await lab.workerLog());
	});
});
