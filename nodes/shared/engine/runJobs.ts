import type { IExecuteFunctions, INodeExecutionData, INodeProperties } from 'n8n-workflow';

import { Api } from '../api/api';
import { systemClock, type Clock } from '../clock';
import type { Endpoint } from '../endpoint';
import { asFailure } from '../failure';
import { hints, inputFailures } from '../messages';
import { jobProperties } from '../properties';
import { Downloader, RESULTS } from './files/download';
import { InputFetcher } from './files/fetchInputs';
import { JobBook } from './jobs/jobBook';
import {
	isDryRun,
	lowestLimit,
	onlyJobOf,
	startsJob,
	type DraftPlan,
	type Plan,
} from './jobs/plan';
import { Poller } from './jobs/poll';
import { Submitter } from './jobs/submit';
import { dryRunHint, dryRunItem } from './output/dryRun';
import { isResult } from './output/item';
import { withUniqueFileNames } from './output/output';
import { performJob } from './performJob';
import { planJobs, type Planned } from './planJobs';
import { performAll } from './run/phases';
import { NO_KNOWN_JOBS, Results } from './run/results';
import { Run } from './run/run';

/** What the phases of a run share. */
interface Phases {
	run: Run;
	endpoint: Endpoint;
	book: JobBook;
	results: Results;
	api: Api;
	poller: Poller;
}

/**
 * Starts the paid jobs of all input items and, as the parameters say, waits for them and collects
 * their images. All items are checked before the first job is started, and jobs that an earlier attempt
 * of the execution has paid for are resumed.
 *
 * @param endpoints one endpoint, or those between which the node's own parameters decide
 * @param properties the parameters and options that the node has besides those of its endpoints
 * @returns the node's output; with continue-on-error, failed items are error items
 * @throws NodeApiError or NodeOperationError for the first item that fails otherwise
 */
export async function runJobs(
	context: IExecuteFunctions,
	endpoints: readonly Endpoint[],
	properties: readonly INodeProperties[] = jobProperties,
	clock: Clock = systemClock,
): Promise<INodeExecutionData[][]> {
	const run = new Run(context, clock, properties);
	const endpoint = selectedEndpoint(context, endpoints);
	if (!endpoint) return [withoutEndpoint(run)];

	// Recall: opening the book tells what earlier attempts have paid for.
	const book = await JobBook.open(context, endpoint, clock, run.reader);
	const results = new Results(run, book);
	const api = new Api(context, clock);
	const phases: Phases = { run, endpoint, book, results, api, poller: new Poller(api, clock) };
	try {
		const planned = await planJobs(phases);
		const text = endpoint.fields.find(({ kind }) => kind === 'text')?.apiName ?? '';
		for (const { slot, echo } of planned.plans) {
			const words = echo[text];
			if (typeof words === 'string') results.texts.set(slot.itemIndex, words);
		}
		const allowed = withinLimit(phases, withoutLostRetry(phases, planned.plans));
		// Nothing may come in between: calls of an agent side by side would both pass the limit.
		book.reserve(allowed.filter(startsJob).map(({ slot }) => slot));
		await checkCredential(phases, allowed);
		const plans = await fetchFiles(phases, allowed);
		await perform(phases, plans);
		return [finish(phases, planned, plans)];
	} finally {
		book.close();
	}
}

function selectedEndpoint(
	context: IExecuteFunctions,
	endpoints: readonly Endpoint[],
): Endpoint | undefined {
	const { parameters } = context.getNode();
	return endpoints.find(({ when = {} }) =>
		Object.entries(when).every(([name, value]) => parameters[name] === value),
	);
}

function withoutEndpoint(run: Run): INodeExecutionData[] {
	const results = new Results(run, { ...NO_KNOWN_JOBS, startsJobs: true });
	const slots = Array.from({ length: run.itemCount }, (_, itemIndex) => onlyJobOf(itemIndex));
	results.refuse(slots, inputFailures.noSuchOperation());
	return results.items();
}

