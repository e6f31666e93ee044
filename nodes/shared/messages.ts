import { Failure } from './failure';

/** How many job IDs a text names; the data of the error has them all. */
const JOB_IDS_IN_TEXT = 10;

function quoted(names: readonly string[]): string {
	return names.map((name) => `"${name}"`).join(', ');
}

function plural(count: number, noun: string): string {
	return `${count} ${noun}${count === 1 ? '' : 's'}`;
}

/** The API's own words as a sentence. */
function says(detail: string): string {
	return `AetherForge says: ${detail.replace(/\.+$/, '')}.`;
}

/** A number of seconds as people read it: at most one decimal. */
function seconds(durationMs: number): string {
	return plural(Math.round(durationMs / 100) / 10, 'second');
}

const GET_JOB_HINT = 'Fetch its result with the AetherForge Get Job node; that costs nothing.';

const RESUBMIT_HINT =
	'If you accept that you may pay twice, switch on "Resubmit When Outcome Is Unknown" under Options and retry with the current workflow (a retry with the original workflow does not see the option).';

/** Input that is refused before anything is sent. */
export const refused = {
	blankValue: (label: string): Failure =>
		new Failure({
			message: `The "${label}" parameter is empty`,
			description: `Enter a text in "${label}". If it holds an expression, check that the expression gives a text for this item. Nothing was sent for this item and nothing was charged.`,
		}),

	valueOfWrongType: (label: string, type: string): Failure =>
		new Failure({
			message: `The "${label}" parameter is not a text but ${type}`,
			description: `Adjust the expression in "${label}" so that it gives a text. Nothing was sent for this item and nothing was charged.`,
		}),

	optionValue: (label: string, value: unknown, expected: string): Failure =>
		new Failure({
			message: `"${label}" is not ${expected}`,
			description: `Its value is ${JSON.stringify(value)}. Adjust it, or the expression in it. Nothing was sent for this item and nothing was charged.`,
		}),

	tooManyItems: (count: number, limit: number): Failure =>
		new Failure({
			message: `This run has ${plural(count, 'item')}, more than the ${limit} that "Max Jobs per Run" allows`,
			description:
				'Each item starts a paid job. Nothing was sent and nothing was charged. If you do want them all, raise "Max Jobs per Run" under Options (0 means no limit).',
			concernsAllItems: true,
		}),

	malformedJobId: (value: string): Failure =>
		new Failure({
			message: `"${value.slice(0, 80)}" is not a job ID`,
			description:
				'A job ID looks like 123e4567-e89b-12d3-a456-426614174000. Adjust "Job ID" so that it gives one, for example {{ $json.job_id }} from an AetherForge Image Generate node.',
		}),

	noFieldNames: (label: string): Failure =>
		new Failure({
			message: `The "${label}" parameter names no binary field`,
			description: `Enter the names of the binary fields that hold the images in "${label}", separated by commas, or an expression that gives an array of names.`,
		}),

	unknownField: (name: string, available: readonly string[], label: string): Failure =>
		new Failure({
			message: `The item has no binary field "${name}"`,
			description: `${
				available.length > 0
					? `The item's binary fields are: ${quoted(available)}.`
					: 'The item has no binary fields at all.'
			} Adjust "${label}", or the node before this one, so that the names match. Nothing was sent for this item and nothing was charged.`,
		}),

	noFieldAtAll: (label: string): Failure =>
		new Failure({
			message: 'The item has no binary field to send',
			description: `"${label}" says to send all binary fields, and this item has none: the files were lost in a node before this one. An image from the prompt alone would be paid for as well, so nothing was sent. If that is what you want, set "${label}" to None.`,
		}),

	tooManyFiles: (subject: string, noun: string, limit: number, count: number): Failure =>
		new Failure({
			message: `${subject} takes up to ${plural(limit, noun)}, and the item has ${count}`,
			description: `Select fewer files, or choose a model that takes more. Nothing was sent for this item and nothing was charged.`,
		}),

	emptyFile: (fieldName: string, fileName: string): Failure =>
		new Failure({
			message: `The file "${fileName}" in the binary field "${fieldName}" is empty`,
			description:
				'Check the node that provides the file. Nothing was sent for this item and nothing was charged.',
		}),

	unreadableFile: (fieldName: string, fileName: string, reason: string): Failure =>
		new Failure({
			message: `The file "${fileName}" in the binary field "${fieldName}" cannot be read`,
			description: `n8n's binary data storage says: ${reason}. Run the node that provides the file again. Nothing was sent for this item and nothing was charged.`,
		}),

	notAnImage: (fieldName: string, fileName: string, mimeType: string): Failure =>
		new Failure({
			message: `The file "${fileName}" in the binary field "${fieldName}" is not an image`,
			description: `Its first bytes are those of no image type, whatever its type says (${mimeType}). PNG, JPEG, WebP, GIF, BMP, TIFF, AVIF and HEIC are sent on. Nothing was sent for this item and nothing was charged.`,
		}),

	noKey: (): Failure =>
		new Failure({
			message: 'The API key of the AetherForge credential is empty',
			description:
				'Enter the key of your AetherForge account in the credential, or check the expression in it. Nothing was sent.',
			concernsAllItems: true,
		}),

	baseUrl: (baseUrl: string, reason: string): Failure =>
		new Failure({
			message: `The Base URL of the AetherForge credential ${reason}`,
			description: `It is "${baseUrl.replace(/^([a-z]+:\/\/)?.*@/i, '$1***@')}". Adjust it in the credential; https://api.aetherforgeai.com is the service's own. Nothing was sent.`,
			concernsAllItems: true,
		}),
};

