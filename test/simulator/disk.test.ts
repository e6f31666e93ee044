import { VirtualClock as DayClock } from '../support/virtualClock';
import { Deduplication } from './disk';

const CONTEXT = {
	workflow: { id: 'workflow', active: false },
	node: { id: 'node', name: 'Node' },
} as Parameters<Deduplication['removeProcessed']>[2];
const ENTRIES = { mode: 'entries' } as const;

let clock: DayClock;
let store: Deduplication;

beforeEach(() => {
	clock = new DayClock();
	store = new Deduplication(clock, 4);
});

async function ask(texts: string[], maxEntries?: number) {
	const options = maxEntries === undefined ? ENTRIES : { ...ENTRIES, maxEntries };
	return await store.checkProcessedAndRecord(texts, 'node', CONTEXT, options);
}

// n8n's own store has no test here: it lives in n8n's server (deduplication-helper.js).
describe('the deduplication store', () => {
	it('knows what it was asked for, until it is taken out', async () => {
		await clock.run(ask(['a', 'b']));
		expect(await clock.run(ask(['b', 'c']))).toEqual({ new: ['c'], processed: ['b'] });
		await clock.run(store.removeProcessed(['b'], 'node', CONTEXT, ENTRIES));
		expect(await clock.run(ask(['a', 'b', 'c']))).toEqual({ new: ['b'], processed: ['a', 'c'] });
	});

	it('keeps the newest', async () => {
		await clock.run(ask(['a', 'b', 'c'], 2));
		expect(await clock.run(ask(['a', 'b', 'c']))).toEqual({ new: ['a'], processed: ['b', 'c'] });
	});

	it('loses a write that another one overtakes', async () => {
		await clock.run(ask(['a']));
		await clock.run(Promise.all([ask(['b']), ask(['c'])]));
		expect(await clock.run(ask(['b', 'c']))).toEqual({ new: ['b'], processed: ['c'] });
	});

	it('fails one of two that come first', async () => {
		const both = await clock.run(Promise.allSettled([ask(['a']), ask(['b'])]));
		expect(both.map(({ status }) => status)).toEqual(['fulfilled', 'rejected']);
	});

	it('writes what a process has sent before it died, and never answers it', async () => {
		let isAnswered = false;
		void ask(['a']).then(() => {
			isAnswered = true;
		});
		// Reading takes 4 ms, and the write arrives 2 ms later.
		await clock.run(clock.wait(5, 'service'));
		clock.crash();
		await clock.run(clock.wait(5, 'service'));
		expect(isAnswered).toBe(false);
		expect(await clock.run(ask(['a', 'b']))).toEqual({ new: ['b'], processed: ['a'] });
	});
});
