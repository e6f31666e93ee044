import { once } from 'node:events';
import { request as httpRequest } from 'node:http';
import type { IncomingMessage } from 'node:http';
import FormData from 'form-data';
import { startEmulator, type Emulator, type Fault, type FaultPlace } from './emulator';
import { PROXY_HTML_PAGE } from './faults';

const SUBMIT_PATH = '/public/v1/generate/image';

let emulator: Emulator;
let nowMs = 0;

beforeEach(async () => {
	nowMs = Date.UTC(2026, 0, 1);
	emulator = await startEmulator({ pictures: false, jobDurationMs: 0, now: () => nowMs });
});

afterEach(async () => {
	await emulator.close();
});

interface Seen {
	/** Absent when the connection ended without one. */
	status?: number;
	headers?: IncomingMessage['headers'];
	body: Buffer;
	/** `end`: complete; a code: lost; `waiting`: nothing more came; `enough`: the client left. */
	end: string;
}

/** However busy the machine, what is to come comes within this time. */
const PATIENCE_MS = 10_000;
/** A silence as long as this is a stall, where one is expected. */
const STALL_MS = 60;
const ENOUGH_BYTES = 2_000_000;

interface Expected {
	prompt?: string;
	/** What comes before a stall. */
	stallsAfter?: 'nothing' | 'data' | undefined;
}

/** What a client sees of one request: the answer as far as it came, and how it ended. */
async function see(place: FaultPlace, { prompt = 'x', stallsAfter }: Expected = {}): Promise<Seen> {
	const form = new FormData();
	form.append('prompt', prompt);
	form.append('ai_model', 'GPT Image 2');
	const job = place === 'submit' ? undefined : emulator.jobs.add();
	const url = {
		submit: emulator.apiUrl + SUBMIT_PATH,
		poll: `${emulator.apiUrl}/public/v1/job/${job?.id ?? ''}`,
		download: `${emulator.cdnUrl}/results/${job?.id ?? ''}/1.png`,
	}[place];
	const requestIndex = emulator.requests.length;
	const headers = place === 'download' ? {} : { authorization: 'Bearer test-key' };
	const outgoing = httpRequest(url, {
		agent: false,
		method: place === 'submit' ? 'POST' : 'GET',
		headers: place === 'submit' ? { ...headers, ...form.getHeaders() } : headers,
	});
	return await new Promise((resolve) => {
		const seen: Omit<Seen, 'end'> = { body: Buffer.alloc(0) };
		const done = (end: string): void => {
			clearTimeout(patience);
			clearInterval(silence);
			resolve({ ...seen, end });
			outgoing.destroy();
		};
		const lost = (error: NodeJS.ErrnoException): void => {
			done(error.code ?? error.message);
		};
		const patience = setTimeout(done, PATIENCE_MS, 'waiting');
		let silentSince: number | undefined;
		const silence = setInterval(() => {
			const isStruck = emulator.requests[requestIndex]?.fault !== undefined;
			if (stallsAfter === 'nothing' && isStruck) silentSince ??= Date.now();
			if (Date.now() - (silentSince ?? Infinity) >= STALL_MS) done('waiting');
		}, 5);
		outgoing.on('error', lost);
		outgoing.on('response', (incoming) => {
			seen.status = incoming.statusCode ?? 0;
			seen.headers = incoming.headers;
			incoming.on('data', (chunk: Buffer) => {
				if (stallsAfter === 'data') silentSince = Date.now();
				seen.body = Buffer.concat([seen.body, chunk]);
				if (seen.body.length > ENOUGH_BYTES) done('enough');
			});
			incoming.on('error', lost);
			incoming.on('end', () => {
				done('end');
			});
		});
		if (place === 'submit') form.pipe(outgoing);
		else outgoing.end();
	});
}

const PLACES = ['submit', 'poll', 'download'] as const;