/** The plans without dry runs of what a retry would collect: n8n offers no Retry after one that ends well. */
function withoutLostRetry(
	{ run, book, results }: Phases,
	plans: readonly DraftPlan[],
): readonly DraftPlan[] {
	if (run.context.getMode() !== 'retry') return plans;
	const isLoss = (plan: DraftPlan) => isDryRun(plan) && book.recalled(plan.slot) !== undefined;
	const lost = plans.filter(isLoss);
	if (lost.length === 0) return plans;
	const slots = lost.map(({ slot }) => slot);
	results.refuse(slots, inputFailures.dryRunInRetry());
	return plans.filter((plan) => !isLoss(plan));
}

/** The plans that the limit of jobs allows: all of them, or none of those that start one. */
function withinLimit({ book, results }: Phases, plans: readonly DraftPlan[]): readonly DraftPlan[] {
	const submits = plans.filter(startsJob);
	const count = submits.filter(({ slot }) => !book.isCounted(slot)).length;
	const limit = lowestLimit(submits);
	const before = book.countedJobs;
	if (count === 0 || before + count <= limit) return plans;
	const slots = submits.map(({ slot }) => slot);
	results.refuse(slots, inputFailures.tooManyJobs(count, before, limit));
	return plans.filter((plan) => !startsJob(plan));
}

/**
 * Ends the run if the first job cannot be paid for, before any file is fetched. A node that continues
 * goes on: other items may have another credential.
 */
async function checkCredential(
	{ run, api, results }: Phases,
	plans: readonly DraftPlan[],
): Promise<void> {
	const first = plans.find((plan) => !isDryRun(plan));
	if (!first || run.continues) return;
	try {
		await api.accountOf(first.slot.itemIndex);
	} catch (error) {
		results.refuse([first.slot], asFailure(error));
	}
}

/** The plans with the files that are named by URL, each fetched once, before anything is charged. */
async function fetchFiles(
	{ run, results }: Phases,
	plans: readonly DraftPlan[],
): Promise<readonly Plan[]> {
	const fetcher = new InputFetcher(run.context, run.clock, run.signal);
	const complete = async (plan: DraftPlan): Promise<Plan[]> => {
		if ('resume' in plan) return [plan];
		try {
			return [{ ...plan, submit: await fetcher.complete(plan.submit) }];
		} catch (error) {
			results.fail(plan.slot, error);
			return [];
		}
	};
	const fetched = await Promise.all(plans.map(complete));
	results.throwIfOver();
	return fetched.flat();
}

async function perform(phases: Phases, plans: readonly Plan[]): Promise<void> {
	const { run, book, results, api } = phases;
	const { context, clock } = run;
	const performance = {
		...phases,
		submitter: new Submitter(api, book, clock),
		downloader: new Downloader(context, clock, RESULTS),
	};
	const limit = plans[0]?.settings.maxConcurrentJobs ?? 1;
	await performAll(run, results, plans, limit, async (plan, signal) => {
		const items = isDryRun(plan)
			? [dryRunItem(plan.slot, plan.submit)]
			: await performJob(plan, performance, signal);
		return plan.settings.includeInputFields ? results.withInput(items, plan.slot) : items;
	});
}

/** The output of a run that was not ended, and what there is to say of it. */
function finish(
	{ run, endpoint, book, results }: Phases,
	{ unwantedJobIds }: Planned,
	plans: readonly Plan[],
): INodeExecutionData[] {
	const output = withUniqueFileNames(results.items());
	const dryRuns = plans.filter(isDryRun);
	const resumed = plans.filter((plan) => 'resume' in plan).length;
	if (dryRuns.length > 0) run.hint(dryRunHint(endpoint, book, dryRuns));
	else if (output.every(isResult)) book.forget();
	const { counts, leftBehind } = book;
	if (counts.started + counts.unknown + resumed > 0) {
		const hasFiles = output.some(({ binary }) => binary !== undefined);
		const hasImages = output.some(({ json }) => 'image_url' in json || 'images' in json);
		const isKept = run.context.getMode() === 'manual' && !run.isTool && counts.started > 0;
		const pinnable = hasFiles ? 'files' : 'json';
		run.hint(hints.jobs(counts, resumed, isKept && hasImages ? pinnable : undefined));
	}
	const uncollected = [...unwantedJobIds, ...leftBehind];
	if (uncollected.length > 0) run.hint(hints.unwanted(uncollected));
	results.hintAt(output, plans.length - dryRuns.length);
	return output;
}
