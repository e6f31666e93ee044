import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { readFile } from 'node:fs/promises';
import { join } from 'node:path';

import type { EmulatorOptions } from '../emulator/emulator';
import { sha256, useLab } from './lab';
import { until } from './real-n8n/until';
import {
	asSaved,
	begin,
	databaseFile,
	finishing,
	ofBodies,
	prompts,
	retryAll,
	several,
	Trial,
	type Scenario,
} from './survival';
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
/** What makes each write of a job take seconds: a count that goes before it. */
const SLOW = `
	CREATE VIEW slowly AS
		WITH RECURSIVE counted(x) AS (SELECT 1 UNION ALL SELECT x + 1 FROM counted WHERE x < 30000000)
		SELECT max(x) FROM counted;
	CREATE TRIGGER slow_insert BEFORE INSERT ON processed_data BEGIN SELECT * FROM slowly; END;
	CREATE TRIGGER slow_update BEFORE UPDATE ON processed_data BEGIN SELECT * FROM slowly; END;`;

/** How often a scenario's job is the first of its kind, as nothing else tells it from the others. */
const seen = new Set<string>();
const isFirst = (what: string): boolean => seen.size < seen.add(what).size;

const wish: EmulatorOptions['wish'] = ({ fields: { prompt = '' } }) => {
	const isDone = /^loop: [1-4]$|^chain: first$|^second try: 1$/.test(prompt);
	if (isDone || (prompt.startsWith('schedule') && isFirst(prompt))) return { durationMs: 100 };
	const fails = /^failed: 2$|^second try: 2$/.test(prompt) && isFirst(prompt);
	return fails ? { durationMs: 100, outcome: { status: 'Failed' } } : undefined;
};

const lab = useLab(() => ({ jobDurationMs: Infinity, wish }), [beforeAll, afterAll]);
const trialOf = (scenario: Scenario): Trial => new Trial(lab, scenario);

/** For a crash, and then for an end in good order that leaves executions too little time. */
function plain(ending: string): Trial[] {
	return [
		several(`${ending}, trigger first`, 5),
		several(`${ending}, trigger last`, 5, { triggerLast: true }),
		several(`${ending}, saved workflow`, 5, { edit: asSaved }),
		several(`${ending}, saved workflow, trigger last`, 5, { triggerLast: true, edit: asSaved }),
		several(`${ending}, progress saved`, 5, { savesProgress: true }),
	].map(trialOf);
}

const continues: NodeSettings = { onError: 'continueRegularOutput' };
const twoTries: NodeSettings = { retryOnFail: true, maxTries: 2, waitBetweenTries: 0 };

/** One job at a time, so that only the first one has been started. An item for each prompt, with all files. */
const FILES: Scenario = {
	name: 'files',
	build: (start) => {
		const split = splitOut('body.prompt');
		split.parameters.options = { includeBinary: true, destinationFieldName: 'prompt' };
		const generate = imageGenerate({
			prompt: '={{ $json.prompt }}',
			referenceImages: 'selected',
			binaryPropertyName: '={{ "picture" + $itemIndex }}',
			options: { maxConcurrentJobs: 1 },
		});
		return workflow('files', chain(start, split, generate));
	},
	startedJobs: 1,
	paid: 3,
};

const TWIN_UPLOADS: Scenario = {
	name: 'twin uploads',
	build: (start) => {
		const generate = imageGenerate({ prompt: 'twin uploads: a fox', referenceImages: 'all' });
		return workflow('twin uploads', chain(start, generate));
	},
	paid: 2,
	check: async (retried) => {
		const picture = retried.items('Start')[0]?.binary?.picture0;
		if (picture === undefined) throw new Error('The upload is gone.');
		const id = retried.items('Generate')[0]?.json.job_id;
		const submit = lab.emulator.submits.find(({ jobId }) => jobId === id);
		expect(submit?.files[0]?.sha256).toBe(sha256(await lab.n8n.download(picture)));
	},
};

const LOOP: Scenario = {
	name: 'loop',
	build: (start) => {
		const loop = loopOverItems();
		const generate = imageGenerate({ prompt: '={{ $json.prompt }}' });
		const items = oneItem('Prompts', { prompt: prompts('loop', 8) });
		return workflow('loop', [
			...chain(start, items, splitOut('prompt'), loop),
			[loop, noOp('Done'), 0],
			[loop, generate, 1],
			[generate, loop],
		]);
	},
	startedJobs: 5,
	paid: 8,
	lastNode: 'Done',
};

const CHAIN: Scenario = {
	name: 'chain',
	build: (start) => {
		const first = imageGenerate({ prompt: 'chain: first' });
		const second = imageGenerate({ prompt: 'chain: second', referenceImages: 'all' });
		return workflow('chain', chain(start, first, { ...second, name: 'Second' }));
	},
	paid: 2,
	images: 1,
	lastNode: 'Second',
};

const SCHEDULE: Scenario = {
	name: 'schedule',
	build: (start) =>
		workflow('schedule', chain(start, imageGenerate({ prompt: 'schedule: a fox' }))),
	trigger: everySecond,
	paid: 2,
};

const resubmits: Scenario['edit'] = ({ name, parameters }) => {
	if (name === 'Generate') parameters.options = { resubmitIfUnknown: true };
};

