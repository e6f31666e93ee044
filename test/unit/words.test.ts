import path from 'node:path';
import {
	NodeOperationError,
	type ICredentialType,
	type INode,
	type INodeProperties,
	type INodePropertyOptions,
	type INodeType,
	type NodeApiError,
} from 'n8n-workflow';
import { generateImage } from '../../nodes/ImageGenerate/generateImage.endpoint';
import type { FilesField } from '../../nodes/shared/endpoint';
import { errorItem, nodeError } from '../../nodes/shared/engine/output/failed';
import { asFailure, Failure } from '../../nodes/shared/failure';
import * as sentences from '../../nodes/shared/messages';
import { root, sourcesIn } from '../package/sources';

const JOB = '123e4567-e89b-12d3-a456-426614174000';
const URL = 'https://cdn.example/1.png';
const DETAIL = 'its own words';

const { connectionReason, shortened, rendered, NO_JOBS, ...groups } = sentences;
const SENTENCES = { ...groups, connection: { connectionReason }, url: { shortened } };

type Sentences = typeof SENTENCES;

/** Arguments to call each sentence with; more than one set where it says different things. */
type Samples = {
	[Group in keyof Sentences]: {
		[Name in keyof Sentences[Group]]: Sentences[Group][Name] extends (
			...args: infer Arguments
		) => unknown
			? Arguments[]
			: never;
	};
};

const failure = new Failure({ message: 'It did not work', description: 'Try it again.' });
const manyJobs = Array.from({ length: 12 }, (_, index) => `${JOB}${index}`);
const PENDING = { jobId: JOB, status: 'Pending', imageUrls: [] };

function filesField(): FilesField {
	const field = generateImage.fields.find(({ kind }) => kind === 'files');
	if (field?.kind !== 'files') throw new Error('the endpoint has no field for files');
	return field;
}
const { limit, ...unlimited } = filesField();
const withoutAdvice: FilesField = { ...unlimited, limit: { min: 2, max: limit.max } };
const NAMES = 'Input Data Field Name(s)';
const FORM_FIELDS = 'More API Fields (JSON)';

