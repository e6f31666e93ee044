import type { INodeProperties } from 'n8n-workflow';

import { AetherForgeApi } from '../../credentials/AetherForgeApi.credentials';
import { nodeError } from '../../nodes/shared/engine/output/failed';
import { asFailure, Failure } from '../../nodes/shared/failure';
import {
	FILE_URL,
	JOB,
	MANY_JOBS,
	NAMES,
	NO_JOBS,
	rendered,
	SAID,
} from '../support/messageSamples';
import { NODES } from '../support/nodes';
import { fakeContext } from './fakeContext';

const failure = new Failure({ message: 'It did not work', description: 'Try it again.' });
const NODE = fakeContext({}, {}).getNode();
const STARTS = { ...NO_JOBS, startsJobs: true, isChecking: true, isRetry: true, canRetry: true };

/** All that a sentence says by itself. */
function textsOf(made: unknown): string[] {
	return made instanceof Failure ? [made.facts.message, made.facts.description] : [made as string];
}

const FAILURES = SAID.flatMap(({ place, made }) =>
	made instanceof Failure ? [{ place, made }] : [],
);
const TEXTS = SAID.flatMap(({ place, args, made }) =>
	textsOf(made).map((text) => ({ place, args, text })),
);

function isProperty(option: object): option is INodeProperties {
	return 'type' in option;
}

/** Every parameter, those inside a collection as well. */
function parametersIn(properties: readonly INodeProperties[]): INodeProperties[] {
	return properties.flatMap((each) => [
		each,
		...parametersIn((each.options ?? []).filter(isProperty)),
	]);
}

const DESCRIBED = [...Object.values(NODES).map((node) => node.description), new AetherForgeApi()];
const PARAMETERS = DESCRIBED.flatMap(({ properties }) => parametersIn(properties));
const LABELS = PARAMETERS.map(({ displayName }) => displayName);
const OPTION_LABELS = PARAMETERS.filter(({ name }) => name === 'options')
	.flatMap(({ options = [] }) => options.filter(isProperty))
	.map(({ displayName }) => displayName);

/** The names of what one can choose. */
function choicesOf({ type, options = [] }: INodeProperties): string[] {
	return type === 'options' ? options.map(({ name }) => name) : [];
}

/** What n8n's guidelines ask texts to do without, except for n8n's own name of a choice. */
const UNKIND_WORDS = /(?<!Throw an )\b(errors?|problems?|failures?|mistakes?)\b(?! details)/i;
/** What a native speaker would not say of these things, or says in other words. */
const ODD_WORDS =
	/\b(look-?ups?|at one time|(is|are|been) paid for|comes? out|came about|tak(en|es?) up(?! to)|unclear|trouble|beside|go(es)? on|switch(ed)? (on|off)|adjust|must hold|for want of|whoever|so many|under way|of (its|their) own|anew|earlier try|the keys?\b(?= must))\b/i;
/** What texts say who ran into an expression that gave nothing. */
const UNFILLED = / {2}|^\s|\s$|undefined|null|NaN|\[object|\.\.(?!\.)/;
const QUOTED_LEFTOVERS = /"(undefined|null|NaN|\[object Object\])"/g;

function expectCleanWords(place: string, text: string | undefined): void {
	const said = [place, text ?? ''];
	for (const unwanted of [UNKIND_WORDS, ODD_WORDS]) {
		expect(said).toEqual([place, expect.not.stringMatching(unwanted)]);
	}
}

/** The keys under which declarations have texts that people, or n8n's AI builder, read. */
const READ =
	/^(displayName|description|hint|placeholder|message|action|subtitle|.*Hint|toolDescription)$/;

/** Every text in a declaration, with the key that it is under. */
function textsIn(value: unknown): [key: string, text: string][] {
	if (typeof value !== 'object' || value === null) return [];
	const { name, default: preset } = value as { name?: unknown; default?: unknown };
	const own = Object.entries(name === 'toolDescription' ? { toolDescription: preset } : value);
	return own.flatMap(([key, each]): [string, string][] => {
		if (typeof each === 'string') return READ.test(key) ? [[key, each]] : [];
		return textsIn(each);
	});
}

const DECLARED = DESCRIBED.flatMap(textsIn).map(([place, text]) => ({ place, text }));

it('says something in each sentence, in clean words', () => {
	for (const { place, text } of [...TEXTS, ...DECLARED]) {
		const own = text.replace(QUOTED_LEFTOVERS, '""');
		expect([place, own]).toEqual([place, expect.stringMatching(/\S{2}/)]);
		expect([place, own]).toEqual([place, expect.not.stringMatching(UNFILLED)]);
		expect(own).not.toMatch(/\b1 (items|jobs|seconds|requests|images|reference images)\b/);
		expect(own).not.toMatch(/me:secret/);
		expectCleanWords(place, text);
	}
});

it('calls parameters and choices what the node calls them', () => {
	for (const { place, args, text } of TEXTS) {
		const given = JSON.stringify(args);
		// What is in braces is an example of JSON.
		for (const [, label = ''] of text.replace(/\{[^}]*\}/g, '').matchAll(/"([^"]+)"/g)) {
			const isArgument = given.includes(label.slice(0, 80));
			const isKnown = isArgument || label === 'info' || label.includes('***@');
			expect([place, isKnown || LABELS.includes(label) ? '' : label]).toEqual([place, '']);
		}
		for (const [, label] of text.matchAll(/"([^"]+)" under Options/g)) {
			expect(OPTION_LABELS).toContain(label);
		}
		for (const [, label, choice = ''] of text.matchAll(/set "([^"]+)"[^"]* to ([A-Z][^.]*)\./g)) {
			const named = PARAMETERS.filter(({ displayName }) => displayName === label);
			expect(named.flatMap(choicesOf)).toContain(choice);
		}
	}
});

