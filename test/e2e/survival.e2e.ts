import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { readFile } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import type { INode } from 'n8n-workflow';

import type { ReceivedForm } from '../emulator/emulator';
import { openLab, sha256, until, type Lab } from './lab';
import { asSaved, ofBody, prompts, SETTLED_MS, several, Survival, type Scenario } from './survival';
import {
	chain,
	everySecond,
	imageGenerate,
	loopOverItems,
	noOp,
	oneItem,
	splitOut,
	workflow,
	type NodeSettings,
} from './workflow';

// n8n is killed while jobs of many workflows run, and each execution is retried: nothing is paid for twice.

const GRACE: Readonly<Record<string, string>> = { N8N_GRACEFUL_SHUTDOWN_TIMEOUT: '1' };
/** The retry of a hundred jobs must not keep n8n from answering others. */
const ANSWERED_WITHIN_MS = 250;
const NEVER = new Promise<never>(() => undefined);

const continues: NodeSettings = { onError: 'continueRegularOutput' };

const five = { startedJobs: 5, paid: 5, images: 5 };

/** For a crash, and then for an end in good order that leaves executions too little time. */
function plainScenarios(ending: string): Scenario[] {
	return [
		{ ...several(`${ending}, trigger first`, 5), ...five },
		{ ...several(`${ending}, trigger last`, 5), ...five, triggerLast: true },
		{ ...several(`${ending}, saved workflow`, 5), ...five, edit: asSaved },
		{
			...several(`${ending}, saved workflow, trigger last`, 5),
			...{ ...five, triggerLast: true, edit: asSaved },
		},
		{ ...several(`${ending}, progress saved`, 5), ...five, savesProgress: true },
	];
}

const HUNDRED: Scenario = {
	...several('hundred', 100),
	...{ startedJobs: 100, paid: 100, images: 100 },
};

/** An item for each prompt that a form has, with all its files. */
const splitBody: INode = {
	...splitOut('body.prompt'),
	parameters: {
		fieldToSplitOut: 'body.prompt',
		options: { includeBinary: true, destinationFieldName: 'prompt' },
	},
};

/** One job at a time, so that only the first one has been started. */
const FILES: Scenario = {
	name: 'files',
	build: (start) =>
		workflow(
			'files',
			chain(
				start,
				splitBody,
				imageGenerate({
					prompt: '={{ $json.prompt }}',
					referenceImages: 'selected',
					binaryPropertyName: '={{ "picture" + $itemIndex }}',
					options: { maxConcurrentJobs: 1 },
				}),
			),
		),
	startedJobs: 1,
	paid: 3,
	images: 3,
};

const TWIN_UPLOADS: Scenario = {
	name: 'twin uploads',
	build: (start) =>
		workflow(
			'twin uploads',
			chain(start, imageGenerate({ prompt: 'twin uploads: a fox', referenceImages: 'all' })),
		),
	startedJobs: 2,
	paid: 2,
	images: 2,
	check: async (retried) => {
		const picture = retried.items('Start')[0]?.binary?.picture0;
		if (picture === undefined) throw new Error('The upload is gone.');
		const id = retried.items('Generate')[0]?.json.job_id;
		const submit = lab.emulator.submits.find(({ jobId }) => jobId === id);
		expect(submit?.files[0]?.sha256).toBe(sha256(await lab.n8n.download(picture)));
	},
};

const CRASHED: Scenario[] = [
	...plainScenarios('crash'),
	FILES,
	{
		...several('unanswered', 3, {}, continues),
		...{ startedJobs: 3, paid: 3, images: 2, unknown: 1 },
	},
	{
		...several('unanswered, resubmitted', 3, {}, continues),
		...{ startedJobs: 3, paid: 4, images: 3 },
		edit: ({ name, parameters }) => {
			if (name === 'Generate') parameters.options = { resubmitIfUnknown: true };
		},
	},
	{
		...several('variations', 2, { jobsPerItem: 3 }),
		...{ startedJobs: 6, paid: 6, images: 6 },
	},
	{ ...several('failed', 3, {}, continues), startedJobs: 3, paid: 4, images: 3 },
	{
		...several('second try', 2, {}, { retryOnFail: true, maxTries: 2, waitBetweenTries: 0 }),
		...{ startedJobs: 3, paid: 3, images: 2 },
	},
	{
		name: 'loop',
		build: (start) => {
			const loop = loopOverItems();
			const generate = imageGenerate({ prompt: '={{ $json.prompt }}' });
			return workflow('loop', [
				...chain(
					start,
					oneItem('Prompts', { prompt: prompts('loop', 8) }),
					splitOut('prompt'),
					loop,
				),
				[loop, noOp('Done'), 0],
				[loop, generate, 1],
				[generate, loop],
			]);
		},
		...{ startedJobs: 5, paid: 8, images: 8, lastNode: 'Done' },
	},
	{
		name: 'chain',
		build: (start) => {
			const second = imageGenerate({ prompt: 'chain: second', referenceImages: 'all' });
			const first = imageGenerate({ prompt: 'chain: first' });
			return workflow('chain', chain(start, first, { ...second, name: 'Second' }));
		},
		...{ startedJobs: 2, paid: 2, images: 1, lastNode: 'Second' },
	},
	{ ...ofBody('ten workflows', 10), workflows: 10, startedJobs: 10, paid: 10, images: 10 },
	TWIN_UPLOADS,
	{
		name: 'schedule',
		build: (start) =>
			workflow('schedule', chain(start, imageGenerate({ prompt: 'schedule: a fox' }))),
		trigger: everySecond,
		...{ startedJobs: 2, paid: 2, images: 1 },
	},
];