const SAMPLES: Samples = {
	inputFailures: {
		blankValue: [['Prompt']],
		notAnExpression: [['Prompt']],
		valueOfWrongType: [['Prompt', 'a list']],
		leftover: [
			['"Prompt"', 'undefined'],
			['"Prompt"', 'null'],
			['"title" in row 2 of "Prompt"', 'NaN'],
			['"Prompt"', '[object Object]'],
		],
		inexactNumber: [[`"seed" in "${FORM_FIELDS}"`, 2 ** 53]],
		optionValue: [
			['Timeout (Seconds)', 'abc', 'a number of at least 1'],
			['Dry Run', { a: 1 }, 'true or false'],
		],
		tooManyJobs: [
			[101, 0, 100],
			[1, 0, 0.5],
			[1, 2, 2],
		],
		dryRunInRetry: [[]],
		noSuchOperation: [[]],
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
		formFieldValue: [
			[FORM_FIELDS, 'seed', { a: 1 }],
			[FORM_FIELDS, 'seed', [1]],
		],
		declaredFormField: [['prompt']],
		noList: [['Prompt']],
		noRowObject: [['Prompt', 2, ['row', 'title']]],
		cellKey: [['row 2 of "Prompt"', 'Title', 'title']],
		cellValue: [
			['row 2 of "Prompt"', 'title', 'text', 7],
			['row 2 of "Prompt"', 'row', 'a whole number', '1.5'],
		],
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
		unfetchable: [[URL, DETAIL]],
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
		noKey: [[]],
		keyIsNoText: [[]],
		keyWithOddCharacters: [[]],
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
		badKey: [[DETAIL]],
		accountGone: [[DETAIL]],
		forbidden: [[DETAIL]],
		outOfCredits: [[DETAIL]],
		unknownJob: [[JOB, DETAIL]],
		startedJobUnlisted: [[JOB, 34_000, DETAIL]],
		startedJobGone: [[JOB, DETAIL]],
		rejected: [[400, DETAIL]],
		withheld: [[3]],
		refusedOnTheWay: [[403, 'Just a moment']],
		tooLarge: [[DETAIL]],
		noApi: [[404, DETAIL]],
		redirected: [
			[302, true],
			[308, false],
		],
		blocked: [[DETAIL]],
		statusCheckRejected: [[JOB, 422, DETAIL]],
		rateLimited: [
			[59_940, undefined, DETAIL],
			[0, 3_600_000, DETAIL],
		],
		unreachable: [[1000, 'connection refused (ECONNREFUSED)']],
		uploadCutOff: [['the connection was cut while sending (EPIPE)']],
		outcomeStillUnknown: [[]],
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
			[{ ...PENDING, imageUrls: [URL] }, 300_000, 'the connection was cut (ECONNRESET)'],
		],
		neverSeen: [[JOB, 300_000, 'the connection was cut (ECONNRESET)']],
		notDownloaded: [[JOB, URL, 'no response in time (ETIMEDOUT)']],
	},
	runFailures: {
		canceled: [[]],
		canceledWhileSubmitting: [[]],
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
			[manyJobs, 20, true],
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
		unwanted: [[[JOB]], [manyJobs]],
	},
	connection: {
		connectionReason: [
			[{ code: 'ECONNREFUSED', message: 'connect ECONNREFUSED' }],
			[{ code: 'EPROTO', message: 'Wrong version.' }],
			[{ code: 'unknown', message: 'blocked', blocked: DETAIL }],
		],
	},
	url: { shortened: [[URL]] },
	reasons: {
		noAnswer: [[1000], [30_500]],
		answerTooLarge: [[1_048_576]],
		answerCutOff: [[DETAIL], ['']],
		notJson: [[200, DETAIL]],
		noJobId: [[200, DETAIL]],
		noJob: [[200, DETAIL]],
		status: [[502, DETAIL]],
		refusedOnTheWay: [[403, 'Just a moment']],
		proxyRefused: [[]],
		otherJob: [[]],
		notListedYet: [[]],
		errorPage: [['text/html'], ['']],
		fileStatus: [[403], [404]],
		webPage: [[]],
		emptyFile: [[]],
		notAnImage: [[]],
		stalled: [[]],
		notSaved: [[DETAIL]],
		fileTooLarge: [[536_870_912]],
		unusableUrl: [[]],
	},
};

interface Said {
	place: string;
	args: readonly unknown[];
	made: unknown;
}

const SAID: Said[] = Object.entries(SENTENCES).flatMap(([group, functions]) =>
	Object.entries<(...args: never[]) => unknown>(functions).flatMap(([name, say]) => {
		const samples = (SAMPLES as Record<string, Record<string, unknown[][]>>)[group]?.[name] ?? [];
		return samples.map((args) => ({
			place: `${group}.${name}`,
			args,
			made: (say as (...args: unknown[]) => unknown)(...args),
		}));
	}),
);

/** All that a failure says by itself. */
const textOf = ({ facts }: Failure): string => `${facts.message} ${facts.description}`;

const FAILURES = SAID.flatMap(({ place, args, made }) =>
	made instanceof Failure ? [{ place, args, made }] : [],
);
/** What a text is made of may be just what texts must not hold. */
const LEFTOVERS = /"(undefined|null|NaN|\[object Object\])"/g;
const TEXTS = SAID.flatMap(({ place, args, made }) => {
	if (made instanceof Failure) {
		return [made.facts.message, made.facts.description].map((text) => ({ place, args, text }));
	}
	return [{ place, args, text: made as string }];
});

interface Shown {
	place: string;
	property: INodeProperties;
}

function instances<T>(folder: 'nodes' | 'credentials', suffix: string): [string, T][] {
	return sourcesIn(folder, suffix).flatMap((file) => {
		const exported = jest.requireActual<Record<string, new () => T>>(path.join(root, file));
		return Object.values(exported).map((made): [string, T] => [file, new made()]);
	});
}

