import { setTimeout as delay } from 'node:timers/promises';
import { startEmulator, type Emulator, type Fault, type FaultPlace } from './emulator';
import { PROXY_HTML_PAGE } from './faults';

let emulator: Emulator;

beforeEach(async () => {
	emulator = await startEmulator({ pictures: false, jobDurationMs: 0, now: () => 0 });
});

afterEach(async () => {
	await emulator.close();
});

/** A silence as long as this is a stall, where one is expected. */
const STALL_MS = 60;
const ENOUGH_BYTES = 2_000_000;

interface Seen {
	/** 0: no answer came. */
	status: number;
	headers: Headers;
	body: Buffer;
	/** `lost`: the connection ended within the answer; `waiting`: nothing more came. */
	end: 'whole' | 'lost' | 'waiting' | 'endless';
}

/** What a client sees of one request: the answer as far as it came, and how it ended. */
async function see(place: FaultPlace, prompt = 'x', stalls = false): Promise<Seen> {
	const { id } = emulator.jobs.add();
	const form = new FormData();
	form.append('prompt', prompt);
	form.append('ai_model', 'GPT Image 2');
	const url = {
		submit: `${emulator.apiUrl}/public/v1/generate/image`,
		poll: `${emulator.apiUrl}/public/v1/job/${id}`,
		download: `${emulator.cdnUrl}/results/${id}/1.png`,
	}[place];
	const seen: Seen = { status: 0, headers: new Headers(), body: Buffer.alloc(0), end: 'waiting' };
	const heard = async (): Promise<void> => {
		const response = await fetch(url, {
			redirect: 'manual',
			headers: place === 'download' ? {} : { authorization: 'Bearer test-key' },
			...(place === 'submit' && { method: 'POST', body: form }),
		});
		seen.status = response.status;
		seen.headers = response.headers;
		for await (const chunk of response.body ?? []) {
			seen.body = Buffer.concat([seen.body, chunk as Uint8Array]);
			if (seen.body.length <= ENOUGH_BYTES) continue;
			seen.end = 'endless';
			return;
		}
		seen.end = 'whole';
	};
	const over = heard().catch(() => {
		seen.end = 'lost';
	});
	const silence = async (): Promise<void> => {
		while (emulator.requests.at(-1)?.fault === undefined) await delay(1);
		await delay(STALL_MS);
	};
	await (stalls ? Promise.race([over, silence()]) : over);
	return { ...seen };
}

type Kind = Fault extends infer F ? (F extends Fault ? Omit<F, 'at'> : never) : never;

const KINDS: readonly [Kind, seen: string][] = [
	[{ kind: 'respond', status: 429, body: { detail: 'Slow down' } }, '429 whole 22 bytes'],
	[{ kind: 'respond', status: 503 }, '503 whole nothing'],
	[{ kind: 'garbage' }, '200 whole 11 bytes'],
	[{ kind: 'html' }, '200 whole page'],
	[{ kind: 'html', status: 502 }, '502 whole page'],
	[{ kind: 'redirect', to: 'http://127.0.0.1:1/', status: 302 }, '302 whole nothing'],
	[{ kind: 'redirect', to: 'itself' }, '307 whole nothing'],
	[{ kind: 'reset' }, '0 lost nothing'],
	[{ kind: 'stall' }, '0 waiting nothing'],
	[{ kind: 'stallBody' }, '200 waiting half'],
	[{ kind: 'truncate' }, '200 lost half'],
	[{ kind: 'truncate', chunked: true }, '200 lost half chunked'],
	[{ kind: 'truncate', whole: true }, '200 lost all chunked'],
	[{ kind: 'hold', until: delay(20) }, '200 whole all'],
	[{ kind: 'hugeBody', megabytes: 1 }, '200 whole more chunked'],
	[{ kind: 'endlessBody' }, '200 endless more chunked'],
];

describe.each(['submit', 'poll', 'download'] as const)('a fault at %s', (at) => {
	it.each(KINDS)('%j is seen once as %s', async (kind, expected) => {
		const added = emulator.faults.add({ at, ...kind });
		const { status, end, headers, body } = await see(at, 'x', kind.kind.startsWith('stall'));
		expect([added.struck, emulator.requests[0]?.fault]).toEqual([1, kind.kind]);
		const untouched = await see(at);
		expect(untouched).toMatchObject({ status: 200, end: 'whole' });
		const known = new Map([
			[0, 'nothing'],
			[PROXY_HTML_PAGE.length, 'page'],
			[Math.ceil(untouched.body.length / 2), 'half'],
			[untouched.body.length, 'all'],
		]);
		const size =
			known.get(body.length) ?? (body.length > 1024 * 1024 ? 'more' : `${body.length} bytes`);
		const isChunked = status === 200 && !headers.has('content-length');
		expect([status, end, size, ...(isChunked ? ['chunked'] : [])].join(' ')).toBe(expected);
		const isDamaging = ['stallBody', 'truncate', 'hold', 'hugeBody'].includes(kind.kind);
		if (at === 'submit') expect(emulator.submits).toHaveLength(isDamaging ? 2 : 1);
	});
});

it('can answer with a date of its clock, and a redirect to itself', async () => {
	const headers = (now: number) => ({ 'retry-after': new Date(now + 5000).toUTCString() });
	emulator.faults.add({ at: 'poll', kind: 'respond', status: 503, headers });
	emulator.faults.add({ at: 'poll', kind: 'redirect', to: 'itself' });
	expect((await see('poll')).headers.get('retry-after')).toBe('Thu, 01 Jan 1970 00:00:05 GMT');
	const { headers: circle } = await see('poll');
	expect(circle.get('location')).toBe(emulator.requests.at(-1)?.path);
});

it('strikes as often as it was told, where it was aimed, until it is removed', async () => {
	const { faults } = emulator;
	const match: Fault['match'] = ({ form }) => form?.fields.prompt === 'second';
	const fault = faults.add({ at: 'submit', kind: 'respond', status: 500, times: Infinity, match });
	const statuses = [];
	for (const prompt of ['first', 'second', 'second']) {
		statuses.push((await see('submit', prompt)).status);
	}
	statuses.push((await see('poll')).status);
	fault.remove();
	statuses.push((await see('submit', 'second')).status);
	faults.add({ at: 'poll', kind: 'reset', times: 2 });
	statuses.push((await see('poll')).status);
	faults.clear();
	statuses.push((await see('poll')).status);
	expect(statuses).toEqual([200, 500, 500, 200, 200, 0, 200]);
});

it.each([
	['uploading', 0, false],
	['received', 0, true],
	['accepted', 1, true],
] as const)('strikes a submit that is %s', async (when, jobs, isRead) => {
	emulator.faults.add({ at: 'submit', kind: 'respond', status: 413, when });
	expect(await see('submit')).toMatchObject({ status: 413 });
	expect(emulator.submits).toHaveLength(jobs);
	expect('form' in (emulator.requests[0] ?? {})).toBe(isRead);
});

it('ends stalled connections at once when it is closed', async () => {
	emulator.faults.add({ at: 'poll', kind: 'stall' });
	const stalled = see('poll');
	while (emulator.requests.length === 0) await delay(1);
	await emulator.close();
	expect(await stalled).toMatchObject({ end: 'lost' });
});
