import { stringify } from 'flatted';

import type { FaultPlace } from '../emulator/emulator';
import { tinyPicture } from '../emulator/pictures';
import {
	artificialRuns,
	Books,
	itemOf,
	keyOf,
	NODES,
	textOf,
	type Sent,
	type ShownError,
} from './books';
import { itemsIn, STOPPED, type Execution } from './n8n';
import { rootOf, type Played } from './run';
import { KEYS } from './service';
import { ENDPOINT_OF, isCombined, isDryRun, ROUNDS, sendsFile } from './workflow';

/** What a rule finds wrong with a day, one sentence each. */
type Rule = (books: Books) => string[];

const JOB_ID = /0{8}-0{4}-4000-8000-\d{12}/;
const FREE =
	/nothing was charged|no job was started(?: and|\.|,)|No job was started for this item/i;
const UNKNOWN = /not known whether|may exist and be charged/i;
const NOT_THERE = /does not (know|list) the job(?! yet)|no longer has the job/;
const LONGEST_TEXT = 1500;
const CONCURRENT_SUBMITS = 20;
const POLLS_A_SECOND = 21;
const IDS_IN_TEXT = 10;
/** A little fewer than the nodes keep: some of the room goes to requests that were taken back. */
const KEPT_JOBS = 50;
const STOP_MS = 1000;
/** How long the node waits for an answer. */
const GIVEN_UP_MS = 60_000;

function statesOf(posts: readonly Sent[]): { charged: number; failed: number } {
	const charged = posts.filter(({ verdict }) => verdict !== 'refused' && verdict !== 'either');
	const failed = charged.filter(({ hasFailed }) => hasFailed);
	return { charged: charged.length, failed: failed.length };
}

/** Requests of unknown outcome that a later execution was told to send again. */
function resubmitted(posts: readonly Sent[]): number {
	return posts.filter(
		({ verdict }, index) =>
			(verdict === 'lost' || verdict === 'open') &&
			posts
				.slice(index + 1)
				.some((later) => later.execution.workflow.edits.options.resubmitIfUnknown),
	).length;
}

/** Jobs that newer ones have pushed out of n8n's database: it keeps the newest 60 of a node. */
function forgotten({ sent }: Books, posts: readonly Sent[]): number {
	const isOld = ({ node, request }: Sent) =>
		sent.filter((other) => other.node === node && other.request.startedAtMs > request.startedAtMs)
			.length >= KEPT_JOBS;
	return posts.filter(isOld).length;
}

const paidOnce: Rule = (books) =>
	books.executions.flatMap((execution) =>
		[...books.slotsOf(execution)].flatMap(([slot, all]) => {
			// What was open at Stop may have been refused after it.
			const posts = all.filter(
				({ request }) => books.played.service.verdictOf(request, Infinity) !== 'refused',
			);
			const { charged, failed } = statesOf(posts);
			const wanted = Math.max(...all.map((post) => post.execution.workflow.edits.variations));
			const calls =
				books.day.shape === 'tool'
					? sum(books.sameWork(execution).map(({ calls }) => calls.get('Node') ?? 0))
					: 1;
			const unaware = posts.filter(({ execution: sender }, index) =>
				posts.slice(0, index).some((other) => books.beside(sender).includes(other.execution)),
			);
			const allowed =
				wanted * calls + failed + resubmitted(posts) + unaware.length + forgotten(books, posts);
			// What a node before it failed of the first time, it may give the next one in the retry.
			const isOther =
				books.day.onError !== 'stopWorkflow' ||
				books.executions.some((each) => each.workflow.edits.prompt > 0);
			if (posts[0]?.node === 'Second' && isOther) return [];
			// A crash while an ID was being read leaves it unknown, and what is unknown may be sent again.
			const isSentAgain = books.executions.some(
				({ workflow }) => workflow.edits.options.resubmitIfUnknown,
			);
			const isCutOff = books.executions.some(
				({ retryOf, ending }) => retryOf !== undefined && ending === 'crashed',
			);
			if (isSentAgain && isCutOff) return [];
			return charged <= allowed
				? []
				: [`${slot} of execution ${execution.id}: ${charged} paid for, ${allowed} allowed`];
		}),
	);

