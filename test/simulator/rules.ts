import { stringify } from 'flatted';

import type { FaultPlace } from '../emulator/emulator';
import { tinyPicture } from '../emulator/pictures';
import {
	artificialRuns,
	Books,
	itemOf,
	NODES,
	slotOf,
	textOf,
	type Sent,
	type ShownError,
} from './books';
import { itemsIn, STOPPED, type Execution } from './n8n';
import { rootOf, type Played } from './run';
import { KEYS } from './service';
import { endpointOf, isCombined, isDryRun, ROUNDS, sendsFile } from './workflow';

// Each rule tells what it finds wrong with a day, one sentence each.

const JOB_ID = /0{8}-0{4}-4000-8000-\d{12}/g;
const FREE =
	/nothing was charged|no job was started(?: and|\.|,)|No job was started for this item/i;
const UNKNOWN = /not known whether|may exist and be charged/i;
const NOT_THERE = /does not (know|list) the job(?! yet)|no longer has the job/;
const CONCURRENT_SUBMITS = 20;
const POLLS_A_SECOND = 21;
const IDS_IN_TEXT = 10;
/** A little fewer than the nodes keep: some of the room goes to requests that were taken back. */
const KEPT_JOBS = 50;
const STOP_MS = 1000;
/** How long the node waits for an answer. */
const GIVEN_UP_MS = 60_000;

