import { NodeApiError, type IExecuteFunctions, type INodeType } from 'n8n-workflow';

import { GetJob } from '../../nodes/GetJob/GetJob.node';
import { ImageGenerate } from '../../nodes/ImageGenerate/ImageGenerate.node';
import { ContextPage } from '../../nodes/shared/engine/jobs/contextPage';
import { startBinaryStorage } from '../support/engine';
import { deferred } from '../support/deferred';
import { KEY, openScene, type Scene } from '../support/scene';

beforeAll(startBinaryStorage);
jest.setTimeout(60_000);

let scene: Scene;

afterEach(async () => {
	await scene.close();
});

describe.each([
	[401, 'Invalid API key'],
	[402, 'Insufficient credits'],
	[403, 'Forbidden'],
	[404, 'Not Found User'],
])('an account failure while polling: HTTP %i', (status, detail) => {
	beforeEach(async () => {
		scene = await openScene({ jobDurationMs: 0 });
		scene.emulator.faults.add({ at: 'poll', kind: 'respond', status, body: { detail } });
	});

	it('names its paid job in the text and in the data', async () => {
		const { error } = await scene.run({ node: 'imageGenerate', parameters: { prompt: 'a' } });
		const jobId = scene.jobIdOf(0);
		expect(error?.description).toContain(jobId);
		expect(error?.description).toMatch(/has already been started and charged/);
		expect(error?.context.data).toMatchObject({ job_id: jobId, http_status: status });
	});

	it('names its paid job in the error item', async () => {
		const { errorItems } = await scene.run({
			node: 'imageGenerate',
			parameters: { prompt: 'a' },
			nodeSettings: { onError: 'continueErrorOutput' },
		});
		const jobId = scene.jobIdOf(0);
		expect(errorItems[0]?.json.error).toMatchObject({
			job_id: jobId,
			http_status: status,
			description: expect.stringContaining(jobId) as string,
		});
	});

	it('tells an agent’s model the paid job in the message, which is all that it gets', async () => {
		const { error } = await scene.run({
			node: 'imageGenerate',
			parameters: { prompt: 'a' },
			asTool: true,
		});
		expect(error?.message).toContain(scene.jobIdOf(0));
	});
});

describe('a request that n8n’s SSRF protection blocks', () => {
	class SsrfBlockedIpError extends Error {
		readonly description = 'The IP address 127.0.0.1 is blocked. Ask your administrator.';

		constructor() {
			super('The request was blocked because it resolves to a restricted IP address');
			this.name = 'SsrfBlockedIpError';
		}
	}

	/** The node where n8n's helper for requests with a credential throws as its protection does. */
	function blocked(nodeType: INodeType, block: (context: IExecuteFunctions) => Error): INodeType {
		return {
			description: nodeType.description,
			async execute(this: IExecuteFunctions) {
				this.helpers.httpRequestWithAuthentication = async () => {
					calls++;
					return await Promise.reject(block(this));
				};
				return (await nodeType.execute?.call(this)) ?? [];
			},
		};
	}

	let calls = 0;
	const asThrown: [string, (context: IExecuteFunctions) => Error][] = [
		['the error itself', () => new SsrfBlockedIpError()],
		[
			'the error within n8n’s own',
			(context) => new NodeApiError(context.getNode(), new SsrfBlockedIpError() as never),
		],
	];

	beforeEach(async () => {
		calls = 0;
		scene = await openScene();
	});

	it.each(asThrown)('costs nothing, is not sent again, and says so: %s', async (_, block) => {
		const result = await scene.run({
			node: blocked(new ImageGenerate(), block),
			parameters: { prompt: 'a' },
			items: [{ json: {} }, { json: {} }, { json: {} }],
			nodeSettings: { onError: 'continueErrorOutput' },
		});
		expect(scene.emulator.requests).toEqual([]);
		expect(calls).toBe(3);
		for (const { json } of result.errorItems) {
			expect(json.error).toMatchObject({
				message: "n8n's SSRF protection blocked the request to AetherForge",
				description: expect.stringMatching(/Ask your administrator/) as string,
			});
		}
		expect(result.log.join('\n')).not.toMatch(/not known/);
		// Nothing is remembered either: once it is allowed, a retry starts the job.
		const again = await scene.run({
			node: 'imageGenerate',
			parameters: { prompt: 'a', waitForCompletion: false },
			items: [{ json: {} }, { json: {} }, { json: {} }],
			retryOf: result,
		});
		expect(again.items).toHaveLength(3);
	});

	it.each(asThrown)('is no status check to try again: %s', async (_, block) => {
		const { error } = await scene.run({
			node: blocked(new GetJob(), block),
			parameters: { jobId: '11111111-1111-4111-8111-111111111111', waitForCompletion: true },
		});
		expect(calls).toBe(1);
		expect(error?.message).toBe("n8n's SSRF protection blocked the request to AetherForge");
	});
});