const dryRunsAreFree: Rule = (books) =>
	isDryRun(books.day) && books.sent.length > 0 ? ['a dry run has sent a request'] : [];

/** Every job that was started is in an output, an error's data and text, and in n8n's log. */
const jobsAreTold: Rule = (books) => {
	const log = books.played.n8n.log.join('\n');
	return books.executions.flatMap((execution) => {
		const started = books.sent.filter(
			(post) => post.execution === execution && post.verdict === 'started',
		);
		const unlogged = started.flatMap(({ jobId = '' }) =>
			log.includes(jobId) ? [] : [`job ${jobId} is not in the log`],
		);
		if (execution.stoppedAtMs !== undefined && execution.ending !== 'crashed') {
			return [...unlogged, ...lateAndUnlogged(books, execution, log)];
		}
		if (execution.ending !== 'success' && execution.ending !== 'error') return unlogged;
		// n8n 2 ends every further try with the error of an earlier Stop, in place of the node's own.
		if (execution.result?.resultData.error?.message === STOPPED) return unlogged;
		// Each call of a tool stands for itself, and n8n keeps what the last one says.
		if (books.day.shape === 'tool' && (execution.calls.get('Node') ?? 0) > 1) return unlogged;
		const alive = started.filter(({ hasFailed }) => !hasFailed);
		return [...unlogged, ...NODES.flatMap((node) => untold(books, execution, node, alive))];
	});
};

/** Stop reaches no paid request: the answer that comes after it names the job in the log. */
function lateAndUnlogged(
	{ sent, executions, played }: Books,
	execution: Execution,
	log: string,
): string[] {
	const wasKilled = executions.some(({ ending }) => ending === 'crashed');
	return sent
		.filter((post) => post.execution === execution && !wasKilled)
		.filter(({ request }) => played.service.verdictOf(request, Infinity) === 'started')
		.flatMap(({ jobId = '' }) =>
			log.includes(jobId) ? [] : [`job ${jobId}, whose answer came after Stop, is not in the log`],
		);
}

function untold(books: Books, execution: Execution, node: string, alive: Sent[]): string[] {
	const runs = books.runsOf(execution, node);
	const outputs = runs.flatMap(({ run }) => itemsIn(run));
	const shown = stringify([outputs.map(({ json }) => json), runs.map(({ run }) => run.hints)]);
	const error = books.errorOf(execution);
	const data = JSON.stringify(error?.context?.data ?? {});
	const own = alive.filter((post) => post.node === node);
	const missing = own.filter(({ jobId = '' }) => !shown.includes(jobId));
	const inText = new Set(error && textOf(error).match(new RegExp(JOB_ID, 'g'))).size;
	const errorItems = outputs.flatMap(({ json }) =>
		json.error ? [json.error as unknown as ShownError] : [],
	);
	return [
		...missing.flatMap(({ jobId = '' }) =>
			data.includes(jobId)
				? []
				: [`job ${jobId} is in no output and no error's data of execution ${execution.id}`],
		),
		...(inText < Math.min(missing.length, IDS_IN_TEXT)
			? [`execution ${execution.id}: the error's text names ${inText} of ${missing.length} jobs`]
			: []),
		...errorItems.flatMap((each) => {
			const { job_id: jobId } = each as { job_id?: string };
			return jobId === undefined || textOf(each).includes(jobId)
				? []
				: [`the text of an error item does not name its job ${jobId}`];
		}),
	];
}

