import { execFile } from 'node:child_process';
import { randomUUID } from 'node:crypto';
import { dirname, join } from 'node:path';
import { promisify } from 'node:util';
import type { INode, INodeParameters } from 'n8n-workflow';

import { isQueueMode, setting, type Lab } from './lab';
import type { Execution, SavedWorkflow, WorkflowFile } from './real-n8n/rest-client';
import { until } from './real-n8n/until';
import { generateFrom } from './scenarios';
import {
	chain,
	everySecond,
	imageGenerate,
	webhook,
	workflow,
	type NodeSettings,
} from './workflow';

/** What an execution is begun with. */
type Body = Parameters<Lab['n8n']['post']>[1];

export interface Scenario {
	/** Its prompts begin with it. */
	name: string;
	build: (start: INode) => WorkflowFile;
	/** A webhook, unless another one is given. */
	trigger?: () => INode;
	/** What is sent to the webhook, each for an execution of its own. */
	bodies?: Body[];
	/** They take turns with what is sent. */
	workflows?: number;
	triggerLast?: true;
	savesProgress?: true;
	/** The retry is made with the workflow as it is saved, in which this has been changed. */
	edit?: (node: INode) => void;
	lastNode?: string;
	/** Jobs of all executions and retries together. */
	paid: number;
	/** Of them, those that have been paid for when n8n ends. All, unless told otherwise. */
	startedJobs?: number;
	/** Images of the very jobs of their prompts that the last retries put out. All, unless told otherwise. */
	images?: number;
	/** Unknown outcomes that they put out. */
	unknown?: number;
	check?: (retried: Execution) => Promise<void>;
}

const START_WITHIN_MS = 60_000;
const POLLED_WITHIN_MS = 20_000;
const KEPT_WITHIN_MS = 20_000;
/** That a request was sent, and the 32 digits of the job's ID. */
const TEXTS_PER_JOB = 35;

/** Changes nothing: the retry is of the saved workflow. */
export const asSaved = (): void => undefined;

export function prompts(name: string, count: number): string[] {
	return Array.from({ length: count }, (_, index) => `${name}: ${index + 1}`);
}

/** Makes so many images side by side. */
export function several(
	name: string,
	count: number,
	differences: Partial<Scenario> = {},
	parameters: INodeParameters = {},
	settings: NodeSettings = {},
): Scenario {
	const all = { options: { maxConcurrentJobs: 100 }, ...parameters };
	const build = (start: INode) => generateFrom(start, prompts(name, count), all, settings);
	return { name, build, paid: count, ...differences };
}

/** Makes an image of each thing that is sent to the webhook. */
export function ofBodies(
	name: string,
	count: number,
	differences: Partial<Scenario> = {},
): Scenario {
	const generate = imageGenerate({ prompt: '={{ $json.body.prompt }}' });
	const build = (start: INode) => workflow(name, chain(start, generate));
	const bodies = prompts(name, count).map((prompt) => ({ prompt }));
	return { name, build, bodies, paid: count, ...differences };
}

/** Executions of one scenario that are begun, disturbed, and retried. */
export class Trial {
	/** Of the webhooks. */
	readonly paths: string[];
	readonly saved: SavedWorkflow[] = [];
	/** What the last retries have come to. */
	retried: Execution[] = [];
	failure: string | undefined;

	/** @param lab whose jobs never end by themselves */
	constructor(
		private readonly lab: Lab,
		readonly scenario: Scenario,
	) {
		this.paths = Array.from({ length: scenario.workflows ?? 1 }, () => randomUUID());
	}

	get submits(): Lab['emulator']['submits'] {
		const { submits } = this.lab.emulator;
		return submits.filter(({ fields }) => fields.prompt?.startsWith(`${this.scenario.name}:`));
	}

	/** What it has come to, and what it should have. */
	get told(): [is: object, shouldBe: object] {
		const { paid, images = paid, unknown = 0, lastNode = 'Generate' } = this.scenario;
		const items = this.retried.flatMap((execution) => execution.items(lastNode));
		const right = items.filter(({ json, binary }) => {
			const submit = this.submits.find(({ jobId }) => jobId === json.job_id);
			return submit?.fields.prompt === json.prompt && binary?.data?.mimeType === 'image/png';
		});
		const isUnknown = ({ json }: (typeof items)[number]) =>
			(json.error as { message?: string } | undefined)?.message?.startsWith(
				'It is not known whether',
			);
		const endings = this.retried.map(({ status, errorMessage }) => errorMessage ?? status);
		const is = {
			paid: this.submits.length,
			images: new Set(right.map(({ json }) => json.job_id)).size,
			unknown: items.filter(isUnknown).length,
			otherEndings: endings.filter((ending) => ending !== 'success'),
			failure: this.failure,
		};
		return [is, { paid, images, unknown, otherEndings: [], failure: undefined }];
	}

