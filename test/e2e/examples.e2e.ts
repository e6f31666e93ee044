import { readdirSync, readFileSync } from 'node:fs';
import { join, resolve } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import type { INode, INodeTypeDescription } from 'n8n-workflow';
import { tinyPicture } from '../emulator/pictures';
import { openLab, servedSha256, sha256, until, type Lab } from './lab';
import type { Execution, SavedWorkflow, WorkflowFile } from './real-n8n/rest-client';
import { startScriptedModel, type ScriptedModel } from './scripted-model';
import { isOurs, nodeTypes, withCredential } from './workflow';

const folder = resolve(__dirname, '..', '..', 'examples');

function example(name: string): WorkflowFile {
	return JSON.parse(readFileSync(join(folder, `${name}.json`), 'utf8')) as WorkflowFile;
}

/** n8n reviews calls of an agent's tools from 2.6 on. */
const hasHumanReview = process.env.E2E_N8N_RELEASE !== 'n8n-1.123';

let lab: Lab;
beforeEach(async () => {
	lab = await openLab();
});
afterEach(async () => {
	await lab.close();
});

/**
 * Imports an example as a person does.
 *
 * @param change what that person changes in its nodes before running it.
 */
async function imported(
	name: string,
	change: (node: INode) => void = () => undefined,
): Promise<SavedWorkflow> {
	const file = withCredential(example(name), lab.credential);
	file.nodes.forEach(change);
	return await lab.n8n.createWorkflow(file);
}

async function expectImages(execution: Execution, nodeName: string, count: number): Promise<void> {
	expect([execution.status, execution.errorMessage]).toEqual(['success', undefined]);
	const items = execution.items(nodeName);
	expect(items).toHaveLength(count);
	for (const { json, binary } of items) {
		const image = binary?.data;
		if (image === undefined) throw new Error('An item has no image.');
		expect(sha256(await lab.n8n.download(image))).toBe(await servedSha256(json.image_url));
	}
}

describe('every example', () => {
	const names = readdirSync(folder).map((file) => file.replace(/\.json$/, ''));

	it('is one of the sixteen', () => {
		expect(names.sort()).toEqual([
			'ai-agent',
			'ai-agent-with-review',
			'approve-upscale-animate',
			'asset-list-in-data-table',
			'character-to-sprite-sheet',
			'compare-models',
			'find-crashed-executions',
			'job-id-first-then-get-job',
			'one-hero-many-poses',
			'prompt-to-image',
			'reference-images-to-image',
			'schedule-with-summary',
			'split-into-layers',
			'sprite-sheet-to-engine-files',
			'upscale-form-upload',
			'webhook-answers-with-image',
		]);
	});

	it.each(names)('%s explains itself and holds no credential', (name) => {
		const { nodes } = example(name);
		expect(nodes.some(({ type }) => type === 'n8n-nodes-base.stickyNote')).toBe(true);
		expect(nodes.filter(({ credentials }) => credentials !== undefined)).toEqual([]);
	});

	const usable = names.filter((name) => hasHumanReview || name !== 'ai-agent-with-review');

	it.each(usable)('%s uses only nodes and parameters that this n8n knows', async (name) => {
		const types = await lab.n8n.nodeTypes();
		for (const node of example(name).nodes) {
			const known = types.filter(
				(type) => type.name === node.type && takes(type, node.typeVersion),
			);
			expect([node.name, known.length]).toEqual([node.name, 1]);
			if (!isOurs(node)) continue;
			const names = known[0]?.properties.map((property) => property.name);
			expect(names).toEqual(expect.arrayContaining(Object.keys(node.parameters)));
		}
	});

	function takes({ version }: INodeTypeDescription, wanted: number): boolean {
		return Array.isArray(version) ? version.includes(wanted) : version === wanted;
	}
});

/** What a form's page does in a browser, from the answer to its upload to the end of the execution. */
async function lastPage(answer: string): Promise<string> {
	const { formWaitingUrl } = JSON.parse(answer) as { formWaitingUrl: string };
	const statusUrl = new URL(formWaitingUrl);
	statusUrl.pathname += '/n8n-execution-status';
	await until(async () => (await (await fetch(statusUrl)).text()) === 'form-waiting');
	const page = await (await fetch(formWaitingUrl)).text();
	// The last page sends this when it is shown, which ends the execution.
	await fetch(formWaitingUrl, { method: 'POST' });
	return page;
}

