import { randomUUID } from 'node:crypto';
import { cp, readFile } from 'node:fs/promises';
import { setTimeout as sleep } from 'node:timers/promises';
import { Command } from 'commander';
import type { INode } from 'n8n-workflow';
import {
	callWebhook,
	openService,
	runCommand,
	say,
	wholeNumber,
	withPackage,
} from '../test/bench/frame';
import { benchNode, prepareN8n, startByWebhook, withKey } from '../test/bench/n8n';
import { clearPeak, residentMemory } from '../test/bench/processMemory';
import { markdownTable } from '../test/bench/report';
import type { Emulator, Fault, Submit } from '../test/emulator/emulator';
import type { N8nClient, SavedWorkflow } from '../test/e2e/real-n8n/rest-client';
import { startN8n } from '../test/e2e/real-n8n/server';
import {
	chain,
	effectGenerate,
	getJob,
	imageGenerate,
	imageTune,
	sprite,
	workflow,
	type NodeSettings,
} from '../test/e2e/workflow';

const JOB_MS = 3000;
const EXECUTION_EVERY_MS = 1000;
const FAULT_EVERY_MS = 1500;
/** Of a hundred jobs, so many fail and so many do not end in time. */
const FAILED_SHARE = 0.05;
const LATE_SHARE = 0.02;
const ITEMS = 3;
/** Until then what n8n needed to start is still in memory. */
const WARM_UP_MS = 60_000;
/** After the last execution n8n has this long to settle. */
const SETTLE_MS = 30_000;
const LEFT_OVER_LIMIT_MS = 240_000;
const FAR_IN_MS = 60_000;

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

const faults: readonly Fault[] = [
	{ at: 'submit', kind: 'html', status: 502, when: 'received', match: isNamed },
	{ at: 'submit', kind: 'html', status: 502, when: 'accepted', match: isNamed },
	{ at: 'submit', kind: 'reset', when: 'accepted', match: isNamed },
	{ at: 'submit', kind: 'truncate', match: isNamed },
	{ at: 'submit', kind: 'respond', status: 429, headers: { 'retry-after': '1' }, when: 'received' },
	{ at: 'submit', kind: 'reset', when: 'uploading' },
	{ at: 'poll', kind: 'respond', status: 429, headers: { 'retry-after': '1' }, times: 3 },
	{ at: 'poll', kind: 'html', status: 502, times: 3 },
	{ at: 'poll', kind: 'reset' },
	{ at: 'poll', kind: 'garbage' },
	{ at: 'poll', kind: 'truncate' },
	{ at: 'poll', kind: 'stallBody' },
	{ at: 'download', kind: 'respond', status: 404, times: 2 },
	{ at: 'download', kind: 'html', status: 200, times: 2 },
	{ at: 'download', kind: 'reset' },
	{ at: 'download', kind: 'truncate' },
];

function oneOf<T>(values: readonly T[]): T | undefined {
	return values[Math.floor(Math.random() * values.length)];
}

async function endedCount(client: N8nClient, saved: readonly SavedWorkflow[]): Promise<number> {
	const ended = await Promise.all(saved.map(async (each) => await client.endedExecutions(each)));
	return ended.flat().length;
}

/** What has become of every job that was paid for. */
interface Account {
	paid: number;
	inExecutions: number;
	/** Failed jobs that Retry On Fail has replaced: no item or error is theirs any more. */
	replaced: number;
	/** The emulator never delivered the response, and the execution says that the outcome is unknown. */
	toldUnknown: number;
	lostJobIds: string[];
}

function accountOf(
	{ submits, requests, jobs }: Emulator,
	texts: ReadonlyMap<string, string>,
	log: string,
): Account {
	const all = [...texts.values()];
	const undelivered = new Set(
		requests.flatMap(({ method, fault, jobId }) =>
			method === 'POST' && fault !== undefined && jobId !== undefined ? [jobId] : [],
		),
	);
	const account: Account = {
		paid: submits.length,
		inExecutions: 0,
		replaced: 0,
		toldUnknown: 0,
		lostJobIds: [],
	};
	for (const submit of submits) {
		const { jobId } = submit;
		const [, executionId = ''] = /execution (\d+)/.exec(promptOf(submit)) ?? [];
		if (all.some((text) => text.includes(jobId))) account.inExecutions++;
		else if (
			undelivered.has(jobId) &&
			texts.get(executionId)?.includes('no usable response came back') === true
		) {
			account.toldUnknown++;
		} else if (jobs.get(jobId).outcome.status === 'Failed' && log.includes(jobId)) {
			account.replaced++;
		} else account.lostJobIds.push(jobId);
	}
	return account;
}

