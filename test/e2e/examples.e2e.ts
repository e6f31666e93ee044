import { readdirSync, readFileSync } from 'node:fs';
import { join, parse, resolve } from 'node:path';
import type { IDataObject } from 'n8n-workflow';
import { tinyPicture } from '../emulator/pictures';
import { expectSuccess, isN8n1, servedSha256, sha256, useLab } from './lab';
import type { Answer, Execution, SavedWorkflow, WorkflowFile } from './real-n8n/rest-client';
import { until } from './real-n8n/until';
import { useScriptedModel, withModel } from './tools';
import { isOurs, withCredential } from './workflow';

const lab = useLab(() => {
	// One example looks at the size of a sheet: it has to be drawn, which takes a while.
	const { currentTestName = '' } = expect.getState();
	return { pictures: currentTestName.startsWith('sprite-sheet-to-engine-files') };
});
const startModel = useScriptedModel(lab);

const folder = resolve(__dirname, '..', '..', 'examples');
const examples = new Map(
	readdirSync(folder).map((file) => [
		parse(file).name,
		JSON.parse(readFileSync(join(folder, file), 'utf8')) as WorkflowFile,
	]),
);
/** agent.e2e.ts talks to this one. */
const used = new Set(['ai-agent']);

function example(name: string): WorkflowFile {
	const file = examples.get(name);
	if (file === undefined) throw new Error(`There is no example ${name}.`);
	used.add(name);
	return structuredClone(file);
}

/** What a person changes in the nodes of an example, by their names. */
type Changes = Readonly<Record<string, IDataObject>>;

/** Imports an example as a person does. */
async function imported(name: string, changes: Changes = {}): Promise<SavedWorkflow> {
	const file = withCredential(example(name), lab.credential);
	for (const node of file.nodes) Object.assign(node.parameters, changes[node.name]);
	return await lab.n8n.createWorkflow(file);
}

/** Imports an example and runs it by hand. */
async function run(
	name: string,
	trigger = 'Start here',
	changes: Changes = {},
): Promise<Execution> {
	return await lab.n8n.runManually(await imported(name, changes), trigger);
}

/**
 * Sends something to an example in production.
 *
 * @param to the path of its webhook, or the name of its form.
 */
async function send(
	saved: SavedWorkflow,
	to: string,
	body: IDataObject | FormData,
): Promise<Answer> {
	await lab.n8n.activate(saved);
	const form = saved.nodes.find(({ name }) => name === to)?.webhookId;
	const answer = await lab.n8n.post(form === undefined ? `webhook/${to}` : `form/${form}`, body);
	await lab.n8n.deactivate(saved);
	return answer;
}

/** The next page of a form, when it is there. What is sent from it lets the execution go on. */
async function nextPage(
	{ text }: Answer,
	answer: () => FormData | undefined = () => undefined,
): Promise<string> {
	const { formWaitingUrl } = JSON.parse(text) as { formWaitingUrl: string };
	const statusUrl = new URL(formWaitingUrl);
	statusUrl.pathname += '/n8n-execution-status';
	await until(async () => (await (await fetch(statusUrl)).text()) === 'form-waiting');
	const page = await (await fetch(formWaitingUrl)).text();
	const body = answer();
	await fetch(formWaitingUrl, { method: 'POST', ...(body ? { body } : {}) });
	return page;
}

async function expectImages(execution: Execution, nodeName: string, count: number): Promise<void> {
	expectSuccess(execution);
	const items = execution.items(nodeName);
	expect(items).toHaveLength(count);
	for (const { json, binary } of items) {
		const image = binary?.data;
		if (image === undefined) throw new Error('An item has no image.');
		expect(sha256(await lab.n8n.download(image))).toBe(await servedSha256(json.image_url));
	}
}

function fileNames(execution: Execution, nodeName: string): unknown[] {
	const items = execution.items(nodeName).flatMap(({ binary }) => Object.values(binary ?? {}));
	return items.map(({ fileName }) => fileName);
}

/** The hash of the first image that a node's item gives the address of. */
async function imageOf(execution: Execution, nodeName: string, name?: unknown): Promise<string> {
	const items = execution.items(nodeName).filter(({ json }) => json.name === name);
	return await servedSha256(items[0]?.json.image_url);
}

const sentFiles = () =>
	lab.emulator.submits.map(({ files }) => files.map((file) => [file.fileName, file.sha256]));
