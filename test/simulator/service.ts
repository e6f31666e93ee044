import {
	startEmulator,
	type Emulator,
	type JobWish,
	type RequestRecord,
} from '../emulator/emulator';
import type { VirtualClock as DayClock } from '../support/virtualClock';
import type { Day } from './day';
import {
	ECHOED_KEY,
	FAULTS,
	HELD_MS,
	verdictOf,
	type FaultName,
	type SubmitVerdict,
} from './faults';
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
	/** How often each fault struck. */
	readonly struck = new Map<FaultName, number>();
	readonly #faultOf = new Map<RequestRecord, FaultName>();
	readonly #isHealed: { value: boolean };

	private constructor(emulator: Emulator, isHealed: { value: boolean }) {
		this.emulator = emulator;
		this.#isHealed = isHealed;
	}

	static async open(day: Day, clock: DayClock, network: Network): Promise<Service> {
		const isHealed = { value: false };
		let jobCount = 0;
		const emulator = await startEmulator({
			pictures: false,
			apiKeys: day.credential === 'perItem' ? KEYS.slice(0, 2) : KEYS.slice(0, 1),
			jobDurationMs: 3000,
			now: () => clock.now(),
			listen: (server) => network.listen(server),
			wish: () => {
				const id = `00000000-0000-4000-8000-${String(++jobCount).padStart(12, '0')}`;
				const kind = isHealed.value ? undefined : day.jobs[jobCount - 1];
				if (kind === 'hasImagesLate') {
					clock.after(7000, 'service', () => {
						emulator.jobs.get(id).outcome.extra = {};
					});
				}
				return { id, ...wishes(kind) };
			},
		});
		const service = new Service(emulator, isHealed);
		service.#addFaults(day, clock);
		return service;
	}

	/** Everything works from now on, and what has begun ends well. */
	heal(): void {
		this.#isHealed.value = true;
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
		const said = verdictOf(this.#faultOf.get(request)) ?? 'started';
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
		const { faults } = this.emulator;
		// First of all: what is not listed yet has no status that a fault could damage.
		faults.add({
			...FAULTS.unknownJob.fault,
			at: 'poll',
			times: Infinity,
			match: ({ jobId = '' }) => {
				const index = this.emulator.submits.findIndex((submit) => submit.jobId === jobId);
				const job = this.emulator.jobs.find(jobId);
				return day.jobs[index] === 'isListedLate' && clock.now() - (job?.createdAtMs ?? 0) < 9000;
			},
		});
		for (const { at, name, skip, times } of day.faults) {
			let seen = 0;
			const match = (request: RequestRecord) => {
				if (seen++ < skip) return false;
				const isEcho = name === 'echoesKey';
				if (isEcho && !request.headers.authorization?.includes(ECHOED_KEY)) return false;
				this.#faultOf.set(request, name);
				this.struck.set(name, (this.struck.get(name) ?? 0) + 1);
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
				faults.add({ ...FAULTS[name].fault, at, times, match });
			}
		}
	}
}

function wishes(kind: Day['jobs'][number] | undefined): JobWish {
	switch (kind) {
		case 'fails':
			return { outcome: { status: 'Failed' } };
		case 'failsWithReason':
			return { outcome: { status: 'Failed', extra: { error_message: 'Not with these words' } } };
		case 'takesLong':
			return { durationMs: 90_000 };
		case 'neverEnds':
			return { durationMs: Infinity };
		case 'hasNoImages':
			return { outcome: { images: [] } };
		case 'hasImagesLate':
			return { outcome: { extra: { image_urls: null } } };
		case 'hasTwoImages':
			return { outcome: { images: ['png', 'png'] } };
		case 'hasGif':
			return { outcome: { images: ['png', 'gif'] } };
		case 'hasUrlObjects':
			return { outcome: { imageUrls: 'url' } };
		case 'succeeds':
		case 'isListedLate':
		case undefined:
			return {};
	}
}
