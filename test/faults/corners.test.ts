import { runEngine, SERVICE_URL, startBinaryStorage } from '../support/engine';
import { KEY, openScene, type Scene } from '../support/scene';
import { nock } from '../support/nock';

beforeAll(startBinaryStorage);
jest.setTimeout(60_000);

let scene: Scene;

describe('with the emulator', () => {
	afterEach(async () => {
		await scene.close();
	});

	it('an account failure while waiting names its paid job', async () => {
		scene = await openScene({ jobDurationMs: 0 });
		const body = { detail: 'Invalid API key' };
		scene.emulator.faults.add({ at: 'poll', kind: 'respond', status: 401, body });
		const { errorItems } = await scene.run({
			node: 'imageGenerate',
			parameters: { prompt: 'a' },
			nodeSettings: { onError: 'continueErrorOutput' },
		});
		expect(errorItems[0]?.json.error).toMatchObject({
			job_id: scene.emulator.submits[0]?.jobId,
			http_status: 401,
		});
	});

	it('a hint does not count a job that was paid for again', async () => {
		let count = 0;
		scene = await openScene({ wish: () => [{}, { durationMs: Infinity }][count++] });
		const items = [{ json: { id: 1 } }, { json: { id: 2 } }];
		const first = await scene.run({
			node: 'imageGenerate',
			parameters: { prompt: 'a', options: { timeout: 5 } },
			items,
		});
		scene.emulator.jobs.finish(scene.emulator.submits[1]?.jobId ?? '', { status: 'Failed' });
		const { hints } = await scene.run({
			node: 'imageGenerate',
			parameters: { prompt: 'a' },
			items,
			retryOf: first,
		});
		expect(scene.emulator.submits).toHaveLength(3);
		expect(hints.map(({ message }) => message)).toContainEqual(
			expect.stringMatching(/^1 of 2 jobs taken/),
		);
	});

	it('the error of a retry names all remembered jobs, also those not taken up yet', async () => {
		scene = await openScene({ jobDurationMs: 0 });
		const items = Array.from({ length: 12 }, (_, id) => ({ json: { id } }));
		const parameters = {
			prompt: '={{ "item " + $json.id }}',
			options: { maxConcurrentJobs: 2 },
		};
		scene.emulator.faults.add({
			at: 'submit',
			kind: 'respond',
			status: 400,
			match: ({ form }) => form?.fields.prompt === 'item 11',
		});
		const first = await scene.run({ node: 'imageGenerate', parameters, items });
		expect(first.error?.context.data?.running_job_ids).toHaveLength(11);
		const firstId = scene.emulator.submits[0]?.jobId;
		scene.emulator.faults.add({
			at: 'download',
			kind: 'respond',
			status: 410,
			match: ({ jobId }) => jobId === firstId,
		});
		const again = await scene.run({ node: 'imageGenerate', parameters, items, retryOf: first });
		expect(again.error?.context.data?.running_job_ids).toHaveLength(10);
	});

	it('a key at the end of an excerpt is scrubbed before it is cut', async () => {
		scene = await openScene();
		const body = `${'x'.repeat(190)}${KEY}`;
		scene.emulator.faults.add({ at: 'submit', kind: 'respond', status: 502, body });
		const { error } = await scene.run({ node: 'imageGenerate', parameters: { prompt: 'a' } });
		expect(error?.description).not.toContain(KEY.slice(0, 8));
	});

	it('the error says that the start of another item is unclear', async () => {
		scene = await openScene({ jobDurationMs: 0 });
		for (const [prompt, status] of [
			['0', 400],
			['1', 503],
		] as const) {
			const match = (request: { form?: { fields: Readonly<Record<string, string>> } }) =>
				request.form?.fields.prompt === prompt;
			scene.emulator.faults.add({ at: 'submit', kind: 'respond', status, match });
		}
		const { error } = await scene.run({
			node: 'imageGenerate',
			parameters: { prompt: '={{ $json.id }}' },
			items: [{ json: { id: '0' } }, { json: { id: '1' } }],
		});
		expect(error?.description).toMatch(/not known whether a job was started for: item 1/);
	});

	it('a retry that meets an unclear item starts no other job before it says so', async () => {
		scene = await openScene({ jobDurationMs: 0 });
		scene.emulator.faults.add({ at: 'submit', kind: 'respond', status: 503 });
		const given = {
			node: 'imageGenerate' as const,
			parameters: { prompt: '={{ $json.id }}', options: { maxConcurrentJobs: 1 } },
			items: [{ json: { id: '0' } }, { json: { id: '1' } }],
		};
		const first = await scene.run(given);
		const again = await scene.run({ ...given, retryOf: first });
		expect(again.error?.message).toBe('It is not known whether an earlier try started the job');
		expect(scene.emulator.submits).toEqual([]);
	});

	it('a redirect after a POST was accepted does not make Retry On Fail pay again', async () => {
		scene = await openScene({ jobDurationMs: 0 });
		const when = 'accepted' as const;
		scene.emulator.faults.add({ at: 'submit', kind: 'redirect', status: 303, to: '/x', when });
		await scene.run({
			node: 'imageGenerate',
			parameters: { prompt: 'a' },
			nodeSettings: { retryOnFail: true, maxTries: 3, waitBetweenTries: 1 },
		});
		expect(scene.emulator.submits).toHaveLength(1);
	});

	it('a proxy’s 404 page in the midst of waiting is no word about the job', async () => {
		scene = await openScene({ jobDurationMs: 20_000 });
		let count = 0;
		scene.emulator.faults.add({
			at: 'poll',
			kind: 'html',
			status: 404,
			match: () => ++count === 3,
		});
		const { error } = await scene.run({ node: 'imageGenerate', parameters: { prompt: 'a' } });
		expect(error).toBeUndefined();
	});

	it('returnPending holds for a job whose every look failed', async () => {
		scene = await openScene({ jobDurationMs: 0 });
		scene.emulator.faults.add({ at: 'poll', kind: 'respond', status: 503, times: Infinity });
		const { items } = await scene.run({
			node: 'getJob',
			parameters: {
				jobId: scene.emulator.jobs.add().id,
				waitForCompletion: true,
				options: { onTimeout: 'returnPending', timeout: 10 },
			},
		});
		expect(items[0]?.json).toMatchObject({ timed_out: true });
	});

	it('Stop names the jobs that go on, not those that are finished', async () => {
		let stop: () => void = () => undefined;
		const stopped = new Promise<void>((resolve) => {
			stop = resolve;
		});
		scene = await openScene({
			wish: ({ fields }) => ({ durationMs: fields.prompt === '0' ? 0 : Infinity }),
		});
		const { emulator, clock } = scene;
		const startedAtMs = clock.now();
		emulator.faults.add({
			at: 'poll',
			kind: 'stall',
			match: () => {
				if (clock.now() - startedAtMs < 10_000) return false;
				clock.begin();
				setTimeout(stop, 20);
				return true;
			},
		});
		const { log } = await scene.run({
			node: 'imageGenerate',
			parameters: { prompt: '={{ $json.id }}' },
			items: [{ json: { id: '0' } }, { json: { id: '1' } }],
			cancelWhen: stopped,
		});
		const line = log.find((each) => each.startsWith('info The execution was stopped'));
		expect(line).toContain(emulator.submits.at(1)?.jobId);
		expect(line).not.toContain(emulator.submits.at(0)?.jobId);
	});
});

it.each(['EPROTO', 'ERR_SSL_WRONG_VERSION_NUMBER', 'ERR_SSL_DECRYPTION_FAILED_OR_BAD_RECORD_MAC'])(
	'a TLS failure that may come after the request is not sent again: %s',
	async (code) => {
		let postCount = 0;
		nock(SERVICE_URL)
			.persist()
			.post('/public/v1/generate/image', () => {
				postCount++;
				return true;
			})
			.replyWithError(Object.assign(new Error('broken'), { code }));
		await runEngine({ node: 'imageGenerate', parameters: { prompt: 'a' } });
		nock.cleanAll();
		expect(postCount).toBe(1);
	},
);