describe('Prompt to image', () => {
	it('makes an image of each prompt', async () => {
		const execution = await lab.n8n.runManually(await imported('prompt-to-image'), 'Start here');
		await expectImages(execution, 'Generate images', 2);
		const names = execution.items('Generate images').map(({ binary }) => binary?.data?.fileName);
		expect(names).toEqual(['lighthouse.png', 'fox.png']);
	});
});

describe('Reference images to image', () => {
	it('sends its sample pictures', async () => {
		const saved = await imported('reference-images-to-image');
		const execution = await lab.n8n.runManually(saved, 'Try with the samples');
		await expectImages(execution, 'Generate from references', 1);
		const [samples] = execution.items('Sample pictures');
		const hash = (field: string): string =>
			sha256(Buffer.from(samples?.json[field] as string, 'base64'));
		const [submit] = lab.emulator.submits;
		expect(submit?.fields.prompt).toBe(samples?.json.prompt);
		expect(
			submit?.files.map(({ fileName, mimeType, sha256 }) => [fileName, mimeType, sha256]),
		).toEqual([
			['sketch.png', 'image/png', hash('sketch')],
			['palette.png', 'image/png', hash('palette')],
		]);
	});

	it('sends what is uploaded in its form, whose last page shows the image', async () => {
		const saved = await imported('reference-images-to-image');
		await lab.n8n.activate(saved);
		const path = saved.nodes.find(({ name }) => name === 'Upload pictures')?.webhookId;
		const [sample] = saved.nodes.filter(({ name }) => name === 'Sample pictures');
		const bytes = Buffer.from(/iVBOR[\w+/=]+/.exec(JSON.stringify(sample))?.[0] ?? '', 'base64');
		const form = new FormData();
		form.append('field-0', 'As on my pictures');
		form.append('field-1', new File([bytes], 'one.png', { type: 'image/png' }));
		form.append('field-1', new File([bytes], 'two.png', { type: 'image/png' }));
		const { text } = await lab.n8n.post(`form/${String(path)}`, form);
		await lab.n8n.deactivate(saved);
		const page = await lastPage(text);
		const execution = await lab.n8n.nextExecution(saved);
		await expectImages(execution, 'Generate from references', 1);
		const [submit] = lab.emulator.submits;
		const imageUrl = `${lab.emulator.cdnUrl}/results/${String(submit?.jobId)}/1.png`;
		expect(page).toContain(`<img src="${imageUrl}"`);
		expect(submit?.fields.prompt).toBe('As on my pictures');
		// n8n numbers the files of one form field as they are stored, not as they were sent.
		const uploaded = execution.items('Upload pictures')[0]?.binary ?? {};
		const fileNames = Object.keys(uploaded)
			.sort()
			.map((field) => uploaded[field]?.fileName);
		expect([...fileNames].sort()).toEqual(['one.png', 'two.png']);
		expect(submit?.files.map(({ fileName, sha256 }) => [fileName, sha256])).toEqual(
			fileNames.map((fileName) => [fileName, sha256(bytes)]),
		);
	});
});

describe('Webhook answers with the image', () => {
	async function called(body: { prompt?: string }) {
		const saved = await imported('webhook-answers-with-image');
		await lab.n8n.activate(saved);
		const answer = await lab.n8n.post('webhook/aetherforge-answer', body);
		await lab.n8n.nextExecution(saved);
		await lab.n8n.deactivate(saved);
		return answer;
	}

	it('answers with the bytes, and the job in a header', async () => {
		const { status, headers, bytes } = await called({ prompt: 'A red fox' });
		const [submit] = lab.emulator.submits;
		expect(submit?.fields.prompt).toBe('A red fox');
		const shown = ['content-type', 'x-job-id'].map((name) => headers.get(name));
		expect([status, ...shown]).toEqual([200, 'image/png', submit?.jobId]);
		const imageUrl = `${lab.emulator.cdnUrl}/results/${String(submit?.jobId)}/1.png`;
		expect(sha256(bytes)).toBe(await servedSha256(imageUrl));
	});

	it('answers with the reason and the job when the job fails', async () => {
		const { status, text } = await called({ prompt: 'A red fox #fail-message' });
		const [submit] = lab.emulator.submits;
		expect([status, JSON.parse(text)]).toEqual([
			502,
			{
				message: expect.stringContaining('could not finish') as string,
				description: expect.stringContaining('AetherForge says:') as string,
				job_id: submit?.jobId,
			},
		]);
	});

	it('answers that the caller sent no prompt, and pays nothing', async () => {
		const { status, text } = await called({});
		expect([status, JSON.parse(text)]).toEqual([
			400,
			{
				message: expect.stringContaining('Prompt') as string,
				description: expect.stringContaining('No job was started') as string,
			},
		]);
		expect(lab.emulator.submits).toEqual([]);
	});
});