/** Items come in order, each with its own job, whose picture it has. */
const outputsAreRight: Rule = (books) =>
	books.executions.flatMap((execution) => {
		const known = [...books.mayDeliver(execution), ...books.beside(execution)];
		return NODES.flatMap((node) =>
			books.runsOf(execution, node).flatMap(({ run, runIndex }) =>
				[0, 1].flatMap((output) => {
					const items = itemsIn(run, output);
					const paired = items.map(({ pairedItem }) => itemOf(pairedItem));
					const isOrdered = paired.every(
						(each, index) => index === 0 || each >= (paired[index - 1] ?? 0),
					);
					return [
						...(isOrdered
							? []
							: [`items of execution ${execution.id} are out of order: ${paired.join(', ')}`]),
						...items.flatMap(({ json }, index) => {
							const { job_id: jobId } = json as { job_id?: string };
							const post = books.sent.find((each) => each.jobId === jobId);
							if (jobId === undefined || run.error || json.error) return [];
							if (post?.node !== node) return [`an item has the foreign job ${jobId}`];
							const isOwn =
								known.includes(post.execution) &&
								post.itemIndex === paired[index] &&
								(node === 'Second' || post.edition === books.editionOf(execution, node)) &&
								(books.day.shape === 'tool' ||
									post.round === runIndex - artificialRuns(execution, node).length);
							return isOwn
								? []
								: [
										`item ${paired[index]} of execution ${execution.id} has the job of ${keyOf(post)} of execution ${post.execution.id}`,
									];
						}),
					];
				}),
			),
		);
	});

/** Nobody pays for an expression gone wrong. */
const nonsenseIsNotSent: Rule = ({ day, sent }) =>
	day.prompt === 'refusedForOne' && ENDPOINT_OF[day.endpoint].words !== undefined
		? sent
				.filter(({ node, itemIndex }) => node === 'Node' && itemIndex === 1)
				.map(() => 'the item whose prompt is undefined was paid for')
		: [];

const filesAreRight: Rule = (books) => {
	const { day, played } = books;
	return books.executions.flatMap((execution) =>
		NODES.flatMap((node) =>
			books.runsOf(execution, node).flatMap(({ run }) =>
				(run.error ? [] : itemsIn(run).filter((item) => !item.json.error)).flatMap(
					({ json, binary }) => {
						const {
							job_id: jobId = '',
							image_number: number = 1,
							_files: inJson,
						} = json as { job_id?: string; image_number?: number; _files?: typeof binary };
						const job = played.service.emulator.jobs.find(jobId);
						const files = Object.values((isCombined(day) ? inJson : binary) ?? {});
						return files.flatMap((file, index) => {
							const place = number + index;
							const format = job?.outcome.images[place - 1];
							if (!format || file.id === undefined)
								return [`job ${jobId} has a file without a result`];
							const bytes = played.n8n.files.peek(file.id);
							if (!bytes) return [];
							const label = `${jobId}-${place}.${format}`;
							const isIts =
								bytes.includes(label) || bytes.length < tinyPicture(label, format).length;
							return isIts ? [] : [`job ${jobId} has the file of another job`];
						});
					},
				),
			),
		),
	);
};

/** Each request carries its own item's file, and its own item's key. */
const requestsAreRight: Rule = (books) => {
	const { day, played } = books;
	return books.sent.flatMap((post) => {
		const { authorization } = post.request.headers;
		const key = day.credential === 'perItem' ? KEYS[post.itemIndex % 2] : KEYS[0];
		const wrongKey =
			authorization === `Bearer ${key ?? ''}`
				? []
				: [`item ${post.itemIndex} was sent with another key`];
		if (post.node !== 'Node' || !sendsFile(day) || day.files === 'url') return wrongKey;
		const [file] = post.request.form?.files ?? [];
		const own = played.fileOf(post.execution, post.itemIndex);
		const isOwn = file?.bytes === own.length && own.subarray(0, 64).equals(file.head);
		return isOwn ? wrongKey : [...wrongKey, `item ${post.itemIndex} was sent with another file`];
	});
};

