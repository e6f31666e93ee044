import type { IExecuteFunctions, INodeExecutionData } from 'n8n-workflow';

import { isJobId } from '../api/job';
import { Api } from '../api/api';
import { systemClock, type Clock } from '../clock';
import { asFailure } from '../failure';
import { apiFailures, inputFailures, runFailures } from '../messages';
import { Downloader, RESULTS } from './files/download';
import { ItemRun } from './run/itemRun';
import type { OutputItem } from './output/item';
import { jobItems, withInputFields, withUniqueFileNames } from './output/output';
import { asText, ParameterReader } from './check/parameters';
import type { JobSlot } from './jobs/plan';
import { CONCURRENT_POLLS, PollScheduler, STATUS_CHECK_BUDGET_MS, waitForJob } from './jobs/poll';
import { isTool } from '../n8n';
import { readLookupSettings, type OutputSettings } from './check/settings';

/** Another endpoint started the job, and another try is all that can be advised. */
const ADVICE_IF_FAILED = 'Change the request and start a new job.';

interface Lookup {
	slot: JobSlot;
	jobId: string;
	settings: OutputSettings;
}

/**
 * Checks on a job for each input item, side by side, and collects its images if it is finished.
 *
 * @returns the node's output; with continue-on-error, failed items are error items
 * @throws NodeApiError or NodeOperationError for the first item that fails otherwise
 */
export async function runLookups(
	context: IExecuteFunctions,
	clock: Clock = systemClock,
): Promise<INodeExecutionData[][]> {
	const run = new ItemRun(context, clock, false);
	const reader = new ParameterReader(context);
	const asTool = isTool(context);
	const lookups = await run.checkItems<Lookup>((itemIndex) => {
		const settings = readLookupSettings(reader, itemIndex, asTool);
		const jobId = asText(reader.read('jobId', itemIndex, ''), 'Job ID').trim();
		if (!isJobId(jobId)) throw inputFailures.malformedJobId(jobId);
		return Promise.resolve([{ slot: { itemIndex, jobNumber: 1, jobCount: 1 }, jobId, settings }]);
	});
	if (lookups.length === 0) return [run.items()];

	const api = new Api(context, clock);
	const scheduler = new PollScheduler(clock);
	const downloader = new Downloader(context, clock, RESULTS);
	// A status check must not use up its time in line; whoever waits, waits beside the others.
	const isWaiting = lookups.some(({ settings }) => settings.waitForCompletion);
	const limit = isWaiting ? lookups.length : CONCURRENT_POLLS;

	const check = async (
		{ slot, jobId, settings }: Lookup,
		signal: AbortSignal,
	): Promise<OutputItem[]> => {
		const { waitForCompletion } = settings;
		const { refusal } = await api.accountOf(slot.itemIndex);
		if (refusal) throw refusal;
		const getJob = async (limitMs: number) => await api.getJob(slot.itemIndex, jobId, limitMs);
		const result = await waitForJob(getJob, clock, scheduler, jobId, {
			until: waitForCompletion ? 'finished' : 'seen',
			timeoutMs: waitForCompletion ? settings.timeoutMs : STATUS_CHECK_BUDGET_MS,
			pollIntervalMs: settings.pollIntervalMs,
			signal,
		});
		const isWantedPending = waitForCompletion && settings.onTimeout === 'returnPending';
		if (!result.wasSeen && !isWantedPending) {
			throw apiFailures.noStatus(jobId, result.waitedMs, result.lastReason ?? '');
		}
		const items = await jobItems(result, {
			slot,
			settings,
			downloader,
			signal,
			echo: {},
			adviceIfFailed: ADVICE_IF_FAILED,
			errorItems: run.errorItemsOf(slot),
		});
		if (!settings.includeInputFields) return items;
		return withInputFields(items, context.getInputData()[slot.itemIndex]);
	};
	await run.carryOut(lookups, limit, async (lookup, signal) => {
		try {
			return await check(lookup, signal);
		} catch (error) {
			throw runFailures.withJob(asFailure(error), lookup.jobId);
		}
	});

	const output = withUniqueFileNames(run.items());
	run.hintAtPendingJobs(output, lookups.length);
	return [output];
}
