import * as fc from 'fast-check';

import type { FaultPlace } from '../emulator/emulator';
import { ENDPOINT_CASES } from '../support/endpointCases';
import { FAULT_NAMES, FAULTS, JOB_NAMES } from './faults';

type Drawn<A> = A extends fc.Arbitrary<infer T> ? T : never;

/** Everything that is drawn of a day. The first choice of each is the simplest. */
export type Day = Drawn<ReturnType<typeof days>>;
export type Disruption = NonNullable<Day['disruption'] | Retry['disruption']>;
export type Retry = Drawn<typeof retry>;

/** The part of each endpoint's path that is its own. */
const ENDPOINTS = ENDPOINT_CASES.map(({ path }) => path.slice('/public/v1/'.length));

/** The simple choice mostly, and each other one now and then. */
function mostly<const T>(usual: T, ...others: T[]): fc.Arbitrary<T> {
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

/** Something that ends or disturbs an execution, so long after the n-th request of a kind came in. */
const disruption = <K extends string>(...kinds: K[]) =>
	fc.record({
		kind: fc.constantFrom(...kinds),
		at: place,
		/** From 0. */
		nth: fc.nat(8),
		delayMs,
	});

const fault = fc
	.record({
		at: place,
		name: fc.constantFrom(...FAULT_NAMES),
		skip: mostly<number>(0, 1, 2, 5),
		times: mostly<number>(1, 2, 4, Infinity),
	})
	.filter(
		// Only a quarter of a gigabyte would end such a download.
		({ at, name }) =>
			at === 'submit' ? FAULTS[name][1] !== undefined : at === 'poll' || name !== 'endless',
	);

const retry = fc.record({
	/** Of the newest execution that can be retried, or of the oldest. */
	of: mostly('newest', 'oldest'),
	workflow: fc.constantFrom('original', 'saved'),
	/** What is edited, and saved, before. */
	edit: mostly('nothing', 'prompt', 'timeout', 'resubmit', 'fewerVariations'),
	/** Whether a second retry of the same execution begins at once. */
	twice: mostly<boolean>(false, true),
	/** Whether, on n8n 1, the crashed execution itself is run again in place of a retry. */
	rerun: mostly<boolean>(false, true),
	/** How long after the end of the one before. */
	laterMs: fc.constantFrom(0, 1000, 30_000, 7_200_000),
	disruption: onceIn(6, disruption('crash', 'stop', 'deploy')),
});

/** Days as different as what n8n's users do, and what befalls them. */
export function days() {
	return fc.record({
		seed: fc.nat(),
		n8n: mostly('2.41', '1.123'),
		mode: fc.constantFrom('trigger', 'webhook', 'manual'),
		latencyMs: fc.constantFrom(0, 20, 200, 1500),
		shape: mostly('plain', 'loop', 'chain', 'tool'),
		triggerLast: fc.boolean(),
		binaryMode: mostly('separate', 'combined'),
		savesProgress: fc.boolean(),
		timeoutAfterMs: onceIn(12, fc.constantFrom<number>(1500, 10_000, 100_000)),
		/** Of Stop and the execution's own end, whichever n8n writes last stays: with what the node has put out, or without. */
		keepsStopped: mostly<boolean>(false, true),
		endpoint: fc.oneof(
			{ weight: 3, arbitrary: fc.constant('generate/image') },
			{ weight: 2, arbitrary: fc.constantFrom(...ENDPOINTS) },
		),
		/** Of the next node in a chain. */
		second: fc.constantFrom(
			'image-tune/upscale',
			'generate/image',
			'sprite/reskin/v1',
			'image-tune/inpaint/v2',
		),
		itemCount: fc.oneof(
			{ weight: 12, arbitrary: fc.integer({ min: 1, max: 4 }) },
			{ weight: 1, arbitrary: fc.integer({ min: 0, max: 40 }) },
		),
		equalItems: fc.boolean(),
		fileInJson: mostly<boolean>(false, true),
		/** Items that refer to themselves, as a Code node of n8n 1 can make them. */
		circularItems: onceIn(25, fc.constant<boolean>(true)),
		prompt: mostly('own', 'same', 'changing', 'goneInRetry', 'refusedForOne'),
		files: fc.constantFrom('none', 'field', 'binary', 'node', 'url'),
		filesGoInRetry: mostly<boolean>(false, true),
		/** `odd`: the key holds a character that no header can, until it is mended. */
		credential: mostly('one', 'perItem', 'odd'),
		onError: mostly('stopWorkflow', 'continueRegularOutput', 'continueErrorOutput'),
		retryOnFail: mostly<boolean>(false, true),
		executeOnce: onceIn(25, fc.constant<boolean>(true)),
		waits: mostly<boolean>(true, false),
		downloads: mostly<boolean>(true, false),
		variations: mostly<number>(1, 2, 3),
		options: fc.record({
			outputItems: mostly('perImage', 'perJob'),
			timeout: mostly<number>(60, 5, 300),
			onTimeout: mostly('error', 'returnPending'),
			onFailed: mostly('error', 'returnFailed'),
			maxConcurrentJobs: mostly<number>(20, 1, 2),
			maxJobsPerExecution: mostly<number>(100, 2, 3, 0),
			/** As the text that an expression gives, or as it is. */
			dryRun: fc.oneof(
				{ weight: 40, arbitrary: fc.constant(false) },
				{ weight: 3, arbitrary: fc.constantFrom('false', 'true', true) },
			),
			includeInputFields: mostly<boolean>(false, true),
			resubmitIfUnknown: mostly<boolean>(false, true),
		}),
		fileName: mostly('', '=hero {{ $itemIndex }}', 'hero'),
		/** What becomes of the n-th job that the service accepts. */
		jobs: fc.array(
			fc.oneof(
				{ weight: 3, arbitrary: fc.constant('succeeds' as const) },
				{ weight: 2, arbitrary: fc.constantFrom(...JOB_NAMES) },
			),
			{ maxLength: 6 },
		),
		faults: fc.array(fault, { maxLength: 3 }),
		/** Connections, by number, from which on so many are refused. */
		refused: onceIn(10, fc.record({ after: fc.nat(10), times: fc.constantFrom(1, 4, 5, 20) })),
		disruption: onceIn(4, disruption('stop', 'crash', 'deploy', 'revokeKey', 'loseCredential')),
		/** A second execution beside the first one. */
		beside: onceIn(8, fc.record({ equal: fc.boolean(), afterMs: delayMs })),
		retries: fc.array(retry, { maxLength: 3 }),
		/** Whether the last retry, which finds a healthy world, sends unknown requests again. */
		resubmitsAtLast: fc.boolean(),
	});
}