/** What the API, or the network on the way to it, made impossible. */
export const api = {
	badKey: (detail: string): Failure =>
		new Failure({
			message: 'AetherForge does not accept the API key',
			description: `The key is wrong or has expired. Open the AetherForge API credential and enter a valid key. ${says(detail)}`,
			httpStatus: 401,
			concernsAllItems: true,
		}),

	accountGone: (): Failure =>
		new Failure({
			message: 'The account of this API key no longer exists',
			description:
				'AetherForge knows the key but not its account (Not Found User). Enter the key of an existing account in the AetherForge API credential.',
			httpStatus: 404,
			concernsAllItems: true,
		}),

	forbidden: (detail: string): Failure =>
		new Failure({
			message: 'AetherForge does not allow this account to do that',
			description: `Check the account's plan and permissions on the AetherForge website. ${says(detail)}`,
			httpStatus: 403,
			concernsAllItems: true,
		}),

	outOfCredits: (detail: string): Failure =>
		new Failure({
			message: 'The AetherForge account has no credits left',
			description: `Add credits on the AetherForge website, then run the workflow again. ${says(detail)}`,
			httpStatus: 402,
			concernsAllItems: true,
		}),

	unknownJob: (jobId: string, detail: string): Failure =>
		new Failure({
			message: `AetherForge does not know the job ${jobId}`,
			description: `Check that the job ID is complete and that the credential belongs to the account that started the job. ${says(detail)}`,
			jobId,
			httpStatus: 404,
		}),

	rejected: (httpStatus: number, detail: string): Failure =>
		new Failure({
			message: `AetherForge did not accept the request: ${detail}`,
			description: `No job was started and nothing was charged. Adjust what the message names, then run the workflow again. (HTTP ${httpStatus})`,
			httpStatus,
		}),

	tooLarge: (detail: string): Failure =>
		new Failure({
			message: 'The reference images are larger than AetherForge takes',
			description: `Make the images smaller, for example with the Edit Image node. No job was started and nothing was charged. ${says(detail)}`,
			httpStatus: 413,
		}),

	wrongAddress: (httpStatus: number, detail: string): Failure =>
		new Failure({
			message: 'There is no AetherForge API at the Base URL of the credential',
			description: `Adjust the Base URL in the AetherForge API credential; https://api.aetherforgeai.com is the service's own. The server says: ${detail} (HTTP ${httpStatus})`,
			httpStatus,
			concernsAllItems: true,
		}),

	redirected: (httpStatus: number, outcomeUnknown: boolean): Failure =>
		new Failure({
			message: 'The Base URL of the credential leads to another address',
			description: `The API key is never sent on to another address, so the redirect (HTTP ${httpStatus}) was not followed. Enter the API's final address as the Base URL of the AetherForge API credential.${outcomeUnknown ? ` It is not certain that no job was started, so a retry does not send the request again. ${RESUBMIT_HINT}` : ''}`,
			httpStatus,
			outcomeUnknown,
			concernsAllItems: true,
		}),

	lookUpRejected: (jobId: string, httpStatus: number, detail: string): Failure =>
		new Failure({
			message: `AetherForge did not answer the look-up of the job ${jobId}: ${detail}`,
			description: `The job itself may well be fine. ${GET_JOB_HINT} (HTTP ${httpStatus})`,
			jobId,
			httpStatus,
		}),

	rateLimited: (waitedMs: number, detail: string): Failure =>
		new Failure({
			message: 'AetherForge receives too many requests from this account',
			description: `The job was not started, and nothing was charged for it, after trying for ${seconds(waitedMs)}. Lower "Max Concurrent Jobs" under Options, or run the workflow later. ${says(detail)}`,
			httpStatus: 429,
		}),

	unreachable: (waitedMs: number, reason: string): Failure =>
		new Failure({
			message: 'AetherForge cannot be reached',
			description: `No connection came about within ${seconds(waitedMs)}, so no job was started and nothing was charged. Check the Base URL in the AetherForge API credential and n8n's way to the internet. (${reason})`,
		}),

	/** What an earlier try left unknown; nothing was sent this time. */
	outcomeStillUnknown: (): Failure =>
		new Failure({
			message: 'It is not known whether an earlier try started the job',
			description: `An earlier try of this execution sent the request and got no reliable answer, so a job may exist and be charged. It was not sent again. Check your AetherForge account. ${RESUBMIT_HINT}`,
			outcomeUnknown: true,
		}),

	outcomeUnknown: (reason: string, httpStatus: number | undefined): Failure =>
		new Failure({
			message: 'It is not known whether AetherForge started the job',
			description: `The request was sent, but its answer cannot be relied on: ${reason}. A job may exist and be charged, so the request is not sent again by itself, not by a retry either. Check your AetherForge account. ${RESUBMIT_HINT}`,
			...(httpStatus === undefined ? {} : { httpStatus }),
			outcomeUnknown: true,
		}),

	lookUpImpossible: (jobId: string, waitedMs: number, reason: string): Failure =>
		new Failure({
			message: `The job ${jobId} could not be looked up`,
			description: `AetherForge gave no usable answer for ${seconds(waitedMs)}: ${reason}. The job itself may well be fine. Try again later; looking up a job costs nothing.`,
			jobId,
		}),
};