describe.each(PLACES)('a fault at %s', (at) => {
	it('strikes as often as it was told, and no other place', async () => {
		const fault = emulator.faults.add({ at, kind: 'respond', status: 503, times: 2 });
		for (const place of PLACES) {
			if (place !== at) expect(await see(place)).toMatchObject({ status: 200, end: 'end' });
		}
		const statuses = [await see(at), await see(at), await see(at)].map(({ status }) => status);
		expect(statuses).toEqual([503, 503, 200]);
		expect(fault.struck).toBe(2);
		expect(emulator.requests.filter((request) => request.fault === 'respond')).toHaveLength(2);
	});

	it('answers with any status, headers and body', async () => {
		emulator.faults.add({
			at,
			kind: 'respond',
			status: 429,
			headers: { 'retry-after': '7' },
			body: { detail: 'Slow down' },
		});
		const seen = await see(at);
		expect(seen).toMatchObject({
			status: 429,
			headers: { 'retry-after': '7', 'content-type': 'application/json' },
			end: 'end',
		});
		expect(JSON.parse(seen.body.toString())).toEqual({ detail: 'Slow down' });
	});

	it('can give Retry-After as a date of its clock', async () => {
		emulator.faults.add({
			at,
			kind: 'respond',
			status: 503,
			headers: (now) => ({ 'retry-after': new Date(now + 5000).toUTCString() }),
		});
		nowMs += 1000;
		expect((await see(at)).headers?.['retry-after']).toBe('Thu, 01 Jan 2026 00:00:06 GMT');
	});

	it('answers with a proxy’s page', async () => {
		emulator.faults.add({ at, kind: 'html' });
		emulator.faults.add({ at, kind: 'respond', status: 502, body: PROXY_HTML_PAGE });
		for (const status of [200, 502]) {
			const seen = await see(at);
			expect(seen).toMatchObject({ status, headers: { 'content-type': 'text/html' } });
			expect(seen.body.toString()).toBe(PROXY_HTML_PAGE);
		}
	});

	it('resets the connection', async () => {
		emulator.faults.add({ at, kind: 'reset' });
		const seen = await see(at);
		expect(seen.status).toBeUndefined();
		expect(seen.end).toBe('ECONNRESET');
		expect(emulator.requests[0]).not.toHaveProperty('status');
	});

	it('stalls without an answer', async () => {
		emulator.faults.add({ at, kind: 'stall' });
		const seen = await see(at, { stallsAfter: 'nothing' });
		expect(seen).toMatchObject({ end: 'waiting' });
		expect(seen.status).toBeUndefined();
	});

	it('stalls within the body', async () => {
		emulator.faults.add({ at, kind: 'stallBody' });
		const seen = await see(at, { stallsAfter: 'data' });
		expect(seen).toMatchObject({ status: 200, end: 'waiting' });
		expect(seen.body.length).toBe(Math.ceil(Number(seen.headers?.['content-length']) / 2));
	});

	it.each([false, true])('truncates the body (chunked: %s)', async (chunked) => {
		emulator.faults.add({ at, kind: 'truncate', chunked });
		const seen = await see(at);
		expect(seen).toMatchObject({ status: 200, end: 'ECONNRESET' });
		expect(seen.body.length).toBeGreaterThan(0);
		expect(seen.headers?.['content-length'] === undefined).toBe(chunked);
	});

	it('answers with garbage', async () => {
		emulator.faults.add({ at, kind: 'garbage' });
		const seen = await see(at);
		const type = at === 'download' ? 'image/png' : 'application/json';
		expect(seen).toMatchObject({ status: 200, headers: { 'content-type': type }, end: 'end' });
		expect(() => {
			JSON.parse(seen.body.toString());
		}).toThrow(SyntaxError);
		expect(seen.body.subarray(1, 4).toString()).not.toBe('PNG');
	});

	it('redirects to a URL or to itself', async () => {
		emulator.faults.add({ at, kind: 'redirect', to: 'http://127.0.0.1:1/', status: 302 });
		emulator.faults.add({ at, kind: 'redirect', to: 'itself' });
		expect(await see(at)).toMatchObject({
			status: 302,
			headers: { location: 'http://127.0.0.1:1/' },
		});
		const circle = await see(at);
		expect(circle.status).toBe(307);
		expect(circle.headers?.location).toBe(emulator.requests.at(-1)?.path);
	});

	it('grows the body, which stays valid', async () => {
		emulator.faults.add({ at, kind: 'hugeBody', megabytes: 1 });
		const seen = await see(at);
		expect(seen).toMatchObject({ status: 200, end: 'end' });
		expect(seen.body.length).toBeGreaterThan(1024 * 1024);
		if (at === 'download') expect(seen.body.subarray(1, 4).toString()).toBe('PNG');
		else expect(JSON.parse(seen.body.toString())).toHaveProperty('job_id');
	});

	it('never ends the body, and stops when the client leaves', async () => {
		emulator.faults.add({ at, kind: 'endlessBody' });
		expect(await see(at)).toMatchObject({ status: 200, end: 'enough' });
		while (emulator.requests[0]?.endedAtMs === undefined) {
			await new Promise((resolve) => setImmediate(resolve));
		}
	});
});

