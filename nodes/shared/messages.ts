import type { FilesField } from './endpoint';
import { excerpt, Failure } from './failure';

/** How many things of a kind a text names. Of jobs, the data of the error has them all. */
const LONGEST_LIST = 10;

/** One of several names is shorter than one that stands alone. */
const LONGEST_LISTED_NAME = 40;

/**
 * Sentences that repeat only the start of a text, since a user, a server, or n8n may have put anything
 * there: a file may stand where its name belongs. What isn't a separate argument, such as the entries
 * of a list, the sentence cuts itself.
 */
function quotingBriefly<Group extends object>(group: Group): Group {
	const sentences = Object.entries(group) as [string, (...args: unknown[]) => unknown][];
	return Object.fromEntries(
		sentences.map(([name, say]) => [
			name,
			(...args: unknown[]) => say(...args.map((each) => brief(each))),
		]),
	) as Group;
}

/** Secrets go before anything is cut: behind the cut they could no longer be told. */
function brief(value: unknown): unknown {
	if (typeof value !== 'string') return value;
	const startsLikeUrl = /^\s*(data:|\S*:\/\/|\S*:\S*@)/i.test(value);
	return excerpt(startsLikeUrl ? shortened(value) : value);
}

function listOf(texts: readonly string[]): string {
	const more = texts.length - LONGEST_LIST;
	const named = texts.slice(0, LONGEST_LIST).join(', ');
	return more > 0 ? `${named}, and ${more} more` : named;
}