const sentHashes = () => sentFiles().map((files) => files.map(([, hash]) => hash));
const resultUrl = (jobId: unknown) => `${lab.emulator.cdnUrl}/results/${String(jobId)}/1.png`;

/** n8n reviews calls of an agent's tools from 2.6 on, and n8n 1 finds a data table by its ID only. */
const ofN8n2 = ['ai-agent-with-review', 'asset-list-in-data-table'];

it('every example explains itself, and holds no credential and nothing that n8n does not know', async () => {
	const types = await lab.n8n.nodeTypes();
	for (const [name, { nodes }] of examples) {
		const isExplained = nodes.some(({ type }) => type === 'n8n-nodes-base.stickyNote');
		const withKey = nodes.filter(({ credentials }) => credentials !== undefined);
		const unknown = nodes.filter(({ type, typeVersion, parameters }) => {
			const known = types.find(
				(each) => each.name === type && [each.version].flat().includes(typeVersion),
			);
			const names = known?.properties.map((property) => property.name) ?? [];
			const isComplete = Object.keys(parameters).every((parameter) => names.includes(parameter));
			return known === undefined || (isOurs(type) && !isComplete);
		});
		const isUsable = !(isN8n1 && name === 'ai-agent-with-review');
		expect({ name, isExplained, withKey, unknown: isUsable ? unknown : [] }).toEqual({
			name,
			isExplained: true,
			withKey: [],
			unknown: [],
		});
	}
});

it('prompt-to-image makes an image of each prompt', async () => {
	const execution = await run('prompt-to-image');
	await expectImages(execution, 'Generate images', 2);
	expect(fileNames(execution, 'Generate images')).toEqual(['lighthouse.png', 'fox.png']);
});

describe('reference-images-to-image', () => {
	it('sends its sample pictures', async () => {
		const execution = await run('reference-images-to-image', 'Try with the samples');
		await expectImages(execution, 'Generate from references', 1);
		const [samples] = execution.items('Sample pictures');
		const hash = (field: string) => sha256(Buffer.from(samples?.json[field] as string, 'base64'));
		expect(lab.emulator.submits[0]?.fields.prompt).toBe(samples?.json.prompt);
		expect(sentFiles()).toEqual([
			[
				['sketch.png', hash('sketch')],
				['palette.png', hash('palette')],
			],
		]);
	});

	it('sends what is uploaded in its form, whose last page shows the image', async () => {
		const saved = await imported('reference-images-to-image');
		const form = new FormData();
		form.append('field-0', 'As on my pictures');
		const bytes = tinyPicture('mine', 'png');
		for (const name of ['one.png', 'two.png']) {
			form.append('field-1', new File([bytes], name, { type: 'image/png' }));
		}
		const page = await nextPage(await send(saved, 'Upload pictures', form));
		const execution = await lab.n8n.nextExecution(saved);
		await expectImages(execution, 'Generate from references', 1);
		const [submit] = lab.emulator.submits;
		expect(page).toContain(`<img src="${resultUrl(submit?.jobId)}"`);
		expect(submit?.fields.prompt).toBe('As on my pictures');
		// n8n numbers the files of one form field as they are stored, not as they were sent.
		const uploaded = Object.entries(execution.items('Upload pictures')[0]?.binary ?? {}).sort();
		const names = uploaded.map(([, { fileName }]) => fileName);
		expect([...names].sort()).toEqual(['one.png', 'two.png']);
		expect(sentFiles()).toEqual([names.map((name) => [name, sha256(bytes)])]);
	});
});

describe('webhook-answers-with-image', () => {
	async function called(body: IDataObject): Promise<Answer> {
		const saved = await imported('webhook-answers-with-image');
		const answer = await send(saved, 'aetherforge-answer', body);
		await lab.n8n.nextExecution(saved);
		return answer;
	}

	it('answers with the bytes, and the job in a header', async () => {
		const { status, headers, bytes } = await called({ prompt: 'A red fox' });
		const [submit] = lab.emulator.submits;
		expect(submit?.fields.prompt).toBe('A red fox');
		const shown = ['content-type', 'x-job-id'].map((name) => headers.get(name));
		expect([status, ...shown]).toEqual([200, 'image/png', submit?.jobId]);
		expect(sha256(bytes)).toBe(await servedSha256(resultUrl(submit?.jobId)));
	});

	it.each([
		['the job fails', 'A red fox #fail-message', 502, 'could not finish', 'AetherForge says:', 1],
		['the caller sent no prompt', undefined, 400, 'Prompt', 'No job was started', 0],
	])('answers with the reason when %s', async (_, prompt, status, message, description, paid) => {
		const answer = await called(prompt === undefined ? {} : { prompt });
		expect(lab.emulator.submits).toHaveLength(paid);
		expect([answer.status, JSON.parse(answer.text)]).toEqual([
			status,
			{
				message: expect.stringContaining(message) as string,
				description: expect.stringContaining(description) as string,
				...(paid === 0 ? {} : { job_id: lab.emulator.submits[0]?.jobId }),
			},
		]);
	});
});