describe('Find crashed executions', () => {
	const file = example('find-crashed-executions');

	it('asks n8n for them', async () => {
		const credential = await lab.n8n.createCredential('n8n', 'n8nApi', {
			apiKey: await lab.n8n.createApiKey(),
			baseUrl: `${lab.n8n.url}/api/v1`,
		});
		const nodes = file.nodes.map((node) =>
			node.type === 'n8n-nodes-base.n8n'
				? { ...node, credentials: { n8nApi: { id: credential.id, name: credential.name } } }
				: node,
		);
		const saved = await lab.n8n.createWorkflow({ ...file, nodes });
		const { status, errorMessage } = await lab.n8n.runManually(saved, 'Every hour');
		expect([status, errorMessage]).toEqual(['success', undefined]);
	});

	it('names those that have not been retried', async () => {
		const crashed = { status: 'crashed', startedAt: new Date().toISOString(), workflowId: 'w' };
		const pinned = [
			{ ...crashed, id: 1, retrySuccessId: null },
			{ ...crashed, id: 2, status: 'error', retrySuccessId: null },
			{ ...crashed, id: 3, retrySuccessId: '4' },
			{ ...crashed, id: 5, startedAt: '2026-01-01T00:00:00.000Z', retrySuccessId: null },
		];
		const saved = await lab.n8n.createWorkflow({
			...file,
			pinData: { 'Failed executions': pinned.map((json) => ({ json })) },
		});
		const execution = await lab.n8n.runManually(saved, 'Every hour');
		expect(execution.items('Tell me').map(({ json }) => json)).toEqual([
			{
				message: 'Execution 1 crashed. Retry it: paid jobs are collected free of charge.',
				link: '/workflow/w/executions/1',
			},
		]);
	});
});

describe('Schedule with a summary of failures', () => {
	it('keeps every image, and sums up nothing when no prompt failed', async () => {
		const saved = await imported('schedule-with-summary');
		const execution = await lab.n8n.runManually(saved, 'Every Monday');
		await expectImages(execution, 'Images to keep', 3);
		expect(execution.runCount('Summary of failures')).toBe(0);
	});

	it('keeps the images of the others and sums up what failed, started by its schedule', async () => {
		const prompt = ['A harbor', 'A market #fail-message', 'A train', ' '];
		const saved = await imported('schedule-with-summary', ({ name, parameters }) => {
			if (name === 'Your prompts') {
				parameters.jsonOutput = JSON.stringify({ rows: prompt.map((each) => ({ prompt: each })) });
			}
			if (name !== 'Every Monday') return;
			parameters.rule = { interval: [{ field: 'seconds', secondsInterval: 1 }] };
		});
		await lab.n8n.activate(saved);
		await until(() => lab.emulator.submits.length > 0);
		await lab.n8n.deactivate(saved);
		const execution = await lab.n8n.nextExecution(saved);
		expect(execution.mode).toBe('trigger');
		await expectImages(execution, 'Images to keep', 2);
		const [item, ...more] = execution.items('Summary of failures');
		expect(more).toEqual([]);
		expect(item?.json).toEqual({
			summary: expect.stringMatching(
				/^2 of 4 prompts failed:\n- A market #fail-message: .*could not finish.*\n- {2}: .*Prompt.*$/,
			) as string,
			prompts: ['A market #fail-message', ' '],
			job_ids: [expect.any(String)],
		});
		const [failedId] = item?.json.job_ids as string[];
		const submit = lab.emulator.submits.find(({ jobId }) => jobId === failedId);
		expect(submit?.fields.prompt).toBe('A market #fail-message');
	});
});