/** A retry calls unknown at most what was open, and what is told as free was free. */
const toldAsItWas: Rule = (books) =>
	books.executions.flatMap((execution) => {
		const error = books.errorOf(execution);
		const slots = [...books.slotsOf(execution).values()];
		return NODES.flatMap((node) => {
			const own = slots.flat().filter((post) => post.node === node);
			const claims = books.errorItems(execution, node);
			if (
				error?.context?.itemIndex !== undefined &&
				execution.ending === 'error' &&
				execution.result?.resultData.lastNodeExecuted === node
			) {
				claims.push({ itemIndex: error.context.itemIndex, error });
			}
			return claims.flatMap(({ itemIndex, error: told }) => {
				const ofItem = own.filter(
					(post) =>
						post.itemIndex === itemIndex &&
						post.execution.startedAtMs <= execution.startedAtMs &&
						post.edition === books.editionOf(execution, node),
				);
				const isOne =
					books.day.variations === 1 &&
					// One that n8n 1 runs again asks the database only when a request is due.
					!execution.isRerunOf &&
					books.day.shape !== 'loop' &&
					books.day.shape !== 'tool' &&
					// What it gets depends on which edition of the node before it has run.
					!(node === 'Second' && books.executions.some((each) => each.workflow.edits.prompt > 0));
				const alive = ofItem.filter(
					({ verdict, hasFailed }) => verdict === 'started' && !hasFailed,
				);
				// What a node hands on when it is stopped may tell of the node before.
				const open = (node === 'Second' ? slots.flat() : ofItem).filter(
					({ verdict }) => verdict !== 'started' && verdict !== 'refused',
				);
				const unread = mayBeUnheard(books);
				const text = textOf(told);
				const { faults, credential } = books.day;
				const isThere =
					!faults.some(({ name }) => name === 'unknownJob' || name === 'accountGone') &&
					credential === 'one';
				return [
					...(isThere && NOT_THERE.test(text)
						? [`execution ${execution.id} says that the service does not know a job: ${text}`]
						: []),
					...(isOne && FREE.test(text) && alive.length > 0
						? [
								`item ${itemIndex} of execution ${execution.id} is told as free, and job ${alive[0]?.jobId ?? ''} was charged: ${text}`,
							]
						: []),
					...(UNKNOWN.test(text) &&
					open.length === 0 &&
					!unread &&
					books.beside(execution).length === 0 &&
					own.length >= 0 &&
					!text.includes('for item')
						? [
								`item ${itemIndex} of execution ${execution.id} is told as unknown, and no request was open: ${text}`,
							]
						: []),
				];
			});
		});
	});

const limitsAreKept: Rule = (books) =>
	books.executions.flatMap((execution) =>
		NODES.flatMap((node) => {
			const own = books.sent.filter((post) => post.execution === execution && post.node === node);
			const { maxJobsPerExecution: limit, maxConcurrentJobs } = execution.workflow.edits.options;
			const { charged, failed } = statesOf(own);
			// What n8n has given up is still on its way for a while.
			const onTheWayMs = 1.5 * books.day.latencyMs + 1;
			const atOnce = most(
				own.map(({ request }) => [
					request.startedAtMs + onTheWayMs,
					Math.min(request.endedAtMs ?? Infinity, request.startedAtMs + GIVEN_UP_MS) - onTheWayMs,
				]),
			);
			const error = textOf(books.errorOf(execution) ?? { message: '' });
			const wanted =
				node === 'Node' && books.day.shape === 'plain'
					? books.day.itemCount *
						Math.max(...books.executions.map(({ workflow }) => workflow.edits.variations))
					: 0;
			const most20 = Math.min(CONCURRENT_SUBMITS, maxConcurrentJobs);
			return [
				...(limit > 0 && charged > limit + failed + resubmitted(books.sent)
					? [`execution ${execution.id} has started ${charged} jobs, and ${limit} are allowed`]
					: []),
				...(error.includes('would start') && wanted > 0 && wanted <= limit
					? [`execution ${execution.id} is refused for its limit of ${limit}: ${error}`]
					: []),
				...(atOnce > most20 && books.executions.length === 1
					? [`${atOnce} requests were sent at once, and ${most20} are allowed`]
					: []),
			];
		}),
	);

const pollsAreBounded: Rule = (books) => {
	const { requests } = books.played.service.emulator;
	const polls = requests.filter(({ path }) => path.startsWith('/public/v1/job/'));
	const starts = polls.map(({ startedAtMs }) => startedAtMs);
	const worst = Math.max(
		0,
		...starts
			.map((at, index) => starts.slice(index).findIndex((other) => other >= at + 1000))
			.map((each, index) => (each === -1 ? starts.length - index : each)),
	);
	const sideBySide = books.executions.length === 1 && books.day.latencyMs === 0;
	const byJob = new Map<string, number[]>();
	for (const { jobId = '', startedAtMs } of polls)
		byJob.set(jobId, [...(byJob.get(jobId) ?? []), startedAtMs]);
	const calls = sum(books.executions.flatMap((execution) => [...execution.calls.values()]));
	return [
		...(sideBySide && worst > POLLS_A_SECOND ? [`${worst} status checks within a second`] : []),
		...[...byJob].flatMap(([jobId, times]) => {
			const spanMs = (times.at(-1) ?? 0) - (times[0] ?? 0);
			const bound = 6 + spanMs / 1000 + 3 * calls;
			return times.length > bound
				? [`job ${jobId} was checked ${times.length} times in ${spanMs} ms`]
				: [];
		}),
	];
};