describe('find-crashed-executions', () => {
	it('asks n8n for them', async () => {
		const keys = '/rest/api-keys';
		const { rawApiKey: apiKey } = await lab.n8n.request<{ rawApiKey: string }>('POST', keys, {
			label: 'Example',
			expiresAt: null,
			scopes: await lab.n8n.request('GET', `${keys}/scopes`),
		});
		const baseUrl = `${lab.n8n.url}/api/v1`;
		const { id, name } = await lab.n8n.createCredential('n8n', 'n8nApi', { apiKey, baseUrl });
		const file = example('find-crashed-executions');
		for (const node of file.nodes) {
			if (node.type === 'n8n-nodes-base.n8n') node.credentials = { n8nApi: { id, name } };
		}
		expectSuccess(await lab.run(file, 'Every hour'));
	});

	it('names those that have not been retried', async () => {
		const crashed = { status: 'crashed', startedAt: new Date().toISOString(), workflowId: 'w' };
		const pinned = [
			{ ...crashed, id: 1, retrySuccessId: null },
			{ ...crashed, id: 2, status: 'error', retrySuccessId: null },
			{ ...crashed, id: 3, retrySuccessId: '4' },
			{ ...crashed, id: 5, startedAt: '2026-01-01T00:00:00.000Z', retrySuccessId: null },
		];
		const pinData = { 'Failed executions': pinned.map((json) => ({ json })) };
		const file = { ...example('find-crashed-executions'), pinData };
		const execution = await lab.run(file, 'Every hour');
		expect(execution.items('Tell me').map(({ json }) => json)).toEqual([
			{
				message: 'Execution 1 crashed. Retry it: paid jobs are collected free of charge.',
				link: '/workflow/w/executions/1',
			},
		]);
	});
});

describe('schedule-with-summary', () => {
	it('keeps the images of the others and sums up what failed, started by its schedule', async () => {
		const prompt = ['A harbor', 'A market #fail-message', 'A train', ' '];
		const saved = await imported('schedule-with-summary', {
			'Your prompts': {
				jsonOutput: JSON.stringify({ rows: prompt.map((each) => ({ prompt: each })) }),
			},
			'Every Monday': { rule: { interval: [{ field: 'seconds', secondsInterval: 1 }] } },
		});
		await lab.n8n.activate(saved);
		await until(() => lab.emulator.submits.length > 0);
		await lab.n8n.deactivate(saved);
		const execution = await lab.n8n.nextExecution(saved);
		expect(execution.mode).toBe('trigger');
		await expectImages(execution, 'Images to keep', 2);
		const failed = lab.emulator.submits.find(({ fields }) => fields.prompt === prompt[1]);
		const summary =
			/^2 of 4 prompts failed:\n- A market #fail-message: .*could not finish.*\n- {2}: .*Prompt.*$/;
		expect(execution.items('Summary of failures').map(({ json }) => json)).toEqual([
			{
				summary: expect.stringMatching(summary) as string,
				prompts: ['A market #fail-message', ' '],
				job_ids: [failed?.jobId],
			},
		]);
	});
});

