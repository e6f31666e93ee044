import type { JobWish } from '../emulator/emulator';
import { tinyPicture } from '../emulator/pictures';
import { bytesOf } from '../support/engine';
import { hintsOf, jsonOf, numbered, onlyJson } from '../support/items';
import { KEY, useScene } from '../support/scene';

const scene = useScene();

const ECHO = { prompt: 'p', ai_model: 'GPT Image 1.5' };
/** The size of the emulator's pictures in tests. */
const TINY = { width: 1, height: 1 };

describe('waiting for the images', () => {
	it('gives an item for each image, with its file', async () => {
		scene.wishes.push({ outcome: { images: ['png', 'gif'] } });
		const result = await scene.generate({});
		const jobId = scene.jobIdOf(0);
		expect(jsonOf(result)).toHaveLength(2);
		for (const [index, format] of (['png', 'gif'] as const).entries()) {
			const { json, binary = {}, pairedItem } = result.items[index] ?? {};
			expect(json).toEqual({
				job_id: jobId,
				status: 'Succeed',
				image_url: scene.resultUrl(jobId, index + 1, format),
				image_number: index + 1,
				image_count: 2,
				...ECHO,
				...TINY,
				mime_type: `image/${format}`,
			});
			expect(pairedItem).toEqual({ item: 0 });
			const fileName = `${jobId}-${index + 1}.${format}`;
			const file = { fileName, mimeType: `image/${format}`, fileExtension: format };
			expect(binary).toEqual({ data: expect.objectContaining(file) as object });
			expect(await bytesOf(binary.data)).toEqual(tinyPicture(fileName, format));
		}
		expect([result.errorItems, result.calls]).toEqual([[], 1]);
		expect(hintsOf(result)).toEqual([
			expect.stringMatching(/^1 job started\. .* select the node, and press P\./),
		]);
	});

	it('keeps the images of a job together when asked to', async () => {
		const twoImages: JobWish = { outcome: { images: ['png', 'gif'] } };
		scene.wishes.push(twoImages, twoImages);
		const given = { options: { outputItems: 'perJob' }, binaryPropertyOutput: ' picture ' };
		const result = await scene.generate(given, { items: numbered(2) });
		expect(jsonOf(result)).toHaveLength(2);
		for (const [item, { json, binary = {}, pairedItem }] of result.items.entries()) {
			const jobId = scene.jobIdOf(item);
			const urls = [scene.resultUrl(jobId, 1), scene.resultUrl(jobId, 2, 'gif')];
			expect(json).toEqual({
				job_id: jobId,
				status: 'Succeed',
				image_urls: urls,
				images: [
					{ image_url: urls[0], ...TINY, mime_type: 'image/png' },
					{ image_url: urls[1], ...TINY, mime_type: 'image/gif' },
				],
				...ECHO,
			});
			expect(pairedItem).toEqual({ item });
			expect(Object.entries(binary).map(([field, { fileName }]) => [field, fileName])).toEqual([
				['picture', `${jobId}-1.png`],
				['picture_1', `${jobId}-2.gif`],
			]);
			expect(await bytesOf(binary.picture_1)).toEqual(tinyPicture(`${jobId}-2.gif`, 'gif'));
		}
	});

	it('sends a form with the key, polls after one second and then every two, and may leave the images', async () => {
		scene.wishes.push({ durationMs: 6500 });
		const startedAt = scene.clock.now();
		const { items } = await scene.generate({ downloadImages: false });
		expect(items[0]).not.toHaveProperty('binary');
		expect(scene.downloads()).toEqual([]);
		expect(scene.emulator.requests[0]?.headers).toMatchObject({
			'content-type': expect.stringMatching(/^multipart\/form-data; boundary=/) as string,
			authorization: `Bearer ${KEY}`,
			accept: 'application/json',
		});
		expect(scene.polls()[0]?.headers).toMatchObject({ authorization: `Bearer ${KEY}` });
		const times = scene.polls().map(({ startedAtMs }) => startedAtMs - startedAt);
		expect(times).toEqual([1000, 3000, 5000, 7000]);
	});
});

it('many items run up to 20 jobs side by side unless told otherwise', async () => {
	scene.wishes.push(...Array<JobWish>(21).fill({ durationMs: 20_000 }));
	const startedAt = scene.clock.now();
	await scene.generate({ downloadImages: false }, { items: numbered(21) });
	const seconds = (scene.clock.now() - startedAt) / 1000;
	expect(seconds).toBeGreaterThan(40);
	expect(seconds).toBeLessThan(60);
});

it('not waiting gives the jobs at once, and n8n’s log names each, but nothing of its request', async () => {
	const startedAt = scene.clock.now();
	const parameters = { prompt: '={{ "secret " + $json.n }}', waitForCompletion: false };
	const { items, log } = await scene.generate(parameters, { items: numbered(3) });
	expect(items.map(({ json, pairedItem }) => [json.prompt, json.status, pairedItem])).toEqual(
		[0, 1, 2].map((item) => [`secret ${item}`, 'Pending', { item }]),
	);
	expect(scene.clock.now()).toBe(startedAt);
	expect(scene.emulator.requests).toHaveLength(3);
	for (const { jobId, fields } of scene.emulator.submits) {
		const item = items.findIndex(({ json }) => json.job_id === jobId);
		expect(fields.prompt).toBe(`secret ${item}`);
		expect(log).toContain(`info AetherForge started the job ${jobId} for item ${item}`);
	}
	expect(log.join()).not.toMatch(/secret|Bearer/);
});

describe('a prompt', () => {
	const FORM_PART =
		'\u{10fffd}\0\r\n--boundary\r\nContent-Disposition: form-data; name="x"\r\n\r\n';

	it.each<[string, string, string]>([
		['is sent as it is written', '  "Möwe" & <b>🦤</b> \\n ', '  "Möwe" & <b>🦤</b> \\n '],
		['may have several lines', 'one\ntwo', 'one\r\ntwo'],
		['does not end its part of the form', FORM_PART, FORM_PART],
		['may be false', '={{ false }}', 'false'],
	])('%s', async (_, prompt, sent) => {
		const json = onlyJson(await scene.generate({ prompt, waitForCompletion: false }));
		expect(scene.emulator.submits[0]?.fields.prompt).toBe(sent);
		expect(json.prompt).toBe(prompt.startsWith('=') ? 'false' : prompt);
	});

	it('goes with a model that the list does not know: the API has the last word', async () => {
		const { error } = await scene.generate({ aiModel: '={{ "Nano Banana " + 3 }}' });
		expect(scene.emulator.requests[0]?.form?.fields.ai_model).toBe('Nano Banana 3');
		expect(error?.message).toMatch(
			/did not accept the request: ai_model: Input should be one of GPT/,
		);
	});
});

it('the Base URL may have a path', async () => {
	const credential = { baseUrl: `${scene.emulator.apiUrl}/proxy` };
	const { error } = await scene.generate({}, { credential });
	expect(error?.httpCode).toBe('404');
	expect(scene.emulator.requests.at(-1)?.path).toBe('/proxy/public/v1/generate/image');
});
