import { createHash } from 'node:crypto';

import { stringify } from 'flatted';

import type { FaultPlace } from '../emulator/emulator';
import { tinyPicture } from '../emulator/pictures';
import { artificialRuns, type Books, itemOf, NODES, slotOf, textOf, type Sent } from './books';
import type { Day } from './day';
import { itemsIn, STOPPED, type Execution } from './n8n';
import { rootOf } from './run';
import { KEYS } from './service';
import { endpointOf, isCombined, isDryRun, ROUNDS, sendsFile } from './workflow';

// Each function that is exported is a rule: it tells what is wrong with a day, one sentence each.

const JOB_ID = /0{8}-0{4}-4000-8000-\d{12}/g;
const FREE = /nothing was charged|no job was started(?: and|\.|,| for this item)/i;
const UNKNOWN = /not known whether|may exist and be charged/i;
const NOT_THERE = /does not (know|list) the job(?! yet)|no longer has the job/;
const IDS_IN_TEXT = 10;
/** A little fewer than the nodes keep: some of the room goes to requests that were taken back. */
const KEPT_JOBS = 50;

export function* paidOnce(books: Books) {
	const { executions, day } = books;
	const edits = executions.map(({ workflow }) => workflow.edits);
	// A crash while an ID was being read leaves it unknown, as an open request of a twin does, and what is
	// unknown may be sent again.
	const isCutOff = executions.some(({ retryOf, unfinished }) => retryOf && unfinished);
	const isResubmitted = edits.some(({ options }) => options.resubmitIfUnknown);
	if ((isCutOff || books.hasTwins) && isResubmitted) return;
	// What a node before it failed of the first time, or damaged, it may give the next one in the retry.
	const isSecondOther =
		day.onError !== 'stopWorkflow' ||
		edits.some(({ prompt }) => prompt > 0) ||
		day.faults.some(({ at, name }) => at === 'download' && name === 'huge');
	for (const execution of executions) {
		const known = books.sentFor(execution);
		for (const slot of new Set(known.map(slotOf))) {
			const all = known.filter((post) => slotOf(post) === slot);
			if (all[0]?.node === 'Second' && isSecondOther) continue;
			// What was open at Stop may have been refused after it.
			const posts = all.filter(
				({ request }) => books.played.service.verdictOf(request, Infinity) !== 'refused',
			);
			const { charged } = statesOf(posts);
			// Of two executions that began alike either may get the other's job, and so one that failed.
			const shared = books.hasTwins ? books.sent.filter((post) => slotOf(post) === slot) : posts;
			const { failed } = statesOf(shared);
			const wanted = Math.max(...all.map((post) => post.execution.workflow.edits.variations));
			const started = day.shape === 'tool' ? books.sameWork(execution) : [];
			const calls = started.reduce((sum, each) => sum + (each.calls.get('Node') ?? 0), 0) || 1;
			const unaware = posts.filter(({ execution: sender }, index) => {
				const beside = books.beside(sender);
				return posts.slice(0, index).some((other) => beside.includes(other.execution));
			});
			const allowed =
				wanted * calls + failed + resubmitted(posts) + unaware.length + forgotten(books, posts);
			if (charged > allowed) {
				yield `${slot} of execution ${execution.id}: ${charged} paid for, ${allowed} allowed`;
			}
		}
	}
}

function statesOf(posts: readonly Sent[]): { charged: number; failed: number } {
	const charged = posts.filter(({ verdict }) => verdict !== 'refused' && verdict !== 'either');
	const failed = charged.filter(({ hasFailed }) => hasFailed);
	return { charged: charged.length, failed: failed.length };
}

/** Requests of unknown outcome that a later execution was told to send again. */
function resubmitted(posts: readonly Sent[]): number {
	const lastTold = posts.findLastIndex(
		({ execution }) => execution.workflow.edits.options.resubmitIfUnknown,
	);
	return posts.filter(
		({ verdict }, index) => index < lastTold && (verdict === 'lost' || verdict === 'open'),
	).length;
}

/** Jobs that newer ones have pushed out of n8n's database: it keeps the newest 60 of a node. */
function forgotten({ sent }: Books, posts: readonly Sent[]): number {
	const isOld = (post: Sent) => {
		const ofNode = sent.filter(({ node }) => node === post.node);
		return ofNode.indexOf(post) < ofNode.length - KEPT_JOBS;
	};
	return posts.filter(isOld).length;
}