describe('Compare all models', () => {
	it('asks each model once, all for the same prompt, and shows the images in one page', async () => {
		const execution = await lab.n8n.runManually(await imported('compare-models'), 'Start here');
		await expectImages(execution, 'Generate with each model', 7);
		const types = await lab.n8n.nodeTypes();
		const known = types
			.find(({ name }) => name === nodeTypes.imageGenerate)
			?.properties.find(({ name }) => name === 'aiModel')
			?.options?.map(({ name }) => name);
		const submitted = lab.emulator.submits.map(({ fields }) => fields);
		expect(submitted.map(({ ai_model: model }) => model).sort()).toEqual(known);
		const prompt = submitted[0]?.prompt ?? '';
		expect(new Set(submitted.map(({ prompt }) => prompt)).size).toBe(1);
		const [page, ...more] = execution.items('Side by side');
		expect(more).toEqual([]);
		expect(page?.json.html).toContain(`<h2>${prompt}</h2>`);
		expect(figures(page?.json.html)).toEqual(
			execution
				.items('Generate with each model')
				.map(({ json }) => [json.ai_model, `<img src="${json.image_url as string}">`]),
		);
	});

	it('shows the reason in place of the image of a model that cannot do it', async () => {
		const model = ['GPT Image 2', 'No Such Model', 'Nano Banana'];
		const saved = await imported('compare-models', ({ name, parameters }) => {
			if (name !== 'Prompt and models') return;
			parameters.jsonOutput = JSON.stringify({ prompt: 'A red fox', model });
		});
		const execution = await lab.n8n.runManually(saved, 'Start here');
		expect([execution.status, execution.errorMessage]).toEqual(['success', undefined]);
		expect(figures(execution.items('Side by side')[0]?.json.html)).toEqual([
			['GPT Image 2', expect.stringContaining('<img')],
			['No Such Model', expect.stringMatching(/^<p>.*ai_model.*<\/p>$/s)],
			['Nano Banana', expect.stringContaining('<img')],
		]);
	});

	/** Caption and content of each picture in the page. */
	function figures(html: unknown): (string | undefined)[][] {
		const pattern = /<figure>(.*?)<figcaption>(.*?)<\/figcaption><\/figure>/gs;
		return [...String(html).matchAll(pattern)].map(([, content, caption]) => [caption, content]);
	}
});

describe('Character to sprite sheet', () => {
	it('sends the character through Upscale to Make Sprite, which returns the sheet and the GIF', async () => {
		const saved = await imported('character-to-sprite-sheet');
		const execution = await lab.n8n.runManually(saved, 'Start here');
		await expectImages(execution, 'Generate character', 1);
		await expectImages(execution, 'Upscale', 1);
		const [made, ...others] = execution.items('Make sprite');
		expect(others).toEqual([]);
		const mimeTypes = Object.values(made?.binary ?? {}).map(({ mimeType }) => mimeType);
		expect(mimeTypes).toEqual(['image/png', 'image/gif']);
		const [character] = execution.items('Your character');
		const [generate, upscale, sprite, ...more] = lab.emulator.submits;
		expect(more).toEqual([]);
		expect(generate?.fields.prompt).toBe(character?.json.prompt);
		expect(sprite?.fields).toEqual({
			text: character?.json.motion,
			frame: '25',
			is_pixel: 'false',
		});
		const hashes = [upscale, sprite].map((submit) => submit?.files.map((file) => file.sha256));
		const results = ['Generate character', 'Upscale'].map(
			async (name) => await servedSha256(execution.items(name)[0]?.json.image_url),
		);
		expect(hashes).toEqual((await Promise.all(results)).map((hash) => [hash]));
	});
});