it('a hint counts a job that replaces a failed one as started, not as resumed', async () => {
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
		expect.stringMatching(
			/^1 job started \(3 in this execution\), 1 resumed \(not charged again\)\./,
		),
	);
});

it('the error of a retry names all remembered jobs, also those that it has not resumed yet', async () => {
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

it('a job ID is neither lost nor unnamed when n8n cannot remember it', async () => {
	scene = await openScene({ jobDurationMs: 0 });
	const record = jest.spyOn(ContextPage.prototype, 'write').mockImplementation(() => {
		throw new TypeError('the context is frozen');
	});
	const { items, log } = await scene.run({ node: 'imageGenerate', parameters: { prompt: 'a' } });
	record.mockRestore();
	const jobId = scene.jobIdOf(0);
	expect(items[0]?.json.job_id).toBe(jobId);
	expect(log).toContain(`info AetherForge started the job ${jobId} for item 0`);
});

it('a key at the end of an excerpt is scrubbed before it is cut', async () => {
	scene = await openScene();
	const body = `${'x'.repeat(190)}${KEY}`;
	scene.emulator.faults.add({ at: 'submit', kind: 'respond', status: 502, body });
	const { error } = await scene.run({ node: 'imageGenerate', parameters: { prompt: 'a' } });
	expect(error?.description).not.toContain(KEY.slice(0, 8));
});

it('the error says that the outcome of another item is unknown', async () => {
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
	expect(error?.description).toMatch(/not known whether a job was started for item 1\./);
});

it('a retry that meets an item whose outcome is unknown starts no other job before it says so', async () => {
	scene = await openScene({ jobDurationMs: 0 });
	scene.emulator.faults.add({ at: 'submit', kind: 'respond', status: 503 });
	const given = {
		node: 'imageGenerate' as const,
		parameters: { prompt: '={{ $json.id }}', options: { maxConcurrentJobs: 1 } },
		items: [{ json: { id: '0' } }, { json: { id: '1' } }],
	};
	const first = await scene.run(given);
	const again = await scene.run({ ...given, retryOf: first });
	expect(again.error?.message).toBe('It is not known whether an earlier attempt started the job');
	expect(scene.emulator.submits).toEqual([]);
});

it.each([
	{ kind: 'truncate' },
	{ kind: 'truncate', chunked: true },
	{ kind: 'stallBody' },
] as const)('a refusal whose body breaks off is a refusal all the same: %j', async (damage) => {
	scene = await openScene({ apiKeys: ['another key'] });
	scene.emulator.faults.add({ at: 'submit', ...damage });
	const { error, log } = await scene.run({ node: 'imageGenerate', parameters: { prompt: 'a' } });
	expect(error?.message).toBe('AetherForge does not accept the API key');
	expect(error?.context.data).toEqual({ http_status: 401 });
	expect(log.join('\n')).not.toMatch(/not known/);
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

it('a proxy’s 404 page in the midst of waiting says nothing about the job', async () => {
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

it('a job whose every status check failed is returned as pending when that is asked for', async () => {
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

it('Stop logs the jobs that are still running, not those that are finished', async () => {
	const stopped = deferred();
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
			setTimeout(stopped.resolve, 20);
			return true;
		},
	});
	const { log } = await scene.run({
		node: 'imageGenerate',
		parameters: { prompt: '={{ $json.id }}' },
		items: [{ json: { id: '0' } }, { json: { id: '1' } }],
		cancelWhen: stopped.promise,
	});
	const line = log.find((each) => each.startsWith('info The execution was stopped'));
	expect(line).toContain(emulator.submits.at(1)?.jobId);
	expect(line).not.toContain(emulator.submits.at(0)?.jobId);
});
