import { isFinished } from '../api/job';
import type { Endpoint } from '../endpoint';
import type { Downloader } from './files/download';
import type { JobBook } from './jobs/jobBook';
import type { PaidJob, Plan } from './jobs/plan';
import type { Poller, WaitResult } from './jobs/poll';
import type { Submitter } from './jobs/submit';
import type { OutputItem } from './output/item';
import { jobItems, submittedItem } from './output/output';
import type { Results } from './run/results';
import type { Run } from './run/run';

/** What the jobs of a run are performed with. */
export interface Performance {
	run: Run;
	book: JobBook;
	results: Results;
	submitter: Submitter;
	poller: Poller;
	downloader: Downloader;
	endpoint: Endpoint;
}

/**
 * The story of one job: it is submitted or resumed, waited for, and collected, as its settings say.
 *
 * @returns its output items
 * @throws Failure when no job was started, it failed, or it cannot be collected
 */
export async function performJob(
	plan: Plan,
	performance: Performance,
	signal: AbortSignal,
): Promise<OutputItem[]> {
	const { slot, settings, echo } = plan;
	const { book, results, submitter, downloader, endpoint } = performance;
	const job = 'resume' in plan ? plan.resume : await submit(plan, performance, signal);
	if (!settings.waitForCompletion) return [submittedItem(slot, job.jobId, echo)];

	const result = await submitter.whileRunning(
		async () => await wait(plan, job, performance, signal),
	);
	if (result.job.status === 'Failed') book.failed(slot);

	const errorItemFor = results.errorItemFor(slot);
	const { fields, adviceIfFailed } = endpoint;
	// An additional field may have the same name, but asks for no sheet.
	const makesSheet = fields.some(({ apiName }) => apiName === 'frame');
	const frames = makesSheet && typeof echo.frame === 'number' ? echo.frame : undefined;
	const output = { slot, settings, echo, frames, downloader, signal, adviceIfFailed, errorItemFor };
	return await jobItems(result, output);
}

async function submit(
	plan: Extract<Plan, { submit: unknown }>,
	{ run, submitter }: Performance,
	signal: AbortSignal,
): Promise<PaidJob> {
	const { canceled, clock } = run;
	const jobId = await submitter.submit(plan, { signal, canceled });
	return { jobId, submittedAtMs: clock.now() };
}

/** Waits for a job, unless the check phase has seen all there is to see. */
async function wait(
	plan: Plan,
	{ jobId, submittedAtMs, state }: PaidJob,
	{ poller }: Performance,
	signal: AbortSignal,
): Promise<WaitResult> {
	const { timeoutMs } = plan.settings;
	const lacksResults = state?.status === 'Succeed' && state.imageUrls.length === 0;
	if (state && isFinished(state.status) && !lacksResults) return { kind: 'finished', job: state };
	return await poller.waitFor(jobId, {
		itemIndex: plan.slot.itemIndex,
		submittedAtMs,
		isNew: 'submit' in plan,
		until: 'finished',
		timeoutMs,
		signal,
	});
}