function* paidOnce(books: Books) {
	const { executions, day } = books;
	// A crash while an ID was being read leaves it unknown, and what is unknown may be sent again.
	const isSentAgain = executions.some(({ workflow }) => workflow.edits.options.resubmitIfUnknown);
	const isCutOff = executions.some(({ retryOf, ending }) => retryOf && ending === 'crashed');
	if (isSentAgain && isCutOff) return;
	// What a node before it failed of the first time, it may give the next one in the retry.
	const isSecondOther =
		day.onError !== 'stopWorkflow' || executions.some(({ workflow }) => workflow.edits.prompt > 0);
	for (const execution of executions) {
		const known = books.sameWork(execution);
		for (const [slot, all] of groupBy(books.sentFor(execution), slotOf)) {
			if (all[0]?.node === 'Second' && isSecondOther) continue;
			// What was open at Stop may have been refused after it.
			const posts = all.filter(
				({ request }) => books.played.service.verdictOf(request, Infinity) !== 'refused',
			);
			const { charged, failed } = statesOf(posts);
			const wanted = Math.max(...all.map((post) => post.execution.workflow.edits.variations));
			const calls =
				day.shape === 'tool' ? sum(known.map((each) => each.calls.get('Node') ?? 0)) : 1;
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
	const isOld = ({ node, request }: Sent) => {
		const oldestKept = sent.filter((other) => other.node === node).at(-KEPT_JOBS);
		return oldestKept !== undefined && oldestKept.request.startedAtMs > request.startedAtMs;
	};
	return sent.length < KEPT_JOBS ? 0 : posts.filter(isOld).length;
}

function* dryRunsAreFree({ day, sent }: Books) {
	if (isDryRun(day) && sent.length > 0) yield 'a dry run has sent a request';
}

/** Every job that was started is in an output, an error's data and text, and in n8n's log. */
function* jobsAreTold(books: Books) {
	const log = books.played.n8n.log.join('\n');
	for (const execution of books.executions) {
		const { ending, stoppedAtMs, result, calls } = execution;
		const own = books.sent.filter((post) => post.execution === execution);
		const started = own.filter(({ verdict }) => verdict === 'started');
		for (const { jobId = '' } of started) {
			if (!log.includes(jobId)) yield `job ${jobId} is not in the log`;
		}
		if (stoppedAtMs !== undefined && ending !== 'crashed') {
			yield* lateAndUnlogged(books, own, log);
			continue;
		}
		if (ending !== 'success' && ending !== 'error') continue;
		// n8n 2 ends every further try with the error of an earlier Stop, in place of the node's own.
		if (result?.resultData.error?.message === STOPPED) continue;
		// Each call of a tool stands for itself, and n8n keeps what the last one says.
		if (books.day.shape === 'tool' && (calls.get('Node') ?? 0) > 1) continue;
		const alive = started.filter(({ hasFailed }) => !hasFailed);
		for (const node of NODES) yield* untold(books, execution, node, alive);
	}
}

/** Stop reaches no paid request: the answer that comes after it names the job in the log. */
function* lateAndUnlogged({ executions, played }: Books, own: Sent[], log: string) {
	if (executions.some(({ ending }) => ending === 'crashed')) return;
	for (const { request, jobId = '' } of own) {
		if (played.service.verdictOf(request, Infinity) !== 'started') continue;
		if (!log.includes(jobId)) {
			yield `job ${jobId}, whose answer came after Stop, is not in the log`;
		}
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
	for (const each of items) {
		if (!each.error) continue;
		const shownError = each.error as unknown as ShownError & { job_id?: string };
		const { job_id: jobId } = shownError;
		if (jobId !== undefined && !textOf(shownError).includes(jobId)) {
			yield `the text of an error item does not name its job ${jobId}`;
		}
	}
}

/** Items come in order, each with its own job, whose picture it has. */
function* outputsAreRight(books: Books) {
	const { day, sent } = books;
	for (const { execution, node, run, round } of books.runs) {
		const known = [...books.mayDeliver(execution), ...books.beside(execution)];
		for (const output of [0, 1]) {
			let before = -Infinity;
			for (const { json, pairedItem } of itemsIn(run, output)) {
				const item = itemOf(pairedItem);
				if (item < before) yield `items of execution ${execution.id} are out of order at ${item}`;
				before = item;
				const { job_id: jobId } = json as { job_id?: string };
				if (jobId === undefined || run.error || json.error) continue;
				const post = sent.find((each) => each.jobId === jobId);
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
				const isOfTwin =
					(day.beside?.equal === true || (day.beside !== undefined && day.circularItems)) &&
					!sent.some(
						(each) =>
							known.includes(each.execution) &&
							each.node === node &&
							each.itemIndex === item &&
							each.round === round,
					);
				if (!isOwn && !isOfTwin) {
					yield `item ${item} of execution ${execution.id} has the job of ${slotOf(post)} of execution ${post.execution.id}`;
				}
			}
		}
	}
}

/** Nobody pays for an expression gone wrong. */
function* nonsenseIsNotSent({ day, sent }: Books) {
	if (day.prompt !== 'refusedForOne' || endpointOf(day.endpoint).words === undefined) return;
	if (sent.some(({ node, itemIndex }) => node === 'Node' && itemIndex === 1)) {
		yield 'the item whose prompt is undefined was paid for';
	}
}

function* filesAreRight(books: Books) {
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
			for (const [index, { id }] of files.entries()) {
				const format = images[number + index - 1];
				if (!format || id === undefined) {
					yield `job ${jobId} has a file without a result`;
					continue;
				}
				const bytes = n8n.files.peek(id);
				const label = `${jobId}-${number + index}.${format}`;
				const isWhole = bytes && bytes.length >= tinyPicture(label, format).length;
				if (isWhole && !bytes.includes(label)) yield `job ${jobId} has the file of another job`;
			}
		}
	}
}

/** Each request carries its own item's file, and its own item's key. */
function* requestsAreRight({ day, played, sent }: Books) {
	for (const { request, node, execution, itemIndex } of sent) {
		const key = day.credential === 'perItem' ? KEYS[itemIndex % 2] : KEYS[0];
		if (request.headers.authorization !== `Bearer ${key ?? ''}`) {
			yield `item ${itemIndex} was sent with another key`;
		}
		if (node !== 'Node' || !sendsFile(day) || day.files === 'url') continue;
		const [file] = request.form?.files ?? [];
		const own = played.fileOf(execution, itemIndex);
		if (file?.bytes !== own.length || !own.subarray(0, 64).equals(file.head)) {
			yield `item ${itemIndex} was sent with another file`;
		}
	}
}

/** A retry calls unknown at most what was open, and what is told as free was free. */
function* toldAsItWas(books: Books) {
	const { day, executions } = books;
	const isUnheard = mayBeUnheard(books);
	const wasEdited = executions.some((each) => each.workflow.edits.prompt > 0);
	const areJobsThere =
		!day.faults.some(({ name }) => name === 'unknownJob' || name === 'accountGone') &&
		day.credential === 'one';
	for (const execution of executions) {
		const known = books.sentFor(execution);
		for (const node of NODES) {
			const edition = books.editionOf(execution, node);
			for (const { itemIndex, error } of claimsOf(books, execution, node)) {
				const text = textOf(error);
				const told = `item ${itemIndex} of execution ${execution.id} is told as`;
				const ofItem = known.filter(
					(post) => post.node === node && post.itemIndex === itemIndex && post.edition === edition,
				);
				const isOne =
					day.variations === 1 &&
					// One that n8n 1 runs again asks the database only when a request is due.
					!execution.isRerunOf &&
					day.shape !== 'loop' &&
					day.shape !== 'tool' &&
					// What it gets depends on which edition of the node before it has run.
					!(node === 'Second' && wasEdited);
				const alive = ofItem.find(({ verdict, hasFailed }) => verdict === 'started' && !hasFailed);
				// What a node hands on when it is stopped may tell of the node before.
				const open = (node === 'Second' ? known : ofItem).filter(
					({ verdict }) => verdict !== 'started' && verdict !== 'refused',
				);
				if (areJobsThere && NOT_THERE.test(text)) {
					yield `execution ${execution.id} says that the service does not know a job: ${text}`;
				}
				if (isOne && FREE.test(text) && alive) {
					yield `${told} free, and job ${alive.jobId ?? ''} was charged: ${text}`;
				}
				const wasOpen = open.length > 0 || isUnheard || books.beside(execution).length > 0;
				if (UNKNOWN.test(text) && !wasOpen && !text.includes('for item')) {
					yield `${told} unknown, and no request was open: ${text}`;
				}
			}
		}
	}
}

/** What an execution says of a node's items: on the items, and in the error that ended it. */
function claimsOf(books: Books, execution: Execution, node: string) {
	const claims = books.errorItems(execution, node);
	const error = books.errorOf(execution);
	const { ending, result } = execution;
	const itemIndex = error?.context?.itemIndex;
	const isLast = ending === 'error' && result?.resultData.lastNodeExecuted === node;
	return error && itemIndex !== undefined && isLast ? [...claims, { itemIndex, error }] : claims;
}

function* limitsAreKept(books: Books) {
	const { day, executions } = books;
	const variations = Math.max(...executions.map(({ workflow }) => workflow.edits.variations));
	// What n8n has given up is still on its way for a while.
	const onTheWayMs = 1.5 * day.latencyMs + 1;
	for (const execution of executions) {
		const { maxJobsPerExecution: limit, maxConcurrentJobs } = execution.workflow.edits.options;
		const error = textOf(books.errorOf(execution) ?? { message: '' });
		for (const node of NODES) {
			const own = books.sent.filter((post) => post.execution === execution && post.node === node);
			const { charged, failed } = statesOf(own);
			if (limit > 0 && charged > limit + failed + resubmitted(books.sent)) {
				yield `execution ${execution.id} has started ${charged} jobs, and ${limit} are allowed`;
			}
			const isPlain = node === 'Node' && day.shape === 'plain';
			const wanted = isPlain ? day.itemCount * variations : 0;
			if (error.includes('would start') && wanted > 0 && wanted <= limit) {
				yield `execution ${execution.id} is refused for its limit of ${limit}: ${error}`;
			}
			const atOnce = mostAtOnce(
				own.map(({ request: { startedAtMs, endedAtMs = Infinity } }) => [
					startedAtMs + onTheWayMs,
					Math.min(endedAtMs, startedAtMs + GIVEN_UP_MS) - onTheWayMs,
				]),
			);
			const allowed = Math.min(CONCURRENT_SUBMITS, maxConcurrentJobs);
			if (atOnce > allowed && executions.length === 1) {
				yield `${atOnce} requests were sent at once, and ${allowed} are allowed`;
			}
		}
	}
}

function* pollsAreBounded({ day, executions, played }: Books) {
	const { requests } = played.service.emulator;
	const polls = requests.filter(({ path }) => path.startsWith('/public/v1/job/'));
	if (executions.length === 1 && day.latencyMs === 0) {
		const inASecond = mostAtOnce(polls.map(({ startedAtMs: at }) => [at, at + 1000]));
		if (inASecond > POLLS_A_SECOND) yield `${inASecond} status checks within a second`;
	}
	const calls = sum(executions.flatMap((execution) => [...execution.calls.values()]));
	for (const [jobId = '', ofJob] of groupBy(polls, (poll) => poll.jobId)) {
		const spanMs = (ofJob.at(-1)?.startedAtMs ?? 0) - (ofJob[0]?.startedAtMs ?? 0);
		if (ofJob.length > 6 + spanMs / 1000 + 3 * calls) {
			yield `job ${jobId} was checked ${ofJob.length} times in ${spanMs} ms`;
		}
	}
}

/** The key goes to the API alone, and stays out of all that n8n shows, logs or saves. */
function* keyIsKept({ executions, played }: Books) {
	for (const { server, path, headers } of played.service.emulator.requests) {
		const isForApi = server === 'api' && path.startsWith('/public/v1/');
		if (headers.authorization !== undefined && !isForApi) yield `the key went to ${path}`;
	}
	const saved = executions.map((execution) => [execution.saved, execution.result]);
	const shown = stringify([played.n8n.log, ...saved]);
	if (KEYS.some((key) => shown.includes(key))) yield 'the key is in what n8n shows or saves';
}

/** After Stop nothing but the open POST and its record. */
function* stopIsStop({ executions, played, day }: Books) {
	for (const { id, stoppedAtMs, endedAtMs, ending } of executions) {
		if (stoppedAtMs === undefined || ending === 'crashed') continue;
		if (endedAtMs - stoppedAtMs > STOP_MS + 5 * 5000) {
			yield `execution ${id} went on for ${endedAtMs - stoppedAtMs} ms after Stop`;
		}
		const hasOthers = executions.some(
			(each) =>
				each.id !== id && each.startedAtMs <= endedAtMs + STOP_MS && each.endedAtMs > stoppedAtMs,
		);
		const starts = executions.map(({ startedAtMs }) => startedAtMs);
		const nextAtMs = Math.min(...starts.filter((at) => at >= stoppedAtMs), stoppedAtMs + 60_001);
		const late = played.service.emulator.requests.some(
			({ startedAtMs }) => startedAtMs > stoppedAtMs + 2 * day.latencyMs && startedAtMs < nextAtMs,
		);
		if (late && !hasOthers) yield `execution ${id} has sent requests after Stop`;
	}
}

/** What ended without a failed item leaves no job in the node's memory. */
function* nothingIsLeft(books: Books) {
	const { executions } = books;
	const wasDisturbed = executions.some(
		(execution) =>
			execution.stoppedAtMs !== undefined ||
			execution.ending === 'crashed' ||
			NODES.some((node) => books.errorItems(execution, node).length > 0),
	);
	for (const { id, ending, calls, result } of wasDisturbed ? [] : executions) {
		if (ending !== 'success' || calls.size === 0) continue;
		const context = stringify(result?.executionData?.contextData ?? {});
		if (context.match(JOB_ID)) yield `execution ${id} has ended well and still remembers jobs`;
	}
}

/** In a healthy world the last retry brings everything that was paid for, and all that was wanted. */
function* imagesComeOut(books: Books) {
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
		const rounds = day.shape === 'loop' ? ROUNDS : 1;
		if (runCount !== rounds) {
			yield `execution ${last.id} has ${runCount} runs in place of ${rounds}`;
			continue;
		}
		const wanted = last.workflow.edits.variations;
		const itemCount = day.executeOnce ? 1 : day.itemCount;
		// Rounds that an earlier execution ended are as they were then.
		for (const { run, round } of books.runsOf(last, 'Node')) {
			for (let itemIndex = 0; itemIndex < itemCount; itemIndex++) {
				const own = itemsIn(run)
					.filter(({ pairedItem }) => itemOf(pairedItem) === itemIndex)
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

/** What a few faults of a kind do to a request, nobody needs to see. */
const SURVIVED: Record<FaultPlace, RegExp> = {
	submit: /^(rateLimit|rateLimitFor7s|cutBehind|slow)$/,
	poll: /^(?!rateLimitUntil|rateLimitForHours|badRequest|badKey|noCredits|forbidden|accountGone|unknownJob|tooLarge)/,
	download:
		/^(rateLimit|rateLimitFor7s|reset|serverError|overloaded|gatewayTimeout|requestTimeout|cut|cutChunked|pageInPlace|stallBody|stall|forbidden|firewall)$/,
};
const GOOD_JOBS = ['succeeds', 'hasTwoImages', 'hasGif', 'hasUrlObjects', 'isListedLate'];

/** What a node can get over by itself ends no execution. */
function* succeedsWhereItCan(books: Books) {
	const { day, executions } = books;
	const [first] = executions;
	const { maxJobsPerExecution: limit, timeout } = day.options;
	const wanted = day.itemCount * day.variations * (day.shape === 'loop' ? ROUNDS : 1);
	const isSurvived = ({ at, name, times }: (typeof day.faults)[number]) =>
		times <= 2 &&
		SURVIVED[at].test(name) &&
		// The host of an input file has its time once.
		!(at === 'download' && day.files === 'url' && name.startsWith('stall'));
	const isUndisturbed =
		!day.disruption &&
		!day.refused &&
		!day.beside &&
		day.timeoutAfterMs === undefined &&
		timeout >= 60 &&
		day.latencyMs <= 200 &&
		executions.length <= 1 + day.retries.length * 2 + 4;
	const succeeds =
		isUndisturbed &&
		day.faults.length <= 1 &&
		day.faults.every(isSurvived) &&
		day.jobs.every((job) => GOOD_JOBS.includes(job)) &&
		(limit === 0 || wanted <= limit) &&
		!isRefused(books);
	if (!first || !succeeds) return;
	const [onItem] = books.errorItems(first, 'Node');
	const error = first.ending === 'success' ? onItem?.error : books.errorOf(first);
	if (error) yield `execution ${first.id} fails of what it can get over: ${textOf(error)}`;
}

/** After a pause that the service asks for, not before, the account’s next request is sent. */
function* waitsAsAsked({ played, day, executions }: Books) {
	if (executions.length > 1 || day.faults.length !== 1) return;
	if (day.faults[0]?.name !== 'rateLimitFor7s') return;
	const { requests } = played.service.emulator;
	const posts = requests.filter(({ method }) => method === 'POST');
	for (const [index, { status, endedAtMs: heardAtMs, headers }] of posts.entries()) {
		if (status !== 429 || heardAtMs === undefined) continue;
		for (const later of posts.slice(index + 1)) {
			const afterMs = later.startedAtMs - heardAtMs;
			const isSameKey = later.headers.authorization === headers.authorization;
			if (isSameKey && afterMs > 2 * day.latencyMs + 5 && afterMs < 6900) {
				yield `a request was sent ${afterMs} ms after the service asked for 7 seconds`;
			}
		}
	}
}

/** Whether an item is refused for what the user gave. */
function isRefused({ day }: Books): boolean {
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
	const isUnknown = books
		.sentFor(last)
		.some(({ verdict }) => verdict !== 'started' && verdict !== 'refused');
	const isResubmitted = last.workflow.edits.options.resubmitIfUnknown;
	return (
		// n8n has nothing left to run where a canceled node continued on its error.
		(day.onError !== 'stopWorkflow' &&
			executions.some(({ stoppedAtMs }) => stoppedAtMs !== undefined)) ||
		((isUnknown || mayBeUnheard(books)) && !isResubmitted) ||
		isRefused(books) ||
		(day.prompt === 'goneInRetry' && !isPaidFor(books, last)) ||
		// n8n 2.41 saves a stopped execution as it was read before, and moves its files all the same.
		(day.mode === 'webhook' &&
			sendsFile(day) &&
			// One that n8n 1 has run again moves them as well.
			executions.some(({ ending, isRerunOf }) => ending === 'stopped' || isRerunOf)) ||
		(day.filesGoInRetry && sendsFile(day) && !isPaidFor(books, last)) ||
		day.itemCount === 0 ||
		day.jobs.includes('hasNoImages')
	);
}

/** Whether all that is wanted had been started before the last execution, which then needs no input. */
function isPaidFor(books: Books, last: Execution): boolean {
	const { day } = books;
	const wanted = last.workflow.edits.variations;
	if (day.shape !== 'plain' || day.executeOnce || wanted !== day.variations) return false;
	const edition = books.editionOf(last, 'Node');
	const earlier = books
		.sentFor(last)
		.filter((post) => post.execution !== last && post.edition === edition);
	return Array.from({ length: day.itemCount }, (_, itemIndex) =>
		earlier.filter((post) => post.itemIndex === itemIndex),
	).every((posts) => {
		const { charged, failed } = statesOf(posts);
		const areKnown = posts.every(({ verdict }) => verdict === 'started' || verdict === 'refused');
		return areKnown && failed === 0 && charged >= wanted;
	});
}

/** Nothing hangs on a server that never ends its answer. */
function* connectionsAreClosed({ played }: Books) {
	for (const { method, path, fault = 'no fault', endedAtMs } of played.service.emulator.requests) {
		if (endedAtMs === undefined) yield `${method} ${path} is still open, after ${fault}`;
	}
}

function* nothingIsUnhandled({ played }: Books) {
	yield* played.unhandled;
	yield* played.n8n.log.filter((line) => line.startsWith('error '));
}

export const RULES = {
	paidOnce,
	dryRunsAreFree,
	jobsAreTold,
	outputsAreRight,
	filesAreRight,
	nonsenseIsNotSent,
	succeedsWhereItCan,
	waitsAsAsked,
	requestsAreRight,
	toldAsItWas,
	imagesComeOut,
	limitsAreKept,
	pollsAreBounded,
	connectionsAreClosed,
	keyIsKept,
	stopIsStop,
	nothingIsLeft,
	nothingIsUnhandled,
} satisfies Record<string, (books: Books) => Iterable<string>>;

/** What is wrong with a day, as "rule: what". */
export function judge(played: Played): string[] {
	const books = new Books(played);
	return Object.entries(RULES).flatMap(([name, rule]) =>
		[...new Set(rule(books))].map((what) => `${name}: ${what}`),
	);
}

function groupBy<T, K>(all: readonly T[], keyOf: (each: T) => K): Map<K, T[]> {
	const groups = new Map<K, T[]>();
	for (const each of all) {
		const key = keyOf(each);
		const group = groups.get(key);
		if (group) group.push(each);
		else groups.set(key, [each]);
	}
	return groups;
}

function sum(numbers: readonly number[]): number {
	return numbers.reduce((total, each) => total + each, 0);
}

/** How many spans overlap at most. */
function mostAtOnce(spans: readonly (readonly [from: number, to: number])[]): number {
	const edges = spans
		.filter(([from, to]) => to > from)
		.flatMap(([from, to]) => [
			{ at: from, by: 1 },
			{ at: to, by: -1 },
		])
		.sort((a, b) => a.at - b.at || a.by - b.by);
	let now = 0;
	return edges.reduce((most, { by }) => Math.max(most, (now += by)), 0);
}