/** Nobody pays for a dry run, nor for an expression gone wrong. */
export function* nothingIsPaidFor({ day, sent }: Books) {
	if (isDryRun(day) && sent.length > 0) yield 'a dry run has sent a request';
	if (day.prompt !== 'refusedForOne' || endpointOf(day.endpoint).words === undefined) return;
	if (sent.some(({ node, itemIndex }) => node === 'Node' && itemIndex === 1)) {
		yield 'the item whose prompt is undefined was paid for';
	}
}

/** Every job that was started is in an output, an error's data and text, and in n8n's log. */
export function* jobsAreTold(books: Books) {
	const { executions, played, day, sent } = books;
	const log = played.n8n.log.join('\n');
	const hasCrashed = executions.some(({ unfinished }) => unfinished);
	for (const execution of executions) {
		const { ending, stoppedAtMs, result, calls } = execution;
		const own = sent.filter((post) => post.execution === execution);
		const started = own.filter(({ verdict }) => verdict === 'started');
		// Stop reaches no paid request: the answer that comes after it names the job in the log.
		const isHeardLate = stoppedAtMs !== undefined && !hasCrashed;
		const isHeard = ({ request }: Sent) =>
			played.service.verdictOf(request, Infinity) === 'started';
		for (const { jobId = '' } of isHeardLate ? own.filter(isHeard) : started) {
			if (!log.includes(jobId)) yield `job ${jobId} is not in the log`;
		}
		if (ending !== 'success' && ending !== 'error') continue;
		// n8n 2 ends every further try with the error of an earlier Stop, in place of the node's own.
		if (result?.resultData.error?.message === STOPPED) continue;
		// Each call of a tool stands for itself, and n8n keeps what the last one says.
		if (day.shape === 'tool' && (calls.get('Node') ?? 0) > 1) continue;
		const alive = started.filter(({ hasFailed }) => !hasFailed);
		for (const node of NODES) yield* untold(books, execution, node, alive);
	}
}

function* untold(books: Books, execution: Execution, node: string, alive: Sent[]) {
	const runs = books.runsOf(execution, node).map(({ run }) => run);
	const items = runs.flatMap((run) => itemsIn(run)).map(({ json }) => json);
	const shown = stringify([items, runs.map(({ hints }) => hints)]);
	const error = books.errorOf(execution);
	const data = JSON.stringify(error?.context?.data ?? {});
	const missing = alive.filter((post) => post.node === node && !shown.includes(post.jobId ?? ''));
	for (const { jobId = '' } of missing) {
		if (!data.includes(jobId)) {
			yield `job ${jobId} is in no output and no error's data of execution ${execution.id}`;
		}
	}
	const inText = new Set(error && textOf(error).match(JOB_ID)).size;
	if (inText < Math.min(missing.length, IDS_IN_TEXT)) {
		yield `execution ${execution.id}: the error's text names ${inText} of ${missing.length} jobs`;
	}
	for (const { error: onItem } of books.errorItems(execution, node)) {
		if (!textOf(onItem).includes(onItem.job_id ?? '')) {
			yield `the text of an error item does not name its job ${onItem.job_id ?? ''}`;
		}
	}
}

/** Items come in order, each with its own job, whose picture it has. */
export function* outputsAreRight(books: Books) {
	const { day, sent } = books;
	for (const { execution, node, run, round } of books.runs) {
		const known = books.mayDeliver(execution);
		for (const output of run.data?.main ?? []) {
			let before = -Infinity;
			for (const each of output ?? []) {
				const { json } = each;
				const item = itemOf(each);
				if (item < before) yield `items of execution ${execution.id} are out of order at ${item}`;
				before = item;
				const { job_id: jobId } = json as { job_id?: string };
				if (jobId === undefined || run.error || json.error) continue;
				const post = sent.find((one) => one.jobId === jobId);
				if (post?.node !== node) {
					yield `an item has the foreign job ${jobId}`;
					continue;
				}
				const isOwn =
					known.includes(post.execution) &&
					post.itemIndex === item &&
					(node === 'Second' || post.edition === books.editionOf(execution, node)) &&
					(day.shape === 'tool' || post.round === round);
				// What it never sent itself it may get from an execution that began alike.
				const hasSent = sent.some(
					(one) =>
						known.includes(one.execution) &&
						one.node === node &&
						one.itemIndex === item &&
						one.round === round,
				);
				if (!isOwn && !(books.hasTwins && !hasSent)) {
					yield `item ${item} of execution ${execution.id} has the job of ${slotOf(post)} of execution ${post.execution.id}`;
				}
			}
		}
	}
}

