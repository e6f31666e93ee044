import { randomUUID } from 'node:crypto';
import type { INodeParameters } from 'n8n-workflow';
import { openLab, servedSha256, sha256, type Lab } from './lab';
import type { Execution } from './real-n8n/rest-client';
import { chain, getJob, manualTrigger, oneItem, splitOut, workflow } from './workflow';

let lab: Lab;
beforeEach(async () => {
	lab = await openLab();
});
afterEach(async () => {
	await lab.close();
});

async function getJobs(jobIds: string[], parameters: INodeParameters = {}): Promise<Execution> {
	const node = getJob({ jobId: '={{ $json.id }}', ...parameters });
	return await lab.run(
		workflow(
			'Get Job',
			chain(manualTrigger(), oneItem('Ids', { id: jobIds }), splitOut('id'), node),
		),
	);
}

function polls(): number {
	return lab.emulator.requests.filter(({ server }) => server === 'api').length;
}

it('checks the status once, and returns an unfinished job as it is', async () => {
	const { id } = lab.emulator.jobs.add({ durationMs: Infinity });
	const execution = await getJobs([id]);
	expect(execution.items('Get Job')).toEqual([
		{ json: { job_id: id, status: 'Pending', image_urls: [] }, pairedItem: { item: 0 } },
	]);
	expect(polls()).toBe(1);
});

it('brings the images of finished jobs, side by side and in the order of the items', async () => {
	const ids = Array.from({ length: 8 }, () => lab.emulator.jobs.add({ durationMs: 0 }).id);
	const execution = await getJobs(ids);
	const items = execution.items('Get Job');
	expect(items.map(({ json }) => json.job_id)).toEqual(ids);
	expect(items.map(({ pairedItem }) => pairedItem)).toEqual(ids.map((_, item) => ({ item })));
	for (const { json, binary } of items) {
		const image = binary?.data;
		if (image === undefined) throw new Error('An item has no image.');
		expect(image).toMatchObject({
			fileName: `${json.job_id as string}-1.png`,
			mimeType: 'image/png',
		});
		expect(sha256(await lab.n8n.download(image))).toBe(await servedSha256(json.image_url));
	}
});

it('waits for several jobs side by side', async () => {
	const ids = Array.from({ length: 5 }, () => lab.emulator.jobs.add({ durationMs: 2_000 }).id);
	const execution = await getJobs(ids, { waitForCompletion: true });
	expect(execution.items('Get Job').map(({ json }) => [json.job_id, json.status])).toEqual(
		ids.map((id) => [id, 'Succeed']),
	);
	const firstPolls = lab.emulator.requests.slice(0, ids.length).map(({ jobId }) => jobId);
	expect(firstPolls.sort()).toEqual([...ids].sort());
});

it('gives a failed job as an ordinary item', async () => {
	const { id } = lab.emulator.jobs.add({
		durationMs: 0,
		outcome: { status: 'Failed', extra: { error_message: 'Out of paint' } },
	});
	const execution = await getJobs([id]);
	expect(execution.status).toBe('success');
	expect(execution.items('Get Job').map(({ json }) => json)).toEqual([
		{ job_id: id, status: 'Failed', image_urls: [], error_message: 'Out of paint' },
	]);
});

it('says which job the API does not know', async () => {
	const id = randomUUID();
	const execution = await getJobs([id]);
	expect(execution.status).toBe('error');
	expect(execution.errorMessage).toContain(id);
});

it('sends nothing for what is not a job id', async () => {
	const execution = await getJobs(['../../etc/passwd']);
	expect(execution.errorMessage).toContain('is not a job ID');
	expect(polls()).toBe(0);
});
