import type { IExecuteFunctions, INodeExecutionData } from 'n8n-workflow';

import { Api, type Account, type SubmitOutcome } from '../api/api';
import { type JobState, isFinished } from '../api/job';
import { systemClock, type Clock } from '../clock';
import type { Endpoint } from '../endpoint';
import type { Values } from '../api/request';
import { asFailure } from '../failure';
import { apiFailures, hints, inputFailures, logLines, runFailures } from '../messages';
import { JobBudget } from './jobs/budget';
import { Downloader, RESULTS } from './files/download';
import { dryRunHint, dryRunItem, isDryRun } from './output/dryRun';
import { InputFetcher } from './files/fetchInputs';
import type { InputFileReader } from './check/inputFiles';
import { isResult, type OutputItem } from './output/item';
import { ItemRun } from './run/itemRun';
import { KnownFiles } from './files/knownFiles';
import { Ledger, type Entry, type Remembered } from './jobs/ledger';
import {
	echoOf,
	jobItems,
	submittedItem,
	withInputFields,
	withUniqueFileNames,
} from './output/output';
import { ParameterReader } from './check/parameters';
import type { DraftPlan, JobSlot, Plan, ResumedJob, SubmitPlan } from './jobs/plan';
import { PollScheduler, waitForJob, type WaitResult } from './jobs/poll';
import { readRequest, readValues } from './check/request';
import { isTool } from '../n8n';
import { readJobSettings, type JobSettings } from './check/settings';
import { Submitter } from './jobs/submit';

/** How long the check phase waits for the status of a remembered job, at most. */
const RESUME_CHECK_MS = 5000;

/**
 * Starts the paid jobs of all input items and, as the parameters say, waits for them and collects
 * their images. All items are checked before the first job is started, and jobs that an earlier try
 * of the execution has paid for are resumed.
 *
 * @param endpoints one endpoint, or those between which the node's own parameters decide
 * @returns the node's output; with continue-on-error, failed items are error items
 * @throws NodeApiError or NodeOperationError for the first item that fails otherwise
 */
export async function runJobs(
	context: IExecuteFunctions,
	endpoints: readonly Endpoint[],
	clock: Clock = systemClock,
): Promise<INodeExecutionData[][]> {
	const { parameters } = context.getNode();
	const run = new ItemRun(context, clock, true);
	const endpoint = endpoints.find(({ when = {} }) =>
		Object.entries(when).every(([name, value]) => parameters[name] === value),
	);
	if (endpoint) return [await new JobRun(context, endpoint, run, clock).execute()];
	const slots = context.getInputData().map((_, itemIndex) => ({
		slot: { itemIndex, jobNumber: 1, jobCount: 1 },
	}));
	run.refuse(slots, inputFailures.noSuchOperation());
	return [run.items()];
}

/** One execution of a node that starts paid jobs: check, submit, wait, collect. */
class JobRun {
	readonly #context: IExecuteFunctions;
	readonly #endpoint: Endpoint;
	readonly #clock: Clock;
	readonly #run: ItemRun;
	readonly #reader: ParameterReader;
	readonly #input: InputFileReader;
	readonly #ledger: Ledger;
	readonly #budget: JobBudget;
	readonly #scheduler: PollScheduler;
	readonly #isTool: boolean;
	readonly #api: Api;
	readonly #submitters = new Map<Account, Submitter>();
	readonly #downloader: Downloader;
	#rememberedStates: Promise<Map<string, JobState>> | undefined;
	/** Jobs that this run has started, or may have. */
	#startedCount = 0;
	/** Those of them that the limit of jobs has not counted before. */
	#newlyCounted = 0;
	/** Paid jobs of an earlier try beyond the number of variations that is set now. */
	readonly #unwantedJobIds: string[] = [];

