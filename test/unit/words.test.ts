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
import { Failure, toErrorItem, toNodeError } from '../../nodes/shared/failure';
import * as sentences from '../../nodes/shared/messages';
import { root, sourcesIn } from '../package/sources';

const JOB = '123e4567-e89b-12d3-a456-426614174000';
const URL = 'https://cdn.example/1.png';
const DETAIL = 'its own words';

type Sentences = typeof sentences;

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

const SAMPLES: Samples = {
	refused: {
		blankValue: [['Prompt']],
		valueOfWrongType: [['Prompt', 'a list']],
		optionValue: [['Timeout (Seconds)', 'abc', 'a number of at least 1']],
		tooManyItems: [
			[101, 100],
			[1, 0],
		],
		malformedJobId: [['abc'], ['x'.repeat(200)]],
		noFieldNames: [['Input Data Field Name(s)']],
		unknownField: [
			['photo', ['data', 'data_1'], 'Input Data Field Name(s)'],
			['photo', [], 'Input Data Field Name(s)'],
		],
		noFieldAtAll: [['Reference Images']],
		tooManyFiles: [
			['Grok Imagine', 'reference image', 5, 6],
			['Grok Imagine Pro', 'reference image', 1, 2],
		],
		emptyFile: [['data', 'photo.png']],
		unreadableFile: [['data', 'photo.png', DETAIL]],
		notAnImage: [['data', 'page.html', 'text/html']],
		noKey: [[]],
		baseUrl: [['http://evil.example', 'must start with https://']],
	},
	api: {
		badKey: [[DETAIL]],
		accountGone: [[]],
		forbidden: [[DETAIL]],
		outOfCredits: [[DETAIL]],
		unknownJob: [[JOB, DETAIL]],
		rejected: [[400, DETAIL]],
		tooLarge: [[DETAIL]],
		wrongAddress: [[404, DETAIL]],
		redirected: [
			[302, true],
			[308, false],
		],
		lookUpRejected: [[JOB, 422, DETAIL]],
		rateLimited: [[59_940, DETAIL]],
		unreachable: [[1000, 'ECONNREFUSED']],
		outcomeStillUnknown: [[]],
		outcomeUnknown: [
			[DETAIL, undefined],
			[DETAIL, 502],
		],
		lookUpImpossible: [[JOB, 30_000, 'ECONNRESET']],
	},
	job: {
		failed: [
			[JOB, undefined],
			[JOB, DETAIL],
		],
		timedOut: [
			[JOB, 'Pending', 300_000, undefined],
			[JOB, 'Pending', 300_000, 'ECONNRESET'],
		],
		downloadImpossible: [[JOB, [URL, URL], 'ETIMEDOUT']],
	},
	run: {
		canceled: [[]],
		withOtherJobs: [
			[failure, [], []],
			[failure, [JOB], []],
			[failure, manyJobs, [2, 5]],
		],
	},
	logLines: {
		started: [[JOB, 3]],
		unclear: [[3, 'Nothing came back.']],
		stopped: [[[JOB]]],
	},
	hints: {
		takenUp: [
			[1, 1],
			[2, 3],
		],
		stillRunning: [
			[[JOB], 1],
			[manyJobs, 20],
		],
		dryRun: [[1], [3]],
	},
	trouble: {
		noAnswer: [[1000], [30_500]],
		answerTooLarge: [[1_048_576]],
		answerCutOff: [[DETAIL]],
		notJson: [[200, DETAIL]],
		noJobId: [[200]],
		noJob: [[200]],
		status: [[502, DETAIL]],
		connection: [['ECONNRESET', DETAIL]],
		notVisibleYet: [[]],
		notAnImage: [['text/html'], ['']],
		stalled: [[]],
		fileTooLarge: [[536_870_912]],
		unusableUrl: [[]],
	},
};

interface Said {
	place: string;
	args: readonly unknown[];
	made: unknown;
}

const SAID: Said[] = Object.entries(sentences).flatMap(([group, functions]) =>
	Object.entries<(...args: never[]) => unknown>(functions).flatMap(([name, say]) => {
		const samples = (SAMPLES as Record<string, Record<string, unknown[][]>>)[group]?.[name] ?? [];
		return samples.map((args) => ({
			place: `${group}.${name}(${args.map((each) => JSON.stringify(each)).join(', ')})`,
			args,
			made: (say as (...args: unknown[]) => unknown)(...args),
		}));
	}),
);

const FAILURES = SAID.flatMap(({ place, args, made }) =>
	made instanceof Failure ? [{ place, args, made }] : [],
);
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
const SMALL_WORDS = /^(a|an|and|as|at|by|for|from|in|of|on|or|per|the|to|with)$/;