async function main({ minutes }: { minutes: number }): Promise<void> {
	await withPackage(async (tarball, started) => {
		const kit = await prepareN8n(tarball, say, started.add);
		const server = await startN8n(kit.install, {
			installNodes: async (nodes) => {
				await cp(kit.nodesDirectory, nodes, { recursive: true });
			},
		});
		started.add(server.stop);
		await server.ready;
		const wish = () => {
			const fate = Math.random();
			if (fate < FAILED_SHARE) return { outcome: { status: 'Failed' } };
			return fate < FAILED_SHARE + LATE_SHARE ? { durationMs: FAR_IN_MS } : undefined;
		};
		const options = { jobDurationMs: JOB_MS, wish };
		const { emulator, client, credential } = await openService(server.url, options, started);
		const saved: SavedWorkflow[] = [];
		const paths: string[] = [];
		for (const [name, nodes] of Object.entries(work)) {
			const path = randomUUID();
			const stage = benchNode('Stage', 'stage', { items: ITEMS, files: 2, bytes: 100_000 });
			const file = workflow(name, chain(startByWebhook(path), stage, ...nodes()));
			const each = await client.createWorkflow(withKey(file, credential));
			await client.activate(each);
			saved.push(each);
			paths.push(path);
		}

		let executions = 0;
		const call = async () => {
			const path = paths[executions++ % paths.length] ?? '';
			await callWebhook(client, path);
		};
		const warmUntilMs = Date.now() + WARM_UP_MS;
		while (Date.now() < warmUntilMs) {
			await call();
			await sleep(EXECUTION_EVERY_MS);
		}
		await clearPeak(server.pid);
		const atStart = await residentMemory(server.pid);
		say(`n8n takes ${atStart.now.toFixed(0)} MB; from now on there are faults`);

		const struck: { readonly struck: number }[] = [];
		const addFault = () => {
			const fault = oneOf(faults);
			if (fault) struck.push(emulator.faults.add(fault));
		};
		const mischief = setInterval(addFault, FAULT_EVERY_MS);
		started.add(() => {
			clearInterval(mischief);
		});
		const untilMs = Date.now() + minutes * 60_000;
		let sampledAtMs = Date.now();
		const samples: string[] = [];
		while (Date.now() < untilMs) {
			await call();
			await sleep(EXECUTION_EVERY_MS);
			if (Date.now() < sampledAtMs + 60_000) continue;
			sampledAtMs = Date.now();
			const { now } = await residentMemory(server.pid);
			samples.push(now.toFixed(0));
			say(`${executions} executions, ${emulator.submits.length} jobs, ${now.toFixed(0)} MB`);
		}
		clearInterval(mischief);
		emulator.faults.clear();
		const limitMs = Date.now() + LEFT_OVER_LIMIT_MS;
		while ((await endedCount(client, saved)) < executions && Date.now() < limitMs) {
			await sleep(1000);
		}
		await sleep(SETTLE_MS);
		const atEnd = await residentMemory(server.pid);

		const statuses = new Map<string, number>();
		const texts = new Map<string, string>();
		for (const each of saved) {
			for (const { id, status } of await client.endedExecutions(each)) {
				statuses.set(status, (statuses.get(status) ?? 0) + 1);
				texts.set(id, await client.savedText(id));
			}
		}
		const account = accountOf(emulator, texts, await readFile(server.logFile, 'utf8'));
		const faultCount = struck.reduce((sum, fault) => sum + fault.struck, 0);
		const rows: [string, string][] = [
			['Executions', `${executions}: ${[...statuses].map((pair) => pair.join(' ')).join(', ')}`],
			['Requests that met a fault', String(faultCount)],
			['Jobs paid', String(account.paid)],
			['IDs in an execution', String(account.inExecutions)],
			['Failed, and replaced by Retry On Fail (in the log only)', String(account.replaced)],
			['Response never delivered, reported as unknown', String(account.toldUnknown)],
			['IDs lost', String(account.lostJobIds.length)],
			['Memory of n8n at the start', `${atStart.now.toFixed(0)} MB`],
			['After each minute', `${samples.join(', ')} MB`],
			['Memory of n8n at the end', `${atEnd.now.toFixed(0)} MB`],
			['Most in between', `${atEnd.peak.toFixed(0)} MB`],
		];
		console.log(`\n${minutes} minutes of mixed work\n\n${markdownTable(['', ''], rows)}`);
		for (const jobId of account.lostJobIds) console.log(`lost: ${jobId}`);
		if (account.lostJobIds.length > 0 || texts.size < executions) process.exitCode = 1;
	});
}

runCommand(
	new Command('soak')
		.description('Runs mixed work with faults in a real n8n, and checks that no paid job is lost.')
		.option('--minutes <number>', 'how long', wholeNumber, 10)
		.action(main),
);
