import { generateImage } from '../../nodes/ImageGenerate/generateImage.endpoint';
import type { FilesField } from '../../nodes/shared/endpoint';
import * as sentences from '../../nodes/shared/messages';

// Every sentence of messages.ts, said once in each way it has: for the tests of words, and for docs/messages.md.

export const JOB = '123e4567-e89b-12d3-a456-426614174000';
export const FILE_URL = 'https://cdn.example/1.png';
export const DETAIL = 'its own words';
export const NAMES = 'Input Data Field Name(s)';
export const FORM_FIELDS = 'More API Fields (JSON)';
export const MANY_JOBS = Array.from({ length: 12 }, (_, index) => `${JOB}${index}`);
const CONNECTION_CODES =
	'EAI_AGAIN ECONNABORTED ECONNRESET EHOSTUNREACH ENETUNREACH ENOTFOUND EPIPE ERR_CANCELED ETIMEDOUT'.split(
		' ',
	);
const PENDING = { jobId: JOB, status: 'Pending', imageUrls: [] };

export const { connectionReason, shortened, rendered, NO_JOBS, ...groups } = sentences;
const SENTENCES = { ...groups, connection: { connectionReason }, url: { shortened } };
type Sentences = typeof SENTENCES;

/**
 * Arguments to call sentences with; more than one set where they say different things. Those that take
 * nothing, or what somebody said, need none.
 */
type Samples = {
	[Group in keyof Sentences]?: {
		[Name in keyof Sentences[Group]]?: Sentences[Group][Name] extends (
			...args: infer Arguments
		) => unknown
			? Arguments[]
			: never;
	};
};

function filesField(): FilesField {
	const field = generateImage.fields.find(({ kind }) => kind === 'files');
	if (field?.kind !== 'files') throw new Error('the endpoint has no field for files');
	return field;
}
const { limit, ...unlimited } = filesField();
const withoutAdvice: FilesField = { ...unlimited, limit: { min: 2, max: limit.max } };