	async save(): Promise<void> {
		const { build, trigger, triggerLast, savesProgress = false } = this.scenario;
		for (const path of this.paths) {
			// A request that waits for its execution could outlive the n8n that is killed.
			const start = webhook(path, 'onReceived');
			const file = build(trigger?.() ?? start);
			if (triggerLast) file.nodes.reverse();
			file.settings = { ...file.settings, saveExecutionProgress: savesProgress };
			this.saved.push(await this.lab.save(file));
		}
		if (!trigger) for (const each of this.saved) await this.lab.n8n.activate(each);
	}

	/** Starts the executions, and waits for the jobs that are to be started. */
	async start(): Promise<void> {
		const { trigger, bodies = [{}], paid, startedJobs = paid } = this.scenario;
		if (trigger) for (const each of this.saved) await this.lab.n8n.activate(each);
		for (const [index, body] of trigger ? [] : bodies.entries()) {
			const path = `webhook/${this.paths[index % this.paths.length] ?? ''}`;
			// That it has begun is seen by its jobs.
			this.lab.n8n.post(path, body).catch(() => undefined);
		}
		const fail = (error: unknown) => {
			this.failure = String(error);
		};
		await until(() => this.submits.length >= startedJobs, START_WITHIN_MS, 20).catch(fail);
		if (trigger !== everySecond) return;
		for (const each of this.saved) await this.lab.n8n.deactivate(each);
		const haveBegun = async () => (await this.executions()).length === this.submits.length;
		await until(haveBegun).catch(fail);
		// How many times it has fired cannot be foreseen. The first execution ends well.
		this.scenario.paid = this.submits.length;
		this.scenario.images = this.scenario.paid - 1;
	}

	/** Waits until n8n's database has the IDs of so many jobs. */
	async untilKept(count: number): Promise<void> {
		const ids = this.saved.map(({ id }) => `'${id}'`).join();
		const isKept = async () => {
			const rows = await query(`SELECT value FROM processed_data WHERE "workflowId" IN (${ids})`);
			// Each text is there as an MD5 in Base64.
			return rows.split('==').length > count * TEXTS_PER_JOB;
		};
		await until(isKept, KEPT_WITHIN_MS, 200).catch(() => {
			this.failure = `n8n's database does not have the IDs of ${count} jobs`;
		});
	}

	async executions(): Promise<string[]> {
		const listed = this.saved.map(async (each) => await this.lab.n8n.executions(each));
		return (await Promise.all(listed)).flat().map(({ id }) => id);
	}

	/** The executions that have ended, and not well. */
	async endedBadly(): Promise<string[]> {
		const { bodies = [{}] } = this.scenario;
		const ids: string[] = [];
		for (const saved of this.saved) {
			const executions = await until(async () => {
				const ended = await this.lab.n8n.endedExecutions(saved);
				if (ended.length < bodies.length / this.saved.length) return undefined;
				const all = await this.lab.n8n.executions(saved);
				return all.every(({ id }) => ended.some((each) => each.id === id)) && ended;
			});
			ids.push(...executions.filter(({ status }) => status !== 'success').map(({ id }) => id));
		}
		return ids;
	}

	/** Retries executions, which n8n answers when they have ended. */
	async retry(ids: readonly string[]): Promise<Execution[]> {
		const { edit } = this.scenario;
		for (const each of edit && edit !== asSaved ? this.saved : []) {
			await this.lab.n8n.update(each, edit ?? asSaved);
		}
		const how = { loadWorkflow: edit !== undefined };
		return await Promise.all(ids.map(async (id) => await this.lab.n8n.retry(id, how)));
	}

