import * as fc from 'fast-check';

import type { FaultPlace } from '../emulator/emulator';
import { FAULTS, verdictOf, type FaultName } from './faults';

/** What becomes of the n-th job that the service accepts. */
export const JOBS = [
	'succeeds',
	'fails',
	'failsWithReason',
	'takesLong',
	'neverEnds',
	'hasNoImages',
	'hasImagesLate',
	'hasTwoImages',
	'hasGif',
	'hasUrlObjects',
	'isListedLate',
] as const;

export const ENDPOINTS = [
	'imageGenerate',
	'upscale',
	'inpaint',
	'splitLayers',
	'effectV1',
	'effectV2',
	'makeSpriteV1',
	'makeSpriteV2',
	'reskinV1',
	'reskinV2',
	'overlayV1',
	'overlayV2',
] as const;

export type EndpointName = (typeof ENDPOINTS)[number];

/** Something that ends or disturbs an execution, so long after the n-th request of a kind came in. */
export interface Disruption {
	kind: 'stop' | 'crash' | 'deploy' | 'revokeKey' | 'loseCredential';
	at: FaultPlace;
	/** From 0. */
	nth: number;
	delayMs: number;
}

export interface Retry {
	/** Of the newest execution that can be retried, or of the oldest. */
	of: 'newest' | 'oldest';
	workflow: 'original' | 'saved';
	/** What is edited, and saved, before. */
	edit: 'nothing' | 'prompt' | 'timeout' | 'resubmit' | 'fewerVariations';
	/** Whether a second retry of the same execution begins at once. */
	twice: boolean;
	/** Whether, on n8n 1, the crashed execution itself is run again in place of a retry. */
	rerun: boolean;
	/** How long after the end of the one before. */
	laterMs: number;
	disruption: Disruption | undefined;
}

/** Everything that is drawn of a day. The first choice of each is the simplest. */
export interface Day {
	seed: number;
	n8n: '2.41' | '1.123';
	mode: 'trigger' | 'webhook' | 'manual';
	latencyMs: number;
	shape: 'plain' | 'loop' | 'chain' | 'tool';
	triggerLast: boolean;
	binaryMode: 'separate' | 'combined';
	savesProgress: boolean;
	timeoutAfterMs: number | undefined;
	/** Of Stop and the execution's own end, whichever n8n writes last stays: with what the node has put out, or without. */
	keepsStopped: boolean;
	endpoint: EndpointName;
	second: EndpointName;
	itemCount: number;
	equalItems: boolean;
	fileInJson: boolean;
	/** Items that refer to themselves, as a Code node of n8n 1 can make them. */
	circularItems: boolean;
	prompt: 'own' | 'same' | 'changing' | 'goneInRetry' | 'refusedForOne';
	files: 'field' | 'binary' | 'node' | 'url' | 'none';
	filesGoInRetry: boolean;
	/** `odd`: the key holds a character that no header can, until it is mended. */
	credential: 'one' | 'perItem' | 'odd';
	onError: 'stopWorkflow' | 'continueRegularOutput' | 'continueErrorOutput';
	retryOnFail: boolean;
	executeOnce: boolean;
	waits: boolean;
	downloads: boolean;
	variations: number;
	options: {
		outputItems: 'perImage' | 'perJob';
		timeout: number;
		onTimeout: 'error' | 'returnPending';
		onFailed: 'error' | 'returnFailed';
		maxConcurrentJobs: number;
		maxJobsPerExecution: number;
		/** As the text that an expression gives, or as it is. */
		dryRun: boolean | 'true' | 'false';
		includeInputFields: boolean;
		resubmitIfUnknown: boolean;
	};
	fileName: string;
	jobs: (typeof JOBS)[number][];
	faults: { at: FaultPlace; name: FaultName; skip: number; times: number }[];
	/** Connections, by number, from which on so many are refused. */
	refused: { after: number; times: number } | undefined;
	disruption: Disruption | undefined;
	beside: { equal: boolean; afterMs: number } | undefined;
	retries: Retry[];
	/** Whether the last retry, which finds a healthy world, sends unknown requests again. */
	resubmitsAtLast: boolean;
}

const NAMES = [...(Object.keys(FAULTS) as (keyof typeof FAULTS)[]), 'slow', 'late'] as const;

/** The simple choice mostly, and each other one now and then. */
function mostly<T>(usual: T, ...others: T[]): fc.Arbitrary<T> {
	return fc.oneof(
		{ weight: 5, arbitrary: fc.constant(usual) },
		...others.map((other) => ({ weight: 1, arbitrary: fc.constant(other) })),
	);
}

/** Once in so many days. */
function onceIn<T>(count: number, arbitrary: fc.Arbitrary<T>): fc.Arbitrary<T | undefined> {
	return fc.oneof(
		{ weight: count - 1, arbitrary: fc.constant(undefined) },
		{ weight: 1, arbitrary },
	);
}

const place = fc.constantFrom<FaultPlace>('submit', 'poll', 'download');
const delayMs = fc.constantFrom(0, 5, 150, 1000, 6000, 65_000);
const disruption = (kinds: Disruption['kind'][]): fc.Arbitrary<Disruption> =>
	fc.record({ kind: fc.constantFrom(...kinds), at: place, nth: fc.nat(8), delayMs });