const FIFTY: Scenario = {
	...ofBody('fifty executions', 50),
	...{ startedJobs: 50, paid: 50, images: 50 },
};

const CRASHED_TWICE: Scenario[] = [
	{ ...several('retry killed, first retried', 5), ...five, retriesAgain: 'first' },
	{ ...several('retry killed, retry retried', 5), ...five, retriesAgain: 'second' },
];

const DEPLOYED: Scenario[] = plainScenarios('deploy');

let lab: Lab;
let survival: Survival;
let recall: { ms: number; slowestAnswerMs: number } | undefined;

/** How often a scenario's job is the first of its kind, as nothing else tells it from the others. */
const seen = new Set<string>();
function isFirst(what: string): boolean {
	return seen.size < seen.add(what).size;
}

beforeAll(async () => {
	lab = await openLab({
		jobDurationMs: Infinity,
		wish: ({ fields }) => {
			const { prompt = '' } = fields;
			const isDone = /^loop: [1-4]$|^chain: first$|^second try: 1$/.test(prompt);
			if (isDone || (prompt.startsWith('schedule') && isFirst(prompt))) return { durationMs: 100 };
			const fails = /^failed: 2$|^second try: 2$/.test(prompt) && isFirst(prompt);
			return fails ? { durationMs: 100, outcome: { status: 'Failed' } } : undefined;
		},
	});
	survival = new Survival(lab);
	for (const prompt of ['unanswered: 2', 'unanswered, resubmitted: 2']) {
		const match = ({ form }: { form?: ReceivedForm }) => form?.fields.prompt === prompt;
		lab.emulator.faults.add({ at: 'submit', kind: 'hold', until: NEVER, match });
	}
	FILES.bodies = [await upload('files', 3)];
	TWIN_UPLOADS.bodies = [await upload('twin', 1), await upload('twin', 1, 'x')];

	await survival.begin([...CRASHED, ...CRASHED_TWICE, HUNDRED, FIFTY]);
	await lab.crashN8n(GRACE);
	await lab.n8n.signIn();
	await retryHundred();
	const again = new Map<Scenario, string[]>();
	for (const scenario of CRASHED_TWICE) {
		const ids = await survival.retryInVain(scenario);
		again.set(scenario, ids[scenario.retriesAgain ?? 'first']);
	}
	for (let at = 0; at < CRASHED.length; at += 4) await survival.retry(CRASHED.slice(at, at + 4));
	await survival.retry([FIFTY]);
	await survival.begin(DEPLOYED);
	await lab.restartN8n(GRACE);
	await lab.n8n.signIn();
	await survival.retry(DEPLOYED);
	await survival.retry(CRASHED_TWICE, (scenario) => again.get(scenario));
}, 400_000);

afterAll(async () => {
	await lab.restartN8n();
	await lab.close();
}, 200_000);

const ALL = [...CRASHED, FIFTY, ...CRASHED_TWICE, HUNDRED, ...DEPLOYED];

it.each(ALL)('pays for nothing twice: $name', async (scenario) => {
	const { paid, images, unknown = 0, check } = scenario;
	expect(survival.toldOf(scenario)).toEqual({ paid, images, unknown, endings: [] });
	for (const execution of survival.retriedOf.get(scenario.name) ?? []) await check?.(execution);
});

it('answers others while a hundred jobs are recalled', () => {
	expect(recall?.slowestAnswerMs).toBeLessThan(ANSWERED_WITHIN_MS);
});

