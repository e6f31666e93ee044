import {
	startEmulator,
	type Emulator,
	type JobWish,
	type RequestRecord,
} from '../emulator/emulator';
import type { VirtualClock as DayClock } from '../support/virtualClock';
import type { Day } from './day';
import { ECHOED_KEY, FAULTS, HELD_MS, verdictOf, type SubmitVerdict } from './faults';
import type { Network } from './network';
import { SENDER } from './workflow';

/** Distinctive, so that any trace of them anywhere is a leak. */
export const KEYS = [ECHOED_KEY, 'af-key-91d2c7e604fb5a38', 'af-key-new-77b0e1c2'] as const;
const LATE_MS = 45_000;

/** A paid POST as the service has it in its books. */
export interface Post {
	request: RequestRecord;
	/** Who sent it. */
	executionId: string;
	node: string;
	runIndex: number;
	itemIndex: number;
	jobId: string | undefined;
	/** The one job of its kind that ends as Failed. */
	hasFailed: boolean;
}

/** The service of a day: the emulator, with what the day has in store for it. */
export class Service {
	readonly emulator: Emulator;
	/** The faults that struck, by request. */
	readonly faultOf = new Map<RequestRecord, Day['faults'][number]['name']>();
	readonly #state: { isHealed: boolean };

	private constructor(emulator: Emulator, state: { isHealed: boolean }) {
		this.emulator = emulator;
		this.#state = state;
	}

	static async open(day: Day, clock: DayClock, network: Network): Promise<Service> {
		const state = { isHealed: false };
		let jobCount = 0;
		const emulator = await startEmulator({
			pictures: false,
			apiKeys: day.credential === 'perItem' ? KEYS.slice(0, 2) : KEYS.slice(0, 1),
			jobDurationMs: 3000,
			now: () => clock.now(),
			listen: (server) => network.listen(server),
			wish: () => {
				const id = `00000000-0000-4000-8000-${String(++jobCount).padStart(12, '0')}`;
				const kind = (state.isHealed ? undefined : day.jobs[jobCount - 1]) ?? 'succeeds';
				if (kind === 'hasImagesLate') {
					clock.after(7000, 'service', () => {
						emulator.jobs.get(id).outcome.extra = {};
					});
				}
				return { id, ...WISHES[kind] };
			},
		});
		const service = new Service(emulator, state);
		service.#addFaults(day, clock);
		return service;
	}

	/** Everything works from now on, and what has begun ends well. */
	heal(): void {
		this.#state.isHealed = true;
		this.emulator.faults.clear();
		for (const job of this.emulator.jobs.all()) {
			if (job.durationMs === Infinity) job.durationMs = 0;
		}
	}

	/** Who sent a POST, and what came of it. */
	postOf(request: RequestRecord): Post {
		const [node = '', executionId = '', runIndex = -1, itemIndex = -1] = (
			request.form?.fields[SENDER] ?? ''
		).split('|');
		const { jobId } = request;
		const job = jobId === undefined ? undefined : this.emulator.jobs.find(jobId);
		return {
			request,
			node,
			executionId,
			runIndex: Number(runIndex),
			itemIndex: Number(itemIndex),
			jobId,
			hasFailed: job?.outcome.status === 'Failed',
		};
	}

	/** @param lostAtMs when n8n or the execution that sent it was lost, if it was */
	verdictOf(request: RequestRecord, lostAtMs: number): SubmitVerdict {
		const fault = this.faultOf.get(request);
		const said = (fault === undefined ? undefined : verdictOf(fault)) ?? 'started';
		const arrivedAtMs = request.endedAtMs ?? Infinity;
		const wasHeard = arrivedAtMs < lostAtMs;
		if (request.jobId === undefined) {
			if (!wasHeard && said !== 'either') return 'open';
			// A status that says no is heard, however its body ends.
			const { status = 0 } = request;
			const isRefusal = status >= 400 && status < 500;
			if (said === 'lost') return isRefusal ? 'refused' : 'open';
			return said === 'started' ? 'refused' : said;
		}
		if (said !== 'started') return 'lost';
		return wasHeard && arrivedAtMs - request.startedAtMs < LATE_MS ? 'started' : 'lost';
	}

	#addFaults(day: Day, clock: DayClock): void {
		const { faults, submits, jobs } = this.emulator;
		// First of all: what is not listed yet has no status that a fault could damage.
		const isListedLate = ({ jobId = '' }: RequestRecord) => {
			const index = submits.findIndex((submit) => submit.jobId === jobId);
			const ageMs = clock.now() - (jobs.find(jobId)?.createdAtMs ?? 0);
			return day.jobs[index] === 'isListedLate' && ageMs < 9000;
		};
		const [unlisted] = FAULTS.unknownJob;
		faults.add({ ...unlisted, at: 'poll', times: Infinity, match: isListedLate });
		for (const { at, name, skip, times } of day.faults) {
			let seen = 0;
			const match = (request: RequestRecord) => {
				if (seen++ < skip) return false;
				const isEcho = name === 'echoesKey';
				if (isEcho && !request.headers.authorization?.includes(ECHOED_KEY)) return false;
				this.faultOf.set(request, name);
				return true;
			};
			if (name === 'slow' || name === 'late') {
				faults.add({
					at,
					times,
					match,
					kind: 'hold',
					get until() {
						return clock.wait(HELD_MS[name], 'service');
					},
				});
			} else {
				faults.add({ ...FAULTS[name][0], at, times, match });
			}
		}
	}
}

/** How each kind of job differs from the usual one. */
const WISHES: Record<Day['jobs'][number], JobWish> = {
	succeeds: {},
	fails: { outcome: { status: 'Failed' } },
	failsWithReason: {
		outcome: { status: 'Failed', extra: { error_message: 'Not with these words' } },
	},
	takesLong: { durationMs: 90_000 },
	neverEnds: { durationMs: Infinity },
	hasNoImages: { outcome: { images: [] } },
	hasImagesLate: { outcome: { extra: { image_urls: null } } },
	hasTwoImages: { outcome: { images: ['png', 'png'] } },
	hasGif: { outcome: { images: ['png', 'gif'] } },
	hasUrlObjects: { outcome: { imageUrls: 'url' } },
	isListedLate: {},
};