/** The key goes to the API alone, and stays out of all that n8n shows, logs or saves. */
const keyIsKept: Rule = (books) => {
	const { requests } = books.played.service.emulator;
	const strays = requests.filter(
		({ server, path, headers }) =>
			headers.authorization !== undefined && !(server === 'api' && path.startsWith('/public/v1/')),
	);
	const shown = stringify([
		books.played.n8n.log,
		...books.executions.map(({ saved, result }) => [saved, result]),
	]);
	return [
		...strays.map(({ path }) => `the key went to ${path}`),
		...KEYS.filter((key) => shown.includes(key)).map(() => 'the key is in what n8n shows or saves'),
	];
};

const textsAreShort: Rule = (books) =>
	books.executions.flatMap((execution) => {
		const error = books.errorOf(execution);
		const all = [
			...(error ? [error] : []),
			...NODES.flatMap((node) => books.errorItems(execution, node).map((each) => each.error)),
		];
		return all.flatMap((each) => {
			const { length } = textOf(each).replaceAll(new RegExp(JOB_ID, 'g'), '');
			return length > LONGEST_TEXT
				? [`a text of ${length} characters: ${textOf(each).slice(0, 80)}`]
				: [];
		});
	});

/** After Stop nothing but the open POST and its record. */
const stopIsStop: Rule = (books) =>
	books.executions.flatMap(({ id, stoppedAtMs, endedAtMs, ending }) => {
		if (stoppedAtMs === undefined || ending === 'crashed') return [];
		const others = books.executions.filter(
			(each) =>
				each.id !== id && each.startedAtMs <= endedAtMs + STOP_MS && each.endedAtMs > stoppedAtMs,
		);
		const late = books.played.service.emulator.requests.filter(
			({ startedAtMs }) =>
				startedAtMs > stoppedAtMs + 2 * books.day.latencyMs && startedAtMs <= stoppedAtMs + 60_000,
		);
		const next = Math.min(
			...books.executions.map(({ startedAtMs }) => startedAtMs).filter((at) => at >= stoppedAtMs),
		);
		return [
			...(endedAtMs - stoppedAtMs > STOP_MS + 5 * 5000
				? [`execution ${id} went on for ${endedAtMs - stoppedAtMs} ms after Stop`]
				: []),
			...(others.length === 0 && late.some(({ startedAtMs }) => startedAtMs < next)
				? [`execution ${id} has sent requests after Stop`]
				: []),
		];
	});

/** What ended without a failed item leaves no job in the node's memory. */
const nothingIsLeft: Rule = (books) =>
	books.executions.flatMap((execution) => {
		const wasCanceled = books.executions.some(
			({ stoppedAtMs, ending }) => stoppedAtMs !== undefined || ending === 'crashed',
		);
		if (execution.ending !== 'success' || wasCanceled || execution.calls.size === 0) return [];
		const context = stringify(execution.result?.executionData?.contextData ?? {});
		const hasErrors = books.executions.some((each) =>
			NODES.some((node) => books.errorItems(each, node).length > 0),
		);
		return hasErrors || !JOB_ID.test(context)
			? []
			: [`execution ${execution.id} has ended well and still remembers jobs`];
	});

