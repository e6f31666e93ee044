import { readFile } from 'node:fs/promises';
import { setTimeout as sleep } from 'node:timers/promises';
import { Command } from 'commander';
import type { INode } from 'n8n-workflow';
import { runCommand, say, wholeNumber, withPackage } from '../test/bench/frame';
import { activated, openService, prepareN8n, startServer, unsavedJobs } from '../test/bench/n8n';
import { stage } from '../test/bench/nodes';
import { residentMemory } from '../test/bench/processMemory';
import type { Emulator, Fault, Submit } from '../test/emulator/emulator';
import { until } from '../test/e2e/real-n8n/until';
import {
	chain,
	effectGenerate,
	getJob,
	imageGenerate,
	imageTune,
	sprite,
	webhook,
	workflow,
	type NodeSettings,
} from '../test/e2e/workflow';

const EXECUTION_EVERY_MS = 1000;
const FAULT_EVERY_MS = 1500;
/** Of a hundred jobs, so many fail and so many do not end in time. */
const FAILED_SHARE = 0.05;
const LATE_SHARE = 0.02;
/** After the last execution n8n has this long to settle. */
const SETTLE_MS = 30_000;

const options = { timeout: 15 };
const named = '=A lighthouse, execution {{ $execution.id }}, row {{ $json.row }}';
const continues: NodeSettings = { onError: 'continueRegularOutput' };
const retries: NodeSettings = { retryOnFail: true, maxTries: 3, waitBetweenTries: 1000 };
const binary = { imageSource: 'binary', imageField: 'reference_0' };

/** The work that is mixed: what comes after a trigger and a node that gives items with two files each. */
const work: Readonly<Record<string, () => INode[]>> = {
	images: () => [imageGenerate({ prompt: named, options }, continues)],
	'images with references': () => [
		imageGenerate({ prompt: named, referenceImages: 'all', options }, retries),
	],
	variations: () => [imageGenerate({ prompt: named, jobsPerItem: 2, options }, continues)],
	effects: () => [effectGenerate({ description: named, options }, retries)],
	upscaling: () => [imageTune({ operation: 'upscale', ...binary, options }, continues)],
	sprites: () => [sprite({ operation: 'make', ...binary, text: named, options }, retries)],
	'images that are collected later': () => [
		imageGenerate({ prompt: named, waitForCompletion: false }, continues),
		getJob({ jobId: '={{ $json.job_id }}', waitForCompletion: true, options }, continues),
	],
};

function promptOf({ fields }: Pick<Submit, 'fields'>): string {
	return fields.prompt ?? fields.description ?? fields.text ?? '';
}

/** Only where the prompt names the execution can it be checked that it tells of a lost response. */
const isNamed: Fault['match'] = ({ form }) =>
	form !== undefined && /execution \d/.test(promptOf(form));

const limited = { kind: 'respond', status: 429, headers: { 'retry-after': '1' } } as const;
const faults: readonly Fault[] = [
	{ at: 'submit', kind: 'html', status: 502, when: 'received', match: isNamed },
	{ at: 'submit', kind: 'html', status: 502, when: 'accepted', match: isNamed },
	{ at: 'submit', kind: 'reset', when: 'accepted', match: isNamed },
	{ at: 'submit', kind: 'truncate', match: isNamed },
	{ at: 'submit', ...limited },
	{ at: 'submit', kind: 'reset', when: 'uploading' },
	{ at: 'poll', ...limited, times: 3 },
	{ at: 'poll', kind: 'html', status: 502, times: 3 },
	{ at: 'poll', kind: 'stallBody' },
	{ at: 'download', kind: 'respond', status: 404, times: 2 },
	{ at: 'download', kind: 'html', status: 200, times: 2 },
	...(['poll', 'download'] as const).flatMap((at): Fault[] => [
		{ at, kind: 'reset' },
		{ at, kind: 'truncate' },
	]),
];

