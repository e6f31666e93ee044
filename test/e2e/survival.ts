import { randomUUID } from 'node:crypto';
import { setTimeout as sleep } from 'node:timers/promises';
import type { INode } from 'n8n-workflow';

import { until, type Lab } from './lab';
import type { Execution, SavedWorkflow, WorkflowFile } from './real-n8n/rest-client';
import { generateFrom, save } from './scenarios';
import {
	chain,
	everySecond,
	imageGenerate,
	manualTrigger,
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
	/** Jobs that have been paid for when n8n ends. */
	startedJobs: number;
	/** The retry is made with the workflow as it is saved, in which this has been changed. */
	edit?: (node: INode) => void;
	/** n8n is ended again while the retry waits; then this one is retried. */
	retriesAgain?: 'first' | 'second';
	lastNode?: string;
	/** Of all executions and retries together. */
	paid: number;
	/** What the last retries put out: images of the very jobs of their prompts, and unknown outcomes. */
	images: number;
	unknown?: number;
	check?: (retried: Execution) => Promise<void>;
}

const START_WITHIN_MS = 60_000;
const POLLED_WITHIN_MS = 20_000;
/** From the first poll until n8n's database has what it will have. */
export const SETTLED_MS = 500;

/** Changes nothing: the retry is of the saved workflow. */
export const asSaved = (): void => undefined;

export function prompts(name: string, count: number): string[] {
	return Array.from({ length: count }, (_, index) => `${name}: ${index + 1}`);
}

/** Makes so many images side by side. */
export function several(
	name: string,
	count: number,
	parameters: INode['parameters'] = {},
	settings: NodeSettings = {},
): Pick<Scenario, 'name' | 'build'> {
	const options = { maxConcurrentJobs: 100 };
	return {
		name,
		build: (start) =>
			generateFrom(start, prompts(name, count), { options, ...parameters }, settings),
	};
}

/** Makes an image of what is sent to the webhook. */
export function ofBody(name: string, count: number): Pick<Scenario, 'name' | 'build' | 'bodies'> {
	return {
		name,
		build: (start) =>
			workflow(name, chain(start, imageGenerate({ prompt: '={{ $json.body.prompt }}' }))),
		bodies: prompts(name, count).map((prompt) => ({ prompt })),
	};
}

/** Executions that are begun, disturbed, and retried. */
export class Survival {
	/** By the scenario's name. */
	readonly pathsOf = new Map<string, string[]>();
	readonly workflowsOf = new Map<string, SavedWorkflow[]>();
	/** What the last retries have come to. */
	readonly retriedOf = new Map<string, Execution[]>();

	private readonly failures = new Map<string, string>();

	/** @param lab whose jobs never end by themselves */
	constructor(private readonly lab: Lab) {}

	/** What a scenario has come to. */
	toldOf(scenario: Pick<Scenario, 'name' | 'lastNode'>): {
		paid: number;
		images: number;
		unknown: number;
		/** What went otherwise. */
		endings: unknown[];
	} {
		const retried = this.retriedOf.get(scenario.name) ?? [];
		const items = retried.flatMap((execution) => execution.items(scenario.lastNode ?? 'Generate'));
		const right = items.filter(({ json, binary }) => {
			const submit = this.submitsOf(scenario).find(({ jobId }) => jobId === json.job_id);
			return submit?.fields.prompt === json.prompt && binary?.data?.mimeType === 'image/png';
		});
		return {
			paid: this.submitsOf(scenario).length,
			images: new Set(right.map(({ json }) => json.job_id)).size,
			unknown: items.filter(({ json }) =>
				messageOf(json.error).startsWith('It is not known whether'),
			).length,
			endings: [
				...retried.map(
					({ status, errorMessage }) => status !== 'success' && (errorMessage ?? status),
				),
				this.failures.get(scenario.name),
			].filter(Boolean),
		};
	}

	/** Starts the executions of scenarios, and waits until all their jobs are waited for. */
	async begin(scenarios: readonly Scenario[]): Promise<void> {
		// One after the other: n8n 1 mixes up its transactions on sqlite.
		for (const scenario of scenarios) await this.save(scenario);
		for (const scenario of scenarios) {
			await this.send(scenario);
			const isStarted = () => this.submitsOf(scenario).length >= scenario.startedJobs;
			const begun = until(isStarted, START_WITHIN_MS);
			await begun.catch((error: unknown) => this.failures.set(scenario.name, String(error)));
			if (scenario.trigger === everySecond) await this.endSchedule(scenario);
		}
		const isHeld = (jobId: string) =>
			this.lab.emulator.requests.some(
				(request) => request.jobId === jobId && request.fault === 'hold',
			);
		const jobs = scenarios
			.flatMap((each) => this.submitsOf(each))
			.filter(({ jobId }) => !isHeld(jobId));
		await this.untilPolled(jobs);
		await sleep(SETTLED_MS);
	}

	/** Waits until n8n asks for jobs. */
	private async untilPolled(jobs: Lab['emulator']['submits'], sinceMs = 0): Promise<void> {
		const unpolled = () => {
			const polled = this.polledSince(sinceMs);
			return jobs.filter(({ jobId }) => !polled.has(jobId));
		};
		await until(() => unpolled().length === 0, POLLED_WITHIN_MS).catch(() => {
			for (const { fields } of unpolled()) {
				const name = fields.prompt?.split(':', 1)[0] ?? '';
				this.failures.set(name, `${String(fields.prompt)} is not waited for`);
			}
		});
	}