describe('a fault at submit', () => {
	const replacing = [
		{ kind: 'respond', status: 500 },
		{ kind: 'reset' },
		{ kind: 'stall' },
		{ kind: 'garbage' },
		{ kind: 'html' },
		{ kind: 'redirect', to: 'itself' },
		{ kind: 'endlessBody' },
	] as const;

	it.each(replacing)('makes a job or none, as told: $kind', async (fault) => {
		emulator.faults.add({ at: 'submit', ...fault });
		emulator.faults.add({ at: 'submit', when: 'accepted', ...fault });
		const expected = { stallsAfter: fault.kind === 'stall' ? 'nothing' : undefined } as const;
		const before = await see('submit', expected);
		expect(emulator.submits).toHaveLength(0);
		const after = await see('submit', expected);
		expect(emulator.submits).toHaveLength(1);
		expect({ ...after, body: [], headers: {} }).toEqual({ ...before, body: [], headers: {} });
		expect(emulator.requests[1]?.jobId).toBe(emulator.submits[0]?.jobId);
	});

	const damaging = [
		{ at: 'submit', kind: 'truncate' },
		{ at: 'submit', kind: 'stallBody' },
		{ at: 'submit', kind: 'hugeBody', megabytes: 0 },
	] as const satisfies Fault[];

	it.each(damaging)('damages the answer about a job that was made: $kind', async (fault) => {
		emulator.faults.add(fault);
		await see('submit', { stallsAfter: fault.kind === 'stallBody' ? 'data' : undefined });
		expect(emulator.submits).toHaveLength(1);
	});

	it('can be aimed by what the form says', async () => {
		emulator.faults.add({
			at: 'submit',
			kind: 'respond',
			status: 500,
			times: Infinity,
			match: ({ form }) => form?.fields.prompt === 'second',
		});
		const statuses = [
			await see('submit', { prompt: 'first' }),
			await see('submit', { prompt: 'second' }),
		];
		expect(statuses.map(({ status }) => status)).toEqual([200, 500]);
		expect(emulator.submits.map(({ fields }) => fields.prompt)).toEqual(['first']);
	});

	it('can strike while the upload is under way', async () => {
		emulator.faults.add({ at: 'submit', kind: 'respond', status: 413, when: 'uploading' });
		const outgoing = httpRequest(emulator.apiUrl + SUBMIT_PATH, {
			method: 'POST',
			headers: {
				authorization: 'Bearer test-key',
				'content-type': 'multipart/form-data; boundary=x',
			},
		});
		outgoing.on('error', () => undefined);
		outgoing.write('--x\r\n');
		const [incoming] = (await once(outgoing, 'response')) as [IncomingMessage];
		expect(incoming.statusCode).toBe(413);
		expect(incoming.headers.connection).toBe('close');
		expect(emulator.requests[0]).not.toHaveProperty('form');
		outgoing.destroy();
	});
});

it('gives up faults that were removed or cleared', async () => {
	emulator.faults.add({ at: 'poll', kind: 'reset' }).remove();
	expect(await see('poll')).toMatchObject({ status: 200 });
	emulator.faults.add({ at: 'poll', kind: 'reset', times: Infinity });
	emulator.faults.clear();
	expect(await see('poll')).toMatchObject({ status: 200 });
});

it('ends stalled connections at once when it is closed', async () => {
	emulator.faults.add({ at: 'poll', kind: 'stall' });
	emulator.faults.add({ at: 'download', kind: 'stallBody' });
	const { id } = emulator.jobs.add();
	const poll = fetch(`${emulator.apiUrl}/public/v1/job/${id}`);
	const download = await fetch(`${emulator.cdnUrl}/results/${id}/1.png`);
	const body = download.arrayBuffer();
	const both = Promise.allSettled([poll, body]);
	while (emulator.requests.length < 2) await new Promise((resolve) => setImmediate(resolve));
	const startedMs = performance.now();
	await emulator.close();
	expect((await both).map(({ status }) => status)).toEqual(['rejected', 'rejected']);
	expect(performance.now() - startedMs).toBeLessThan(500);
});