/** The jobs whose IDs are in no execution, though nothing explains that. */
function lostJobs(
	{ submits, requests, jobs }: Emulator,
	texts: ReadonlyMap<string, string>,
	log: string,
): string[] {
	const all = submits.map(({ jobId }) => jobId);
	const { onlyInLogs, nowhere } = unsavedJobs(all, [...texts.values()], [log]);
	// Retry On Fail has replaced it: no item or error is its own any more.
	const isReplaced = (jobId: string) => jobs.get(jobId).outcome.status === 'Failed';
	// The emulator never delivered the response, and the execution says that the outcome is unknown.
	const isToldUnknown = (jobId: string) => {
		const submit = submits.find((each) => each.jobId === jobId);
		const [, executionId = ''] = /execution (\d+)/.exec(submit ? promptOf(submit) : '') ?? [];
		return (
			texts.get(executionId)?.includes('no usable response came back') === true &&
			requests.some(({ method, fault, ...made }) => {
				return method === 'POST' && fault && made.jobId === jobId;
			})
		);
	};
	const unexplained = onlyInLogs.filter((jobId) => !isReplaced(jobId));
	return [...unexplained, ...nowhere].filter((jobId) => !isToldUnknown(jobId));
}

async function main({ minutes }: { minutes: number }): Promise<void> {
	await withPackage(async (installNodes, started) => {
		const server = await startServer(await prepareN8n(installNodes, started), started);
		const wish = () => {
			const fate = Math.random();
			if (fate < FAILED_SHARE) return { outcome: { status: 'Failed' } };
			return fate < FAILED_SHARE + LATE_SHARE ? { durationMs: 60_000 } : undefined;
		};
		const user = await openService(server.url, { jobDurationMs: 3000, wish }, started);
		const { emulator, client } = user;
		const files = Object.entries(work).map(([name, nodes]) => (path: string) => {
			const start = [webhook(path, 'onReceived'), stage(3, 2, 100_000)];
			return workflow(name, chain(...start, ...nodes()));
		});
		const workflows = await Promise.all(files.map(async (file) => await activated(user, file)));

		let executions = 0;
		const memory: string[] = [];
		const callForAMinute = async () => {
			for (const endMs = Date.now() + 60_000; Date.now() < endMs;) {
				await workflows[executions++ % workflows.length]?.call();
				await sleep(EXECUTION_EVERY_MS);
			}
			memory.push((await residentMemory(server.pid)).toFixed(0));
			say(`${executions} executions, ${emulator.submits.length} jobs, ${memory.at(-1)} MB`);
		};
		// Until then what n8n needed to start is still in memory.
		await callForAMinute();
		const mischief = setInterval(() => {
			const fault = faults[Math.floor(Math.random() * faults.length)];
			if (fault) emulator.faults.add(fault);
		}, FAULT_EVERY_MS);
		started.add(() => {
			clearInterval(mischief);
		});
		for (let minute = 0; minute < minutes; minute++) await callForAMinute();
		clearInterval(mischief);
		emulator.faults.clear();
		const allEnded = async () => {
			const lists = workflows.map(async ({ saved }) => await client.endedExecutions(saved));
			const ended = (await Promise.all(lists)).flat();
			return ended.length >= executions && ended;
		};
		const ended = await until(allEnded, 240_000, 1000);
		await sleep(SETTLE_MS);
		memory.push((await residentMemory(server.pid)).toFixed(0));

		const texts = new Map<string, string>();
		for (const { id } of ended) texts.set(id, await client.savedText(id));
		const log = await readFile(server.logFile, 'utf8');
		const lost = lostJobs(emulator, texts, log);
		const successes = ended.filter(({ status }) => status === 'success').length;
		console.log(`
${minutes} minutes of mixed work with faults
Executions: ${successes} of ${ended.length} ended in success
Requests that met a fault: ${emulator.requests.filter(({ fault }) => fault).length}
Jobs paid: ${emulator.submits.length}
IDs lost: ${[lost.length, ...lost].join(' ')}
Memory of n8n in MB after each minute, and at rest: ${memory.join(', ')}`);
		if (lost.length > 0) process.exitCode = 1;
	});
}

runCommand(
	new Command('soak')
		.description('Runs mixed work with faults in a real n8n, and checks that no paid job is lost.')
		.option('--minutes <number>', 'how long', wholeNumber, 10)
		.action(main),
);
