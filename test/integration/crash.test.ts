import { DataDeduplicationService } from 'n8n-core';

import { deferred } from '../support/deferred';
import { useScene } from '../support/scene';
import type { VirtualClock } from '../support/virtualClock';
import { Deduplication } from '../simulator/disk';

/** n8n's database outlives its process. Here it answers at once. */
const atOnce: Pick<VirtualClock, 'wait' | 'after'> = {
	wait: async () => {
		await Promise.resolve();
	},
	after: (_, __, ring) => {
		ring();
		return () => undefined;
	},
};
const database = new Deduplication(atOnce as VirtualClock, 0);
beforeAll(async () => {
	await DataDeduplicationService.init(database as never);
});

const killed = deferred();
const scene = useScene({
	wish: ({ fields }) => {
		if (fields.prompt !== 'late') return { durationMs: 1500 };
		// In mid-run, between two status checks.
		void scene.clock.wait(10_123).then(killed.resolve);
		return { durationMs: Infinity };
	},
});

it('a retry after a crash, of which n8n has saved nothing, collects all jobs and pays for none', async () => {
	scene.emulator.faults.add({
		at: 'submit',
		kind: 'reset',
		when: 'accepted',
		match: ({ form }) => form?.fields.prompt === 'unknown',
	});
	const run = {
		node: 'imageGenerate',
		parameters: { prompt: '={{ $json.prompt }}' },
		items: ['soon', 'late', 'unknown'].map((prompt) => ({ json: { prompt } })),
		nodeSettings: { id: 'node', onError: 'continueErrorOutput' },
	} as const;
	void scene.run({ ...run, mode: 'trigger' });
	await killed.promise;
	// Nothing that the process waits for comes any more, and its memory is gone: that goes by the node's ID.
	scene.clock.stop();
	database.rows.set('workflow n:new', database.rows.get('workflow n:node') ?? []);

	const jobIds = ['soon', 'late'].map((prompt) =>
		scene.jobIdOf(scene.paidPrompts().indexOf(prompt)),
	);
	scene.emulator.jobs.finish(jobIds[1] ?? '');
	const retry = await scene.run({
		...run,
		mode: 'retry',
		executionId: '2',
		nodeSettings: { ...run.nodeSettings, id: 'new' },
	});
	expect(retry.items.map(({ json }) => json.job_id)).toEqual(jobIds);
	expect(retry.items.map(({ binary }) => binary?.data?.mimeType)).toEqual([
		'image/png',
		'image/png',
	]);
	expect(retry.errorItems.map(({ json }) => json.error)).toMatchObject([
		{ description: expect.stringMatching(/may exist and be charged/) as string },
	]);
	expect(scene.paidPrompts().sort()).toEqual(['late', 'soon', 'unknown']);
	expect(scene.postCount()).toBe(3);
});