export function* filesAreRight(books: Books) {
	const { service, n8n } = books.played;
	for (const { run } of books.runs) {
		for (const { json, binary } of run.error ? [] : itemsIn(run)) {
			if (json.error) continue;
			const { job_id: jobId = '', image_number: number = 1 } = json as {
				job_id?: string;
				image_number?: number;
			};
			const images = service.emulator.jobs.find(jobId)?.outcome.images ?? [];
			const inJson = json._files as typeof binary | undefined;
			const files = Object.values((isCombined(books.day) ? inJson : binary) ?? {});
			for (const [index, { id = '' }] of files.entries()) {
				const format = images[number + index - 1];
				if (!format) yield `job ${jobId} has a file without a result`;
				const label = `${jobId}-${number + index}.${format ?? ''}`;
				const bytes = n8n.files.peek(id);
				const isWhole = bytes && bytes.length >= tinyPicture(label, format ?? 'png').length;
				if (isWhole && !bytes.includes(label)) yield `job ${jobId} has the file of another job`;
			}
		}
	}
}

/** Each request carries its own item's file, and its own item's key. */
export function* requestsAreRight({ day, sent }: Books) {
	for (const { request, node, execution, itemIndex } of sent) {
		const key = day.credential === 'perItem' ? KEYS[itemIndex % 2] : KEYS[0];
		if (request.headers.authorization !== `Bearer ${key ?? ''}`) {
			yield `item ${itemIndex} was sent with another key`;
		}
		if (node !== 'Node' || !sendsFile(day) || day.files === 'url') continue;
		const [file] = request.form?.files ?? [];
		const own = tinyPicture(`${execution.label} data ${itemIndex}`, 'png');
		if (file?.sha256 !== createHash('sha256').update(own).digest('hex')) {
			yield `item ${itemIndex} was sent with another file`;
		}
	}
}

/** A retry calls unknown at most what was open, and what is told as free was free. */
export function* toldAsItWas(books: Books) {
	const { day, executions } = books;
	const isUnheard = mayBeUnheard(books);
	const wasEdited = executions.some((each) => each.workflow.edits.prompt > 0);
	const areJobsThere =
		!day.faults.some(({ name }) => name === 'unknownJob' || name === 'accountGone') &&
		day.credential === 'one';
	for (const execution of executions) {
		const known = books.sentFor(execution);
		const isUnaware = isUnheard || books.isMixedUp || books.beside(execution).length > 0;
		for (const node of NODES) {
			const edition = books.editionOf(execution, node);
			const isOneJob =
				day.variations === 1 &&
				// One that n8n 1 runs again asks the database only when a request is due.
				!execution.isRerunOf &&
				(day.shape === 'plain' || day.shape === 'chain') &&
				// What it gets depends on which edition of the node before it has run.
				!(node === 'Second' && wasEdited);
			for (const { itemIndex, error } of claimsOf(books, execution, node)) {
				const text = textOf(error);
				const told = `item ${itemIndex} of execution ${execution.id} is told as`;
				const ofItem = known.filter(
					(post) => post.node === node && post.itemIndex === itemIndex && post.edition === edition,
				);
				const alive = ofItem.find(({ verdict, hasFailed }) => verdict === 'started' && !hasFailed);
				// What a node hands on when it is stopped may tell of the node before.
				const wasOpen = (node === 'Second' ? known : ofItem).some(isOpen);
				if (areJobsThere && NOT_THERE.test(text)) {
					yield `execution ${execution.id} says that the service does not know a job: ${text}`;
				}
				if (isOneJob && FREE.test(text) && alive) {
					yield `${told} free, and job ${alive.jobId ?? ''} was charged: ${text}`;
				}
				if (UNKNOWN.test(text) && !wasOpen && !isUnaware && !text.includes('started for row')) {
					yield `${told} unknown, and no request was open: ${text}`;
				}
			}
		}
	}
}

const isOpen = ({ verdict }: Sent) => verdict !== 'started' && verdict !== 'refused';

/** What an execution says of a node's items: on the items, and in the error that ended it. */
function claimsOf(books: Books, execution: Execution, node: string) {
	const claims = books.errorItems(execution, node);
	const error = books.errorOf(execution);
	const { ending, result } = execution;
	const itemIndex = error?.context?.itemIndex;
	const isLast = ending === 'error' && result?.resultData.lastNodeExecuted === node;
	return error && itemIndex !== undefined && isLast ? [...claims, { itemIndex, error }] : claims;
}

export function* limitsAreKept({ executions, sent }: Books) {
	for (const execution of executions) {
		const { maxJobsPerExecution: limit } = execution.workflow.edits.options;
		for (const node of NODES) {
			const own = sent.filter((post) => post.execution === execution && post.node === node);
			const { charged, failed } = statesOf(own);
			if (limit > 0 && charged > limit + failed + resubmitted(sent)) {
				yield `execution ${execution.id} has started ${charged} jobs, and ${limit} are allowed`;
			}
		}
	}
}