/** In a healthy world the last retry brings everything that was paid for, and all that was wanted. */
const imagesComeOut: Rule = (books) => {
	const { day, played } = books;
	const roots = [...new Set(books.executions.map(rootOf))];
	return roots.flatMap((root) => {
		const last = books.executions.filter((each) => rootOf(each) === root).at(-1);
		if (!last || last.startedAtMs < played.healedAtMs || !played.n8n.canRetry(root)) return [];
		if (isBlocked(books, last)) return [];
		if (last.ending !== 'success') {
			const error = books.errorOf(last);
			return [
				`the last retry, ${last.id}, does not succeed: ${error ? textOf(error) : last.ending}`,
			];
		}
		const artificial = artificialRuns(last, 'Node').length;
		const runs = (last.result?.resultData.runData.Node ?? []).slice(artificial);
		// Rounds that an earlier execution ended are as they were then.
		const earlier = (last.before.Node?.length ?? 0) - artificial;
		const rounds = day.shape === 'loop' ? ROUNDS : 1;
		if (runs.length !== rounds)
			return [`execution ${last.id} has ${runs.length} runs in place of ${rounds}`];
		const count = day.executeOnce ? 1 : day.itemCount;
		return runs.slice(earlier).flatMap((run, round) =>
			Array.from({ length: count }, (_, itemIndex) => {
				const own = itemsIn(run).filter(({ pairedItem }) => itemOf(pairedItem) === itemIndex);
				const jobs = new Set(own.filter(({ json }) => !json.error).map(({ json }) => json.job_id));
				const wanted = last.workflow.edits.variations;
				const hasAll =
					jobs.size === wanted &&
					(!day.waits ||
						own.every(
							({ json }) => json.status === 'Succeed' || json.status === 'Failed' || json.timed_out,
						));
				return hasAll
					? []
					: [
							`round ${earlier + round}, item ${itemIndex} of execution ${last.id} has ${jobs.size} of ${wanted} jobs`,
						];
			}).flat(),
		);
	});
};

/** What a few faults of a kind do to a request, nobody needs to see. */
const SURVIVED: Record<FaultPlace, RegExp> = {
	submit: /^(rateLimit|rateLimitFor7s|cutBehind|slow)$/,
	poll: /^(?!rateLimitUntil|rateLimitForHours|badRequest|badKey|noCredits|forbidden|accountGone|unknownJob|tooLarge)/,
	download:
		/^(rateLimit|rateLimitFor7s|reset|serverError|overloaded|gatewayTimeout|requestTimeout|cut|cutChunked|pageInPlace|stallBody|stall|forbidden|firewall)$/,
};

/** What a node can get over by itself ends no execution. */
const succeedsWhereItCan: Rule = (books) => {
	const { day, played } = books;
	const areSurvived = day.faults.every(
		({ at, name, times }) =>
			times <= 2 &&
			SURVIVED[at].test(name) &&
			// The host of an input file has its time once.
			!(at === 'download' && day.files === 'url' && name.startsWith('stall')),
	);
	const haveSucceeded = day.jobs.every(
		(job) =>
			job === 'succeeds' ||
			job === 'hasTwoImages' ||
			job === 'hasGif' ||
			job === 'hasUrlObjects' ||
			job === 'isListedLate',
	);
	const [first] = books.executions;
	const isUndisturbed =
		!day.disruption &&
		!day.refused &&
		!day.beside &&
		day.timeoutAfterMs === undefined &&
		day.options.timeout >= 60;
	const wanted = day.itemCount * day.variations * (day.shape === 'loop' ? ROUNDS : 1);
	const isAllowed =
		day.options.maxJobsPerExecution === 0 || wanted <= day.options.maxJobsPerExecution;
	if (
		!first ||
		!areSurvived ||
		!haveSucceeded ||
		!isUndisturbed ||
		!isAllowed ||
		isRefused(books) ||
		day.credential === 'odd'
	)
		return [];
	if (
		day.faults.length > 1 ||
		day.latencyMs > 200 ||
		played.n8n.executions.length > 1 + day.retries.length * 2 + 4
	)
		return [];
	const errors = books.errorItems(first, 'Node').map(({ error }) => error);
	const error = first.ending === 'success' ? errors[0] : books.errorOf(first);
	return error ? [`execution ${first.id} fails of what it can get over: ${textOf(error)}`] : [];
};

