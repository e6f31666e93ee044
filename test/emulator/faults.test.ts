import { setTimeout as delay } from 'node:timers/promises';
import { startEmulator, type Emulator, type Fault, type FaultPlace } from './emulator';

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

/** What a client sees of one request: its status (0: no answer), the bytes that came, how it ended. */
async function see(place: FaultPlace, prompt = 'x', stalls = false): Promise<string> {
	const { id } = emulator.jobs.add({ id: '00000000-0000-4000-8000-000000000000' });
	const form = new FormData();
	form.append('prompt', prompt);
	form.append('ai_model', 'GPT Image 2');
	const url = {
		submit: `${emulator.apiUrl}/public/v1/generate/image`,
		poll: `${emulator.apiUrl}/public/v1/job/${id}`,
		download: `${emulator.cdnUrl}/results/${id}/1.png`,
	}[place];
	const seen = { status: 0, bytes: 0, end: 'waiting' };
	const heard = async (): Promise<void> => {
		const response = await fetch(url, {
			redirect: 'manual',
			headers: place === 'download' ? {} : { authorization: 'Bearer test-key' },
			...(place === 'submit' && { method: 'POST', body: form }),
		});
		seen.status = response.status;
		for await (const chunk of response.body ?? []) {
			seen.bytes += (chunk as Uint8Array).length;
			if (seen.bytes > ENOUGH_BYTES) break;
		}
		seen.end = seen.bytes > ENOUGH_BYTES ? 'endless' : 'whole';
	};
	const over = heard().catch(() => {
		seen.end = 'lost';
	});
	const silence = async (): Promise<void> => {
		while (emulator.requests.at(-1)?.fault === undefined) await delay(1);
		await delay(STALL_MS);
	};
	await (stalls ? Promise.race([over, silence()]) : over);
	return `${seen.status} ${seen.end} ${seen.end === 'endless' ? 'more' : seen.bytes}`;
}

type Kind = Fault extends infer F ? (F extends Fault ? Omit<F, 'at'> : never) : never;

/** Of the answer that a fault damages, half are 25 bytes. */
const KINDS: readonly [Kind, seen: string, jobs: number][] = [
	[{ kind: 'respond', status: 429, body: { detail: 'Slow down' } }, '429 whole 22', 0],
	[{ kind: 'respond', status: 500, when: 'accepted' }, '500 whole 0', 1],
	[{ kind: 'respond', status: 413, when: 'uploading' }, '413 whole 0', 0],
	[{ kind: 'garbage' }, '200 whole 11', 0],
	[{ kind: 'html' }, '200 whole 150', 0],
	[{ kind: 'html', status: 502 }, '502 whole 150', 0],
	[{ kind: 'redirect', to: 'itself' }, '307 whole 0', 0],
	[{ kind: 'reset' }, '0 lost 0', 0],
	[{ kind: 'stall' }, '0 waiting 0', 0],
	[{ kind: 'stallBody' }, '200 waiting 25', 1],
	[{ kind: 'truncate' }, '200 lost 25', 1],
	[{ kind: 'truncate', chunked: true }, '200 lost 25', 1],
	[{ kind: 'truncate', whole: true }, '200 lost 49', 1],
	[{ kind: 'hold', until: delay(20) }, '200 whole 49', 1],
	[{ kind: 'hugeBody', megabytes: 1 }, '200 whole 1048638', 1],
	[{ kind: 'endlessBody' }, '200 endless more', 0],
];

it.each(KINDS)(
	'a submit with %j is seen once as %s, and makes %i jobs',
	async (kind, seen, jobs) => {
		emulator.faults.add({ at: 'submit', ...kind });
		expect(await see('submit', 'x', kind.kind.startsWith('stall'))).toBe(seen);
		expect(emulator.requests[0]?.fault).toBe(kind.kind);
		expect(emulator.submits).toHaveLength(jobs);
		expect(await see('submit')).toBe('200 whole 49');
	},
);

it('strikes as often as it was told, where it was aimed, until it is removed', async () => {
	const { faults } = emulator;
	const match: Fault['match'] = ({ form }) => form?.fields.prompt === 'second';
	const fault = faults.add({ at: 'submit', kind: 'respond', status: 500, times: Infinity, match });
	const statuses = [];
	for (const prompt of ['first', 'second', 'second']) statuses.push(await see('submit', prompt));
	statuses.push(await see('poll'));
	fault.remove();
	statuses.push(await see('submit', 'second'));
	faults.add({ at: 'download', kind: 'reset', times: 2 });
	statuses.push(await see('download'));
	faults.clear();
	statuses.push(await see('download'));
	expect(statuses.map((seen) => Number(seen.split(' ')[0]))).toEqual([
		...[200, 500, 500, 200],
		...[200, 0, 200],
	]);
	expect(fault.struck).toBe(2);
});