function quoted(names: readonly string[]): string {
	return listOf(names.map((name) => `"${excerpt(name, LONGEST_LISTED_NAME)}"`));
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

function megabytes(bytes: number): string {
	return `${Math.round(bytes / 1_048_576)} MB`;
}

function inField(fieldName: string | undefined): string {
	return fieldName === undefined ? '' : ` in the binary field ${quoted([fieldName])}`;
}

/** A value as people wrote it; items can hold what JSON cannot. */
function shown(value: unknown): string {
	if (['number', 'bigint', 'undefined'].includes(typeof value)) return excerpt(String(value));
	try {
		return excerpt(JSON.stringify(value));
	} catch {
		return 'an object that refers to itself';
	}
}

/**
 * A URL as it may be shown: without its query, which may be a signature, without what precedes an
 * "@", such as a password or a key, and without the middle of its path, which may hold a token. Of a data
 * URL, only the type.
 */
export function shortened(url: string): string {
	const dataType = /^\s*data:[^;,]*/i.exec(url)?.[0];
	if (dataType !== undefined) return `${dataType.slice(0, 100)};…`;
	const scheme = /^\s*[a-z][a-z\d+.-]*:\/\//i.exec(url)?.[0] ?? '';
	const [start = '', ...query] = url.slice(scheme.length).split(/[?#]/);
	const hasPath = start.includes('/') && /^\s*https?:/i.test(scheme) && URL.canParse(url);
	// A password may hold what looks like the beginning of a query.
	if (!hasPath && query.some((part) => part.includes('@'))) return `${scheme}***`;
	const [host = '', ...path] = start.replace(/^[^]*@/, '***@').split('/');
	const last = (path.pop() ?? '').split(/[;&]|%3[bf]|%26/i)[0] ?? '';
	const middle = path.some((segment) => segment !== '') ? '/…' : '';
	return excerpt(`${scheme}${host}${start.includes('/') ? `${middle}/${last}` : ''}`);
}

function listWithData(jobIds: readonly string[]): string {
	const isWhole = jobIds.length <= LONGEST_LIST;
	return `${listOf(jobIds)}${isWhole ? '' : ' (the full list is in the error details)'}`;
}

const GET_JOB_HINT =
	'You can collect its result with the AetherForge Get Job node, free of charge.';

const RESUBMIT_HINT =
	'To resend it anyway, turn on "Resubmit If Unknown" under Options, save, and select Retry with currently saved workflow. You may be charged twice.';

/** What the files of a field are counted in. */
function holder({ urls }: FilesField, isByUrl: boolean): string {
	return isByUrl ? `"${urls.displayName}"` : 'the item';
}

const FORMATS = 'PNG, JPEG, WebP, GIF, BMP, TIFF, AVIF, and HEIC';

/** Input that is refused before anything is sent. What was or was not charged is added by the run. */
export const inputFailures = quotingBriefly({
	blankValue: (label: string): Failure =>
		new Failure({
			message: `The "${label}" parameter is empty`,
			description: `Enter some text in "${label}". If it is an expression, check that it returns text for this item.`,
		}),

	/** n8n turns pasted and dragged braces into an expression, but not those that are typed. */
	notAnExpression: (label: string): Failure =>
		new Failure({
			message: `The "${label}" parameter is text, not an expression`,
			description: `n8n doesn't replace {{ … }} in text. Select Expression at the top right of "${label}".`,
		}),

	valueOfWrongType: (label: string, type: string): Failure =>
		new Failure({
			message: `The "${label}" parameter must be text, but is ${type}`,
			description: `Change the expression in "${label}" so that it returns text.`,
		}),

	/** @param subject the parameter, or the part of it, in quotation marks */
	leftover: (subject: string, text: string): Failure =>
		new Failure({
			message: `${subject} is only the text "${text}"`,
			description:
				'That looks like an expression that did not work. Change the expression, or the data that it reads for this item.',
		}),

	/** @param subject the parameter, or the part of it, in quotation marks */
	inexactNumber: (subject: string, value: number): Failure =>
		new Failure({
			message: `${subject} is a number with too many digits`,
			description: `Whole numbers above ${Number.MAX_SAFE_INTEGER} are not exact: this one has become ${value}. Write it as text, in quotation marks.`,
		}),

	/** @param subject the parameter, or the part of it, in quotation marks */
	wrongValue: (subject: string, expected: string, value: unknown): Failure =>
		new Failure({
			message: `${subject} must be ${expected}`,
			description: `Its value is ${shown(value)}. Change it, or the expression that returns it.`,
		}),

	tooManyJobs: (count: number, before: number, limit: number): Failure =>
		new Failure({
			message: `This execution would start ${plural(before + count, 'job')}, more than the ${limit} that "Max Jobs per Execution" allows`,
			description: `It needs ${plural(count, 'new job')}${before === 0 ? '' : `, and this node has already started ${before} in this execution`}. If you want to pay for all of them, raise "Max Jobs per Execution" under Options (0 means no limit).`,
			concernsAllItems: true,
		}),

	/** A retry that ends well is the last one that n8n offers. */
	dryRunInRetry: (): Failure =>
		new Failure({
			message: 'A dry run would use up the Retry of an execution that has paid for jobs',
			description:
				'n8n offers no further Retry once one has ended well. Turn off "Dry Run" under Options, and retry: the jobs are resumed, and are not charged again.',
		}),

	noSuchOperation: (): Failure =>
		new Failure({
			message: 'This operation does not exist',
			description: 'Open the node and select an operation and a version from their lists.',
			concernsAllItems: true,
		}),

	malformedJobId: (value: string): Failure =>
		new Failure({
			message: `"${value.slice(0, 80)}" is not a job ID`,
			description:
				'A job ID looks like 123e4567-e89b-12d3-a456-426614174000. Change "Job ID" so that it returns one, for example {{ $json.job_id }} from the node that started the job.',
		}),

	noRows: (label: string): Failure =>
		new Failure({
			message: `The "${label}" parameter has no rows`,
			description: `Add at least one row to "${label}".`,
		}),

	invalidJson: (label: string, reason: string, shape = 'a JSON list of objects'): Failure =>
		new Failure({
			message: `The "${label}" parameter is not valid JSON`,
			description: `Change "${label}" so that it is ${shape}. (${reason})`,
		}),

	noObject: (label: string): Failure =>
		new Failure({
			message: `The "${label}" parameter must be a JSON object`,
			description: `Change "${label}" to an object such as {"name": "value"}, or leave it empty.`,
		}),

	formFieldName: (label: string, field: string): Failure =>
		new Failure({
			message: `"${field.slice(0, 80)}" in "${label}" is not a form field name`,
			description: 'Use up to 64 letters, digits, dots, hyphens, and underscores.',
		}),

	declaredFormField: (field: string): Failure =>
		new Failure({
			message: `"${field}" cannot be sent as an extra field`,
			description: `This node has a parameter for "${field}". Use that, and remove the field from "More API Fields (JSON)".`,
		}),

	noList: (label: string): Failure =>
		new Failure({
			message: `The "${label}" parameter must be a list`,
			description: `Change "${label}" so that it is a JSON list of objects, one for each row.`,
		}),

	noRowObject: (label: string, position: number, columns: readonly string[]): Failure =>
		new Failure({
			message: `Row ${position} of "${label}" must be an object`,
			description: `Give each row the fields ${quoted(columns)}.`,
		}),

	/** @param place which row of which parameter */
	cellKey: (place: string, given: string, column: string): Failure =>
		new Failure({
			message: `The row has "${given}"; the field must be "${column}"`,
			description: `Rename the field in ${place}. Field names are in lower case.`,
		}),

	noFieldNames: (label: string, isList: boolean): Failure =>
		new Failure({
			message: `The "${label}" parameter does not name a binary field`,
			description: `Enter the name of the binary field that holds the image in "${label}".${isList ? ' Separate several names with commas.' : ''} If it is an expression, check that it returns a name or a file for this item.`,
		}),

	unknownField: (name: string, available: readonly string[], label: string): Failure =>
		new Failure({
			message: `The item has no binary field "${name}"`,
			description: `${
				available.length > 0
					? `The item's binary fields are: ${quoted(available)}.`
					: "The item has no binary fields at all. An expression takes it from an earlier node: {{ $('Form').item.binary.photo }}."
			} Change "${label}", or the node before this one, so that the names match.`,
		}),

	/** An expression with text around it makes a text of the file. */
	textAndFile: (label: string): Failure =>
		new Failure({
			message: `"${label}" contains both text and a file`,
			description: `Delete the text in "${label}", so that only the expression of the file is left, such as {{ $binary.data }}.`,
		}),

	noFieldAtAll: (label: string, things: string): Failure =>
		new Failure({
			message: 'The item has no binary fields to send',
			description: `"${label}" is set to send all binary fields, but this item has none: a node before this one dropped the files. To start a job without ${things}, set "${label}" to None.`,
		}),

	foreignFile: (label: string): Failure =>
		new Failure({
			message: `The file in "${label}" does not belong to this execution`,
			description:
				"Only files of the input items, of the nodes before this one, and of nodes that the parameter names are sent. Drag the file from the input panel, or use an expression such as {{ $('Form').item.binary.photo }}.",
		}),

	otherWorkflowsFile: (label: string): Failure =>
		new Failure({
			message: `The file in "${label}" belongs to another workflow`,
			description:
				"Only this workflow's own files are sent, and those that a sub-workflow is called with or returns. Check which node put the file into the item's JSON.",
		}),

	/** Of a data URL or base64. */
	contentAsText: (label: string): Failure =>
		new Failure({
			message: `"${label}" contains the content of a file, not where to find it`,
			description:
				'Put a Convert to File node (operation Move Base64 String to File) before this node, and select its binary field. If the text is a data URL, first remove everything up to the comma.',
		}),

	fileWithoutContent: (label: string): Failure =>
		new Failure({
			message: `The file in "${label}" has no content`,
			description: `Enter the name of the binary field in "${label}" instead of an expression that returns the file.`,
		}),

	unusableUrl: (label: string, url: string): Failure =>
		new Failure({
			message: `"${shortened(url)}" in "${label}" is not a URL that can be fetched`,
			description: 'Enter URLs that start with http:// or https://.',
		}),

	emptyEntry: (label: string, position: number): Failure =>
		new Failure({
			message: `Entry ${position} of "${label}" is empty`,
			description: `Remove the entry from "${label}", or change the expression so that it returns a name or a file for this item.`,
		}),

	unusableEntry: (label: string, position: number, type: string): Failure =>
		new Failure({
			message: `Entry ${position} of "${label}" must be a URL, but is ${type}`,
			description: `Change "${label}" so that each entry of the list is a URL as text, or an object with a url.`,
		}),

	unfetchable: (url: string, reason: string): Failure =>
		new Failure({
			message: `The image at ${shortened(url)} could not be fetched`,
			description: `Reason: ${reason.replace(/\.+$/, '')}. Check that the URL opens an image without signing in, and that n8n can reach it.`,
		}),

	/** @param isByUrl whether they are URLs, not files of the item */
	tooManyFiles: (
		subject: string,
		field: FilesField,
		limit: number,
		count: number,
		isByUrl: boolean,
	): Failure =>
		new Failure({
			message: `${subject} takes ${limit === 1 ? `only 1 ${field.noun.one}` : `up to ${limit} ${field.noun.many}`}, but ${holder(field, isByUrl)} has ${count}`,
			// No advice that does not help: perhaps no model takes that many.
			description: `${isByUrl ? 'Enter fewer URLs' : 'Select fewer files'}${field.limit.by && count <= field.limit.max ? `, ${field.limit.by.advice}` : ''}.`,
		}),

	emptyFile: (fileName: string, fieldName: string | undefined): Failure =>
		new Failure({
			message: `The file "${fileName}"${inField(fieldName)} is empty`,
			description: 'Check the node that provides the file.',
		}),

	unreadableFile: (fileName: string, fieldName: string | undefined, reason: string): Failure =>
		new Failure({
			message: `The file "${fileName}"${inField(fieldName)} cannot be read`,
			description: `n8n's binary data storage says: ${reason.replace(/(, \w+)? '[^']*'/g, '')}. Get an AetherForge image again with the AetherForge Get Job node (Job ID: the item's job_id), free of charge. For another file, execute the node that provides it again.`,
		}),

	notAnImage: (fileName: string, fieldName: string | undefined, mimeType: string): Failure =>
		new Failure({
			message: `The file "${fileName}"${inField(fieldName)} is not an image`,
			description: `Its content is not a supported image (declared as ${mimeType}). Supported formats: ${FORMATS}.`,
		}),
});

/** Why a base URL is refused. */
export type BaseUrlFlaw = 'invalid' | 'insecure' | 'userInfo' | 'query';

const BASE_URL_FLAWS: Readonly<Record<BaseUrlFlaw, string>> = {
	invalid: 'is not a valid URL',
	insecure: 'must start with https:// (http:// is only allowed for this machine)',
	userInfo: 'must not contain a user name or password',
	query: 'must not contain a query or fragment',
};

/** A credential with which nothing can be sent. A password is taken out before anything is cut. */
export const credentialFailures = {
	noKey: (): Failure =>
		new Failure({
			message: 'The API key in the AetherForge credential is empty',
			description:
				'Enter the API key of your AetherForge account in the credential, or check the expression that returns it.',
			concernsAllItems: true,
		}),

	keyIsNoText: (): Failure =>
		new Failure({
			message: 'The API key in the AetherForge credential is not text',
			description: 'Change the expression in the credential so that it returns the API key.',
			concernsAllItems: true,
		}),

	keyWithOddCharacters: (): Failure =>
		new Failure({
			message:
				'The API key in the AetherForge credential contains characters that no API key can have',
			description:
				'Copy the API key again from your AetherForge account, without spaces, line breaks, or invisible characters.',
			concernsAllItems: true,
		}),

	/** n8n's own reason: the credential is gone, or its expression cannot be resolved. */
	unreadable: (reason: string): Failure =>
		new Failure({
			message: 'The AetherForge credential could not be read',
			description: `n8n says: ${excerpt(reason).replace(/\.+$/, '')}. Select an existing credential in the node, and check that its expressions return a value.`,
			concernsAllItems: true,
		}),

	baseUrlIsNoText: (): Failure =>
		new Failure({
			message: 'The Base URL in the AetherForge credential is not text',
			description: 'Change the expression in the credential so that it returns the Base URL.',
			concernsAllItems: true,
		}),

	baseUrl: (baseUrl: string, flaw: BaseUrlFlaw): Failure =>
		new Failure({
			message: `The Base URL in the AetherForge credential ${BASE_URL_FLAWS[flaw]}`,
			description: `It is "${shortened(baseUrl)}". Change it in the credential. The service itself is at https://api.aetherforgeai.com.`,
			concernsAllItems: true,
		}),

	/** n8n's HTTP Request node can use the credential with any URL. */
	otherOrigin: (origin: string): Failure =>
		new Failure({
			message: `The AetherForge API key is only sent to ${excerpt(origin)}, the Base URL in its credential`,
			description: 'Change the URL of the request, or the Base URL in the credential.',
			concernsAllItems: true,
		}),
};

/** Requests that the API, or the network on the way to it, refused. */
export const apiFailures = quotingBriefly({
	badKey: (detail: string): Failure =>
		new Failure({
			message: 'AetherForge does not accept the API key',
			description: `The API key is wrong or has expired. Open the AetherForge API credential and enter a valid key. ${says(detail)}`,
			httpStatus: 401,
			concernsAllItems: true,
		}),

	accountGone: (detail: string): Failure =>
		new Failure({
			message: 'The account of this API key no longer exists',
			description: `Enter the key of an existing account in the AetherForge API credential. ${says(detail)}`,
			httpStatus: 404,
			concernsAllItems: true,
		}),

	forbidden: (detail: string): Failure =>
		new Failure({
			message: 'AetherForge refused the request for this account',
			description: `Check your account's plan and permissions on the AetherForge website. ${says(detail)}`,
			httpStatus: 403,
			concernsAllItems: true,
		}),

	outOfCredits: (detail: string): Failure =>
		new Failure({
			message: 'The AetherForge account has no credits left',
			description: `Add credits on the AetherForge website. ${says(detail)}`,
			httpStatus: 402,
			concernsAllItems: true,
		}),

	unknownJob: (jobId: string, detail: string): Failure =>
		new Failure({
			message: `AetherForge has no job ${jobId}`,
			description: `Check that the job ID is complete and that the credential belongs to the account that started the job. If the job is old, AetherForge may no longer keep it. ${says(detail)}`,
			jobId,
			httpStatus: 404,
		}),

	/** A job that this execution has started a while ago: its ID is right. */
	startedJobUnlisted: (jobId: string, ageMs: number, detail: string): Failure =>
		new Failure({
			message: `AetherForge does not list the job ${jobId}`,
			description: `This execution started it ${seconds(ageMs)} ago. Check that the credential belongs to the account that started the job, and then use Retry in the Executions tab or Get Job, free of charge. ${says(detail)}`,
			jobId,
			charge: 'certain',
			httpStatus: 404,
			isCollectable: true,
		}),

	/** The same, long ago. */
	startedJobGone: (jobId: string, detail: string): Failure =>
		new Failure({
			message: `AetherForge no longer has the job ${jobId}`,
			description: `This execution started the job. Check that the credential belongs to the account that started it, and look for the images there. A retry does not start a new job. To pay for a new one, run this row alone. ${says(detail)}`,
			jobId,
			charge: 'certain',
			httpStatus: 404,
		}),

	rejected: (httpStatus: number, detail: string): Failure =>
		new Failure({
			message: `AetherForge did not accept the request: ${detail}`,
			description: `Correct what AetherForge names above. (HTTP ${httpStatus})`,
			httpStatus,
		}),

	/** A firewall's page, say. What refuses a request does not hand it on. */
	refusedOnTheWay: (httpStatus: number, excerpt: string): Failure =>
		new Failure({
			message: `A server between n8n and AetherForge refused the request (HTTP ${httpStatus})`,
			description: `Check the Base URL in the AetherForge API credential, and allow requests to it in your firewall or proxy. The server says: ${excerpt.replace(/\.+$/, '')}.`,
			httpStatus,
		}),

	tooLarge: (detail: string): Failure =>
		new Failure({
			message: 'The files are larger than AetherForge accepts',
			description: `Make the images smaller, for example with the Edit Image node. ${says(detail)}`,
			httpStatus: 413,
		}),

	noApi: (httpStatus: number, detail: string): Failure =>
		new Failure({
			message: 'There is no AetherForge API at the Base URL in the credential',
			description: `Change the Base URL in the AetherForge API credential. The service itself is at https://api.aetherforgeai.com. The server says: ${detail} (HTTP ${httpStatus})`,
			httpStatus,
			concernsAllItems: true,
		}),

	redirected: (httpStatus: number, outcomeUnknown: boolean): Failure =>
		new Failure({
			message: 'The Base URL in the credential redirects to another URL',
			description: `The API key is never sent to another server, so the redirect (HTTP ${httpStatus}) was not followed. Enter the API's final URL as the Base URL in the AetherForge API credential.`,
			httpStatus,
			outcomeUnknown,
			concernsAllItems: true,
		}),

	/** n8n's own SSRF protection. */
	blocked: (reason: string): Failure =>
		new Failure({
			message: "n8n's SSRF protection blocked the request to AetherForge",
			description: `Check the Base URL in the AetherForge API credential, or ask your n8n administrator to allow it. n8n says: ${reason}`,
			concernsAllItems: true,
		}),

	statusCheckRejected: (jobId: string, httpStatus: number, detail: string): Failure =>
		new Failure({
			message: `AetherForge rejected the status check for the job ${jobId}: ${detail}`,
			description: `The job itself may be fine. ${GET_JOB_HINT} (HTTP ${httpStatus})`,
			jobId,
			httpStatus,
			isCollectable: true,
		}),

	rateLimited: (waitedMs: number, askedMs: number | undefined, detail: string): Failure =>
		new Failure({
			message: 'AetherForge is rate limiting this account',
			description: `The job could not be started within ${seconds(waitedMs)}.${askedMs === undefined ? '' : ` AetherForge asks n8n to wait ${seconds(askedMs)}.`} Lower "Max Concurrent Jobs" under Options, or try again later. ${says(detail)}`,
			httpStatus: 429,
		}),

	/** Without its end the server cannot accept the request. */
	uploadCutOff: (reason: string): Failure =>
		new Failure({
			message: 'The files could not be sent to AetherForge',
			description: `The upload ended early: ${reason}. Try again. If it happens again, make the images smaller.`,
		}),

	unreachable: (waitedMs: number, reason: string): Failure =>
		new Failure({
			message: 'AetherForge cannot be reached',
			description: `Could not connect within ${seconds(waitedMs)}. Check the Base URL in the AetherForge API credential and n8n's network access. (${reason})`,
		}),

	/** A server that loses each answer would be sent, and charge for, all the rest. */
	withheld: (unknownCount: number): Failure =>
		new Failure({
			message: `The request was not sent, because the last ${unknownCount} had unknown outcomes`,
			description:
				"No usable response came back from AetherForge, or from a server on the way to it. Check your AetherForge account and n8n's network access before you try again.",
		}),

	/** What an earlier attempt left unknown; nothing was sent this time. */
	outcomeStillUnknown: (): Failure =>
		new Failure({
			message: 'It is not known whether an earlier attempt started the job',
			description:
				"An earlier attempt of this execution sent the request, but no usable response came back, or n8n ended before that. It was not sent again. n8n's log may list the job.",
			outcomeUnknown: true,
		}),

	outcomeUnknown: (reason: string, httpStatus: number | undefined): Failure =>
		new Failure({
			message: 'It is not known whether AetherForge started the job',
			description: `The request was sent, but no usable response came back: ${reason}.`,
			httpStatus,
			outcomeUnknown: true,
		}),

	noStatus: (jobId: string, waitedMs: number, reason: string): Failure =>
		new Failure({
			message: `The status of the job ${jobId} could not be checked`,
			description: `AetherForge gave no usable response for ${seconds(waitedMs)}: ${reason}. The job itself may be fine. Try again later. Checking on a job is free.`,
			jobId,
		}),
});

/** What happened to a job that was charged. */
export const jobFailures = quotingBriefly({
	failed: (jobId: string, reason: string | undefined, advice: string): Failure =>
		new Failure({
			message: `AetherForge could not finish the job ${jobId}`,
			description: `${reason === undefined ? 'AetherForge gave no reason.' : says(reason)} ${advice} To get failed jobs as regular items, set "On Failed Job" under Options to Return the Failed Job.`,
			jobId,
			charge: 'possible',
			status: 'Failed',
		}),

	withoutImages: (jobId: string): Failure =>
		new Failure({
			message: `AetherForge finished the job ${jobId}, but returned no images`,
			description:
				'A retry asks for the images of this job again, and so does Get Job. If there still are none, contact AetherForge with the job ID.',
			jobId,
			charge: 'certain',
			status: 'Succeed',
			imageUrls: [],
		}),

	timedOut: (
		job: { jobId: string; status: string; imageUrls: readonly string[] },
		waitedMs: number,
		lastReason: string | undefined,
	): Failure =>
		new Failure({
			message: `The job ${job.jobId} is not finished after ${seconds(waitedMs)}`,
			description: `${lastReason === undefined ? `Its status is "${excerpt(job.status)}".` : `When its status was last read, it was "${excerpt(job.status)}". The last status check did not work: ${lastReason}.`} ${GET_JOB_HINT} To wait longer next time, raise "Timeout (Seconds)" under Options.`,
			jobId: job.jobId,
			charge: 'certain',
			status: job.status,
			imageUrls: job.imageUrls.length === 0 ? undefined : job.imageUrls,
			isCollectable: true,
		}),

	/** Whether it is finished is not known. */
	neverSeen: (jobId: string, waitedMs: number, lastReason: string): Failure =>
		new Failure({
			message: `The status of the job ${jobId} could not be read within ${seconds(waitedMs)}`,
			description: `The last status check did not work: ${lastReason}. The job may be finished by now. ${GET_JOB_HINT}`,
			jobId,
			charge: 'certain',
			status: 'Pending',
			isCollectable: true,
		}),

	notDownloaded: (jobId: string, url: string, reason: string): Failure =>
		new Failure({
			message: `An image of the job ${jobId} could not be downloaded`,
			description: `The job is finished. The URL is ${shortened(url)}. Reason: ${reason}. ${GET_JOB_HINT}`,
			jobId,
			charge: 'certain',
			status: 'Succeed',
			isCollectable: true,
		}),
});

/** The run as a whole. */
export const runFailures = {
	canceled: (): Failure =>
		new Failure({
			message: 'The execution was stopped',
			description:
				'Nothing more was sent. Jobs that had started keep running and are charged. Their IDs are in n8n\'s log (level "info") and, on n8n 2.16 and later, in the custom data of this execution, which the n8n node returns (Execution: Get, Include Execution Details). Collect them with the AetherForge Get Job node.',
		}),

	/** Stop, while the API had the request and had not answered it yet. */
	canceledWhileSubmitting: (): Failure =>
		new Failure({
			message: 'The execution was stopped while a job was being submitted',
			description: 'n8n\'s log lists its ID at the level "info" as soon as AetherForge responds.',
			outcomeUnknown: true,
		}),
};

/** What else is known where a failure meets its reader. */
export interface Circumstances {
	/** Whether the node starts jobs, so that each text has to say what it cost. */
	startsJobs: boolean;
	/** Whether nothing has been sent yet. */
	isChecking: boolean;
	/** Whether jobs of earlier attempts, or of this one, exist or may exist. */
	isRetry: boolean;
	/** Whether other items go on. */
	isOneOfMany: boolean;
	/** Whether n8n offers a Retry: not where a node continues, and not to a tool's caller. */
	canRetry: boolean;
	/** Jobs of the item, without the one that the failure names. */
	ownJobIds: readonly string[];
	/** The run's other jobs. */
	otherJobIds: readonly string[];
	/** Other items of which it is not known whether a job exists. */
	unknownItems: readonly number[];
	/** Whether an AI agent's model reads it: n8n tells it the message alone. */
	isForModel: boolean;
	/** Which of several input items it is, from 1, and the text that it is known by. */
	row?: { number: number; text: string };
}

/** The circumstances of a failure that says all there is to say. */
export const NO_JOBS: Circumstances = {
	startsJobs: false,
	isChecking: false,
	isRetry: false,
	isOneOfMany: false,
	canRetry: false,
	ownJobIds: [],
	otherJobIds: [],
	unknownItems: [],
	isForModel: false,
};

/** A failure as people and models read it: what happened, what to do, what it cost, and what else exists. */
export function rendered(
	failure: Failure,
	circumstances: Circumstances,
): { message: string; description: string } {
	const { message, description } = failure.facts;
	const text = [
		...ofRetry(failure, circumstances),
		...ofRow(circumstances),
		description,
		ofCharge(failure, circumstances),
		...ofJobs(circumstances),
		ofUnknown(circumstances.unknownItems),
	]
		.filter((sentence) => sentence !== '')
		.join(' ');
	return circumstances.isForModel
		? { message: `${message}. ${text}`, description: '' }
		: { message, description: text };
}

/** What the failed job, or the request for one, has cost. */
function ofCharge({ facts }: Failure, circumstances: Circumstances): string {
	const { startsJobs, isChecking, isRetry, isOneOfMany, ownJobIds } = circumstances;
	if (facts.outcomeUnknown) {
		if (facts.isResubmitted) {
			return 'A job may exist and be charged. A retry resends the request, because "Resubmit If Unknown" is on.';
		}
		return circumstances.canRetry
			? `A job may exist and be charged, so a retry does not resend the request. Check your AetherForge account. ${RESUBMIT_HINT}`
			: 'A job may exist and be charged. Check your AetherForge account before you send the request again.';
	}
	if (facts.charge === 'possible') return 'The job may have been charged.';
	if (facts.charge === 'certain') return 'The job has been charged.';
	if (!startsJobs) return '';
	if (facts.jobId !== undefined) return 'The job has been charged.';
	if (ownJobIds.length > 0 && !isChecking) return '';
	const [none, charged] = isRetry ? ['No new job', ''] : ['No job', ', and nothing was charged'];
	if (isChecking) return `${none} was started${isOneOfMany ? ' for this item' : ''}${charged}.`;
	return 'The request started no job, and nothing was charged for it.';
}

/** What people look for first where some of several jobs are paid. n8n offers no Retry where a node continues. */
function ofRetry(
	{ facts }: Failure,
	{ startsJobs, isChecking, canRetry, ownJobIds, otherJobIds, unknownItems }: Circumstances,
): string[] {
	// A retry meets these again, and ends before it has collected anything.
	const isUnknown = facts.outcomeUnknown === true || unknownItems.length > 0;
	const isLost = facts.charge === 'certain' && facts.isCollectable !== true;
	if (isUnknown || isLost || isChecking) return [];
	const count = ownJobIds.length + otherJobIds.length + (facts.isCollectable === true ? 1 : 0);
	if (!startsJobs || !canRetry || count === 0) return [];
	return [
		`Use Retry in the Executions tab: it collects ${plural(count, 'paid job')} free of charge, and pays only for what is missing. Executing the workflow, or Retry with an edited prompt, pays for all jobs of this node again: to change a row, run it alone.`,
	];
}

function ofRow({ row }: Circumstances): string[] {
	if (row === undefined) return [];
	return [
		`Row ${row.number} of the input failed${row.text === '' ? '' : `: ${quoted([row.text])}`}.`,
	];
}

function ofJobs({ startsJobs, ownJobIds, otherJobIds }: Circumstances): string[] {
	if (!startsJobs) return ownJobIds.length === 0 ? [] : [`Job: ${listOf(ownJobIds)}.`];
	const count = ownJobIds.length + otherJobIds.length;
	if (count === 0) return [];
	const own = `The ${ownJobIds.length === 1 ? 'job' : 'jobs'} ${listWithData(ownJobIds)}`;
	const others = otherJobIds.length === 1 ? 'One other job' : 'Other jobs';
	const charged = (jobIds: readonly string[]) =>
		`${jobIds.length === 1 ? 'has' : 'have'} already been charged`;
	return [
		...(ownJobIds.length === 0 ? [] : [`${own} ${charged(ownJobIds)}.`]),
		...(otherJobIds.length === 0
			? []
			: [`${others} of this execution ${charged(otherJobIds)}: ${listWithData(otherJobIds)}.`]),
		`The AetherForge Get Job node collects ${count === 1 ? 'it' : 'them'} free of charge.`,
	];
}

function ofUnknown(items: readonly number[]): string {
	if (items.length === 0) return '';
	const list = listOf(items.map((item) => `${item + 1}`));
	return `It is not known whether a job was started for row${items.length === 1 ? '' : 's'} ${list} of the input.`;
}

/** Lines for n8n's own log, which is all that is left of a run that n8n forgets. */
export const logLines = {
	started: (jobId: string, itemIndex: number): string =>
		`AetherForge started the job ${jobId} for item ${itemIndex}`,
	outcomeUnknown: (itemIndex: number, description: string): string =>
		`It is not known whether AetherForge started a job for item ${itemIndex}. ${description}`,
	notStartedAfterStop: (itemIndex: number, isCertain: boolean): string =>
		`${isCertain ? 'AetherForge started no job' : 'It is still not known whether AetherForge started a job'} for item ${itemIndex}, whose request was being sent when the execution was stopped`,
	journalFailed: (reason: string): string =>
		`n8n's database does not keep AetherForge jobs: ${reason}. After a crash, a retry may pay for them again. This log lists their IDs.`,
	leftBehind: (jobIds: readonly string[]): string =>
		`Earlier attempts of this execution started AetherForge jobs that this one does not ask for: ${jobIds.join(', ')}`,
	stopped: (jobIds: readonly string[]): string =>
		`The execution was stopped before these AetherForge jobs were collected: ${jobIds.join(', ')}`,
};

/** Sentences for the output panel. */
export const hints = {
	/** @param total of all attempts, rounds, and calls of the node in this execution */
	jobs: (
		{ started, unknown, total }: { started: number; unknown: number; total: number },
		resumed: number,
		pinnable: 'files' | 'json' | undefined,
	): string => {
		const resumedPart = resumed === 0 ? '' : `, ${resumed} resumed (not charged again)`;
		const totalPart = total > started + resumed ? ` (${total} in this execution)` : '';
		const unknownPart =
			unknown === 0
				? ''
				: ` Of ${plural(unknown, 'request')} it is not known whether a job was started.`;
		const pin =
			pinnable === undefined
				? ''
				: ` Executing the step or the workflow again pays for new jobs. To keep this output while you build, ${pinnable === 'json' ? 'pin it.' : 'close the panel, select the node, and press P. The pin button takes no files.'}`;
		return `${plural(started, 'job')} started${totalPart}${resumedPart}.${unknownPart}${pin}`;
	},
	/** @param hasWaited whether Get Job has waited for them; undefined for a node that has started them */
	stillRunning: (
		jobIds: readonly string[],
		total: number,
		hasWaited: boolean | undefined,
	): string => {
		const count = total === 1 ? 'The job' : `${jobIds.length} of ${total} jobs`;
		const advice =
			hasWaited === undefined
				? `Collect ${jobIds.length === 1 ? 'its' : 'their'} images with the AetherForge Get Job node (Job ID: {{ $json.job_id }}), free of charge.`
				: `Check again later with Get Job and the job ID, free of charge, or ${hasWaited ? 'raise "Timeout (Seconds)" under Options' : 'turn on "Wait for Completion"'}.`;
		return `${count} ${jobIds.length === 1 ? 'is' : 'are'} still running: ${listOf(jobIds)}. ${advice}`;
	},
	notCopied: (names: readonly string[]): string =>
		`These input fields were not copied, because the node uses their names: ${quoted(names)}.`,
	dryRun: (
		counts: readonly (readonly [name: string, count: number])[],
		resumed: number,
		{
			withheld = 0,
			limit,
			isAlone = true,
		}: { withheld?: number; limit?: number | undefined; isAlone?: boolean } = {},
	): string => {
		const total = counts.reduce((sum, [, count]) => sum + count, 0);
		const named = listOf(
			counts.map(([name, count]) => `${count} × ${excerpt(name, LONGEST_LISTED_NAME)}`),
		);
		const parts = total === 0 ? '' : ` (${named})`;
		const more = resumed === 0 ? '' : ` and ${resumed} would be resumed, which is free`;
		const unknown =
			withheld === 0
				? ''
				: ` ${plural(withheld, 'request')} would not be sent again, because it is not known whether an earlier attempt started the job.`;
		const refused =
			limit === undefined
				? ''
				: ` That is more than the ${limit} that "Max Jobs per Execution" allows, so none of them would be started.`;
		return `Dry run: ${plural(total, 'job')} would be started${parts}${more}.${refused}${unknown} ${isAlone ? 'Nothing was sent and nothing was charged.' : 'That costs nothing.'} Turn off "Dry Run" under Options to start the jobs.`;
	},
	unwanted: (jobIds: readonly string[]): string =>
		`Earlier attempts of this execution paid for ${jobIds.length === 1 ? 'a job' : 'jobs'} that this one does not ask for, so ${jobIds.length === 1 ? 'it was' : 'they were'} not collected: ${listOf(jobIds)}. Collect ${jobIds.length === 1 ? 'it' : 'them'} with the AetherForge Get Job node, free of charge.`,
};

const CONNECTION_WORDS: Readonly<Record<string, string>> = {
	EAI_AGAIN: 'the name server does not answer',
	ECONNABORTED: 'no response in time',
	ECONNREFUSED: 'connection refused',
	ECONNRESET: 'the connection was cut',
	EHOSTUNREACH: 'the host is unreachable',
	ENETUNREACH: 'the network is unreachable',
	ENOTFOUND: 'host not found',
	EPIPE: 'the connection was cut while sending',
	ERR_CANCELED: 'the execution was stopped',
	ETIMEDOUT: 'no response in time',
};

/** n8n's own texts for these codes advise to send the request again, which may cost twice. */
export function connectionReason({
	code,
	message,
	blocked,
}: {
	code: string;
	message: string;
	blocked?: string;
}): string {
	if (blocked !== undefined) return `blocked by n8n's SSRF protection: ${excerpt(blocked)}`;
	return `${CONNECTION_WORDS[code] ?? excerpt(message).replace(/\.+$/, '')} (${excerpt(code)})`;
}

/** What went wrong on the way to a server, as part of a sentence. */
export const reasons = quotingBriefly({
	noAnswer: (durationMs: number): string => `no response within ${seconds(durationMs)}`,
	answerTooLarge: (limitBytes: number): string =>
		`the response is larger than ${megabytes(limitBytes)}`,
	answerCutOff: (reason: string): string =>
		`the response was cut off${reason === '' ? '' : ` (${reason})`}`,
	notJson: (httpStatus: number, excerpt: string): string =>
		`HTTP ${httpStatus}, but the response is not JSON: ${excerpt}`,
	noJobId: (httpStatus: number, excerpt: string): string =>
		`HTTP ${httpStatus}, but the response has no job ID: ${excerpt}`,
	noJob: (httpStatus: number, excerpt: string): string =>
		`HTTP ${httpStatus}, but the response does not describe a job: ${excerpt}`,
	status: (httpStatus: number, detail: string): string => `HTTP ${httpStatus}: ${detail}`,
	refusedOnTheWay: (httpStatus: number, excerpt: string): string =>
		`HTTP ${httpStatus} from a server between n8n and AetherForge: ${excerpt}`,
	proxyRefused: (): string => 'the proxy refused the connection',
	otherJob: (): string => 'the response is about another job',
	notListedYet: (): string => 'AetherForge does not list the job yet (HTTP 404)',
	errorPage: (contentType: string): string =>
		`the server sent a page, such as a sign-in page, or a message in place of the file${contentType === '' ? '' : ` (${contentType})`}`,
	/** For a file's server: signed links end, and then most servers answer so. */
	fileStatus: (httpStatus: number): string =>
		`HTTP ${httpStatus}${[403, 410].includes(httpStatus) ? ' (the link may have expired)' : ''}`,
	emptyFile: (): string => 'the file is empty',
	notAnImage: (): string => `the file is not a supported image (${FORMATS})`,
	stalled: (): string => 'the transfer stalled',
	notSaved: (reason: string): string => `n8n could not save the file (${reason})`,
	fileTooLarge: (limitBytes: number): string => `the file is larger than ${megabytes(limitBytes)}`,
	unusableUrl: (): string => 'the URL does not start with http:// or https://',
});