/** After a pause that the service asks for, not before, the account’s next request is sent. */
const waitsAsAsked: Rule = ({ played, day }) => {
	if (played.n8n.executions.length > 1) return [];
	const { requests } = played.service.emulator;
	return requests.flatMap((request, index) => {
		if (request.method !== 'POST' || request.status !== 429 || request.endedAtMs === undefined)
			return [];
		if (!day.faults.some(({ name }) => name === 'rateLimitFor7s') || day.faults.length > 1)
			return [];
		const heardAtMs = request.endedAtMs;
		const hasty = requests
			.slice(index + 1)
			.filter(
				({ method, headers, startedAtMs }) =>
					method === 'POST' &&
					headers.authorization === request.headers.authorization &&
					startedAtMs > heardAtMs + 2 * day.latencyMs + 5 &&
					startedAtMs < heardAtMs + 6900,
			);
		return hasty.map(
			({ startedAtMs }) =>
				`a request was sent ${startedAtMs - heardAtMs} ms after the service asked for 7 seconds`,
		);
	});
};

/** Whether an item is refused for what the user gave. */
function isRefused({ day }: Books): boolean {
	return (
		day.prompt === 'refusedForOne' ||
		isDryRun(day) ||
		day.credential === 'odd' ||
		day.shape === 'chain' ||
		day.shape === 'tool' ||
		(day.endpoint.startsWith('overlay') && day.files === 'url')
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
	const { day } = books;
	const isUnknown = [...books.slotsOf(last).values()]
		.flat()
		.some(({ verdict }) => verdict !== 'started' && verdict !== 'refused');
	const mayBeUnknown = mayBeUnheard(books);
	return (
		// n8n has nothing left to run where a canceled node continued on its error.
		(day.onError !== 'stopWorkflow' &&
			books.executions.some(({ stoppedAtMs }) => stoppedAtMs !== undefined)) ||
		((isUnknown || mayBeUnknown) && !last.workflow.edits.options.resubmitIfUnknown) ||
		isRefused(books) ||
		(day.prompt === 'goneInRetry' && !isPaidFor(books, last)) ||
		// n8n 2.41 saves a stopped execution as it was read before, and moves its files all the same.
		(day.mode === 'webhook' &&
			sendsFile(day) &&
			// One that n8n 1 has run again moves them as well.
			books.executions.some(
				({ ending, isRerunOf }) => ending === 'stopped' || isRerunOf !== undefined,
			)) ||
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
	const earlier = [...books.slotsOf(last).values()]
		.flat()
		.filter(({ execution }) => execution !== last);
	const edition = books.editionOf(last, 'Node');
	return Array.from({ length: day.itemCount }, (_, itemIndex) =>
		earlier.filter((post) => post.itemIndex === itemIndex && post.edition === edition),
	).every((posts) => {
		const { charged, failed } = statesOf(posts);
		const areKnown = posts.every(({ verdict }) => verdict === 'started' || verdict === 'refused');
		return areKnown && failed === 0 && charged >= wanted;
	});
}

/** Nothing hangs on a server that never ends its answer. */
const connectionsAreClosed: Rule = ({ played }) =>
	played.service.emulator.requests
		.filter(({ endedAtMs }) => endedAtMs === undefined)
		.map(
			({ method, path, fault }) => `${method} ${path} is still open, after ${fault ?? 'no fault'}`,
		);

const nothingIsUnhandled: Rule = ({ played }) => [
	...played.unhandled,
	...played.n8n.log.filter((line) => line.startsWith('error ')),
];

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
	textsAreShort,
	stopIsStop,
	nothingIsLeft,
	nothingIsUnhandled,
} satisfies Record<string, Rule>;

/** What is wrong with a day, as "rule: what". */
export function judge(played: Played): string[] {
	const books = new Books(played);
	return Object.entries(RULES).flatMap(([name, rule]) =>
		[...new Set(rule(books))].map((what) => `${name}: ${what}`),
	);
}

function sum(numbers: readonly number[]): number {
	return numbers.reduce((total, each) => total + each, 0);
}

/** How many spans overlap at most. */
function most(spans: [number, number][]): number {
	return Math.max(
		0,
		...spans.map(([at]) => spans.filter(([from, to]) => from <= at && at < to).length),
	);
}