	constructor(context: IExecuteFunctions, endpoint: Endpoint, run: ItemRun, clock: Clock) {
		this.#context = context;
		this.#endpoint = endpoint;
		this.#clock = clock;
		this.#run = run;
		this.#api = new Api(context, clock);
		this.#downloader = new Downloader(context, clock, RESULTS);
		this.#reader = new ParameterReader(context);
		this.#ledger = new Ledger(context, endpoint);
		this.#budget = new JobBudget(context);
		this.#scheduler = new PollScheduler(clock);
		this.#isTool = isTool(context);
		this.#input = {
			context,
			reader: this.#reader,
			knownFiles: new KnownFiles(context),
			isTool: this.#isTool,
		};
	}

	async execute(): Promise<INodeExecutionData[]> {
		const remembered = this.#recall();
		const checked = await this.#run.checkItems(
			async (itemIndex) => await this.#planItem(itemIndex, remembered),
		);
		const allowed = this.#withinBudget(checked);
		const reservedCount = allowed.filter(isUncounted).length;
		// Nothing may come in between: calls of an agent side by side would both pass the limit.
		this.#budget.reserve(reservedCount);
		try {
			await this.#checkCredential(allowed);
			const plans = await this.#fetched(allowed);
			await this.#carryOut(plans);
			return this.#finish(plans);
		} finally {
			this.#budget.release(reservedCount - this.#newlyCounted);
		}
	}

	/** What earlier tries have done, asked once and before anything else. */
	#recall(): Remembered {
		const remembered = this.#ledger.recall();
		for (const [itemIndex, ofItem] of remembered) {
			for (const [jobNumber, entry] of ofItem) {
				const slot = { itemIndex, jobNumber, jobCount: ofItem.size };
				if ('outcomeUnknown' in entry) this.#run.noteUnknown(slot);
				else if (!entry.hasFailed) this.#run.noteJob(slot, entry.jobId);
			}
		}
		return remembered;
	}

	async #planItem(itemIndex: number, remembered: Remembered): Promise<DraftPlan[]> {
		this.#ledger.prepare(itemIndex);
		const settings = readJobSettings(this.#reader, itemIndex, this.#isTool);
		const { jobsPerItem: jobCount } = settings;
		const known = settings.dryRun ? undefined : remembered.get(itemIndex);
		const entries = known ?? new Map<number, Entry>();
		for (const [jobNumber, entry] of entries) {
			const isPaid = 'jobId' in entry && !entry.hasFailed;
			if (jobNumber > jobCount && isPaid) this.#unwantedJobIds.push(entry.jobId);
		}
		const plans: DraftPlan[] = [];
		const missing: { slot: JobSlot; isCounted: boolean }[] = [];
		for (let jobNumber = 1; jobNumber <= jobCount; jobNumber++) {
			const slot = { itemIndex, jobNumber, jobCount };
			const entry = entries.get(jobNumber);
			try {
				const resumed = entry && (await this.#resumed(slot, entry, settings, remembered));
				if (!resumed) {
					const { executionId } = this.#budget;
					const isCounted =
						executionId !== undefined &&
						entry !== undefined &&
						'jobId' in entry &&
						entry.executionId === executionId;
					missing.push({ slot, isCounted });
					continue;
				}
				// What has been charged needs no check of its request, and its files may be gone by now.
				const echo = this.#echoOfResumed(itemIndex, settings);
				plans.push({ slot, settings, echo, resume: resumed });
			} catch (error) {
				this.#run.fail(slot, error);
			}
		}
		if (missing.length === 0) return plans;
		try {
			const { additionalFields } = settings;
			const submit = await readRequest(this.#input, this.#endpoint, itemIndex, additionalFields);
			const echo = echoOf(submit.values);
			return [...plans, ...missing.map((each) => ({ ...each, settings, echo, submit }))];
		} catch (error) {
			if (missing.length === jobCount) throw asFailure(error);
			// The item's other variations have been charged, and are returned beside these.
			for (const { slot } of missing) this.#run.fail(slot, error);
			return plans;
		}
	}

	/** The paid job that an earlier try has started, unless it has to be replaced. */
	async #resumed(
		slot: JobSlot,
		entry: Entry,
		{ onFailed, resubmitIfUnknown }: JobSettings,
		remembered: Remembered,
	): Promise<ResumedJob | undefined> {
		if ('outcomeUnknown' in entry) {
			if (resubmitIfUnknown) return undefined;
			throw apiFailures.outcomeStillUnknown();
		}
		const { jobId, submittedAtMs, hasFailed } = entry;
		const isReplaced = onFailed === 'error';
		const state =
			hasFailed && isReplaced ? undefined : (await this.#statesOf(remembered)).get(jobId);
		if (isReplaced && (hasFailed || state?.status === 'Failed')) {
			this.#run.forgetJob(slot);
			return undefined;
		}
		this.#run.noteJob(slot, jobId);
		return { jobId, submittedAtMs, ...(state && { state }) };
	}

	/** The values of a resumed job's request, as the parameters say now. */
	#echoOfResumed(itemIndex: number, { additionalFields }: JobSettings): Values {
		try {
			return echoOf(readValues(this.#reader, this.#endpoint, itemIndex, additionalFields));
		} catch {
			// An expression that fails this time says nothing about a job that has been charged.
			return {};
		}
	}

	/** The states of all remembered jobs, each polled once, side by side; it costs nothing. */
	async #statesOf(remembered: Remembered): Promise<Map<string, JobState>> {
		const poll = async (itemIndex: number, jobId: string): Promise<[string, JobState][]> => {
			// A signal of its own for each: Node.js warns of a leak when many listen to one.
			const signal = AbortSignal.any([this.#run.signal]);
			await this.#scheduler.waitForSlot(this.#clock.now(), signal);
			try {
				const outcome = await this.#scheduler.poll(
					async () => await this.#api.getJob(itemIndex, jobId, RESUME_CHECK_MS),
					signal,
				);
				return outcome?.kind === 'job' ? [[jobId, outcome.job]] : [];
			} catch {
				// Whatever is wrong is met again, and told, when the job is waited for.
				return [];
			}
		};
		this.#rememberedStates ??= Promise.all(
			[...remembered].flatMap(([itemIndex, ofItem]) =>
				[...ofItem.values()].flatMap((entry) =>
					'jobId' in entry ? [poll(itemIndex, entry.jobId)] : [],
				),
			),
		).then((states) => new Map(states.flat()));
		return await this.#rememberedStates;
	}

	/** The plans that the limit of jobs allows: all of them, or none of those that start one. */
	#withinBudget(plans: readonly DraftPlan[]): readonly DraftPlan[] {
		const submits = plans.filter(isSubmit);
		const limit = submits
			.map(({ settings }) => settings.maxJobsPerExecution)
			.filter((each) => each > 0)
			.reduce((least, each) => Math.min(least, each), Infinity);
		const count = submits.filter(isUncounted).length;
		const before = this.#budget.jobs;
		if (before + count <= limit || count === 0) return plans;
		this.#run.refuse(submits, inputFailures.tooManyJobs(count, before, limit));
		return plans.filter((plan) => !isSubmit(plan));
	}

	/**
	 * Ends the run if the first job cannot be paid for, before any file is fetched. A node that
	 * continues goes on: other items may have another credential.
	 */
	async #checkCredential(plans: readonly DraftPlan[]): Promise<void> {
		const first = plans.find(({ settings }) => !settings.dryRun);
		if (!first || this.#context.continueOnFail()) return;
		try {
			await this.#api.accountOf(first.slot.itemIndex);
		} catch (error) {
			this.#run.refuse([first], asFailure(error));
		}
	}

	/** The plans with the files that are named by URL, each fetched once, before anything is charged. */
	async #fetched(plans: readonly DraftPlan[]): Promise<readonly Plan[]> {
		const fetcher = new InputFetcher(this.#context, this.#clock, this.#run.signal);
		const complete = async (plan: DraftPlan): Promise<Plan[]> => {
			if ('resume' in plan) return [plan];
			try {
				return [{ ...plan, submit: await fetcher.complete(plan.submit) }];
			} catch (error) {
				this.#run.fail(plan.slot, error);
				return [];
			}
		};
		const fetched = await Promise.all(plans.map(complete));
		this.#run.throwIfOver();
		return fetched.flat();
	}

	async #carryOut(plans: readonly Plan[]): Promise<void> {
		const limit = plans[0]?.settings.maxConcurrentJobs ?? 1;
		await this.#run.carryOut(plans, limit, async (plan, signal) => {
			const { slot, settings } = plan;
			const items = isDryRun(plan)
				? [dryRunItem(slot, plan.submit)]
				: await this.#performJob(plan, signal);
			if (!settings.includeInputFields) return items;
			return withInputFields(items, this.#context.getInputData()[slot.itemIndex]);
		});
	}

	/** Submits or resumes a job, and waits for it and collects its images as the settings say. */
	async #performJob(plan: Plan, signal: AbortSignal): Promise<OutputItem[]> {
		const { slot, settings, echo } = plan;
		const downloader = this.#downloader;
		const job = 'resume' in plan ? plan.resume : await this.#submit(plan, signal);
		if (!settings.waitForCompletion) return [submittedItem(slot, job.jobId, echo)];
		const result = await this.#waitFor(plan, job, signal);
		if (result.job.status === 'Failed') this.#ledger.recordFailure(slot);
		return await jobItems(result, {
			slot,
			settings,
			downloader,
			signal,
			echo,
			adviceIfFailed: this.#endpoint.adviceIfFailed,
			errorItems: this.#run.errorItemsOf(slot),
		});
	}

	/** Starts a job. From the answer on nothing may come between the user and the job ID. */
	async #submit(plan: SubmitPlan, signal: AbortSignal): Promise<ResumedJob> {
		const { slot, submit } = plan;
		const { logger } = this.#context;
		const { itemIndex } = slot;
		const { canceled } = this.#run;
		const onLateOutcome = (outcome: SubmitOutcome) => {
			if (outcome.kind === 'accepted') logger.info(logLines.started(outcome.jobId, itemIndex));
			else logger.info(logLines.notStartedAfterStop(itemIndex, isCertainlyNotStarted(outcome)));
		};
		try {
			const jobId = await this.#run.submitInTurn(slot, async () => {
				const submitter = await this.#submitterFor(itemIndex);
				return await submitter.submit(submit, { signal, canceled, onLateOutcome });
			});
			this.#run.noteJob(slot, jobId);
			this.#countStart(plan);
			const submittedAtMs = this.#clock.now();
			try {
				logger.info(logLines.started(jobId, itemIndex));
			} finally {
				const { executionId } = this.#budget;
				this.#ledger.record(slot, { jobId, submittedAtMs, executionId });
			}
			return { jobId, submittedAtMs };
		} catch (error) {
			const failure = asFailure(error);
			if (failure.facts.outcomeUnknown) {
				this.#ledger.record(slot, { outcomeUnknown: true });
				this.#run.noteUnknown(slot);
				this.#countStart(plan);
				logger.warn(logLines.outcomeUnknown(itemIndex, failure.facts.description));
			}
			throw failure;
		}
	}

	#countStart(plan: SubmitPlan): void {
		this.#startedCount++;
		if (!plan.isCounted) this.#newlyCounted++;
	}

	/** @throws Failure when nothing can be sent with the item's credential */
	async #submitterFor(itemIndex: number): Promise<Submitter> {
		let account: Account;
		try {
			account = await this.#api.accountOf(itemIndex);
			if (account.refusal) throw account.refusal;
		} catch (error) {
			throw runFailures.withNothingStarted(asFailure(error), {
				isOneOfMany: false,
				isRetry: false,
			});
		}
		const submitter =
			this.#submitters.get(account) ?? new Submitter(this.#api, account, this.#clock);
		this.#submitters.set(account, submitter);
		return submitter;
	}

	/** Waits for a job, unless the check phase has seen all there is to see. */
	async #waitFor(
		{ slot: { itemIndex }, settings: { timeoutMs, pollIntervalMs }, ...plan }: Plan,
		{ jobId, submittedAtMs, state }: ResumedJob,
		signal: AbortSignal,
	): Promise<WaitResult> {
		const isKnown = state?.status === 'Failed' || (state?.imageUrls.length ?? 0) > 0;
		if (state && isKnown && isFinished(state.status)) {
			return { job: state, wasSeen: true, timedOut: false, waitedMs: 0 };
		}
		const getJob = async (limitMs: number) => await this.#api.getJob(itemIndex, jobId, limitMs);
		return await waitForJob(getJob, this.#clock, this.#scheduler, jobId, {
			submittedAtMs,
			isNew: 'submit' in plan,
			until: 'finished',
			timeoutMs,
			pollIntervalMs,
			signal,
		});
	}

	#finish(plans: readonly Plan[]): INodeExecutionData[] {
		const output = withUniqueFileNames(this.#run.items());
		const dryRuns = plans.filter(isDryRun);
		const resumed = plans.filter((plan) => 'resume' in plan).length;
		if (dryRuns.length > 0)
			this.#run.hint(dryRunHint(this.#endpoint, this.#ledger.recall(), dryRuns));
		else if (output.every(isResult)) this.#ledger.clear();
		if (this.#startedCount + resumed > 0) {
			const isManual = this.#context.getMode() === 'manual' && !this.#isTool;
			this.#run.hint(hints.jobs(this.#startedCount, resumed, isManual));
		}
		if (this.#unwantedJobIds.length > 0) this.#run.hint(hints.unwanted(this.#unwantedJobIds));
		this.#run.hintAtPendingJobs(output, plans.length - dryRuns.length);
		return output;
	}
}

function isSubmit<R>(plan: Plan<R>): plan is SubmitPlan<R> {
	return 'submit' in plan && !isDryRun(plan);
}

/** Whether a plan starts a job that the limit of jobs has not counted yet. */
function isUncounted<R>(plan: Plan<R>): boolean {
	return isSubmit(plan) && !plan.isCounted;
}

function isCertainlyNotStarted(outcome: SubmitOutcome): boolean {
	return outcome.kind !== 'failed' || outcome.failure.facts.outcomeUnknown !== true;
}