it.each([
	['while it waits', false],
	['while the request is open', true],
])('pays for nothing twice: Stop %s', async (when, isOpen) => {
	const scenario = { ...several(`Stop ${when}`, 1), startedJobs: 1, paid: 1, images: 1 };
	let answer: () => void = () => undefined;
	const answered = new Promise<void>((resolve) => {
		answer = resolve;
	});
	if (isOpen) lab.emulator.faults.add({ at: 'submit', kind: 'hold', until: answered });
	await survival.begin([scenario]);
	const [saved] = survival.workflowsOf.get(scenario.name) ?? [];
	const [running] = saved ? await lab.n8n.executions(saved) : [];
	await lab.n8n.stop(running?.id ?? '');
	answer();
	await sleep(SETTLED_MS);
	await survival.retry([scenario]);
	// Whether n8n runs the node again depends on which of its two writes came last.
	expect(survival.toldOf(scenario)).toMatchObject({ paid: 1, unknown: 0 });
});

it('starts jobs of its own for what an execution that crashed was begun with', async () => {
	const [scenario] = CRASHED;
	if (!scenario) throw new Error('There is none.');
	const before = survival.submitsOf(scenario).length;
	const [path = ''] = survival.pathsOf.get(scenario.name) ?? [];
	await lab.n8n.post(`webhook/${path}`, {});
	await until(() => survival.submitsOf(scenario).length >= before + 5);
	expect(survival.submitsOf(scenario)).toHaveLength(before + 5);
});

describe("what n8n's database cannot keep", () => {
	it.each([
		[
			'as the table is gone',
			'ALTER TABLE processed_data RENAME TO away;',
			'ALTER TABLE away RENAME TO processed_data;',
		],
		// Without its write-ahead log (n8n 1) an exclusive lock would keep n8n from reading the credential, too.
		['as another process has locked it', 'BEGIN IMMEDIATE;', 'ROLLBACK;'],
	])('costs the run nothing, %s', async (how, damage, repair) => {
		const options = { maxConcurrentJobs: 1 };
		const scenario = { ...several(how, 2, { options }), startedJobs: 1, paid: 2, images: 2 };
		const gaveUpBefore = await gaveUp();
		await survival.begin([scenario]);
		const database = spawn('sqlite3', [databaseFile()], { stdio: ['pipe', 'inherit', 'inherit'] });
		try {
			database.stdin.write(`PRAGMA busy_timeout = 5000;\n${damage}\n`);
			await sleep(SETTLED_MS);
			survival.finish(scenario);
			await until(() => survival.submitsOf(scenario).length === 2);
		} finally {
			database.stdin.end(`${repair}\n`);
			await once(database, 'exit');
		}
		const [saved] = survival.workflowsOf.get(how) ?? [];
		const [running] = saved ? await lab.n8n.executions(saved) : [];
		const ended = survival.finishing([scenario], lab.n8n.waitForExecution(running?.id ?? ''));
		survival.retriedOf.set(how, [await ended]);
		expect(survival.toldOf(scenario)).toEqual({ paid: 2, images: 2, unknown: 0, endings: [] });
		expect((await gaveUp()) - gaveUpBefore).toBe(1);
	});
});

/** How many runs have gone on without n8n's database. */
async function gaveUp(): Promise<number> {
	return (await lab.n8nLog()).split("n8n's database does not keep").length - 1;
}

function databaseFile(): string {
	const log = process.env.E2E_N8N_LOG;
	if (log === undefined) throw new Error('These tests are run by scripts/e2e.ts.');
	return join(dirname(log), '.n8n', 'database.sqlite');
}

/** Notes when the first of the jobs is polled, which is after all have been recalled. */
async function retryHundred(): Promise<void> {
	const ids = await survival.endedIds(HUNDRED);
	const startedAtMs = Date.now();
	let slowestAnswerMs = 0;
	const asking = setInterval(() => {
		const askedAtMs = Date.now();
		void fetch(`${lab.n8n.url}/healthz`).then(() => {
			slowestAnswerMs = Math.max(slowestAnswerMs, Date.now() - askedAtMs);
		});
	}, 20);
	const retried = survival.retry([HUNDRED], () => ids);
	await until(() => survival.polledSince(startedAtMs).size > 0);
	recall = { ms: Date.now() - startedAtMs, slowestAnswerMs };
	clearInterval(asking);
	await retried;
}

/**
 * A form with prompts, and as many pictures, which the end tells apart. Nothing else does: with a boundary by
 * chance the request's headers would.
 */
async function upload(name: string, count: number, end = '-'): Promise<Blob> {
	const icon = await readFile(join(__dirname, '..', '..', 'docs', 'images', 'get-job-light.png'));
	const parts = prompts(name, count).flatMap((prompt, index) => [
		'--same\r\ncontent-disposition: form-data; name="prompt"\r\n\r\n',
		`${prompt}\r\n--same\r\ncontent-disposition: form-data; name="picture${index}"; `,
		'filename="picture.png"\r\ncontent-type: image/png\r\n\r\n',
		icon,
		`${end}\r\n`,
	]);
	return new Blob([...parts, '--same--\r\n'], { type: 'multipart/form-data; boundary=same' });
}