const CRASHED = [
	...plain('crash'),
	...[
		FILES,
		several('unanswered', 3, { images: 2, unknown: 1 }, {}, continues),
		several(
			'unanswered, resubmitted',
			3,
			{ startedJobs: 3, paid: 4, images: 3, edit: resubmits },
			{},
			continues,
		),
		several('variations', 2, { paid: 6 }, { jobsPerItem: 3 }),
		several('failed', 3, { startedJobs: 3, paid: 4, images: 3 }, {}, continues),
		several('second try', 2, { paid: 3, images: 2 }, {}, twoTries),
		LOOP,
		CHAIN,
		ofBodies('ten workflows', 10, { workflows: 10 }),
		TWIN_UPLOADS,
		SCHEDULE,
	].map(trialOf),
];
const HUNDRED = trialOf(several('hundred', 100));
const FIFTY = trialOf(ofBodies('fifty executions', 50));
/** n8n is ended again while the retry waits; then the first execution is retried, or the retry. */
const AGAIN_FIRST = trialOf(several('retry killed, first retried', 5));
const AGAIN_SECOND = trialOf(several('retry killed, retry retried', 5));
const DEPLOYED = plain('deploy');

beforeAll(async () => {
	for (const prompt of ['unanswered: 2', 'unanswered, resubmitted: 2']) {
		lab.emulator.faults.add({
			at: 'submit',
			kind: 'hold',
			until: new Promise<never>(() => undefined),
			match: ({ form }) => form?.fields.prompt === prompt,
		});
	}
	FILES.bodies = [await upload('files', 3)];
	TWIN_UPLOADS.bodies = [await upload('twin', 1), await upload('twin', 1, 'x')];

	await begin(lab, ...CRASHED, AGAIN_FIRST, AGAIN_SECOND, HUNDRED, FIFTY);
	await lab.crashN8n(GRACE);
	await retryAll([HUNDRED]);
	const { first } = await AGAIN_FIRST.retryInVain();
	const { second } = await AGAIN_SECOND.retryInVain();
	for (let at = 0; at < CRASHED.length; at += 4) await retryAll(CRASHED.slice(at, at + 4));
	await retryAll([FIFTY]);
	await begin(lab, ...DEPLOYED);
	await lab.restartN8n(GRACE);
	await retryAll(DEPLOYED);
	await retryAll([AGAIN_FIRST], async () => await Promise.resolve(first));
	await retryAll([AGAIN_SECOND], async () => await Promise.resolve(second));
}, 400_000);

afterAll(async () => {
	await lab.restartN8n();
}, 200_000);

const ALL = [...CRASHED, FIFTY, AGAIN_FIRST, AGAIN_SECOND, HUNDRED, ...DEPLOYED];

it.each(ALL.map((trial): [string, Trial] => [trial.scenario.name, trial]))(
	'pays for nothing twice: %s',
	async (_, trial) => {
		const [is, shouldBe] = trial.told;
		expect(is).toEqual(shouldBe);
		for (const execution of trial.retried) await trial.scenario.check?.(execution);
	},
);

it.each([
	['while it waits', false],
	['while the request is open', true],
])('pays for nothing twice: Stop %s', async (when, isOpen) => {
	const trial = trialOf(several(`Stop ${when}`, 1));
	let answer: () => void = () => undefined;
	const answered = new Promise<void>((resolve) => {
		answer = resolve;
	});
	if (isOpen) lab.emulator.faults.add({ at: 'submit', kind: 'hold', until: answered });
	await begin(lab, trial);
	const [running = ''] = await trial.executions();
	await lab.n8n.stop(running);
	answer();
	await trial.untilKept(1);
	await retryAll([trial]);
	// Whether n8n runs the node again depends on which of its two writes came last.
	expect(trial.told[0]).toMatchObject({ paid: 1, unknown: 0 });
});

it('starts jobs of its own for what an execution that crashed was begun with', async () => {
	const [trial] = CRASHED;
	if (!trial) throw new Error('There is none.');
	const before = trial.submits.length;
	await lab.n8n.post(`webhook/${trial.paths[0] ?? ''}`, {});
	await until(() => trial.submits.length >= before + 5);
	expect(trial.submits).toHaveLength(before + 5);
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
		[
			'as it is slow',
			SLOW,
			'DROP TRIGGER slow_insert; DROP TRIGGER slow_update; DROP VIEW slowly;',
		],
	])(
		'costs the run nothing, %s',
		async (how, damage, repair) => {
			const oneByOne = { options: { maxConcurrentJobs: 1 } };
			const trial = trialOf(several(how, 2, { startedJobs: 1 }, oneByOne));
			const gaveUpBefore = await gaveUp();
			await begin(lab, trial);
			const database = spawn('sqlite3', [databaseFile()], { stdio: ['pipe', 'pipe', 'inherit'] });
			try {
				database.stdin.write(`.timeout 60000\n${damage}\n.print damaged\n`);
				await once(database.stdout, 'data');
				trial.finish();
				await until(() => trial.submits.length === 2, 60_000);
			} finally {
				database.stdin.end(`${repair}\n`);
				await once(database, 'exit');
			}
			const [running = ''] = await trial.executions();
			trial.retried = [await finishing([trial], lab.n8n.waitForExecution(running))];
			const [is, shouldBe] = trial.told;
			expect(is).toEqual(shouldBe);
			expect((await gaveUp()) - gaveUpBefore).toBe(1);
		},
		200_000,
	);
});

/** How many runs have gone on without n8n's database. */
async function gaveUp(): Promise<number> {
	return (await lab.log()).split("n8n's database does not keep").length - 1;
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