it('advises nothing that pays again without saying so', () => {
	const jobs = { ownJobIds: ['a'], otherJobIds: ['b'], isChecking: false };
	for (const { place, made } of SAID) {
		const isFailure = made instanceof Failure;
		const text = isFailure ? rendered(made, { ...STARTS, ...jobs }).description : (made as string);
		for (const sentence of text.split(/(?<=\.) /)) {
			if (!/\b(run|execut(e|ing))\b.*\b(workflow|step)\b/i.test(sentence)) continue;
			expect([place, sentence]).toEqual([place, expect.stringMatching(/\bpays?\b|free of charge/)]);
		}
	}
});

it.each(FAILURES)('$place has a headline, and whole sentences that say what to do', ({ made }) => {
	const { message, description } = made.facts;
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

it('is shown as it is although n8n knows a code of Node.js in it', () => {
	const made = new Failure({ message: 'ECONNRESET in "preexisting"', description: 'Do this.' });
	const shown = nodeError(NODE, made, NO_JOBS);
	expect(shown.message).toBe('ECONNRESET in "preexisting"');
	// n8n's panel shows whatever is there, an empty object too.
	expect(shown.context.data).toBeUndefined();
	const forModel = nodeError(NODE, made, { ...NO_JOBS, isForModel: true });
	expect(forModel.message).toBe('ECONNRESET in "preexisting". Do this.');
});

it.each([
	'https://me:SECRETa@host.example/image.png',
	's3://KEY:SECRETa@bucket/image.png',
	's3://KEY:SECRETa/C?SECRET@bucket/image.png',
	'ftp://me:SECRETa@SECRET@host.example/image.png?SECRET',
	'https://me:SECRETa/SECRET@host/1.png#SECRET',
	'me:SECRETa@host.example/image.png',
	'https://cdn.example/image.png?signature=SECRETa',
	'https://api.example/file/bot1:SECRETa/photos/1.jpg',
	'https://cdn.example/1.png;session=SECRETa',
	'https://cdn.example/1.png%3Fsig=SECRETa',
	'data:image/png;base64,SECRETa',
])('no sentence repeats the secret in %s, however long it is', (url) => {
	for (const secret of [url, url.replace('a', 'a'.repeat(300))]) {
		for (const { place, args, say } of SAID) {
			const text = textsOf(say(...args.map((each) => (each === FILE_URL ? secret : each)))).join();
			expect([place, text]).toEqual([place, expect.not.stringContaining('SECRET')]);
		}
	}
});

/** What sentences with several names take from declarations. */
const OURS = new Set([NAMES, 'a JSON object', 'row 2 of "Prompt"', 'row', 'title']);

describe.each(['x', '<', '@', '"', '\n', '\\', '🦊'])('a megabyte of %j', (character) => {
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

	it('makes no text of more than 1,500 characters, and is repeated up to 200', () => {
		for (const { place, args, say } of SAID) {
			if (place.startsWith('logLines.')) continue;
			const text = textsOf(say(...args.map(enlarged))).join(' ');
			const ofOthers = text.replaceAll(new RegExp(`${JOB}\\d*`, 'g'), '');
			expect([place, ofOthers.length > 1500 ? ofOthers : 'brief']).toEqual([place, 'brief']);
			const runs = text.match(/(.)\1{200,}/gsu) ?? [];
			expect([place, runs.map((run) => run.length)]).toEqual([place, []]);
			// No character is cut in two.
			expect(Buffer.from(text).toString()).toBe(text);
		}
	});
});

it('cuts neither a job ID nor what is said of charges, however many jobs there are', () => {
	const otherJobIds = MANY_JOBS.map((jobId) => `${jobId}00`);
	const unknownItems = Array.from({ length: 10_000 }, (_, index) => 100_000 + index);
	const more = { ownJobIds: MANY_JOBS, otherJobIds, unknownItems, isOneOfMany: true };
	const { description } = rendered(failure, { ...STARTS, ...more });
	expect(description.length).toBeLessThan(2500);
	expect(description).toContain('No new job was started for this item.');
	expect(description.match(/have already been charged/g)).toHaveLength(2);
	for (const jobId of [...MANY_JOBS.slice(0, 10), ...otherJobIds.slice(0, 10)]) {
		expect(description).toContain(`${jobId}, `);
	}
	expect(description).toMatch(
		/not known whether a job was started for rows 100001, .*more of the input\.$/,
	);
});

it('says of each failure once what it cost', () => {
	const COSTS: [RegExp, (failure: Failure) => boolean][] = [
		[/A job may exist and be charged/, ({ facts }) => facts.outcomeUnknown === true],
		[/The job may have been charged\./, ({ facts }) => facts.charge === 'possible'],
		[/The job has been charged\./, ({ facts }) => facts.jobId !== undefined],
		[/started no job, and nothing was charged for it\./, () => true],
	];
	for (const { place, made } of FAILURES) {
		if (place === 'runFailures.canceled') continue;
		const { description } = rendered(made, { ...STARTS, isChecking: false });
		const [cost] = COSTS.find(([, isOf]) => isOf(made)) ?? [/never/];
		expect([place, description]).toEqual([place, expect.stringMatching(cost)]);
		const said = description.match(/(may exist and be|has been|may have been|was) charged/g);
		expect([place, said]).toEqual([place, [expect.any(String)]]);
	}
});

const RETRY_FOR_2 =
	'Use Retry in the Executions tab: it collects 2 paid jobs free of charge, and pays only for what is missing. Executing the workflow, or Retry with an edited prompt, pays for all jobs of this node again: to change a row, run it alone.';

it.each([
	[{ startsJobs: false, ownJobIds: ['a'] }, 'Try it again. Job: a.'],
	[
		{ isRetry: true, ownJobIds: ['a'], otherJobIds: ['b'], canRetry: false },
		'Try it again. No new job was started. The job a has already been charged. One other job of this execution has already been charged: b. The AetherForge Get Job node collects them free of charge.',
	],
	[
		{ isRetry: false, otherJobIds: ['a', 'b'], row: { number: 2, text: 'A wizard' } },
		'Row 2 of the input failed: "A wizard". Try it again. No job was started, and nothing was charged. Other jobs of this execution have already been charged: a, b. The AetherForge Get Job node collects them free of charge.',
	],
])('says of input that was refused what was not started: %j', (how, description) => {
	expect(rendered(failure, { ...STARTS, ...how }).description).toBe(description);
});

it('advises Retry for the jobs that it collects, and not where n8n offers none', () => {
	for (const { place, made } of FAILURES) {
		const jobs = { ownJobIds: ['a'], otherJobIds: made.facts.isCollectable ? [] : ['b'] };
		// A retry meets an unknown outcome and a job without images again, and ends.
		const isOffered = !made.facts.outcomeUnknown && !/startedJobGone|withoutImages/.test(place);
		const failed = { ...STARTS, ...jobs, isChecking: false, canRetry: true };
		for (const unknownItems of [[], [3]]) {
			const { description } = rendered(made, { ...failed, unknownItems });
			const expected = isOffered && unknownItems.length === 0;
			expect([place, description.startsWith(RETRY_FOR_2)]).toEqual([place, expected]);
		}
		if (/canceled|startedJob|withoutImages|dryRunInRetry/.test(place)) continue;
		const { description } = rendered(made, { ...STARTS, ...jobs, canRetry: false });
		expect([place, description]).toEqual([place, expect.not.stringMatching(/\bretry\b/i)]);
	}
});

it.each(PARAMETERS)('the parameter $displayName is explained', (parameter) => {
	const { displayName, description, hint, type, placeholder = 'e.g. ' } = parameter;
	for (const name of choicesOf(parameter)) expectCleanWords(displayName, name);
	if (type !== 'collection') expect(description ?? hint).toMatch(/^[A-Z].{10}/);
	// Of a collection it is the label of its button.
	if (!type.endsWith('ollection')) expect(placeholder).toMatch(/^e\.g\. /);
});
