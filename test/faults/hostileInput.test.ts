import { createHash } from 'node:crypto';

import fc from 'fast-check';
import type { INodeExecutionData } from 'n8n-workflow';

import { tinyPicture } from '../emulator/pictures';
import { storeBinary } from '../support/engine';
import { deferred } from '../support/deferred';
import { KEY, useScene } from '../support/scene';

// A run that outlives its test would go on in real time, beside the next one.
jest.setTimeout(60_000);

/** Jest gives tests a copy of `process`, which hears nothing of Node.js' warnings. */
const nodeProcess = process.getBuiltinModule('node:process');

/** Warnings of Node.js, of a leak of listeners for instance, while something runs. */
async function warningsDuring(work: () => Promise<void>): Promise<string[]> {
	const warnings: string[] = [];
	const onWarning = ({ message }: Error) => warnings.push(message);
	nodeProcess.on('warning', onWarning);
	await work();
	// They come a moment later.
	await new Promise((resolve) => setImmediate(resolve));
	nodeProcess.off('warning', onWarning);
	return warnings;
}

const scene = useScene({ jobDurationMs: 0 });

/** Text fields of a multipart form have CRLF for line ends (RFC 7578 leaves it to the sender; axios does it). */
function asSent(text: string): string {
	return text.replace(/\r\n|\r|\n/g, '\r\n');
}

describe('prompts', () => {
	it('of 100 kB with every plane of Unicode arrive intact, and come out unchanged', async () => {
		const planes = Array.from({ length: 17 }, (_, plane) =>
			[0x21, 0x3b1, 0x4e2d, 0xfffd]
				.map((offset) => String.fromCodePoint(plane * 0x10000 + offset))
				.join(''),
		).join('');
		const tricky = `"quoted" \\ \u0000 \u202e --boundary\r\nContent-Disposition: form-data; name="x"\r\n\r\n`;
		const unit = planes + tricky;
		const prompt = unit.repeat(Math.ceil(100_000 / Buffer.byteLength(unit)));
		expect(Buffer.byteLength(prompt)).toBeGreaterThanOrEqual(100_000);
		const { items } = await scene.run({
			node: 'imageGenerate',
			parameters: { prompt: '={{ $json.prompt }}', downloadImages: false },
			items: [{ json: { prompt } }],
		});
		expect(scene.paidPrompts()[0]).toBe(asSent(prompt));
		expect(scene.emulator.submits[0]?.fields).not.toHaveProperty('x');
		expect(items[0]?.json.prompt).toBe(prompt);
	});

	it('of any text arrive intact', async () => {
		const text = fc.string({ unit: 'binary', minLength: 1, maxLength: 60 });
		const texts = fc.sample(
			text.filter((each) => each.trim() !== '' && !/\p{Cs}/u.test(each)),
			{ numRuns: 80, seed: 7 },
		);
		await scene.run({
			node: 'imageGenerate',
			parameters: { prompt: '={{ $json.prompt }}', waitForCompletion: false },
			items: texts.map((prompt) => ({ json: { prompt } })),
		});
		expect([...scene.paidPrompts()].sort()).toEqual(texts.map(asSent).sort());
	});
});

describe('thousands of items', () => {
	const COUNT = 2000;
	const items = Array.from({ length: COUNT }, (_, id) => ({ json: { id } }));

	it('are refused by default, before the first is paid', async () => {
		const { error } = await scene.run({
			node: 'imageGenerate',
			parameters: { prompt: 'a' },
			items,
		});
		expect(error?.message).toMatch(/would start 2000 jobs, more than the 100/);
		expect(scene.emulator.requests).toEqual([]);
	});

	it('are checked one by one and come out in order', async () => {
		const { items: output } = await scene.run({
			node: 'imageGenerate',
			parameters: {
				prompt: '={{ "item " + $json.id }}',
				options: { maxJobsPerExecution: 0, dryRun: true },
			},
			items,
		});
		expect(output.map(({ json }) => json.prompt)).toEqual(items.map((_, id) => `item ${id}`));
		expect(scene.emulator.requests).toEqual([]);
	});

	it('are submitted in order, 20 at a time', async () => {
		const some = items.slice(0, 500);
		const held = deferred();
		let heldCount = 0;
		let underWay = 0;
		scene.emulator.faults.add({
			at: 'submit',
			kind: 'hold',
			until: held.promise,
			times: Infinity,
			match: () => {
				// Without the last of them all would be held for ever; one more has the time to come as well.
				if (++heldCount === 20) setTimeout(held.resolve, 20);
				return true;
			},
		});
		void held.promise.then(() => {
			underWay = heldCount;
		});
		let output: INodeExecutionData[] = [];
		const warnings = await warningsDuring(async () => {
			({ items: output } = await scene.run({
				node: 'imageGenerate',
				parameters: {
					prompt: '={{ "item " + $json.id }}',
					waitForCompletion: false,
					options: { maxJobsPerExecution: 0 },
				},
				items: some,
			}));
		});
		expect(output.map(({ json }) => json.prompt)).toEqual(some.map((_, id) => `item ${id}`));
		expect(new Set(scene.paidPrompts()).size).toBe(some.length);
		expect(scene.emulator.submits).toHaveLength(some.length);
		expect(underWay).toBe(20);
		expect(warnings).toEqual([]);
	});

	it('are polled side by side', async () => {
		const ids = Array.from({ length: 200 }, () => scene.emulator.jobs.add().id);
		let output: INodeExecutionData[] = [];
		const warnings = await warningsDuring(async () => {
			({ items: output } = await scene.run({
				node: 'getJob',
				parameters: { jobId: '={{ $json.id }}', downloadImages: false },
				items: ids.map((id) => ({ json: { id } })),
			}));
		});
		expect(output.map(({ json }) => json.job_id)).toEqual(ids);
		expect(warnings).toEqual([]);
	});
});

