import type { FaultPlace, JobWish } from '../emulator/emulator';
import { startBinaryStorage, type EngineResult } from '../support/engine';
import { VirtualClock } from '../support/virtualClock';
import { Door } from '../support/door';
import { ANOTHER_ORIGIN, expectedOutcome, faultCases, SIGNS, type FaultCase } from './rules';
import { KEY, openScene, shownText, type Scene } from '../support/scene';

const STRUCK_ID = '11111111-1111-4111-8111-111111111111';
const HEALTHY_ID = '22222222-2222-4222-8222-222222222222';
const TIMEOUT_SECONDS = 60;
/** As large as pictures are; an answer that is as large as `hugeBody` says is none. */
const PICTURE_MEGABYTES = 2;
/** The last look at the deadline has this long to be answered. */
const LAST_LOOK_MS = 5000;

/** A transfer of unknown size has this long. */
const TRANSFER_LIMIT_MS = 605_000;

interface Cell {
	faultCase: FaultCase;
	place: FaultPlace;
	node: 'imageGenerate' | 'getJob';
	onError: 'stopWorkflow' | 'continueErrorOutput';
	times: 'once' | 'always';
}

const PLACES = ['submit', 'poll', 'download'] as const;
const NODES = ['imageGenerate', 'getJob'] as const;
const MODES = ['stopWorkflow', 'continueErrorOutput'] as const;
const TIMES = ['once', 'always'] as const;

const cells: Cell[] = faultCases(KEY).flatMap((faultCase) =>
	(faultCase.places ?? PLACES).flatMap((place) =>
		NODES.filter((node) => place !== 'submit' || node === 'imageGenerate').flatMap((node) =>
			MODES.flatMap((onError) =>
				TIMES.map((times): Cell => ({ faultCase, place, node, onError, times })),
			),
		),
	),
);

/** The faults that leave a request hanging; an endless answer of the API is cut off by the node. */
const STALLS: Record<FaultPlace, readonly string[]> = {
	submit: ['stall', 'stallBody'],
	poll: ['stall', 'stallBody'],
	download: ['stall', 'stallBody', 'endlessBody'],
};

/** How long a stalled request has, in real time, to bring what comes before it stalls. */
const STALL_MS = 15;

/** A clock that tells when a request is over, and is told when one has stalled. */
class AttentiveClock extends VirtualClock {
	onRequestOver: (count: number) => void = () => undefined;
	readonly #underWay = new Set<() => void>();
	#overCount = 0;
	#stalledCount = 0;

