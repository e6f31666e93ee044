import { tinyPicture } from '../emulator/pictures';
import { VirtualClock as DayClock } from '../support/virtualClock';
import type { Day, Disruption, Retry } from './day';
import { N8n, type Execution } from './n8n';
import { Network } from './network';
import { KEYS, Service } from './service';
import { itemsOf, workflowOf, type Edits, type SavedWorkflow } from './workflow';

/** A day that is over: what the rules judge. */
export type Played = Awaited<ReturnType<typeof play>>;

/** Longer than anything that is still under way when the last execution has ended. */
const AFTERGLOW_MS = 300_000;

/** Numbers from 0 to 1 in an order that the seed decides (mulberry32). */
function randomFrom(seed: number): () => number {
	let state = seed;
	return () => {
		state = (state + 0x6d2b79f5) | 0;
		let t = Math.imul(state ^ (state >>> 15), 1 | state);
		t = (t + Math.imul(t ^ (t >>> 7), 61 | t)) ^ t;
		return ((t ^ (t >>> 14)) >>> 0) / 4294967296;
	};
}

/** Plays a day from its beginning to the last retry, in a world that is healthy by then. */
export async function play(day: Day) {
	const clock = new DayClock();
	const random = randomFrom(day.seed);
	const network = new Network(clock, () => Math.round(day.latencyMs * (0.5 + random())));
	/** What nobody handled, and what went on for ever. */
	const unhandled: string[] = [];
	const note = (error: unknown) => unhandled.push(`unhandled: ${String(error)}`);
	const { random: realRandom } = Math;
	const undo = [clock.install(), network.install()];
	Math.random = random;
	process.on('unhandledRejection', note);
	try {
		const service = await Service.open(day, clock, network);
		const story = new Story(day, clock, network, service);
		try {
			await clock.run(story.tell());
		} catch (error) {
			unhandled.push(error instanceof Error ? (error.stack ?? error.message) : String(error));
		}
		await service.emulator.close();
		const { n8n, healedAtMs } = story;
		return { day, n8n, service, network, healedAtMs, unhandled };
	} finally {
		process.off('unhandledRejection', note);
		Math.random = realRandom;
		for (const each of undo) each();
	}
}

class Story {
	readonly n8n: N8n;
	/** From here on everything works. */
	healedAtMs = Infinity;
	readonly #imageUrl: string;
	#saved: SavedWorkflow;
	#hasCredential = true;
	#hasOddKey: boolean;