	private async save(scenario: Scenario): Promise<void> {
		const { name, build, trigger, workflows = 1, triggerLast, savesProgress } = scenario;
		const paths = Array.from({ length: workflows }, () => randomUUID());
		this.pathsOf.set(name, paths);
		const saved: SavedWorkflow[] = [];
		for (const path of paths) {
			const file = build(trigger?.() ?? answersAtOnce(webhook(path)));
			if (triggerLast) file.nodes.reverse();
			file.settings = { ...file.settings, saveExecutionProgress: savesProgress ?? false };
			saved.push(await save(this.lab, file));
		}
		this.workflowsOf.set(name, saved);
		for (const each of trigger ? [] : saved) await this.lab.n8n.activate(each);
	}

	private async send({ name, trigger, bodies = [{}] }: Scenario): Promise<void> {
		const saved = this.workflowsOf.get(name) ?? [];
		for (const each of trigger ? saved : []) {
			if (trigger === manualTrigger) await this.lab.n8n.startManually(each, 'Start');
			else await this.lab.n8n.activate(each);
		}
		if (trigger) return;
		const paths = this.pathsOf.get(name) ?? [];
		bodies.forEach((body, index) => {
			const path = `webhook/${paths[index % paths.length] ?? ''}`;
			// That it has begun is seen by its jobs.
			this.lab.n8n.post(path, body).catch(() => undefined);
		});
	}

	/** How many times it has fired cannot be foreseen. The first execution ends well. */
	async endSchedule(scenario: Scenario): Promise<void> {
		for (const saved of this.workflowsOf.get(scenario.name) ?? [])
			await this.lab.n8n.deactivate(saved);
		scenario.paid = this.submitsOf(scenario).length;
		scenario.images = scenario.paid - 1;
	}

	/** The executions of a scenario that have not ended well. */
	async endedIds({ name, bodies = [{}], workflows = 1 }: Scenario): Promise<string[]> {
		const ids: string[] = [];
		for (const saved of this.workflowsOf.get(name) ?? []) {
			let executions = await this.lab.n8n.executions(saved);
			await until(async () => {
				executions = await this.lab.n8n.endedExecutions(saved);
				if (executions.length < bodies.length / workflows) return false;
				const all = await this.lab.n8n.executions(saved);
				return all.every(({ id }) => executions.some((ended) => ended.id === id));
			});
			ids.push(...executions.filter(({ status }) => status !== 'success').map(({ id }) => id));
		}
		return ids;
	}

	/**
	 * Retries all that has not ended well at once, and lets the jobs come to their end. What does not is for the
	 * scenario's own test to tell.
	 */
	async retry(
		scenarios: readonly Scenario[],
		idsOf: (scenario: Scenario) => readonly string[] | undefined = () => undefined,
	): Promise<void> {
		const ended = scenarios.map(async (scenario) => {
			try {
				const ids = idsOf(scenario) ?? (await this.endedIds(scenario));
				this.retriedOf.set(scenario.name, await this.retried(scenario, ids));
			} catch (error) {
				this.failures.set(scenario.name, String(error));
			}
		});
		await this.finishing(scenarios, Promise.all(ended));
	}

	/** Retries executions, which n8n answers when they have ended. */
	async retried({ name, edit }: Scenario, ids: readonly string[]): Promise<Execution[]> {
		if (edit && edit !== asSaved) {
			for (const saved of this.workflowsOf.get(name) ?? []) await this.lab.n8n.update(saved, edit);
		}
		const retry = async (id: string) =>
			await this.lab.n8n.retry(id, { loadWorkflow: edit !== undefined });
		return await Promise.all(ids.map(retry));
	}

	/** Retries what has not ended well, without letting the jobs come to their end. Gives all IDs. */
	async retryInVain(scenario: Scenario): Promise<{ first: string[]; second: string[] }> {
		const first = await this.endedIds(scenario);
		const startedAtMs = Date.now();
		// n8n is ended before it answers.
		this.retried(scenario, first).catch(() => undefined);
		await this.untilPolled(this.submitsOf(scenario), startedAtMs);
		const [saved] = this.workflowsOf.get(scenario.name) ?? [];
		const all = saved ? await this.lab.n8n.executions(saved) : [];
		return { first, second: all.filter(({ mode }) => mode === 'retry').map(({ id }) => id) };
	}

	/** Lets the jobs of scenarios come to their end until something is done. */
	async finishing<T>(scenarios: readonly Pick<Scenario, 'name'>[], done: Promise<T>): Promise<T> {
		const again = setInterval(() => {
			scenarios.forEach((each) => {
				this.finish(each);
			});
		}, 100);
		return await done.finally(() => {
			clearInterval(again);
		});
	}

	submitsOf({ name }: Pick<Scenario, 'name'>): Lab['emulator']['submits'] {
		return this.lab.emulator.submits.filter(({ fields }) => fields.prompt?.startsWith(`${name}:`));
	}

	/** The jobs that n8n has asked for. */
	polledSince(sinceMs: number): Set<string> {
		return new Set(
			this.lab.emulator.requests.flatMap(({ method, jobId, startedAtMs }) =>
				method === 'GET' && jobId !== undefined && startedAtMs >= sinceMs ? [jobId] : [],
			),
		);
	}

	finish(scenario: Pick<Scenario, 'name'>): void {
		const { jobs } = this.lab.emulator;
		for (const { jobId } of this.submitsOf(scenario)) {
			if (jobs.get(jobId).durationMs === Infinity) jobs.finish(jobId);
		}
	}
}

/** A request that waits for its execution could outlive the n8n that is killed. */
function answersAtOnce(start: INode): INode {
	return { ...start, parameters: { ...start.parameters, responseMode: 'onReceived' } };
}

function messageOf(error: unknown): string {
	return error !== null && typeof error === 'object' && 'message' in error
		? String(error.message)
		: '';
}
