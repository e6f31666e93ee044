import type { JobState } from '../api/job';
import { ownSignal } from '../clock';
import type { Endpoint } from '../endpoint';
import type { Values } from '../api/request';
import { asFailure } from '../failure';
import { apiFailures } from '../messages';
import type { InputFileReader } from './check/inputFiles';
import { readRequest, readValues } from './check/request';
import { readJobSettings, type JobSettings } from './check/settings';
import { KnownFiles } from './files/knownFiles';
import type { JobBook } from './jobs/jobBook';
import type { DraftPlan, JobSlot, PaidJob } from './jobs/plan';
import type { Poller } from './jobs/poll';
import { echoOf } from './output/output';
import { checkItems } from './run/phases';
import type { Results } from './run/results';
import type { Run } from './run/run';

/** What the check phase works with. */
export interface Planning {
	run: Run;
	endpoint: Endpoint;
	book: JobBook;
	poller: Poller;
	results: Results;
}

/** What the check phase has decided. */
export interface Planned {
	plans: readonly DraftPlan[];
	/** Paid jobs of earlier attempts beyond the number of variations that is set now. */
	unwantedJobIds: readonly string[];
}

/**
 * Checks all items and decides what each of their jobs needs. Jobs that an earlier attempt of the
 * execution has paid for are resumed. Nothing is charged yet.
 *
 * @throws NodeApiError or NodeOperationError when an item is refused, unless the node continues
 */
export async function planJobs(planning: Planning): Promise<Planned> {
	const { run, endpoint, book, results } = planning;
	const { context, reader, isTool } = run;
	const input: InputFileReader = { context, reader, isTool, knownFiles: new KnownFiles(context) };
	const resume = resumer(planning);
	const unwantedJobIds: string[] = [];

	const plans = await checkItems(run, results, async (itemIndex): Promise<DraftPlan[]> => {
		const settings = readJobSettings(reader, itemIndex, isTool);
		const { jobsPerItem: jobCount, additionalFields, dryRun } = settings;
		if (!dryRun) await book.prepare(itemIndex);
		const resumed: DraftPlan[] = [];
		const missing: JobSlot[] = [];
		if (!dryRun) unwantedJobIds.push(...book.unwanted(itemIndex, jobCount));
		for (let jobNumber = 1; jobNumber <= jobCount; jobNumber++) {
			const slot = { itemIndex, jobNumber, jobCount };
			try {
				const job = dryRun ? undefined : await resume(slot, settings);
				// What has been charged needs no check of its request, and its files may be gone by now.
				if (job)
					resumed.push({ slot, settings, echo: echoNow(planning, slot, settings), resume: job });
				else missing.push(slot);
			} catch (error) {
				results.fail(slot, error);
			}
		}
		if (missing.length === 0) return resumed;
		try {
			const submit = await readRequest(input, endpoint, itemIndex, additionalFields);
			const echo = echoOf(submit.values);
			return [...resumed, ...missing.map((slot) => ({ slot, settings, echo, submit }))];
		} catch (error) {
			if (missing.length === jobCount) throw asFailure(error);
			// The item's other variations have been charged, and are returned with these.
			for (const slot of missing) results.fail(slot, error);
			return resumed;
		}
	});
	return { plans, unwantedJobIds };
}

/** Gives the job that an earlier attempt has started for a slot, unless it has to be replaced. */
function resumer({ run, book, poller }: Planning) {
	let states: Promise<Map<string, JobState>> | undefined;
	const glance = async ({ itemIndex }: JobSlot, jobId: string): Promise<JobState | undefined> =>
		await poller.glance(itemIndex, jobId, ownSignal(run.signal));
	/** All jobs are polled once, side by side, when the first of them is asked for; it costs nothing. */
	const statesOfAll = async () => {
		const found = new Map<string, JobState>();
		const jobs = book.recalledJobs().map(async ({ slot, jobId }) => {
			const state = await glance(slot, jobId);
			if (state) found.set(jobId, state);
		});
		await Promise.all(jobs);
		return found;
	};
	return async (slot: JobSlot, settings: JobSettings): Promise<PaidJob | undefined> => {
		const isReplaced = settings.onFailed === 'error';
		states ??= statesOfAll();
		let entry = book.recalled(slot);
		let state = entry && 'jobId' in entry ? (await states).get(entry.jobId) : undefined;
		if (isReplaced && state?.status === 'Failed') {
			entry = await book.replaced(slot);
			state = entry && 'jobId' in entry ? await glance(slot, entry.jobId) : undefined;
			if (state?.status === 'Failed') book.failed(slot);
		}
		if (!entry) return undefined;
		if ('outcomeUnknown' in entry) {
			if (settings.resubmitIfUnknown) return undefined;
			throw apiFailures.outcomeStillUnknown();
		}
		if (isReplaced && (entry.hasFailed || state?.status === 'Failed')) return undefined;
		const { jobId, submittedAtMs } = entry;
		return { jobId, submittedAtMs, state };
	};
}

/** What the parameters of a resumed job say now. */
function echoNow(
	{ run, endpoint }: Planning,
	{ itemIndex }: JobSlot,
	{ additionalFields }: JobSettings,
): Values {
	try {
		return echoOf(readValues(run.reader, endpoint, itemIndex, additionalFields));
	} catch {
		// An expression that fails this time says nothing about a job that has been charged.
		return {};
	}
}