	constructor(
		private readonly day: Day,
		private readonly clock: DayClock,
		private readonly network: Network,
		private readonly service: Service,
	) {
		this.#hasOddKey = day.credential === 'odd';
		const { jobs, cdnUrl, apiUrl } = service.emulator;
		const image = jobs.add({ id: 'aaaaaaaa-0000-4000-8000-000000000000', durationMs: 0 });
		this.#imageUrl = `${cdnUrl}/results/${image.id}/1.png`;
		const { variations, options, onError } = day;
		this.#saved = workflowOf(day, { prompt: 0, variations, options, onError }, this.#imageUrl);
		const credentialOf = (itemIndex: number) => {
			if (!this.#hasCredential) throw new Error('Credential with ID "1" does not exist');
			const key = day.credential === 'perItem' ? KEYS[itemIndex % 2] : KEYS[0];
			return { apiKey: `${this.#hasOddKey ? '\u200b' : ''}${key ?? ''}`, baseUrl: apiUrl };
		};
		this.n8n = new N8n(day, clock, credentialOf, network);
	}

	async tell(): Promise<void> {
		const { refused, disruption, beside, retries, filesGoInRetry } = this.day;
		if (refused) {
			const { after, times } = refused;
			this.network.refuses = (number) => number >= after && number < after + times;
		}
		const first = this.#during(disruption, async () => {
			await this.#start('first');
		});
		const second = beside && this.#start(beside.equal ? 'first' : 'second', beside.afterMs);
		await Promise.all([first, second]);
		if (filesGoInRetry) this.n8n.files.deleteAll();
		for (const retry of retries) await this.#retry(retry);
		await this.#heal();
		await this.clock.wait(AFTERGLOW_MS, 'service');
	}

	async #start(label: string, afterMs?: number): Promise<void> {
		if (afterMs !== undefined) await this.clock.wait(afterMs, 'service');
		const store = async (content: string) => await this.n8n.store(tinyPicture(content, 'png'));
		const items = await itemsOf(this.day, label, store);
		await this.n8n.start(label, this.#saved, items);
	}

	/** Whatever is said to happen meanwhile happens. */
	async #during(disruption: Disruption | undefined, act: () => Promise<unknown>): Promise<void> {
		let count = 0;
		const watch = (place: string) => {
			if (place !== disruption?.at || count++ !== disruption.nth) return;
			this.clock.after(disruption.delayMs, 'service', () => {
				this.#disrupt(disruption.kind);
			});
		};
		this.network.watchers.add(watch);
		await act();
		this.network.watchers.delete(watch);
	}

	#disrupt(kind: Disruption['kind']): void {
		if (this.healedAtMs < Infinity) return;
		if (kind === 'stop') this.n8n.stop();
		else if (kind === 'crash') this.n8n.crash();
		else if (kind === 'deploy') void this.n8n.deploy();
		else if (kind === 'revokeKey') this.service.emulator.apiKeys.clear();
		else this.#hasCredential = false;
	}

	async #retry({ of, workflow, edit, twice, rerun, laterMs, disruption }: Retry): Promise<void> {
		const candidates = this.#retryable();
		const retried = of === 'newest' ? candidates.at(-1) : candidates[0];
		if (!retried) return;
		await this.clock.wait(laterMs, 'service');
		if (laterMs > 0) this.#mendCredential();
		const { prompt, options } = this.#saved.edits;
		const edits: Record<Retry['edit'], Partial<Edits>> = {
			nothing: {},
			prompt: { prompt: prompt + 1 },
			timeout: { options: { ...options, timeout: 600 } },
			resubmit: { options: { ...options, resubmitIfUnknown: true } },
			fewerVariations: { variations: 1 },
		};
		this.#edit(edits[edit]);
		const canRerun = rerun && this.day.n8n === '1.123' && retried.ending === 'crashed';
		const once = async () => {
			if (canRerun) await this.n8n.rerun(retried);
			else await this.n8n.retry(retried, workflow === 'saved' ? this.#saved : undefined);
		};
		await this.#during(disruption, async () => {
			await Promise.all(twice && !canRerun ? [once(), once()] : [once()]);
		});
	}

	/** Executions that failed and of which no retry has succeeded. */
	#retryable(): Execution[] {
		const { executions } = this.n8n;
		const hasSucceeded = (execution: Execution): boolean =>
			executions.some(({ retryOf, ending }) => retryOf === execution && ending === 'success');
		return executions.filter((each) => this.n8n.canRetry(each) && !hasSucceeded(each));
	}

	#edit(changed: Partial<Edits>): void {
		const edits = { ...this.#saved.edits, ...changed };
		this.#saved = workflowOf(this.day, edits, this.#imageUrl);
	}

	#mendCredential(): void {
		this.#hasCredential = true;
		this.#hasOddKey = false;
		const { apiKeys } = this.service.emulator;
		for (const key of KEYS.slice(0, this.day.credential === 'perItem' ? 2 : 1)) apiKeys.add(key);
	}

	/** The newest retryable execution of each family is retried in a healthy world, twice if need be. */
	async #heal(): Promise<void> {
		this.#mendCredential();
		this.service.heal();
		this.network.refuses = () => false;
		this.n8n.timeoutAfterMs = undefined;
		this.healedAtMs = this.clock.now();
		const { options } = this.#saved.edits;
		this.#edit({
			options: {
				...options,
				timeout: 600,
				maxJobsPerExecution: 0,
				resubmitIfUnknown: options.resubmitIfUnknown || this.day.resubmitsAtLast,
			},
		});
		const roots = new Set(this.#retryable().map(rootOf));
		for (const root of roots) {
			for (let round = 0; round < 2; round++) {
				const last = this.n8n.executions.findLast((each) => rootOf(each) === root);
				if (!last || !this.#retryable().includes(last)) break;
				await this.n8n.retry(last, this.#saved);
			}
		}
	}
}

export function rootOf(execution: Execution): Execution {
	const earlier = execution.retryOf ?? execution.isRerunOf;
	return earlier ? rootOf(earlier) : execution;
}