describe('compare-models', () => {
	/** Caption and content of each picture in the page. */
	function figures(execution: Execution): (string | undefined)[][] {
		const pattern = /<figure>(.*?)<figcaption>(.*?)<\/figcaption><\/figure>/gs;
		const html = execution.items('Side by side')[0]?.json.html as string;
		return [...html.matchAll(pattern)].map(([, content, caption]) => [caption, content]);
	}

	it('asks each model once, all for the same prompt, and shows the images in one page', async () => {
		const execution = await run('compare-models');
		const types = await lab.n8n.nodeTypes();
		const known = types
			.find(({ name }) => name === 'n8n-nodes-aetherforge.imageGenerate')
			?.properties.find(({ name }) => name === 'aiModel')
			?.options?.map(({ name }) => name);
		await expectImages(execution, 'Generate with each model', known?.length ?? 0);
		const submitted = lab.emulator.submits.map(({ fields }) => fields);
		expect(submitted.map(({ ai_model: model }) => model).sort()).toEqual(known);
		const [prompt, ...others] = new Set(submitted.map((fields) => fields.prompt));
		expect(others).toEqual([]);
		const pages = execution.items('Side by side').map(({ json }) => json.html);
		expect(pages).toEqual([expect.stringContaining(`<h2>${String(prompt)}</h2>`)]);
		expect(figures(execution)).toEqual(
			execution
				.items('Generate with each model')
				.map(({ json }) => [json.ai_model, `<img src="${json.image_url as string}">`]),
		);
	});

	it('shows the reason in place of the image of a model that cannot do it', async () => {
		const model = ['GPT Image 2', 'No Such Model', 'Nano Banana'];
		const jsonOutput = JSON.stringify({ prompt: 'A red fox', model });
		const execution = await run('compare-models', 'Start here', {
			'Prompt and models': { jsonOutput },
		});
		expectSuccess(execution);
		expect(figures(execution)).toEqual([
			['GPT Image 2', expect.stringContaining('<img')],
			['No Such Model', expect.stringMatching(/^<p>.*ai_model.*<\/p>$/s)],
			['Nano Banana', expect.stringContaining('<img')],
		]);
	});
});

it('character-to-sprite-sheet sends the character through Upscale to Make Sprite', async () => {
	const execution = await run('character-to-sprite-sheet');
	await expectImages(execution, 'Generate character', 1);
	await expectImages(execution, 'Upscale', 1);
	const made = execution.items('Make sprite').map(({ binary }) => Object.values(binary ?? {}));
	expect(made.map((files) => files.map(({ mimeType }) => mimeType))).toEqual([
		['image/png', 'image/gif'],
	]);
	const [character] = execution.items('Your character');
	const { prompt, motion } = character?.json ?? {};
	const [generated, , sprite] = lab.emulator.submits.map(({ fields }) => fields);
	expect(generated?.prompt).toBe(prompt);
	expect(sprite).toEqual({ text: motion, frame: '25', is_pixel: 'false' });
	expect(sentHashes()).toEqual([
		[],
		[await imageOf(execution, 'Generate character')],
		[await imageOf(execution, 'Upscale')],
	]);
});

it('approve-upscale-animate pays for the two further steps of what was approved', async () => {
	const saved = await imported('approve-upscale-animate');
	const form = new FormData();
	form.append('field-0', '');
	let generated: unknown[] = [];
	const page = await nextPage(await send(saved, 'Start', form), () => {
		generated = lab.emulator.submits.map(({ jobId }) => jobId);
		const choice = new FormData();
		choice.append('field-1', JSON.stringify(['knight', 'slime']));
		return choice;
	});
	expect(generated).toHaveLength(3);
	for (const jobId of generated) {
		expect(page).toContain(`<img width="240" src="${resultUrl(jobId)}"`);
	}
	const execution = await lab.n8n.nextExecution(saved);
	expectSuccess(execution);
	expect([...fileNames(execution, 'Upscale'), ...fileNames(execution, 'Make sprite')]).toEqual([
		...['knight_2k.png', 'slime_2k.png'],
		...['knight_walk.png', 'knight_walk-2.gif', 'slime_walk.png', 'slime_walk-2.gif'],
	]);
	const upscaled = lab.emulator.submits.filter(({ fields }) => fields.scale !== undefined);
	const images = ['knight', 'slime'].map(
		async (name) => await imageOf(execution, 'Generate', name),
	);
	expect(upscaled.flatMap(({ files }) => files.map((file) => file.sha256)).sort()).toEqual(
		(await Promise.all(images)).sort(),
	);
	expect(lab.emulator.submits).toHaveLength(3 + 2 + 2);
});