/** A pause that the service asks for is kept by a run's requests. The next run knows nothing of it. */
export function* waitsAsAsked({ day, executions, sent }: Books) {
	if (executions.length > 1 || day.faults.length !== 1 || day.retryOnFail) return;
	if (day.faults[0]?.name !== 'rateLimitFor7s') return;
	for (const [index, { request, node, round }] of sent.entries()) {
		const { status, endedAtMs = Infinity, headers } = request;
		for (const later of status === 429 ? sent.slice(index + 1) : []) {
			const afterMs = later.request.startedAtMs - endedAtMs;
			const isSameKey = later.request.headers.authorization === headers.authorization;
			const isSameRun = later.node === node && later.round === round;
			if (isSameRun && isSameKey && afterMs > 2 * day.latencyMs + 5 && afterMs < 6900) {
				yield `a request was sent ${afterMs} ms after the service asked for 7 seconds`;
			}
		}
	}
}

/** The key goes to the API alone, and stays out of all that n8n shows, logs or saves. */
export function* keyIsKept({ executions, played }: Books) {
	for (const { server, path, headers } of played.service.emulator.requests) {
		const isForApi = server === 'api' && path.startsWith('/public/v1/');
		if (headers.authorization !== undefined && !isForApi) yield `the key went to ${path}`;
	}
	const saved = executions.map((execution) => [execution.saved, execution.result]);
	const shown = stringify([played.n8n.log, ...saved]);
	if (KEYS.some((key) => shown.includes(key))) yield 'the key is in what n8n shows or saves';
}

/** What ended without a failed item leaves no job in the node's memory. */
export function* nothingIsLeft(books: Books) {
	const { executions } = books;
	const wasDisturbed = executions.some(
		(execution) =>
			execution.stoppedAtMs !== undefined ||
			execution.unfinished !== undefined ||
			NODES.some((node) => books.errorItems(execution, node).length > 0),
	);
	for (const { id, ending, calls, result } of wasDisturbed ? [] : executions) {
		if (ending !== 'success' || calls.size === 0) continue;
		const context = stringify(result?.executionData?.contextData ?? {});
		if (context.match(JOB_ID)) yield `execution ${id} has ended well and still remembers jobs`;
	}
}

/** In a healthy world the last retry brings everything that was paid for, and all that was wanted. */
export function* imagesComeOut(books: Books) {
	const { day, played, executions } = books;
	for (const root of new Set(executions.map(rootOf))) {
		const last = executions.findLast((each) => rootOf(each) === root);
		if (!last || last.startedAtMs < played.healedAtMs || !played.n8n.canRetry(root)) continue;
		if (isBlocked(books, last)) continue;
		if (last.ending !== 'success') {
			const error = books.errorOf(last);
			yield `the last retry, ${last.id}, does not succeed: ${error ? textOf(error) : last.ending}`;
			continue;
		}
		const artificial = artificialRuns(last, 'Node').length;
		const runCount = (last.result?.resultData.runData.Node?.length ?? 0) - artificial;
		if (runCount !== roundsOf(day)) yield `execution ${last.id} has ${runCount} runs`;
		const wanted = last.workflow.edits.variations;
		// Rounds that an earlier execution ended are as they were then.
		for (const { run, round } of books.runsOf(last, 'Node')) {
			const itemCount = day.executeOnce ? 1 : day.itemCount;
			for (let itemIndex = 0; itemIndex < itemCount; itemIndex++) {
				const own = itemsIn(run)
					.filter((item) => itemOf(item) === itemIndex)
					.map(({ json }) => json);
				const jobs = new Set(own.filter(({ error }) => !error).map((json) => json.job_id));
				const areOver = own.every(
					(json) => json.status === 'Succeed' || json.status === 'Failed' || json.timed_out,
				);
				if (jobs.size !== wanted || (day.waits && !areOver)) {
					yield `round ${round}, item ${itemIndex} of execution ${last.id} has ${jobs.size} of ${wanted} jobs`;
				}
			}
		}
	}
}

const roundsOf = ({ shape }: Day) => (shape === 'loop' ? ROUNDS : 1);

/** What a few faults of a kind do to a request, nobody needs to see. */
const SURVIVED: Record<FaultPlace, RegExp> = {
	submit: /^(rateLimit|rateLimitFor7s|cutBehind|slow)$/,
	poll: /^(?!rateLimitUntil|rateLimitForHours|badRequest|badKey|noCredits|forbidden|accountGone|unknownJob|tooLarge)/,
	download:
		/^(rateLimit|rateLimitFor7s|reset|serverError|overloaded|gatewayTimeout|requestTimeout|cut|cutChunked|pageInPlace|stallBody|stall|forbidden|firewall)$/,
};
const GOOD_JOBS = ['succeeds', 'hasTwoImages', 'hasGif', 'hasUrlObjects', 'isListedLate'];

