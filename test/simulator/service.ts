import { startEmulator, type Emulator, type RequestRecord } from '../emulator/emulator';
import type { VirtualClock as DayClock } from '../support/virtualClock';
import type { Day } from './day';
import { ECHOED_KEY, FAULTS, JOBS, type FaultName, type SubmitVerdict } from './faults';
import type { Network } from './network';

/** Distinctive, so that any trace of them anywhere is a leak. */
export const KEYS = [ECHOED_KEY, 'af-key-91d2c7e604fb5a38', 'af-key-new-77b0e1c2'] as const;
const LATE_MS = 45_000;

/** The service of a day: the emulator, with what the day has in store for it. */
export class Service {
	#isHealed = false;
	/** The faults that struck, by request. */
	readonly #faultOf = new Map<RequestRecord, FaultName>();

	private constructor(readonly emulator: Emulator) {}

	static async open(day: Day, clock: DayClock, network: Network): Promise<Service> {
		let jobCount = 0;
		const emulator = await startEmulator({
			pictures: false,
			apiKeys: day.credential === 'perItem' ? KEYS.slice(0, 2) : KEYS.slice(0, 1),
			jobDurationMs: 3000,
			now: () => clock.now(),
			listen: (server) => network.listen(server),
			wish: () => {
				const id = `00000000-0000-4000-8000-${String(++jobCount).padStart(12, '0')}`;
				const kind = (service.#isHealed ? undefined : day.jobs[jobCount - 1]) ?? 'succeeds';
				if (kind === 'hasImagesLate') {
					clock.after(7000, 'service', () => {
						emulator.jobs.get(id).outcome.extra = {};
					});
				}
				return { id, ...JOBS[kind] };
			},
		});
		const service = new Service(emulator);
		service.#addFaults(day, clock);
		return service;
	}

	/** Everything works from now on, and what has begun ends well. */
	heal(): void {
		this.#isHealed = true;
		this.emulator.faults.clear();
		for (const job of this.emulator.jobs.all()) {
			if (job.durationMs === Infinity) job.durationMs = 0;
		}
	}

	/** @param lostAtMs when n8n or the execution that sent it was lost, if it was */
	verdictOf(request: RequestRecord, lostAtMs: number): SubmitVerdict {
		const fault = this.#faultOf.get(request);
		const said = (fault === undefined ? undefined : FAULTS[fault][1]) ?? 'started';
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
				this.#faultOf.set(request, name);
				return true;
			};
			const [fault] = FAULTS[name];
			if (fault.kind === 'hold') {
				const { kind, forMs } = fault;
				// Asked for when it strikes.
				const until = () => clock.wait(forMs, 'service');
				faults.add({ at, times, match, kind, until });
			} else {
				faults.add({ ...fault, at, times, match });
			}
		}
	}
}