function isTitleCase(name: string): boolean {
	return name
		.split(' ')
		.every((word, index) => /^[(\d]?[A-Z\d]/.test(word) || (index > 0 && SMALL_WORDS.test(word)));
}

it('has a sample for every sentence', () => {
	const namesOf = (groups: object): string[] =>
		Object.entries(groups).flatMap(([group, functions]) =>
			Object.keys(functions as object).map((name) => `${group}.${name}`),
		);
	expect(namesOf(SAMPLES).sort()).toEqual(namesOf(sentences).sort());
	expect(SAID.length).toBeGreaterThanOrEqual(namesOf(sentences).length);
});

describe.each(TEXTS)('$place: $text', ({ args, text }) => {
	it('says something, in clean words', () => {
		expect(text).toMatch(/\S{2}/);
		expect(text).not.toMatch(/ {2}|^\s|\s$|undefined|null|NaN|\[object|\.\.(?!\.)/);
		expect(text).not.toMatch(/\b1 (items|jobs|seconds|requests|images|reference images)\b/);
		expect(text).not.toMatch(UNKIND_WORDS);
	});

	it('calls parameters what the node calls them', () => {
		const given = JSON.stringify(args);
		for (const [, label = ''] of text.matchAll(/"([^"]+)"/g)) {
			const isArgument = given.includes(label.slice(0, 80));
			if (!isArgument && label !== 'info') expect(LABELS).toContain(label);
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
			/( (AetherForge|The server) says: its own words)?( \([^)]*\))?$/,
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
		const shown = toNodeError(node, made, 2, ['other']);
		const data = {
			...(made.facts.jobId === undefined ? {} : { job_id: made.facts.jobId }),
			...(made.facts.status === undefined ? {} : { status: made.facts.status }),
			...(made.facts.imageUrls === undefined ? {} : { image_urls: made.facts.imageUrls }),
			...(made.facts.httpStatus === undefined ? {} : { http_status: made.facts.httpStatus }),
		};
		// n8n shows the item's number beside the message by itself.
		expect(shown.message).toBe(message);
		expect(shown.description).toBe(description);
		expect(shown.context).toMatchObject({
			itemIndex: 2,
			data: { ...data, running_job_ids: ['other'] },
		});
		const { httpStatus } = made.facts;
		if (httpStatus === undefined) expect(shown).toBeInstanceOf(NodeOperationError);
		else expect((shown as NodeApiError).httpCode).toBe(String(httpStatus));
		expect(toNodeError(node, made, 0).message).toBe(message);
		expect(toNodeError(node, made, 0).context.data).toEqual(data);

		expect(toErrorItem(made, 2, 3)).toEqual({
			json: { error: { message: ofItem2, description, ...data } },
			pairedItem: { item: 2 },
		});
		expect(toErrorItem(made, 0, 1).json).toHaveProperty('error.message', message);
	});
});

it('names at most ten jobs in a text', () => {
	const texts = [
		sentences.run.withOtherJobs(failure, manyJobs, []).facts.description,
		sentences.hints.stillRunning(manyJobs, 20),
	];
	for (const text of texts) expect(text.match(new RegExp(JOB, 'g'))).toHaveLength(10);
	expect(texts[0]).toContain('and 2 more');
	expect(texts[1]).toContain('12 of 20 jobs still running');
});

it('reports what is paid for, and what is not, in every refusal of a paid request', () => {
	for (const { place, made } of FAILURES) {
		if (
			!/^(refused|api)\.(blank|value|option|tooMany|empty|unreadable|notAn|rejected|tooLarge|rateLimited|unreachable)/.test(
				place,
			)
		)
			continue;
		expect(made.facts.description).toMatch(/nothing was charged/);
	}
	for (const { made } of FAILURES.filter(({ place }) => place.startsWith('job.'))) {
		expect(made.facts).toMatchObject({ jobId: JOB });
		expect(made.facts.message).toContain(JOB);
	}
});

describe.each(SHOWN)('$place', ({ property }) => {
	const { displayName, description, hint, placeholder, type } = property;
	const choices = choicesOf(property);

	it('has names in title case and texts in clean words', () => {
		for (const name of [displayName, ...choices.map((choice) => choice.name)]) {
			expect([name, isTitleCase(name)]).toEqual([name, true]);
		}
		const texts = [displayName, description, hint, placeholder].concat(
			choices.flatMap((choice) => [choice.name, choice.description]),
		);
		for (const text of texts) {
			expect(text ?? '').not.toMatch(UNKIND_WORDS);
			expect(text ?? '').not.toMatch(/ {2}|^\s|\s$/);
		}
	});

	it('explains itself', () => {
		if (type !== 'collection') expect(description ?? hint).toMatch(/^[A-Z].{10}/);
		if (type === 'boolean') expect(description).toMatch(/^Whether /);
		for (const choice of choices) expect(choice.description).toMatch(/^[A-Z].{10}/);
		if (placeholder !== undefined && type !== 'collection') expect(placeholder).toMatch(/^e\.g\. /);
	});
});

it.each(NODES)('%s is named and described in clean words', (_, { description }) => {
	expect(isTitleCase(description.displayName)).toBe(true);
	expect(description.defaults.name).toBe(description.displayName);
	expect(description.displayName + description.description).not.toMatch(UNKIND_WORDS);
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