const NODES = instances<INodeType>('nodes', '.node.ts');
const CREDENTIALS = instances<ICredentialType>('credentials', '.credentials.ts');

function isProperty(option: object): option is INodeProperties {
	return 'type' in option;
}

/** Every parameter, those inside a collection as well. */
function shownIn(place: string, properties: readonly INodeProperties[]): Shown[] {
	return properties.flatMap((property) => [
		{ place: `${place}: ${property.displayName}`, property },
		...shownIn(place, (property.options ?? []).filter(isProperty)),
	]);
}

const SHOWN = [...NODES, ...CREDENTIALS].flatMap(([file, type]) =>
	shownIn(file, 'description' in type ? type.description.properties : type.properties),
);

function choicesOf({ type, options = [] }: INodeProperties): INodePropertyOptions[] {
	return type === 'options' ? (options as INodePropertyOptions[]) : [];
}

const LABELS = SHOWN.map(({ property }) => property.displayName);
const OPTION_LABELS = SHOWN.filter(({ property }) => property.name === 'options').flatMap(
	({ property }) => (property.options ?? []).filter(isProperty).map((each) => each.displayName),
);

/** What n8n's guidelines ask texts to do without. */
const UNKIND_WORDS = /\b(errors?|problems?|failures?|mistakes?)\b/i;
/** Here the word is no message, but n8n's own for what the choice does. */
const THROWS = 'Throw an Error';
/** What a native speaker would not say of these things, or says in other words. */
const ODD_WORDS =
	/\b(look-?ups?|look\w* (it|the job) up again|at one time|(is|are|been) paid for|comes? out|came about|tak(en|es?) up(?! to)|unclear|trouble|beside|go(es)? on|switch(ed)? (on|off)|adjust|must hold|nothing listens|for want of)\b/i;
const SMALL_WORDS = /^(a|an|and|as|at|by|for|from|in|of|on|or|per|the|to|with)$/;

function isTitleCase(name: string): boolean {
	return name
		.split(' ')
		.every(
			(word, index) => /^[(\d]?[A-Z\d]|^×$/.test(word) || (index > 0 && SMALL_WORDS.test(word)),
		);
}

it('has a sample for every sentence', () => {
	const namesOf = (groups: object): string[] =>
		Object.entries(groups).flatMap(([group, functions]) =>
			Object.keys(functions as object).map((name) => `${group}.${name}`),
		);
	expect(namesOf(SAMPLES).sort()).toEqual(namesOf(SENTENCES).sort());
	expect(SAID.length).toBeGreaterThanOrEqual(namesOf(SENTENCES).length);
});

describe.each(TEXTS)('$place: $text', ({ args, text }) => {
	it('says something, in clean words', () => {
		expect(text).toMatch(/\S{2}/);
		expect(text.replace(LEFTOVERS, '""')).not.toMatch(
			/ {2}|^\s|\s$|undefined|null|NaN|\[object|\.\.(?!\.)/,
		);
		expect(text).not.toMatch(/\b1 (items|jobs|seconds|requests|images|reference images)\b/);
		expect(text).not.toMatch(UNKIND_WORDS);
		expect(text).not.toMatch(ODD_WORDS);
	});

	it('calls parameters what the node calls them', () => {
		const given = JSON.stringify(args);
		// What is in braces is an example of JSON.
		for (const [, label = ''] of text.replace(/\{[^}]*\}/g, '').matchAll(/"([^"]+)"/g)) {
			const isArgument = given.includes(label.slice(0, 80));
			const isQuoted = isArgument || label === 'info' || label.includes('***@');
			if (!isQuoted) expect(LABELS).toContain(label);
		}
		for (const [, label] of text.matchAll(/"([^"]+)" under Options/g)) {
			expect(OPTION_LABELS).toContain(label);
		}
		for (const [, label, choice = ''] of text.matchAll(/set "([^"]+)"[^"]* to ([A-Z][^.]*)\./g)) {
			const named = SHOWN.filter(({ property }) => property.displayName === label);
			const choices = named.flatMap(({ property }) => choicesOf(property).map(({ name }) => name));
			expect(choices).toContain(choice);
		}
	});
});