describe('Approve, upscale, animate', () => {
	it('pays for the two further steps of what was approved, with the files of the first', async () => {
		const saved = await imported('approve-upscale-animate');
		await lab.n8n.activate(saved);
		const path = saved.nodes.find(({ name }) => name === 'Start')?.webhookId;
		const form = new FormData();
		form.append('field-0', '');
		const { text } = await lab.n8n.post(`form/${String(path)}`, form);
		await lab.n8n.deactivate(saved);
		const { formWaitingUrl } = JSON.parse(text) as { formWaitingUrl: string };
		const statusUrl = new URL(formWaitingUrl);
		statusUrl.pathname += '/n8n-execution-status';
		await until(async () => (await (await fetch(statusUrl)).text()) === 'form-waiting');
		const page = await (await fetch(formWaitingUrl)).text();
		const generated = lab.emulator.submits.map(({ jobId }) => jobId);
		expect(generated).toHaveLength(3);
		for (const jobId of generated) {
			expect(page).toMatch(new RegExp(`<img width="240" src="[^"]*/${jobId}/1\\.png"`));
		}
		const choice = new FormData();
		choice.append('field-1', JSON.stringify(['knight', 'slime']));
		await fetch(formWaitingUrl, { method: 'POST', body: choice });
		const execution = await lab.n8n.nextExecution(saved);
		expect([execution.status, execution.errorMessage]).toEqual(['success', undefined]);
		const names = ['Upscale', 'Make sprite'].flatMap((name) =>
			execution.items(name).flatMap(({ binary }) => Object.values(binary ?? {})),
		);
		expect(names.map(({ fileName }) => fileName)).toEqual([
			...['knight_2k.png', 'slime_2k.png'],
			...['knight_walk.png', 'knight_walk-2.gif', 'slime_walk.png', 'slime_walk-2.gif'],
		]);
		const imageOf = async (name: string): Promise<string> => {
			const item = execution.items('Generate').find(({ json }) => json.name === name);
			return await servedSha256(item?.json.image_url);
		};
		const upscaled = lab.emulator.submits.filter(({ fields }) => fields.scale !== undefined);
		expect(upscaled.flatMap(({ files }) => files.map((file) => file.sha256)).sort()).toEqual(
			(await Promise.all(['knight', 'slime'].map(imageOf))).sort(),
		);
		expect(lab.emulator.submits).toHaveLength(3 + 2 + 2);
	});
});