const fault = fc
	.record({
		at: place,
		name: fc.constantFrom<FaultName>(...NAMES),
		skip: mostly(0, 1, 2, 5),
		times: mostly(1, 2, 4, Infinity),
	})
	.filter(
		// Only a quarter of a gigabyte would end such a download.
		({ at, name }) =>
			at === 'submit' ? verdictOf(name) !== undefined : at === 'poll' || name !== 'endless',
	);

const retry: fc.Arbitrary<Retry> = fc.record({
	of: mostly<Retry['of']>('newest', 'oldest'),
	workflow: fc.constantFrom('original', 'saved'),
	edit: mostly<Retry['edit']>('nothing', 'prompt', 'timeout', 'resubmit', 'fewerVariations'),
	twice: mostly(false, true),
	rerun: mostly(false, true),
	laterMs: fc.constantFrom(0, 1000, 30_000, 7_200_000),
	disruption: onceIn(6, disruption(['crash', 'stop', 'deploy'])),
});

/** @param kinds what may disturb an execution */
export function days(
	kinds: Disruption['kind'][] = ['stop', 'crash', 'deploy', 'revokeKey', 'loseCredential'],
): fc.Arbitrary<Day> {
	return fc.record({
		seed: fc.nat(),
		n8n: mostly<Day['n8n']>('2.41', '1.123'),
		mode: fc.constantFrom<Day['mode']>('trigger', 'webhook', 'manual'),
		latencyMs: fc.constantFrom(0, 20, 200, 1500),
		shape: mostly<Day['shape']>('plain', 'loop', 'chain', 'tool'),
		triggerLast: fc.boolean(),
		binaryMode: mostly<Day['binaryMode']>('separate', 'combined'),
		savesProgress: fc.boolean(),
		timeoutAfterMs: onceIn(12, fc.constantFrom(1500, 10_000, 100_000)),
		keepsStopped: mostly(false, true),
		endpoint: fc.oneof(
			{ weight: 3, arbitrary: fc.constant<EndpointName>('imageGenerate') },
			{ weight: 2, arbitrary: fc.constantFrom(...ENDPOINTS) },
		),
		second: fc.constantFrom<EndpointName>('upscale', 'imageGenerate', 'reskinV1', 'inpaint'),
		itemCount: fc.oneof(
			{ weight: 12, arbitrary: fc.integer({ min: 1, max: 4 }) },
			{ weight: 1, arbitrary: fc.integer({ min: 0, max: 40 }) },
		),
		equalItems: fc.boolean(),
		fileInJson: mostly(false, true),
		circularItems: rarelyTrue(),
		prompt: mostly<Day['prompt']>('own', 'same', 'changing', 'goneInRetry', 'refusedForOne'),
		files: fc.constantFrom<Day['files']>('none', 'field', 'binary', 'node', 'url'),
		filesGoInRetry: mostly(false, true),
		credential: mostly<Day['credential']>('one', 'perItem', 'odd'),
		onError: mostly<Day['onError']>('stopWorkflow', 'continueRegularOutput', 'continueErrorOutput'),
		retryOnFail: mostly(false, true),
		executeOnce: rarelyTrue(),
		waits: mostly(true, false),
		downloads: mostly(true, false),
		variations: mostly(1, 2, 3),
		options: fc.record({
			outputItems: mostly<Day['options']['outputItems']>('perImage', 'perJob'),
			timeout: mostly(60, 5, 300),
			onTimeout: mostly<Day['options']['onTimeout']>('error', 'returnPending'),
			onFailed: mostly<Day['options']['onFailed']>('error', 'returnFailed'),
			maxConcurrentJobs: mostly(20, 1, 2),
			maxJobsPerExecution: mostly(100, 2, 3, 0),
			dryRun: fc.oneof(
				{ weight: 40, arbitrary: fc.constant<Day['options']['dryRun']>(false) },
				{ weight: 3, arbitrary: fc.constantFrom<Day['options']['dryRun']>('false', 'true', true) },
			),
			includeInputFields: mostly(false, true),
			resubmitIfUnknown: mostly(false, true),
		}),
		fileName: mostly('', '=hero {{ $itemIndex }}', 'hero'),
		jobs: fc.array(
			fc.oneof(
				{ weight: 3, arbitrary: fc.constant(JOBS[0]) },
				{ weight: 2, arbitrary: fc.constantFrom(...JOBS) },
			),
			{ maxLength: 6 },
		),
		faults: fc.array(fault, { maxLength: 3 }),
		refused: onceIn(10, fc.record({ after: fc.nat(10), times: fc.constantFrom(1, 4, 5, 20) })),
		disruption: onceIn(4, disruption(kinds)),
		beside: onceIn(8, fc.record({ equal: fc.boolean(), afterMs: delayMs })),
		retries: fc.array(retry, { maxLength: 3 }),
		resubmitsAtLast: fc.boolean(),
	});
}

function rarelyTrue(): fc.Arbitrary<boolean> {
	return fc.oneof(
		{ weight: 24, arbitrary: fc.constant(false) },
		{ weight: 1, arbitrary: fc.constant(true) },
	);
}