describe.each(FAILURES)('$place', ({ made }) => {
	const { message, description } = made.facts;

	it('has a headline, and below it whole sentences that say what to do', () => {
		expect(message).not.toMatch(/\.$/);
		expect(message.length).toBeLessThan(160);
		// The API's own words come last, as they are, and so does the HTTP status.
		const own = description.replace(
			/( (n8n|The server) says: its own words)?( \((?:[^()]|\([^()]*\))*\))?$/,
			'',
		);
		expect(own).toMatch(/\.$/);
		expect(description).not.toContain(message);
	});

	it('is shown by n8n in its own words, with the item where it is about one', () => {
		const ofItem2 = made.facts.concernsAllItems ? message : `${message} [Item 2]`;
		const node: INode = {
			id: 'n',
			name: 'Node',
			type: 't',
			typeVersion: 1,
			position: [0, 0],
			parameters: {},
		};
		const others = { ...NO_JOBS, otherJobIds: ['other'] };
		const shown = nodeError(node, made, others, 2);
		const data = {
			...(made.facts.jobId === undefined ? {} : { job_id: made.facts.jobId }),
			...(made.facts.status === undefined ? {} : { status: made.facts.status }),
			...(made.facts.imageUrls === undefined ? {} : { image_urls: made.facts.imageUrls }),
			...(made.facts.httpStatus === undefined ? {} : { http_status: made.facts.httpStatus }),
		};
		// n8n shows the item's number beside the message by itself.
		expect(shown.message).toBe(message);
		expect(shown.description).toBe(rendered(made, others).description);
		expect(shown.context).toMatchObject({
			itemIndex: 2,
			data: { ...data, running_job_ids: ['other'] },
		});
		const { httpStatus } = made.facts;
		if (httpStatus === undefined) expect(shown).toBeInstanceOf(NodeOperationError);
		else expect((shown as NodeApiError).httpCode).toBe(String(httpStatus));
		const alone = nodeError(node, made, NO_JOBS, 0).context.data;
		expect(alone).toEqual(Object.keys(data).length === 0 ? undefined : data);
		expect(nodeError(node, made, NO_JOBS).context.itemIndex).toBeUndefined();

		const { description: own } = rendered(made, NO_JOBS);
		expect(errorItem(made, NO_JOBS, 2)).toEqual({
			json: { error: { message: ofItem2, description: own, ...data } },
		});
		expect(errorItem(made, NO_JOBS, undefined).json).toHaveProperty('error.message', message);
	});
});

it('is shown as it is although n8n knows a code of Node.js in it', () => {
	const node: INode = {
		id: 'n',
		name: 'Node',
		type: 't',
		typeVersion: 1,
		position: [0, 0],
		parameters: {},
	};
	const made = new Failure({ message: 'ECONNRESET in "preexisting"', description: 'Do this.' });
	expect(nodeError(node, made, NO_JOBS).message).toBe('ECONNRESET in "preexisting"');
	const forModel = nodeError(node, made, { ...NO_JOBS, isForModel: true });
	expect(forModel.message).toBe('ECONNRESET in "preexisting". Do this.');
});