describe('an API that floods', () => {
	it.each(['submit', 'poll'] as const)('at %s is cut off at the limit', async (at) => {
		scene.emulator.faults.add({
			at,
			kind: 'endlessBody',
			times: Infinity,
			...(at === 'submit' ? { when: 'accepted' as const } : {}),
		});
		const { error } = await scene.run({
			node: 'imageGenerate',
			parameters: { prompt: 'a', options: { timeout: 60 } },
		});
		expect(`${error?.message} ${error?.description}`).toMatch(/larger than 1 MB/);
	});

	it('with 50 MB of JSON is cut off: its client has left long before the end', async () => {
		scene.emulator.faults.add({ at: 'poll', kind: 'hugeBody', megabytes: 50 });
		const { items } = await scene.run({ node: 'imageGenerate', parameters: { prompt: 'a' } });
		expect(items[0]?.json.status).toBe('Succeed');
	});
});

it('keeps the key out of a failed job’s reason, whoever put it there', async () => {
	const { id } = scene.emulator.jobs.add({
		outcome: { status: 'Failed', extra: { error_message: `the key ${KEY} ran out` } },
	});
	const { items } = await scene.run({ node: 'getJob', parameters: { jobId: id } });
	expect(items[0]?.json.error_message).toMatch(/^the key .* ran out$/);
});