	/** Retries what has not ended well, and does not let the jobs come to their end. Gives all IDs. */
	async retryInVain(): Promise<{ first: string[]; second: string[] }> {
		const first = await this.endedBadly();
		const startedAtMs = Date.now();
		// n8n is ended before it answers.
		this.retry(first).catch(() => undefined);
		await untilPolled(this.lab, [this], startedAtMs);
		const second = (await this.executions()).filter((id) => !first.includes(id));
		return { first, second };
	}

	/** Lets the jobs come to their end. */
	finish(): void {
		const { jobs } = this.lab.emulator;
		for (const { jobId } of this.submits) {
			if (jobs.get(jobId).durationMs === Infinity) jobs.finish(jobId);
		}
	}
}

/** Starts the executions of trials, and waits until all their jobs are waited for. */
export async function begin(lab: Lab, ...trials: readonly Trial[]): Promise<void> {
	// One after the other: n8n 1 mixes up its transactions on sqlite.
	for (const trial of trials) await trial.save();
	for (const trial of trials) await trial.start();
	await untilPolled(lab, trials);
	for (const trial of trials) await trial.untilKept(keptJobs(lab, trial));
}

/**
 * Retries all that has not ended well at once, and lets the jobs come to their end. What does not is for the
 * scenario's own test to tell.
 */
export async function retryAll(
	trials: readonly Trial[],
	idsOf: (trial: Trial) => Promise<readonly string[]> = async (trial) => await trial.endedBadly(),
): Promise<void> {
	const retried = trials.map(async (trial) => {
		try {
			trial.retried = await trial.retry(await idsOf(trial));
		} catch (error) {
			trial.failure = String(error);
		}
	});
	await finishing(trials, Promise.all(retried));
}

/** Lets the jobs of trials come to their end until something is done. */
export async function finishing<T>(trials: readonly Trial[], done: Promise<T>): Promise<T> {
	const again = setInterval(() => {
		for (const trial of trials) trial.finish();
	}, 100);
	return await done.finally(() => {
		clearInterval(again);
	});
}

/** The jobs of a trial that n8n knows of: the requests for others are still open. */
function knownTo({ emulator }: Lab, { submits }: Trial): Trial['submits'] {
	const held = emulator.requests.filter(({ fault }) => fault === 'hold');
	return submits.filter(({ jobId }) => !held.some((request) => request.jobId === jobId));
}

/** How many of them n8n's database has: a job takes the place of a failed one. */
function keptJobs(lab: Lab, trial: Trial): number {
	const known = knownTo(lab, trial);
	const isLast = (prompt: string | undefined, index: number) =>
		known.findLastIndex(({ fields }) => fields.prompt === prompt) === index;
	const { jobs } = lab.emulator;
	return known.filter(
		({ jobId, fields }, index) =>
			jobs.get(jobId).outcome.status !== 'Failed' || isLast(fields.prompt, index),
	).length;
}

/** Waits until n8n asks for the jobs of trials. */
async function untilPolled(lab: Lab, trials: readonly Trial[], sinceMs = 0): Promise<void> {
	const unpolled = (trial: Trial) => {
		const polls = lab.emulator.requests.filter(
			({ method, startedAtMs }) => method === 'GET' && startedAtMs >= sinceMs,
		);
		const polled = new Set(polls.map(({ jobId }) => jobId));
		return knownTo(lab, trial).filter(({ jobId }) => !polled.has(jobId));
	};
	const all = () => trials.every((trial) => unpolled(trial).length === 0);
	await until(all, POLLED_WITHIN_MS).catch(() => {
		for (const trial of trials) {
			const left = unpolled(trial).map(({ fields }) => fields.prompt);
			if (left.length > 0) trial.failure = `Not waited for: ${left.join(', ')}`;
		}
	});
}

/** The file in which n8n keeps its data where it has no queue. */
export function databaseFile(): string {
	return join(dirname(setting('E2E_N8N_LOG')), '.n8n', 'database.sqlite');
}

/** What n8n's database gives for a query, a line for each row. */
async function query(sql: string): Promise<string> {
	const postgres = () => `postgresql://n8n@127.0.0.1:${setting('E2E_POSTGRES_PORT')}/postgres`;
	const [program, ...args] = isQueueMode
		? (['psql', postgres(), '-tAc'] as const)
		: (['sqlite3', '-readonly', '-cmd', '.timeout 5000', databaseFile()] as const);
	return (await promisify(execFile)(program, [...args, sql])).stdout;
}
