import type { IExecuteFunctions, INodeExecutionData } from 'n8n-workflow';

import { Api } from '../api/api';
import { isJobId } from '../api/job';
import { systemClock, type Clock } from '../clock';
import { apiFailures, inputFailures } from '../messages';
import { lookupProperties } from '../properties';
import { asText } from './check/parameters';
import { readLookupSettings, type OutputSettings } from './check/settings';
import { Downloader, RESULTS } from './files/download';
import { onlyJobOf, type JobSlot } from './jobs/plan';
import { CONCURRENT_POLLS, Poller, STATUS_CHECK_BUDGET_MS } from './jobs/poll';
import type { OutputItem } from './output/item';
import { jobItems, withUniqueFileNames } from './output/output';
import { checkItems, performAll } from './run/phases';
import { NO_KNOWN_JOBS, Results } from './run/results';
import { Run } from './run/run';

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
	const run = new Run(context, clock, lookupProperties);
	const jobIds = new Map<number, string>();
	const of = ({ itemIndex }: JobSlot) => jobIds.get(itemIndex);
	const results = new Results(run, { ...NO_KNOWN_JOBS, of });
	const lookups = await checkItems<Lookup>(run, results, (itemIndex) => {
		const settings = readLookupSettings(run.reader, itemIndex, run.isTool);
		const jobId = asText(run.reader.read('jobId', itemIndex, ''), 'Job ID').trim();
		if (!isJobId(jobId)) throw inputFailures.malformedJobId(jobId);
		jobIds.set(itemIndex, jobId);
		return Promise.resolve([{ slot: onlyJobOf(itemIndex), jobId, settings }]);
	});

	const api = new Api(context, clock);
	const poller = new Poller(api, clock);
	const downloader = new Downloader(context, clock, RESULTS);
	// A status check must not use up its time in line; jobs that are waited for wait side by side.
	const isWaiting = lookups.some(({ settings }) => settings.waitForCompletion);
	const limit = isWaiting ? lookups.length : CONCURRENT_POLLS;
	await performAll(run, results, lookups, limit, async (lookup, signal): Promise<OutputItem[]> => {
		const { slot, jobId, settings } = lookup;
		const { waitForCompletion, onTimeout } = settings;
		const { itemIndex } = slot;
		const { refusal } = await api.accountOf(itemIndex);
		if (refusal) throw refusal;
		const result = await poller.waitFor(jobId, {
			itemIndex,
			until: waitForCompletion ? 'finished' : 'seen',
			timeoutMs: waitForCompletion ? settings.timeoutMs : STATUS_CHECK_BUDGET_MS,
			signal,
		});
		const isWantedPending = waitForCompletion && onTimeout === 'returnPending';
		if (result.kind === 'timedOut' && !result.wasSeen && !isWantedPending) {
			throw apiFailures.noStatus(jobId, result.waitedMs, result.lastReason ?? '');
		}
		const items = await jobItems(result, {
			slot,
			settings,
			downloader,
			signal,
			echo: {},
			adviceIfFailed: ADVICE_IF_FAILED,
			errorItemFor: results.errorItemFor(slot),
		});
		return settings.includeInputFields ? results.withInput(items, slot) : items;
	});

	const output = withUniqueFileNames(results.items());
	results.hintAt(output, lookups.length);
	return [output];
}