it.each([
	'https://me:SECRETa@host.example/image.png',
	's3://KEY:SECRETa@bucket/image.png',
	'me:SECRETa@host.example/image.png',
	'https://cdn.example/image.png?signature=SECRETa',
	'https://api.example/file/bot1:SECRETa/photos/1.jpg',
	'https://cdn.example/1.png;session=SECRETa',
	'https://cdn.example/1.png%3Fsig=SECRETa',
	'data:image/png;base64,SECRETa',
])('no sentence repeats the secret in %s, however long it is', (url) => {
	for (const secret of [url, url.replace('a', 'a'.repeat(300))]) {
		for (const { place, args } of SAID) {
			const [group = '', name = ''] = place.split('.');
			if (group === 'logLines' || group === 'runFailures') continue;
			const functions = (SENTENCES as Record<string, object>)[group] ?? {};
			const say = Reflect.get(functions, name) as (...args: unknown[]) => unknown;
			const said = say(...args.map((each) => (each === URL ? secret : each)));
			const text = said instanceof Failure ? textOf(said) : String(said);
			expect([place, text]).toEqual([place, expect.not.stringContaining('SECRET')]);
		}
	}
});

const STARTS = { ...NO_JOBS, startsJobs: true, isChecking: true, isRetry: true, canRetry: true };

it('names at most ten jobs in a text', () => {
	const texts = [
		rendered(failure, { ...STARTS, otherJobIds: manyJobs }).description,
		rendered(failure, { ...STARTS, ownJobIds: manyJobs }).description,
		sentences.hints.stillRunning(manyJobs, 20, undefined),
		sentences.hints.unwanted(manyJobs),
	];
	for (const text of texts) {
		expect(text.match(new RegExp(JOB, 'g'))).toHaveLength(10);
		expect(text).toContain(', and 2 more');
	}
	expect(texts[2]).toContain('12 of 20 jobs are still running');
});

/** What sentences with several names take from declarations. */
const OURS = new Set([NAMES, 'a JSON object', 'row 2 of "Prompt"', 'row', 'title']);

describe.each(['x', '.', '<', '@', '"', '\n', '\\', '🦊'])('a megabyte of %j', (character) => {
	const huge = character.repeat(1_000_000 / character.length);

	/** An argument with the same in the place of every text that others may have written. */
	function enlarged(value: unknown): unknown {
		if (value instanceof Failure) return asFailure({ message: huge, description: huge });
		if (typeof value === 'string') return value.includes(JOB) || OURS.has(value) ? value : huge;
		if (Array.isArray(value)) {
			const isOurs = value.length === 0 || JSON.stringify(value).includes(JOB);
			if (isOurs) return value;
			const [first, ...rest] = value.map(enlarged);
			// A name and its number belong together; anything else may be any number of things.
			return typeof rest[0] === 'number' ? [first, ...rest] : Array<unknown>(1000).fill(first);
		}
		if (typeof value !== 'object' || value === null || 'kind' in value) return value;
		return Object.fromEntries(Object.entries(value).map(([key, each]) => [key, enlarged(each)]));
	}

	const inLog = ({ place }: Said): boolean => place.startsWith('logLines.');
	const made = SAID.filter((said) => !inLog(said)).map(({ place, args }) => {
		const [group = '', name = ''] = place.split('.');
		const functions = (SENTENCES as Record<string, object>)[group] ?? {};
		const say = Reflect.get(functions, name) as (...args: unknown[]) => unknown;
		return { place, made: say(...args.map(enlarged)) };
	});

	function expectBrief(place: string, text: string): void {
		const ofOthers = text.replaceAll(new RegExp(`${JOB}\\d*`, 'g'), '');
		expect([place, ofOthers.length > 1500 ? ofOthers : 'brief']).toEqual([place, 'brief']);
		expect(Buffer.from(text).toString()).toBe(text);
	}

	it('makes no text of more than 1,500 characters, with no character in two', () => {
		for (const { place, made: said } of made) {
			expectBrief(place, said instanceof Failure ? textOf(said) : (said as string));
		}
	});

	it('is repeated up to 200 characters', () => {
		for (const { place, made: said } of made) {
			// What n8n has to say may be a little longer.
			if (place.startsWith('runFailures.')) continue;
			const text = said instanceof Failure ? textOf(said) : (said as string);
			const runs = text.match(/(.)\1{200,}/gsu) ?? [];
			expect([place, runs.map((run) => run.length)]).toEqual([place, []]);
		}
	});

	it('cuts neither a job ID nor what is said of charges, however much is added to a text', () => {
		const otherJobIds = manyJobs.map((jobId) => `${jobId}00`);
		const unknownItems = Array.from({ length: 10_000 }, (_, index) => 100_000 + index);
		const more = { ownJobIds: manyJobs, otherJobIds, unknownItems, isOneOfMany: true };
		for (const { place, made: base } of made) {
			if (!(base instanceof Failure) || place.startsWith('runFailures.')) continue;
			if (base.facts.outcomeUnknown ?? base.facts.jobId !== undefined) continue;
			const { message, description } = rendered(base, { ...STARTS, ...more });
			const text = `${message} ${description}`;
			expectBrief(place, text);
			expect(text).toContain('No new job was started for this item.');
			expect(text.match(/have already been started and charged/g)).toHaveLength(2);
			for (const jobId of [...manyJobs.slice(0, 10), ...otherJobIds.slice(0, 10)]) {
				expect(text).toContain(`${jobId}, `);
			}
			expect(text).toMatch(/It is not known whether a job was started for items 100000, .*more\.$/);
		}
	});
});