it('sprite-sheet-to-engine-files says where each frame of the sheet is, in a file of its own', async () => {
	const execution = await run('sprite-sheet-to-engine-files');
	expectSuccess(execution);
	const sheet = execution.items('Sheet and GIF')[0]?.json.sheet as Record<string, number>;
	const { frame_width: w = NaN, frame_height: h = NaN } = sheet;
	const binary = execution.items('Atlas file')[0]?.binary?.data;
	if (binary === undefined) throw new Error('There is no file.');
	expect(binary.fileName).toBe('knight_walk.json');
	const text = (await lab.n8n.download(binary)).toString();
	const { frames, meta } = JSON.parse(text) as { frames: Record<string, object>; meta: object };
	expect(meta).toMatchObject({ image: 'knight_walk.png', size: { w: 5 * w, h: 5 * h } });
	expect(Object.keys(frames)).toHaveLength(25);
	expect(frames.knight_walk_007).toEqual({
		frame: { x: 2 * w, y: h, w, h },
		rotated: false,
		trimmed: false,
		spriteSourceSize: { x: 0, y: 0, w, h },
		sourceSize: { w, h },
	});
});

it('one-hero-many-poses sends the image of the hero with each pose', async () => {
	const execution = await run('one-hero-many-poses');
	await expectImages(execution, 'Generate poses', 3);
	const image = await imageOf(execution, 'Generate hero');
	expect(sentHashes()).toEqual([[], [image], [image], [image]]);
	expect(fileNames(execution, 'Generate poses')).toEqual([
		...['knight_idle.png', 'knight_jump.png', 'knight_hit.png'],
	]);
});

it('upscale-form-upload upscales each picture, and its last page has links and reasons', async () => {
	const saved = await imported('upscale-form-upload');
	const form = new FormData();
	for (const [name, bytes] of [
		['one.png', tinyPicture('one.png', 'png')],
		['two.png', tinyPicture('two.png', 'png')],
		['notes.png', Buffer.from('Notes')],
	] as const) {
		form.append('field-0', new File([bytes], name, { type: 'image/png' }));
	}
	const page = await nextPage(await send(saved, 'Upload pictures', form));
	const execution = await lab.n8n.nextExecution(saved);
	expectSuccess(execution);
	const lines = [...page.matchAll(/<li>(.*?): (.*?)<\/li>/gs)].map(([, ...line]) => line);
	const links = lab.emulator.submits.map(({ fields, files: [file, ...more], jobId }) => {
		expect([fields, more]).toEqual([{ scale: '2K' }, []]);
		expect(file?.sha256).toBe(sha256(tinyPicture(file?.fileName ?? '', 'png')));
		return [file?.fileName, `<a href="${resultUrl(jobId)}" target="_blank">`];
	});
	const told = [...links, ['notes.png', 'is not an image']].map(([name, part = '']) => [
		name,
		expect.stringContaining(part) as string,
	]);
	expect(lines).toHaveLength(3);
	expect(lines).toEqual(expect.arrayContaining(told));
	const upscaled = execution.items('Upscale').flatMap(({ binary }) => binary?.data ?? []);
	expect(upscaled.map(({ mimeType }) => mimeType)).toEqual(['image/png', 'image/png']);
});

it('split-into-layers sends its sample picture and gives an item with a file for each layer', async () => {
	const execution = await run('split-into-layers');
	await expectImages(execution, 'Layers to keep', 4);
	const [sample] = execution.items('Sample picture');
	const bytes = Buffer.from(sample?.json.picture as string, 'base64');
	expect(lab.emulator.submits.map(({ fields }) => fields)).toEqual([{ keyword: 'arm' }]);
	expect(sentFiles()).toEqual([[['character.png', sha256(bytes)]]]);
});

describe('job-id-first-then-get-job', () => {
	/** A wait that a test can sit through. */
	const impatient = { Wait: { amount: 2 } };

	it('responds to the webhook before the job is done, and then fetches the image', async () => {
		const saved = await imported('job-id-first-then-get-job', impatient);
		const { status, text } = await send(saved, 'aetherforge-image', { prompt: 'A red fox' });
		const [submit] = lab.emulator.submits;
		expect([status, JSON.parse(text)]).toEqual([200, { job_id: submit?.jobId, status: 'Pending' }]);
		expect(submit?.fields.prompt).toBe('A red fox');
		const execution = await lab.n8n.nextExecution(saved);
		await expectImages(execution, 'Job has ended', 1);
		expect(execution.runCount('Check the job')).toBe(1);
	});

	it('checks again until the job is done, started by the schedule', async () => {
		const running = run('job-id-first-then-get-job', 'Every morning', impatient);
		await until(() => lab.emulator.submits.length > 0);
		for (const job of lab.emulator.jobs.all()) job.durationMs = 3_000;
		const execution = await running;
		await expectImages(execution, 'Job has ended', 1);
		expect(execution.runCount('Check the job')).toBe(2);
	});
});

