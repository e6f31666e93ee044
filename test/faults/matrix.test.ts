import type { FaultPlace, JobWish } from '../emulator/emulator';
import { Door } from '../support/door';
import { startBinaryStorage, type EngineResult } from '../support/engine';
import { KEY, openScene, shownText, type Scene } from '../support/scene';
import { VirtualClock } from '../support/virtualClock';
import { ANOTHER_ORIGIN, faultCases, RULES, SIGNS, type FaultCase, type Rule } from './rules';

const STRUCK_ID = '11111111-1111-4111-8111-111111111111';
const HEALTHY_ID = '22222222-2222-4222-8222-222222222222';
const TIMEOUT_SECONDS = 60;
/** As large as pictures are; an answer that is as large as `hugeBody` says is none. */
const PICTURE_MEGABYTES = 2;

/** The longest that a run may take, by the place of its fault. */
const LONGEST_RUN_MS: Record<FaultPlace, number> = {
	// An answer may take this long.
	submit: 300_000,
	// The last status check at the deadline has five seconds to be answered.
	poll: TIMEOUT_SECONDS * 1000 + 5000,
	// A transfer of unknown size.
	download: 605_000,
};

interface Cell {
	faultCase: FaultCase;
	place: FaultPlace;
	node: 'imageGenerate' | 'getJob';
	onError: 'stopWorkflow' | 'continueErrorOutput';
	times: 'once' | 'always';
	rule: Rule;
}

const PLACES = ['submit', 'poll', 'download'] as const;
const TIMES = ['once', 'always'] as const;

/**
 * Every fault goes everywhere in one node and mode. The other node, and the other mode, get what has
 * already been judged: there one fault of each kind tells as much as all of them.
 */
const VARIANTS: readonly (Pick<Cell, 'node' | 'onError'> & { hasAllFaults: boolean })[] = [
	{ node: 'imageGenerate', onError: 'continueErrorOutput', hasAllFaults: true },
	{ node: 'imageGenerate', onError: 'stopWorkflow', hasAllFaults: false },
	{ node: 'getJob', onError: 'continueErrorOutput', hasAllFaults: false },
];

function ruleFor({ kind }: FaultCase, place: FaultPlace, times: Cell['times']): Rule | undefined {
	const places: Partial<Record<FaultPlace, { once: Rule; always?: Rule }>> = RULES[kind];
	return places[place]?.[times];
}

const all = faultCases(KEY);
const representatives = all.filter(
	({ kind }, index) => all.findIndex((other) => other.kind === kind) === index,
);

const cells: Cell[] = VARIANTS.flatMap(({ hasAllFaults, ...variant }) =>
	(hasAllFaults ? all : representatives).flatMap((faultCase) =>
		PLACES.filter((place) => place !== 'submit' || variant.node === 'imageGenerate').flatMap(
			(place) =>
				TIMES.flatMap((times): Cell[] => {
					const rule = ruleFor(faultCase, place, times);
					return rule ? [{ ...variant, faultCase, place, times, rule }] : [];
				}),
		),
	),
);

/** The faults that leave a request hanging; an endless answer is cut off by the node. */
const STALLS: Record<FaultPlace, readonly string[]> = {
	submit: ['stall', 'stallBody'],
	poll: ['stall', 'stallBody'],
	download: ['stall', 'stallBody'],
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

function expectMoney({ rule, node, faultCase }: Cell): void {
	const isGenerated = node === 'imageGenerate';
	const paidFor = (prompt: string) => scene.paidPrompts().filter((each) => each === prompt).length;
	expect(paidFor('healthy')).toBe(isGenerated && faultCase.fault !== 'refused' ? 1 : 0);
	expect(paidFor('struck')).toBe(isGenerated ? rule.accepted : 0);
	const posts = scene.emulator.requests.filter(
		({ method, form }) => method === 'POST' && form?.fields.prompt !== 'healthy',
	).length;
	expect(posts).toBeGreaterThanOrEqual(isGenerated ? rule.posts[0] : 0);
	expect(posts).toBeLessThanOrEqual(isGenerated ? rule.posts[1] : 0);
}

function expectJobsNamed(result: EngineResult, { node, place, rule }: Cell): void {
	if (node === 'getJob') return;
	// What the API has answered is known; a job whose answer was lost cannot be.
	const isLost = place === 'submit' && rule.outcome !== 'succeeded';
	const jobIds = scene.emulator.submits.map(({ jobId }) => jobId);
	const log = result.log.filter((line) => line.startsWith('info ')).join('\n');
	for (const jobId of jobIds.filter((each) => each !== STRUCK_ID || !isLost)) {
		expect(log).toContain(jobId);
		expect(shownText(result)).toContain(jobId);
	}
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

/** What the server asks to wait for lies between the struck request and the next one like it. */
function expectPauseKept({ faultCase: { retryAfterMs }, place }: Cell): void {
	const [first, again] = scene.emulator.requests.filter(
		({ jobId, form, path, method }) =>
			(place === 'submit' ? form?.fields.prompt === 'struck' : jobId === STRUCK_ID) &&
			method === (place === 'submit' ? 'POST' : 'GET') &&
			path.startsWith('/results/') === (place === 'download'),
	);
	if (!first || !again || retryAfterMs === undefined) return;
	expect(again.startedAtMs - first.startedAtMs).toBeGreaterThanOrEqual(retryAfterMs);
}

function expectFailure(result: EngineResult, cell: Cell, outcome: keyof typeof SIGNS): void {
	const { node, place, onError, faultCase } = cell;
	if (onError === 'stopWorkflow') {
		expect(result.error).toBeDefined();
		expect(result.items).toEqual([]);
	} else {
		expect(result.error).toBeUndefined();
		expectImages(result, faultCase.fault === 'refused' ? [] : [HEALTHY_ID]);
		expect(result.errorItems).toHaveLength(1);
	}
	const failure = failureIn(result, cell);
	const { text, data } = SIGNS[outcome];
	for (const pattern of text) expect(failure.text).toMatch(pattern);
	for (const key of data) expect(failure.data).toHaveProperty(key);
	if (place === 'submit') return;
	expect(failure.data).toMatchObject({ job_id: STRUCK_ID });
	if (node === 'imageGenerate') expect(failure.text).toContain(STRUCK_ID);
}

describe.each(PLACES)('a fault at %s', (at) => {
	const here = cells.filter(({ place }) => place === at);
	it.each(here.map((cell) => [nameOf(cell), cell] as const))('%s', async (_, cell) => {
		const { faultCase, place, times, rule } = cell;
		const startedAtMs = clock.now();
		const result = await run(cell);
		expectMoney(cell);
		expectJobsNamed(result, cell);
		const struck = scene.emulator.requests.filter(({ fault }) => fault !== undefined);
		if (faultCase.fault !== 'refused') expect(struck.length).toBeGreaterThan(0);
		if (times === 'once') expect(struck.length).toBeLessThan(2);
		expect(clock.now() - startedAtMs).toBeLessThanOrEqual(LONGEST_RUN_MS[place]);

		if (rule.outcome !== 'succeeded') {
			expectFailure(result, cell, rule.outcome);
			return;
		}
		expect(result.error).toBeUndefined();
		expect(result.errorItems).toEqual([]);
		expectImages(result, [...(faultCase.fault === 'refused' ? [] : [HEALTHY_ID]), STRUCK_ID]);
		expectPauseKept(cell);
	});
});

function nameOf({ faultCase, node, onError, times, rule }: Cell): string {
	return `${faultCase.name}, ${times}: ${rule.outcome} (${node}, ${onError})`;
}