describe('result URLs', () => {
	async function withUrls(imageUrls: readonly unknown[]) {
		const id = '33333333-3333-4333-8333-333333333333';
		scene.emulator.jobs.add({ id, outcome: { extra: { image_urls: imageUrls } } });
		return await scene.run({
			node: 'getJob',
			parameters: { jobId: id, options: { onTimeout: 'error' } },
			nodeSettings: { onError: 'continueErrorOutput' },
		});
	}

	it('that redirect in circles end, with the URL named', async () => {
		const { id } = scene.emulator.jobs.add();
		const fault = scene.emulator.faults.add({
			at: 'download',
			kind: 'redirect',
			to: 'itself',
			times: Infinity,
		});
		const { error } = await scene.run({ node: 'getJob', parameters: { jobId: id } });
		expect(error?.context.data).toMatchObject({
			job_id: id,
			image_urls: [`${scene.emulator.cdnUrl}/results/${id}/1.png`],
		});
		expect(fault.struck).toBeLessThanOrEqual(6);
	});

	it('that give more than 256 MB end there, and are not tried again', async () => {
		const { id } = scene.emulator.jobs.add();
		const fault = scene.emulator.faults.add({
			at: 'download',
			kind: 'hugeBody',
			megabytes: 300,
			times: Infinity,
		});
		const { error } = await scene.run({ node: 'getJob', parameters: { jobId: id } });
		expect(error?.description).toContain('the file is larger than 256 MB');
		expect(error?.context.data).toMatchObject({ job_id: id });
		expect(fault.struck).toBe(1);
	});

	it.each([
		'file:///etc/passwd',
		'ftp://127.0.0.1/x.png',
		'data:image/png;base64,AAAA',
		'javascript:alert(1)',
		'//127.0.0.1/x.png',
		'not an address',
	])('that are not http or https are not opened: %s', async (url) => {
		const { errorItems, items } = await withUrls([url]);
		expect(items).toEqual([]);
		expect(errorItems[0]?.json.error).toMatchObject({
			image_urls: [url],
			description: expect.stringMatching(/does not start with http:\/\/ or https:\/\//) as string,
		});
	});

	it('that point to the API do not get the key', async () => {
		await withUrls([`${scene.emulator.apiUrl}/public/v1/job/33333333-3333-4333-8333-333333333333`]);
		const downloads = scene.emulator.requests.filter(
			({ headers }) => !headers.accept?.includes('json') || headers.authorization === undefined,
		);
		expect(downloads.length).toBeGreaterThan(0);
		for (const { headers } of downloads) expect(headers.authorization).toBeUndefined();
	});

	it('that are no texts are passed over, and leave a job without images', async () => {
		const { items } = await withUrls([null, 7, {}, { url: 9 }, ['x'], '']);
		expect(items.map(({ json }) => json)).toMatchObject([{ status: 'Succeed', image_urls: [] }]);
	});
});

describe('a megabyte in the place of', () => {
	const huge = 'x'.repeat(1_000_000);
	it('the names of 500 files makes no text of more than 1,500 characters', async () => {
		const file = { data: '', mimeType: 'image/png' };
		const fields = Array.from({ length: 500 }, (_, index) => `${index} ${huge.slice(0, 2000)}`);
		const { error } = await scene.run({
			node: 'imageGenerate',
			parameters: {
				prompt: 'a',
				referenceImages: 'selected',
				binaryPropertyName: '={{ $json.huge }}',
			},
			items: [{ json: { huge }, binary: Object.fromEntries(fields.map((name) => [name, file])) }],
		});
		expect(error?.description).toContain(', and 490 more.');
		expect(error?.description).toMatch(/No job was started, and nothing was charged\.$/);
		expect(`${error?.message} ${error?.description}`.length).toBeLessThanOrEqual(1500);
	});

	it('the URL of a result makes none either, and the whole URL is in the data', async () => {
		const url = `https://127.0.0.1:1/${huge}`;
		const { id } = scene.emulator.jobs.add({ outcome: { extra: { image_urls: [url] } } });
		const { error } = await scene.run({ node: 'getJob', parameters: { jobId: id } });
		expect(error?.message).toContain(id);
		expect(`${error?.message} ${error?.description}`.length).toBeLessThanOrEqual(1500);
		expect(error?.context.data).toMatchObject({ image_urls: [url] });
	});

	it('a model makes no long hint of a dry run', async () => {
		const { hints } = await scene.run({
			node: 'imageGenerate',
			parameters: {
				prompt: 'a',
				aiModel: '={{ $itemIndex + $json.huge }}',
				options: { dryRun: true },
			},
			items: Array.from({ length: 12 }, () => ({ json: { huge } })),
		});
		expect(hints[0]?.message).toContain('12 jobs would be started (1 × 0xxx');
		expect(hints[0]?.message.length).toBeLessThanOrEqual(1500);
	});
});

describe('file names', () => {
	const bytes = tinyPicture('hostile', 'png');
	const sha256 = createHash('sha256').update(bytes).digest('hex');

	it.each([
		['quotes', 'a "b" \'c\'.png'],
		['line ends', 'a\r\nContent-Type: text/html\r\n\r\nb.png'],
		['folders', '../../etc/passwd.png'],
		['backslashes', 'C:\\Windows\\system32\\x.png'],
		['Unicode', 'Ünïcödé 中文 😀 \u202egnp.exe'],
		['a lone surrogate', 'a\ud800b.png'],
		['control characters', 'a\u0000\u0007b.png'],
		['length', `${'x'.repeat(5000)}.png`],
		['a semicolon', 'a; filename="evil.php"; b.png'],
		['a percent sign', 'a%22%0d%0ab.png'],
		['dots only', '..'],
		['nothing but spaces', '   '],
	])('with %s are sent as harmless ones, and the bytes arrive', async (_, fileName) => {
		const { error, items } = await scene.run({
			node: 'imageGenerate',
			parameters: { prompt: 'a', referenceImages: 'all' },
			items: [{ json: {}, binary: { data: await storeBinary(bytes, fileName, 'image/png') } }],
		});
		expect(error).toBeUndefined();
		expect(items).toHaveLength(1);
		const [submit] = scene.emulator.submits;
		expect(Object.keys(submit?.fields ?? {}).sort()).toEqual(['ai_model', 'prompt']);
		expect(submit?.files).toMatchObject([{ field: 'ref_images', mimeType: 'image/png', sha256 }]);
		const sent = submit?.files[0]?.fileName ?? '';
		expect(sent).not.toMatch(/[/\\\p{Cc}]/u);
		expect(sent.length).toBeGreaterThan(0);
		expect(sent.length).toBeLessThanOrEqual(300);
	});
});