if (!isN8n1) {
	it('asset-list-in-data-table pays for each row once, also after Stop', async () => {
		const rows = ['sword', 'shield'].map((name) => ({ name, prompt: `A ${name} #never` }));
		const tables = `${await lab.n8n.personalProject()}/data-tables`;
		const columns = ['name', 'prompt', 'job_id', 'image_url'];
		const { id } = await lab.n8n.request<{ id: string }>('POST', tables, {
			name: 'assets',
			columns: columns.map((name) => ({ name, type: 'string' })),
		});
		const inserted = { data: rows, returnType: 'count' };
		await lab.n8n.request('POST', `${tables}/${id}/insert`, inserted);
		const read = async () =>
			(await lab.n8n.request<{ data: IDataObject[] }>('GET', `${tables}/${id}/rows`)).data;
		const saved = await imported('asset-list-in-data-table');
		const stopped = await lab.n8n.startManually(saved, 'Start here');
		await until(async () => (await read()).every(({ job_id: id }) => typeof id === 'string'));
		await lab.n8n.stop(stopped);
		lab.finishJobs();
		const execution = await lab.n8n.runManually(saved, 'Start here');
		expectSuccess(execution);
		expect(lab.emulator.submits).toHaveLength(2);
		expect(fileNames(execution, 'Images to keep')).toEqual(['sword.png', 'shield.png']);
		const started = (prompt: string) =>
			lab.emulator.submits.find(({ fields }) => fields.prompt === prompt)?.jobId;
		expect((await read()).map(({ image_url: url }) => url)).toEqual(
			rows.map(({ prompt }) => resultUrl(started(prompt))),
		);
	});

	describe('ai-agent-with-review', () => {
		const prompt = 'A red fox in the snow';

		/** Lets the agent ask, and presses one of the two buttons. */
		async function answered(isApproved: boolean): Promise<Execution> {
			const args = { toolParameters: { prompt }, hitlParameters: {} };
			const { model, credential } = await startModel([
				{ tool: 'Generate_image', arguments: args },
				(lastMessage) => ({ text: `I was told: ${lastMessage}` }),
			]);
			const file = withModel(example('ai-agent-with-review'), lab, credential);
			const json = { sessionId: 'one', action: 'sendMessage', chatInput: 'A fox, please' };
			const saved = await lab.save({ ...file, pinData: { Chat: [{ json }] } });
			const waiting = await lab.n8n.followExecution(
				await lab.n8n.startManually(saved, 'Chat'),
				({ status }) => status === 'waiting',
			);
			const question = JSON.stringify(`Generate this image? It is one paid job.\n\n${prompt}`);
			expect(waiting.savedText).toContain(question);
			expect(model.requests).toHaveLength(1);
			expect(lab.emulator.requests).toEqual([]);
			const buttons = waiting.savedText.match(/http[^"]*webhook-waiting[^"]*/g) ?? [];
			expect(buttons).toHaveLength(2);
			const button = buttons.find((link) => link.includes(`approved=${isApproved}`)) ?? '';
			// Links that are opened by a program count as previews of a chat app.
			const headers = { 'user-agent': 'Mozilla/5.0 (X11; Linux x86_64) Firefox/140.0' };
			expect((await fetch(button, { headers })).status).toBe(200);
			const isAnswered = (execution: Execution) => execution.runCount('Answer') > 0;
			return await lab.n8n.followExecution(waiting.id, isAnswered);
		}

		it('pays nothing before the prompt is approved, and for one job after that', async () => {
			const execution = await answered(true);
			const [submit, ...more] = lab.emulator.submits;
			expect(more).toEqual([]);
			expect(submit?.fields.prompt).toBe(prompt);
			expect(execution.items('AI agent')[0]?.json.output).toContain(submit?.jobId);
		});

		it('pays nothing when the prompt is declined, and the agent is told so', async () => {
			const execution = await answered(false);
			expect(execution.items('AI agent')[0]?.json.output).toMatch(/rejected/i);
			expect(lab.emulator.requests).toEqual([]);
		});
	});
}

it('every example has been tried', () => {
	const left = [...examples.keys()].filter((name) => !used.has(name));
	expect(left).toEqual(isN8n1 ? ofN8n2 : []);
});