/** What became of a job that was paid for. */
export const job = {
	failed: (jobId: string, reason: string | undefined): Failure =>
		new Failure({
			message: `AetherForge could not finish the job ${jobId}`,
			description: `${reason === undefined ? 'AetherForge gives no reason.' : says(reason)} Try another prompt, model or reference image. To get failed jobs as ordinary items, set "On Failed Job" under Options to Return the Failed Job.`,
			jobId,
			status: 'Failed',
		}),

	timedOut: (
		jobId: string,
		status: string,
		waitedMs: number,
		trouble: string | undefined,
	): Failure =>
		new Failure({
			message: `The job ${jobId} is not finished after ${seconds(waitedMs)}`,
			description: `Its last status was "${status}".${trouble === undefined ? '' : ` The last look-up did not work: ${trouble}.`} The job goes on and is paid for. ${GET_JOB_HINT} Or raise "Timeout (Seconds)" under Options.`,
			jobId,
			status,
		}),

	downloadImpossible: (jobId: string, imageUrls: readonly string[], reason: string): Failure =>
		new Failure({
			message: `An image of the job ${jobId} could not be downloaded`,
			description: `The job is finished and paid for. Address: ${imageUrls.join(', ')}. What happened: ${reason}. ${GET_JOB_HINT}`,
			jobId,
			status: 'Succeed',
			imageUrls,
		}),
};