it('says of each failure once what it cost', () => {
	const COSTS: [RegExp, (failure: Failure) => boolean][] = [
		[/A job may exist and be charged/, ({ facts }) => facts.outcomeUnknown === true],
		[/The job may have been charged\./, ({ facts }) => facts.charge === 'possible'],
		[/The job has been charged\./, ({ facts }) => facts.charge === 'certain'],
		[/The job has been charged\./, ({ facts }) => facts.jobId !== undefined],
		[/started no job, and nothing was charged for it\./, () => true],
	];
	for (const { place, made } of FAILURES) {
		if (place === 'runFailures.canceled') continue;
		const { description } = rendered(made, { ...STARTS, isChecking: false });
		const [cost] = COSTS.find(([, isOf]) => isOf(made)) ?? [/never/];
		expect([place, description]).toEqual([place, expect.stringMatching(cost)]);
		expect([place, description.match(/charged( for it)?\b/g)]).toHaveLength(2);
		const said = description.match(/(may exist and be|has been|may have been|was) charged/g);
		expect([place, said]).toEqual([place, [expect.any(String)]]);
	}
});

it.each([
	[{ isRetry: false }, 'Try it again. No job was started, and nothing was charged.'],
	[
		{ isRetry: false, isOneOfMany: true },
		'Try it again. No job was started for this item, and nothing was charged.',
	],
	[{ isRetry: true }, 'Try it again. No new job was started.'],
	[
		{ isRetry: true, ownJobIds: ['a'], canRetry: false },
		'Try it again. No new job was started. The job a has already been started and charged. The AetherForge Get Job node collects it free of charge.',
	],
	[{ startsJobs: false, ownJobIds: ['a'] }, 'Try it again. Job: a.'],
	[
		{ isRetry: false, otherJobIds: ['a', 'b'], row: { number: 2, text: 'A wizard' } },
		'Use Retry in the Executions tab: it collects 2 paid jobs free of charge, and starts and pays for what is missing. Executing the workflow again pays for all jobs anew. Row 2 of the input failed: "A wizard". Try it again. No job was started, and nothing was charged. Other jobs of this execution have already been started and charged: a, b. The AetherForge Get Job node collects them free of charge.',
	],
	[
		{ isRetry: false, row: { number: 3, text: '' } },
		'Row 3 of the input failed. Try it again. No job was started, and nothing was charged.',
	],
])('says of input that was refused what was not started: %j', (how, description) => {
	expect(rendered(failure, { ...STARTS, ...how }).description).toBe(description);
});

it('advises no Retry where n8n offers none', () => {
	for (const { place, made } of FAILURES) {
		if (/canceled|startedJob|withoutImages|dryRunInRetry/.test(place)) continue;
		const jobs = { ownJobIds: ['a'], otherJobIds: ['b'], canRetry: false };
		const { description } = rendered(made, { ...STARTS, ...jobs });
		expect([place, description]).toEqual([place, expect.not.stringMatching(/\bretry\b/i)]);
	}
});