describe('Sprite sheet to engine files', () => {
	it('says where each frame of the sheet is, in a file that belongs to it', async () => {
		await lab.close();
		lab = await openLab({ pictures: true });
		const saved = await imported('sprite-sheet-to-engine-files');
		const execution = await lab.n8n.runManually(saved, 'Start here');
		expect([execution.status, execution.errorMessage]).toEqual(['success', undefined]);
		const [made] = execution.items('Sheet and GIF');
		const sheet = made?.json.sheet as { frame_width: number; frame_height: number };
		const { frame_width: w, frame_height: h } = sheet;
		const [file] = execution.items('Atlas file');
		const binary = file?.binary?.data;
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
});

describe('One hero, many poses', () => {
	it('sends the image of the hero with each pose', async () => {
		const saved = await imported('one-hero-many-poses');
		const execution = await lab.n8n.runManually(saved, 'Start here');
		await expectImages(execution, 'Generate poses', 3);
		const [hero, ...poses] = lab.emulator.submits;
		expect(hero?.files).toEqual([]);
		const image = await servedSha256(execution.items('Generate hero')[0]?.json.image_url);
		expect(poses.map(({ files }) => files.map((file) => file.sha256))).toEqual([
			...[[image], [image], [image]],
		]);
		const names = execution.items('Generate poses').map(({ binary }) => binary?.data?.fileName);
		expect(names).toEqual(['knight_idle.png', 'knight_jump.png', 'knight_hit.png']);
	});
});

// n8n 1 finds a data table by its ID only.
if (hasHumanReview) {
	describe('Asset list in a data table', () => {
		it('pays for each row once, and collects the jobs of an execution that was stopped', async () => {
			const columns = ['name', 'prompt', 'job_id', 'image_url'];
			const rows = [
				{ name: 'sword', prompt: 'A sword' },
				{ name: 'shield', prompt: 'A shield' },
			];
			const read = await lab.n8n.createDataTable('assets', columns, rows);
			await lab.close();
			lab = await openLab({ jobDurationMs: Infinity });
			const saved = await imported('asset-list-in-data-table');
			const stopped = await lab.n8n.startManually(saved, 'Start here');
			await until(async () => (await read()).every(({ job_id: id }) => typeof id === 'string'));
			await lab.n8n.stop(stopped);
			for (const job of lab.emulator.jobs.all()) lab.emulator.jobs.finish(job.id);
			const execution = await lab.n8n.runManually(saved, 'Start here');
			expect([execution.status, execution.errorMessage]).toEqual(['success', undefined]);
			expect(lab.emulator.submits).toHaveLength(2);
			const files = execution.items('Images to keep').map(({ binary }) => binary?.data?.fileName);
			expect(files).toEqual(['sword.png', 'shield.png']);
			const urlOf = (prompt: string): string => {
				const submit = lab.emulator.submits.find(({ fields }) => fields.prompt === prompt);
				return `${lab.emulator.cdnUrl}/results/${String(submit?.jobId)}/1.png`;
			};
			const urls = (await read()).map(({ image_url: url }) => url);
			expect(urls).toEqual(rows.map(({ prompt }) => urlOf(prompt)));
		});
	});
}

describe('Upscale a form upload', () => {
	it('upscales each picture, and its last page has the links and the reason for what failed', async () => {
		const saved = await imported('upscale-form-upload');
		await lab.n8n.activate(saved);
		const path = saved.nodes.find(({ name }) => name === 'Upload pictures')?.webhookId;
		const pictures = ['one.png', 'two.png'];
		const form = new FormData();
		for (const name of [...pictures, 'notes.png']) {
			const bytes = pictures.includes(name) ? tinyPicture(name, 'png') : Buffer.from('Notes');
			form.append('field-0', new File([bytes], name, { type: 'image/png' }));
		}
		const { text } = await lab.n8n.post(`form/${String(path)}`, form);
		await lab.n8n.deactivate(saved);
		const page = await lastPage(text);
		const execution = await lab.n8n.nextExecution(saved);
		expect([execution.status, execution.errorMessage]).toEqual(['success', undefined]);

		const lines = new Map(
			[...page.matchAll(/<li>(.*?): (.*?)<\/li>/gs)].map(([, name, line = '']) => [name, line]),
		);
		expect(lines.size).toBe(3);
		expect(lines.get('notes.png')).toContain('is not an image');
		expect(lab.emulator.submits).toHaveLength(2);
		for (const { fields, files, jobId } of lab.emulator.submits) {
			expect(fields).toEqual({ scale: '2K' });
			const name = files[0]?.fileName ?? '';
			expect(files.map((file) => file.sha256)).toEqual([sha256(tinyPicture(name, 'png'))]);
			expect(lines.get(name)).toContain(
				`<a href="${lab.emulator.cdnUrl}/results/${jobId}/1.png" target="_blank">`,
			);
		}
		const upscaled = execution.items('Upscale').flatMap(({ binary }) => binary?.data ?? []);
		expect(upscaled.map(({ mimeType }) => mimeType)).toEqual(['image/png', 'image/png']);
	});
});

describe('Split into layers', () => {
	it('sends its sample picture and gives one item with a file for each layer', async () => {
		const saved = await imported('split-into-layers');
		const execution = await lab.n8n.runManually(saved, 'Start here');
		await expectImages(execution, 'Layers to keep', 4);
		const [sample] = execution.items('Sample picture');
		const bytes = Buffer.from(sample?.json.picture as string, 'base64');
		const [submit, ...more] = lab.emulator.submits;
		expect(more).toEqual([]);
		expect(submit?.fields).toEqual({ keyword: 'arm' });
		expect(submit?.files.map((file) => [file.fileName, file.sha256])).toEqual([
			['character.png', sha256(bytes)],
		]);
	});
});

if (hasHumanReview) {
	describe('AI agent that asks first', () => {
		let model: ScriptedModel | undefined;
		afterEach(async () => {
			await model?.close();
		});

		const prompt = 'A red fox in the snow';

		/** Lets the agent ask, and presses one of the two buttons. */
		async function answered(isApproved: boolean): Promise<Execution> {
			const started = await startScriptedModel([
				() => ({
					tool: 'Generate_image',
					arguments: { toolParameters: { prompt }, hitlParameters: {} },
				}),
				(lastMessage) => ({ text: `I was told: ${lastMessage}` }),
			]);
			model = started;
			const { id, name } = await lab.n8n.createCredential('Scripted model', 'openAiApi', {
				apiKey: 'not-needed',
				url: started.url,
			});
			const file = withCredential(example('ai-agent-with-review'), lab.credential);
			for (const node of file.nodes) {
				if (node.name === 'Chat model') node.credentials = { openAiApi: { id, name } };
			}
			const said = { sessionId: 'one', action: 'sendMessage', chatInput: 'A fox, please' };
			const saved = await lab.n8n.createWorkflow({ ...file, pinData: { Chat: [{ json: said }] } });
			const waiting = await lab.n8n.followExecution(
				await lab.n8n.startManually(saved, 'Chat'),
				({ status }) => status === 'waiting',
			);
			const question = JSON.stringify(`Generate this image? It is one paid job.\n\n${prompt}`);
			expect(waiting.savedText).toContain(question);
			expect(started.requests).toHaveLength(1);
			expect(lab.emulator.requests).toEqual([]);
			const buttons = waiting.savedText.match(/http[^"]*webhook-waiting[^"]*/g) ?? [];
			expect(buttons).toHaveLength(2);
			const button = buttons.find((link) => link.includes(`approved=${isApproved}`)) ?? '';
			// Links that are opened by a program count as previews of a chat app.
			const headers = { 'user-agent': 'Mozilla/5.0 (X11; Linux x86_64) Firefox/140.0' };
			expect((await fetch(button, { headers })).status).toBe(200);
			return await lab.n8n.followExecution(
				waiting.id,
				(execution) => execution.runCount('Answer') > 0,
			);
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

describe('Job ID first, then Get Job', () => {
	/** The example with a wait that a test can sit through. */
	async function impatient(): Promise<SavedWorkflow> {
		return await imported('job-id-first-then-get-job', ({ name, parameters }) => {
			if (name === 'Wait') parameters.amount = 2;
		});
	}

	it('responds to the webhook before the job is done, and then fetches the image', async () => {
		const saved = await impatient();
		await lab.n8n.activate(saved);
		const answer = await lab.n8n.post('webhook/aetherforge-image', { prompt: 'A red fox' });
		const [submit] = lab.emulator.submits;
		expect([answer.status, JSON.parse(answer.text)]).toEqual([
			200,
			{ job_id: submit?.jobId, status: 'Pending' },
		]);
		expect(submit?.fields.prompt).toBe('A red fox');
		const execution = await lab.n8n.nextExecution(saved);
		await lab.n8n.deactivate(saved);
		await expectImages(execution, 'Job has ended', 1);
		expect(execution.runCount('Check the job')).toBe(1);
	});

	it('checks again until the job is done, started by the schedule', async () => {
		const saved = await impatient();
		const run = lab.n8n.runManually(saved, 'Every morning');
		await until(() => lab.emulator.submits.length > 0);
		for (const job of lab.emulator.jobs.all()) job.durationMs = 3_000;
		const execution = await run;
		await expectImages(execution, 'Job has ended', 1);
		expect(execution.runCount('Check the job')).toBe(2);
	});

	// When n8n 2.41 starts again, it may mark a waiting execution as crashed: it depends on which of its
	// services comes first whether the execution continues.
	if (process.env.E2E_N8N_RELEASE !== 'n8n-2.41') {
		it('continues after a restart of n8n, and pays for one job', async () => {
			const saved = await imported('job-id-first-then-get-job');
			await lab.n8n.activate(saved);
			await lab.n8n.post('webhook/aetherforge-image', { prompt: 'A red fox' });
			await untilStatus(saved, 'waiting', 10);
			await lab.restartN8n();
			await untilStatus(saved, 'success', 120);
			const execution = await lab.n8n.nextExecution(saved);
			await lab.n8n.deactivate(saved);
			await expectImages(execution, 'Job has ended', 1);
			expect(lab.emulator.submits).toHaveLength(1);
		}, 200_000);
	}

	async function untilStatus(
		saved: SavedWorkflow,
		wanted: string,
		timeoutSeconds: number,
	): Promise<void> {
		const deadline = Date.now() + timeoutSeconds * 1000;
		for (;;) {
			const [execution] = await lab.n8n.executions(saved);
			if (execution?.status === wanted) return;
			if (Date.now() > deadline) throw new Error(`The execution is ${String(execution?.status)}.`);
			await sleep(200);
		}
	}
});