/** The run as a whole. */
export const run = {
	canceled: (): Failure =>
		new Failure({
			message: 'The execution was stopped',
			description:
				'Nothing more was sent. Jobs that were already started go on and are paid for; n8n\'s log names them at the level "info".',
		}),

	/** Adds what is known of the other items' jobs to a failure that ends the run. */
	withOtherJobs: (
		failure: Failure,
		jobIds: readonly string[],
		unclearItems: readonly number[],
	): Failure => {
		const named = jobIds.slice(0, JOB_IDS_IN_TEXT).join(', ');
		const more = jobIds.length - JOB_IDS_IN_TEXT;
		const started =
			jobIds.length === 0
				? ''
				: ` Other jobs of this run were already started and are paid for: ${named}${more > 0 ? ` and ${more} more, which the data of this message lists` : ''}. Fetch their results with the AetherForge Get Job node, or retry this execution, which takes them up.`;
		const unclear =
			unclearItems.length === 0
				? ''
				: ` It is not known whether a job was started for: ${unclearItems.map((item) => `item ${item}`).join(', ')}.`;
		return failure.with({ description: `${failure.facts.description}${started}${unclear}` });
	},
};

/** Lines for n8n's own log, which is all that is left of a run that n8n forgets. */
export const logLines = {
	started: (jobId: string, itemIndex: number): string =>
		`AetherForge started the job ${jobId} for item ${itemIndex}`,
	unclear: (itemIndex: number, description: string): string =>
		`It is not known whether AetherForge started a job for item ${itemIndex}. ${description}`,
	stopped: (jobIds: readonly string[]): string =>
		`The execution was stopped; these AetherForge jobs were not collected: ${jobIds.join(', ')}`,
};

/** Sentences for the output panel. */
export const hints = {
	takenUp: (count: number, total: number): string =>
		`${count} of ${plural(total, 'job')} taken from the previous try; they were not paid for again.`,
	stillRunning: (jobIds: readonly string[], total: number): string =>
		`${jobIds.length} of ${plural(total, 'job')} still running: ${jobIds.slice(0, JOB_IDS_IN_TEXT).join(', ')}${jobIds.length > JOB_IDS_IN_TEXT ? ', …' : ''}. Look them up with the AetherForge Get Job node.`,
	dryRun: (count: number): string =>
		`Dry run: ${plural(count, 'request')} checked, nothing sent and nothing charged. Switch off "Dry Run" under Options to start the jobs.`,
};

const CONNECTION_WORDS: Readonly<Record<string, string>> = {
	EAI_AGAIN: 'the name server does not answer',
	ECONNABORTED: 'no answer came in time',
	ECONNREFUSED: 'nothing listens at this address',
	ECONNRESET: 'the connection was cut',
	ENOTFOUND: 'there is no host of this name',
	EPIPE: 'the connection was cut while sending',
	ERR_CANCELED: 'the execution was stopped',
	ETIMEDOUT: 'no answer came in time',
};

/** What went wrong on the way to a server, in words. */
export const trouble = {
	noAnswer: (durationMs: number): string => `no answer within ${seconds(durationMs)}`,
	answerTooLarge: (limitBytes: number): string =>
		`the answer is larger than ${Math.round(limitBytes / 1_048_576)} MB`,
	answerCutOff: (reason: string): string => `the answer broke off (${reason})`,
	notJson: (httpStatus: number, excerpt: string): string =>
		`HTTP ${httpStatus}, and the answer is not JSON: ${excerpt}`,
	noJobId: (httpStatus: number): string => `HTTP ${httpStatus}, and the answer holds no job ID`,
	noJob: (httpStatus: number): string => `HTTP ${httpStatus}, and the answer describes no job`,
	status: (httpStatus: number, detail: string): string => `HTTP ${httpStatus}: ${detail}`,
	/** n8n's own texts for these codes advise to send the request again, which may cost twice. */
	connection: (code: string, reason: string): string =>
		`${CONNECTION_WORDS[code] ?? reason.replace(/\.+$/, '')} (${code})`,
	notVisibleYet: (): string => 'AetherForge does not list the job yet (HTTP 404)',
	notAnImage: (contentType: string): string =>
		`the file is not an image${contentType === '' ? '' : ` (its server calls it "${contentType}")`}`,
	stalled: (): string => 'the transfer has stalled',
	fileTooLarge: (limitBytes: number): string =>
		`the file is larger than ${Math.round(limitBytes / 1_048_576)} MB`,
	unusableUrl: (): string => 'the address is not an http or https one',
};