it('names the job in the message and in the data of whatever happened to one', () => {
	const ofJobs = FAILURES.filter(({ args, place }) => {
		return JSON.stringify(args).includes(JOB) && !place.startsWith('runFailures.');
	});
	expect(ofJobs.length).toBeGreaterThanOrEqual(9);
	for (const { made } of ofJobs) {
		expect(made.facts).toMatchObject({ jobId: JOB });
		expect(made.facts.message).toContain(JOB);
	}
});

it('never shows the password of a Base URL', () => {
	const text = textOf(
		sentences.credentialFailures.baseUrl('https://me:secret@a.example', 'userInfo'),
	);
	expect(text).not.toMatch(/\bme\b|secret/);
	expect(text).toContain('https://***@a.example');
});

it('shows any value that a parameter can have', () => {
	const circular: { self?: unknown } = {};
	circular.self = circular;
	for (const value of [
		undefined,
		null,
		Number.NaN,
		'',
		[],
		circular,
		10n,
		Symbol('s'),
		'x'.repeat(999),
	]) {
		const { description } = sentences.inputFailures.optionValue('Dry Run', value, 'true').facts;
		expect(description).toMatch(/^Its value is .{1,200}\. Change the value/);
	}
});

describe.each(SHOWN)('$place', ({ property }) => {
	const { displayName, description, hint, placeholder, type, builderHint } = property;
	const choices = choicesOf(property);

	it('has names in title case and texts in clean words', () => {
		for (const name of [displayName, ...choices.map((choice) => choice.name)]) {
			expect([name, isTitleCase(name)]).toEqual([name, true]);
		}
		// The description of a tool is a parameter's default.
		const preset = type === 'string' ? (property.default as string) : '';
		const forBuilders = builderHint?.propertyHint;
		const texts = [displayName, description, hint, placeholder, preset, forBuilders].concat(
			choices.flatMap((choice) => [choice.name, choice.description]),
		);
		for (const text of texts) {
			if (text !== THROWS) expect(text ?? '').not.toMatch(UNKIND_WORDS);
			expect(text ?? '').not.toMatch(ODD_WORDS);
			expect(text ?? '').not.toMatch(/ {2}|^\s|\s$/);
		}
	});

	it('explains itself', () => {
		if (type !== 'collection') expect(description ?? hint).toMatch(/^[A-Z].{10}/);
		if (type === 'boolean') expect(description).toMatch(/^Whether /);
		for (const choice of choices) expect(choice.description).toMatch(/^[A-Z].{10}/);
		// Of a collection it is the label of its button.
		const isButton = type === 'collection' || type === 'fixedCollection';
		if (placeholder !== undefined && !isButton) expect(placeholder).toMatch(/^e\.g\. /);
	});
});

it.each(NODES)('%s is named and described in clean words', (_, { description }) => {
	expect(isTitleCase(description.displayName)).toBe(true);
	expect(description.defaults.name).toBe(description.displayName);
	const texts = [description.displayName, description.description, description.subtitle].concat(
		(description.hints ?? []).map(({ message }) => message),
		description.builderHint?.searchHint,
		(description.builderHint?.relatedNodes ?? []).map(({ relationHint }) => relationHint),
	);
	for (const text of texts) {
		expect(text).not.toMatch(UNKIND_WORDS);
		expect(text).not.toMatch(ODD_WORDS);
	}
	expect(description.description).toMatch(/^[A-Z].{20}/);
});

it.each(CREDENTIALS)('%s says in clean words what its test found', (_, credential) => {
	expect(isTitleCase(credential.displayName)).toBe(true);
	const rules = credential.test?.rules ?? [];
	expect(rules).not.toHaveLength(0);
	for (const { properties } of rules) {
		expect(properties.message).toMatch(/^[A-Z].{10}/);
		expect(properties.message).not.toMatch(UNKIND_WORDS);
	}
});