const SAMPLES: Samples = {
	inputFailures: {
		blankValue: [['Prompt']],
		notAnExpression: [['Prompt']],
		valueOfWrongType: [['Prompt', 'a list']],
		leftover: [
			['"Prompt"', 'undefined'],
			['"title" in row 2 of "Prompt"', '[object Object]'],
		],
		inexactNumber: [[`"seed" in "${FORM_FIELDS}"`, 2 ** 53]],
		wrongValue: [
			['"Timeout (Seconds)"', 'a number of at least 1', 'abc'],
			['"Dry Run"', 'true or false', { a: 1 }],
			[`"seed" in "${FORM_FIELDS}"`, 'text, a number, true, or false', [1]],
			['"title" in row 2 of "Prompt"', 'text', 7],
		],
		tooManyJobs: [
			[101, 0, 100],
			[1, 2, 2],
		],
		malformedJobId: [['abc'], ['x'.repeat(200)]],
		noRows: [['Prompt']],
		invalidJson: [
			['Prompt', DETAIL],
			['Prompt', DETAIL, 'a JSON object'],
		],
		noObject: [[FORM_FIELDS]],
		formFieldName: [
			[FORM_FIELDS, 'my seed'],
			[FORM_FIELDS, 'x'.repeat(200)],
		],
		declaredFormField: [['prompt']],
		noList: [['Prompt']],
		noRowObject: [['Prompt', 2, ['row', 'title']]],
		cellKey: [['row 2 of "Prompt"', 'Title', 'title']],
		noFieldNames: [
			[NAMES, true],
			[NAMES, false],
		],
		textAndFile: [[NAMES]],
		unknownField: [
			['photo', ['data', 'data_1'], NAMES],
			['photo', [], NAMES],
		],
		noFieldAtAll: [['Reference Images', 'reference images']],
		foreignFile: [[NAMES]],
		otherWorkflowsFile: [[NAMES]],
		contentAsText: [[NAMES]],
		fileWithoutContent: [[NAMES]],
		unusableUrl: [['Prompt', 'ftp://cdn.example/1.png']],
		emptyEntry: [['Prompt', 2]],
		unusableEntry: [['Prompt', 2, 'a number']],
		unfetchable: [[FILE_URL, DETAIL]],
		tooManyFiles: [
			['Grok Imagine', filesField(), 5, 6, false],
			['Grok Imagine Pro', filesField(), 1, 2, true],
			['AetherForge', withoutAdvice, 10, 11, false],
		],
		emptyFile: [
			['photo.png', 'data'],
			['photo.png', undefined],
		],
		unreadableFile: [
			['photo.png', 'data', DETAIL],
			['photo.png', undefined, DETAIL],
		],
		notAnImage: [
			['page.html', 'data', 'text/html'],
			['page.html', undefined, 'text/html'],
		],
	},
	credentialFailures: {
		unreadable: [['Credential with ID "1" does not exist for type "aetherForgeApi".']],
		baseUrlIsNoText: [[]],
		baseUrl: [
			['abc', 'invalid'],
			['http://evil.example', 'insecure'],
			['https://me:secret@evil.example', 'userInfo'],
			['https://evil.example?x=1', 'query'],
		],
		otherOrigin: [['https://api.aetherforgeai.com']],
	},
	apiFailures: {
		unknownJob: [[JOB, DETAIL]],
		startedJobUnlisted: [[JOB, 34_000, DETAIL]],
		startedJobGone: [[JOB, DETAIL]],
		rejected: [[400, DETAIL]],
		withheld: [[3]],
		refusedOnTheWay: [[403, 'Just a moment']],
		noApi: [[404, DETAIL]],
		redirected: [
			[302, true],
			[308, false],
		],
		statusCheckRejected: [[JOB, 422, DETAIL]],
		rateLimited: [
			[59_940, undefined, DETAIL],
			[0, 3_600_000, DETAIL],
		],
		unreachable: [[1000, 'connection refused (ECONNREFUSED)']],
		uploadCutOff: [['the connection was cut while sending (EPIPE)']],
		outcomeUnknown: [
			[DETAIL, undefined],
			[DETAIL, 502],
		],
		noStatus: [[JOB, 30_000, 'the connection was cut (ECONNRESET)']],
	},
	jobFailures: {
		failed: [
			[JOB, undefined, generateImage.adviceIfFailed],
			[JOB, DETAIL, generateImage.adviceIfFailed],
		],
		withoutImages: [[JOB]],
		timedOut: [
			[PENDING, 300_000, undefined],
			[{ ...PENDING, imageUrls: [FILE_URL] }, 300_000, 'the connection was cut (ECONNRESET)'],
		],
		neverSeen: [[JOB, 300_000, 'the connection was cut (ECONNRESET)']],
		notDownloaded: [[JOB, FILE_URL, 'no response in time (ETIMEDOUT)']],
	},
	logLines: {
		started: [[JOB, 3]],
		outcomeUnknown: [[3, 'Nothing came back.']],
		notStartedAfterStop: [
			[3, true],
			[3, false],
		],
		journalFailed: [['no answer for 2 s']],
		leftBehind: [[[JOB]]],
		stopped: [[[JOB]]],
	},
	hints: {
		jobs: [
			[{ started: 1, unknown: 0, total: 1 }, 0, 'files'],
			[{ started: 12, unknown: 1, total: 25 }, 3, 'json'],
			[{ started: 0, unknown: 0, total: 0 }, 1, undefined],
		],
		stillRunning: [
			[[JOB], 1, undefined],
			[[JOB], 1, false],
			[MANY_JOBS, 20, true],
		],
		notCopied: [[['status']]],
		dryRun: [
			[[['Upscale', 1]], 0],
			[
				[
					['GPT Image 2', 2],
					['Grok Imagine', 1],
				],
				1,
				{ withheld: 2 },
			],
			[[], 3, { withheld: 1 }],
			[[['Upscale', 4]], 0, { limit: 3, isAlone: false }],
		],
		unwanted: [[[JOB]], [MANY_JOBS]],
	},
	connection: {
		connectionReason: [
			[{ code: 'ECONNREFUSED', message: 'connect ECONNREFUSED' }],
			[{ code: 'EPROTO', message: 'Wrong version.' }],
			[{ code: 'unknown', message: 'blocked', blocked: DETAIL }],
			...CONNECTION_CODES.map((code): [{ code: string; message: string }] => [
				{ code, message: code },
			]),
		],
	},
	url: { shortened: [[FILE_URL]] },
	reasons: {
		noAnswer: [[1000], [30_500]],
		answerTooLarge: [[1_048_576]],
		answerCutOff: [[DETAIL], ['']],
		notJson: [[200, DETAIL]],
		noJobId: [[200, DETAIL]],
		noJob: [[200, DETAIL]],
		status: [[502, DETAIL]],
		refusedOnTheWay: [[403, 'Just a moment']],
		errorPage: [['text/html'], ['']],
		fileStatus: [[403], [404]],
		fileTooLarge: [[268_435_456]],
	},
};

export type Say = (...args: readonly unknown[]) => unknown;

/** A sentence as it is said: a Failure, or a text. */
export interface Said {
	/** Its group and name in messages.ts, with a dot in between. */
	place: string;
	args: readonly unknown[];
	say: Say;
	made: unknown;
}

export const SAID: Said[] = Object.entries(SENTENCES).flatMap(([group, functions]) => {
	const samples = (SAMPLES as Record<string, Record<string, unknown[][]> | undefined>)[group];
	return Object.entries(functions as Record<string, Say>).flatMap(([name, say]) =>
		(samples?.[name] ?? [[DETAIL]]).map((args) => ({
			place: `${group}.${name}`,
			args,
			say,
			made: say(...args),
		})),
	);
});