/** What a node can get over by itself ends no execution. */
export function* succeedsWhereItCan(books: Books) {
	const { day, executions } = books;
	const [first] = executions;
	const { disruption, refused, beside, timeoutAfterMs, faults, jobs, options } = day;
	const wanted = day.itemCount * day.variations * roundsOf(day);
	const isSurvived = ({ at, name, times }: (typeof faults)[number]) =>
		times <= 2 &&
		SURVIVED[at].test(name) &&
		// The host of an input file has its time once.
		!(at === 'download' && day.files === 'url' && name.startsWith('stall'));
	const succeeds =
		!(disruption ?? refused ?? beside ?? timeoutAfterMs) &&
		options.timeout >= 60 &&
		day.latencyMs <= 200 &&
		faults.length <= 1 &&
		faults.every(isSurvived) &&
		jobs.every((job) => GOOD_JOBS.includes(job)) &&
		(options.maxJobsPerExecution === 0 || wanted <= options.maxJobsPerExecution) &&
		!isRefused(day);
	if (!first || !succeeds) return;
	const [onItem] = books.errorItems(first, 'Node');
	const error = first.ending === 'success' ? onItem?.error : books.errorOf(first);
	if (error) yield `execution ${first.id} fails of what it can get over: ${textOf(error)}`;
}

/** Whether an item is refused for what the user gave. */
function isRefused(day: Day): boolean {
	return (
		day.prompt === 'refusedForOne' ||
		isDryRun(day) ||
		day.credential === 'odd' ||
		day.shape === 'chain' ||
		day.shape === 'tool' ||
		(endpointOf(day.endpoint).hasRows && day.files === 'url')
	);
}

/** Whether a request was on its way of which the service's books do not tell whose it was. */
function mayBeUnheard({ played }: Books): boolean {
	const { requests } = played.service.emulator;
	return (
		played.network.hasCutOff ||
		// The process died after it had announced a request, or before it had taken that back.
		played.n8n.deduplication.openWrites > 0 ||
		requests.some(({ method, form }) => method === 'POST' && !form)
	);
}

/** Whether an item cannot come out: the user's doing, or an outcome that nobody knows. */
function isBlocked(books: Books, last: Execution): boolean {
	const { day, executions } = books;
	const isUnknown = books.sentFor(last).some(isOpen) || mayBeUnheard(books) || books.isMixedUp;
	return (
		// n8n has nothing left to run where a canceled node continued on its error.
		(day.onError !== 'stopWorkflow' &&
			executions.some(({ stoppedAtMs }) => stoppedAtMs !== undefined)) ||
		(isUnknown && !last.workflow.edits.options.resubmitIfUnknown) ||
		isRefused(day) ||
		// n8n 2.41 saves a stopped execution as it was read before, and moves its files all the same.
		(day.mode === 'webhook' &&
			sendsFile(day) &&
			// One that n8n 1 has run again moves them as well.
			executions.some(({ ending, isRerunOf }) => ending === 'stopped' || isRerunOf)) ||
		((day.prompt === 'goneInRetry' || (day.filesGoInRetry && sendsFile(day))) &&
			!isPaidFor(books, last)) ||
		day.itemCount === 0 ||
		day.jobs.includes('hasNoImages')
	);
}

/** Whether all that is wanted had been started before the last execution, which then needs no input. */
function isPaidFor(books: Books, last: Execution): boolean {
	const { day } = books;
	const wanted = last.workflow.edits.variations;
	if (day.shape !== 'plain' || day.executeOnce || wanted !== day.variations) return false;
	// One that n8n 1 runs again asks for its jobs only when it would start them.
	if (last.isRerunOf) return false;
	const edition = books.editionOf(last, 'Node');
	const earlier = books
		.sentFor(last)
		.filter((post) => post.execution !== last && post.edition === edition);
	const { charged, failed } = statesOf(earlier);
	return failed === 0 && charged >= wanted * day.itemCount && !earlier.some(isOpen);
}

export function* nothingIsUnhandled({ played }: Books) {
	yield* played.unhandled;
	yield* played.n8n.log.filter((line) => line.startsWith('error '));
	for (const { method, path, endedAtMs } of played.service.emulator.requests) {
		if (endedAtMs === undefined) yield `${method} ${path} is still open`;
	}
}