	override begin(): () => void {
		const end = super.begin();
		this.#underWay.add(end);
		return () => {
			end();
			if (!this.#underWay.delete(end)) return;
			this.onRequestOver(++this.#overCount);
			this.#letStalledGo();
		};
	}

	/** @param workCount how many pieces of tracked work hang on the request */
	stall(workCount: number): void {
		setTimeout(() => {
			this.#stalledCount += workCount;
			this.#letStalledGo();
		}, STALL_MS);
	}

	/** Nothing else under way: so time need not stand still for what has stalled. */
	#letStalledGo(): void {
		if (this.#stalledCount === 0 || this.#underWay.size > this.#stalledCount) return;
		this.#stalledCount = 0;
		for (const end of [...this.#underWay]) {
			this.#underWay.delete(end);
			end();
		}
	}
}

beforeAll(startBinaryStorage);
// A run that outlives its test would go on in real time, beside the next one.
jest.setTimeout(60_000);

let scene: Scene;
let clock: AttentiveClock;
let door: Door | undefined;
/** Where the struck job's image is said to be, when it is behind a door. */
let imageUrl: string | undefined;

function wishFor(prompt: string | undefined): JobWish {
	if (prompt !== 'struck') return { id: HEALTHY_ID };
	const outcome = imageUrl === undefined ? {} : { extra: { image_urls: [imageUrl] } };
	return { id: STRUCK_ID, outcome };
}

beforeEach(async () => {
	clock = new AttentiveClock();
	scene = await openScene(
		{ jobDurationMs: 0, wish: ({ fields }) => wishFor(fields.prompt) },
		clock,
	);
});

afterEach(async () => {
	door?.shut();
	door = undefined;
	imageUrl = undefined;
	await scene.close();
});

/** Puts a fault of the emulator where the cell says. */
function aimFault(fault: Exclude<FaultCase['fault'], 'refused'>, { place, times }: Cell): void {
	const { apiUrl, cdnUrl, faults } = scene.emulator;
	const to = place === 'download' ? `${apiUrl}/elsewhere` : `${cdnUrl}/elsewhere`;
	faults.add({
		...fault,
		...('to' in fault && fault.to === ANOTHER_ORIGIN ? { to } : {}),
		...(fault.kind === 'hugeBody' && place === 'download' ? { megabytes: PICTURE_MEGABYTES } : {}),
		at: place,
		times: times === 'once' ? 1 : Infinity,
		match: ({ form, jobId }) => {
			const isStruck = place === 'submit' ? form?.fields.prompt === 'struck' : jobId === STRUCK_ID;
			// A file that is being stored waits for its request.
			const workCount = fault.kind !== 'stall' && place === 'download' ? 2 : 1;
			if (isStruck && STALLS[place].includes(fault.kind)) clock.stall(workCount);
			return isStruck;
		},
	});
}

/**
 * Puts a door where the cell says, and shuts it for one request or from then on.
 * @returns what the node takes for the API's address
 */
async function aimRefusal({ place, node, times }: Cell): Promise<string> {
	const { apiUrl, cdnUrl } = scene.emulator;
	const behind = await Door.inFrontOf(place === 'download' ? cdnUrl : apiUrl);
	door = behind;
	// The requests for one item come in this order, each once.
	const order = node === 'getJob' ? ['poll', 'download'] : ['submit', 'poll', 'download'];
	const struckIndex = order.indexOf(place);
	if (struckIndex === 0) behind.shut();
	clock.onRequestOver = (count) => {
		if (count === struckIndex) behind.shut();
		if (count === struckIndex + 1 && times === 'once') void behind.open();
	};
	if (place === 'download') imageUrl = `${behind.url}/results/${STRUCK_ID}/1.png`;
	return place === 'download' ? apiUrl : behind.url;
}

async function run(cell: Cell): Promise<EngineResult> {
	const { fault } = cell.faultCase;
	let baseUrl = scene.emulator.apiUrl;
	if (fault === 'refused') baseUrl = await aimRefusal(cell);
	else aimFault(fault, cell);
	// A door is in everyone's way, so that only the struck item goes there.
	const prompts = fault === 'refused' ? ['struck'] : ['healthy', 'struck'];
	const ids = prompts.map((prompt) => {
		const wish = wishFor(prompt);
		if (cell.node === 'getJob') scene.emulator.jobs.add(wish);
		return wish.id ?? '';
	});
	return await scene.run({
		node: cell.node,
		credential: { baseUrl },
		nodeSettings: { onError: cell.onError },
		parameters: {
			...(cell.node === 'getJob'
				? { jobId: '={{ $json.id }}' }
				: { prompt: '={{ $json.prompt }}' }),
			waitForCompletion: true,
			options: { timeout: TIMEOUT_SECONDS },
		},
		items: prompts.map((prompt, index) => ({ json: { prompt, id: ids[index] ?? '' } })),
	});
}

/** The struck item's failure as a person and a workflow get it, in either mode. */
function failureIn(result: EngineResult, { onError }: Cell) {
	if (onError === 'stopWorkflow') {
		const { error } = result;
		return { text: `${error?.message} ${error?.description}`, data: error?.context.data ?? {} };
	}
	const data = result.errorItems[0]?.json.error as Record<string, unknown>;
	return { text: `${String(data.message)} ${String(data.description)}`, data };
}

const countByCell = new Map<Cell, { accepted: number; posts: number }>();

function expectMoney(cell: Cell): void {
	const { faultCase, place, times } = cell;
	const isGenerated = cell.node === 'imageGenerate';
	const posts = scene.emulator.requests.filter(({ form }) => form?.fields.prompt === 'struck');
	const accepted = scene.paidPrompts().filter((prompt) => prompt === 'struck');
	countByCell.set(cell, { accepted: scene.paidPrompts().length, posts: scene.postCount() });

	const outcome = expectedOutcome(faultCase, place, times);
	const isLostAfterWork =
		faultCase.fault !== 'refused' &&
		(('when' in faultCase.fault && faultCase.fault.when === 'accepted') ||
			['truncate', 'stallBody', 'hugeBody'].includes(faultCase.fault.kind));
	const isAccepted =
		isGenerated && (place !== 'submit' || outcome === 'succeeded' || isLostAfterWork);
	expect(accepted).toHaveLength(isAccepted ? 1 : 0);

	if (outcome === 'rateLimited') {
		expect(posts.length).toBeGreaterThan(1);
		expect(posts.length).toBeLessThanOrEqual(5);
	} else {
		const isRefused = outcome === 'unreachable';
		const isRepeated = place === 'submit' && faultCase.kind === 'tooMany';
		expect(posts).toHaveLength(!isGenerated || isRefused ? 0 : isRepeated ? 2 : 1);
	}
	expect(scene.paidPrompts().filter((prompt) => prompt === 'healthy')).toHaveLength(
		isGenerated && faultCase.fault !== 'refused' ? 1 : 0,
	);
}

function expectJobsNamed(result: EngineResult, cell: Cell): void {
	if (cell.node === 'getJob') return;
	// What the API has answered is known; a job whose answer was lost cannot be.
	const known = scene.emulator.submits
		.map(({ jobId }) => jobId)
		.filter((jobId) => jobId !== STRUCK_ID || cell.place !== 'submit' || isSuccess(cell));
	const log = result.log.filter((line) => line.startsWith('info ')).join('\n');
	for (const jobId of known) {
		expect(log).toContain(jobId);
		expect(shownText(result)).toContain(jobId);
	}
}

function isSuccess({ faultCase, place, times }: Cell): boolean {
	return expectedOutcome(faultCase, place, times) === 'succeeded';
}

function expectImages(result: EngineResult, ids: readonly string[]): void {
	expect(result.items.map(({ json }) => json.job_id)).toEqual(ids);
	for (const { binary, json } of result.items) {
		expect(json).not.toHaveProperty('error');
		expect(binary?.data).toMatchObject({
			mimeType: 'image/png',
			fileName: `${json.job_id as string}-1.png`,
		});
	}
}

describe.each(PLACES)('a fault at %s', (at) => {
	const here = cells.filter(({ place }) => place === at);
	it.each(here.map((cell) => [nameOf(cell), cell] as const))('%s', async (_, cell) => {
		const { faultCase, place, times, onError } = cell;
		const healthyIds = faultCase.fault === 'refused' ? [] : [HEALTHY_ID];
		const startedAtMs = clock.now();
		const result = await run(cell);

		expectMoney(cell);
		expectJobsNamed(result, cell);
		const struck = scene.emulator.requests.filter(({ fault }) => fault !== undefined);
		if (faultCase.fault !== 'refused') expect(struck.length).toBeGreaterThan(0);
		if (times === 'once') expect(struck.length).toBeLessThan(2);

		const outcome = expectedOutcome(faultCase, place, times);
		if (outcome === 'succeeded') {
			expect(result.error).toBeUndefined();
			expect(result.errorItems).toEqual([]);
			expectImages(result, [...healthyIds, STRUCK_ID]);
			const [first, again] = scene.emulator.requests.filter(
				({ jobId, form, path, method }) =>
					(place === 'submit' ? form?.fields.prompt === 'struck' : jobId === STRUCK_ID) &&
					method === (place === 'submit' ? 'POST' : 'GET') &&
					path.startsWith('/results/') === (place === 'download'),
			);
			if (first && again && faultCase.retryAfterMs !== undefined) {
				expect(again.startedAtMs - first.startedAtMs).toBeGreaterThanOrEqual(
					faultCase.retryAfterMs,
				);
			}
			return;
		}
		if (onError === 'stopWorkflow') {
			expect(result.error).toBeDefined();
			expect(result.items).toEqual([]);
		} else {
			expect(result.error).toBeUndefined();
			expectImages(result, healthyIds);
			expect(result.errorItems).toHaveLength(1);
		}
		const failure = failureIn(result, cell);
		const { text, data } = SIGNS[outcome];
		for (const pattern of text) expect(failure.text).toMatch(pattern);
		for (const key of data) expect(failure.data).toHaveProperty(key);
		if (place !== 'submit') expect(failure.data).toMatchObject({ job_id: STRUCK_ID });
		const isEndless = place === 'download' && faultCase.kind === 'endless';
		expect(clock.now() - startedAtMs).toBeLessThanOrEqual(
			isEndless ? TRANSFER_LIMIT_MS : TIMEOUT_SECONDS * 1000 + LAST_LOOK_MS,
		);
	});
});

it(`covers ${cells.length} cells: ${faultCases(KEY).length} faults, once and for ever`, () => {
	expect(countByCell.size).toBe(cells.length);
	const counts = [...countByCell.values()];
	expect(Math.max(...counts.map(({ accepted }) => accepted))).toBe(2);
});

function nameOf({ faultCase, node, onError, times }: Cell): string {
	return `${faultCase.name}, ${times}: ${node}, ${onError}`;
}
