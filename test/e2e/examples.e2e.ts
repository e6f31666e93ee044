import { readdirSync, readFileSync } from 'node:fs';
import { join, parse, resolve } from 'node:path';
import type { IDataObject } from 'n8n-workflow';
import type { RequestRecord } from '../emulator/emulator';
import { tinyPicture } from '../emulator/pictures';
import { expectSuccess, isN8n1, servedSha256, sha256, useLab } from './lab';
import type { Answer, Execution, SavedWorkflow, WorkflowFile } from './real-n8n/rest-client';
import { until } from './real-n8n/until';
import { chatMessage, useScriptedModel, withModel } from './tools';
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

/** The hash of the first image that a node gives the address of. */
const imageOf = async (execution: Execution, nodeName: string): Promise<string> =>
	await servedSha256(execution.items(nodeName)[0]?.json.image_url);

const sentHashes = () => lab.emulator.submits.map(({ files }) => files.map((file) => file.sha256));
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

it.each<[name: string, trigger: string, nodeName: string, count: number, sent: string[][]]>([
	['prompt-to-image', 'Start here', 'Generate images', 2, [[], []]],
	[
		'reference-images-to-image',
		'Try with the samples',
		'Generate from references',
		1,
		[['sketch.png', 'palette.png']],
	],
	['split-into-layers', 'Start here', 'Layers to keep', 4, [['character.png']]],
])('%s makes images of its samples', async (name, trigger, nodeName, count, sent) => {
	await expectImages(await run(name, trigger), nodeName, count);
	const received = lab.emulator.submits.map(({ files }) => files.map(({ fileName }) => fileName));
	expect(received).toEqual(sent);
});

it.each<[name: string, nodeName: string, count: number, sent: string[]]>([
	['character-to-sprite-sheet', 'Upscale', 1, ['Generate character', 'Upscale']],
	['one-hero-many-poses', 'Generate poses', 3, Array<string>(3).fill('Generate hero')],
])('%s sends on what it has made', async (name, nodeName, count, sent) => {
	const execution = await run(name);
	await expectImages(execution, nodeName, count);
	const images = sent.map(async (each) => [await imageOf(execution, each)]);
	expect(sentHashes()).toEqual([[], ...(await Promise.all(images))]);
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

it('find-crashed-executions names one that crashed until it has been retried', async () => {
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
	const told = async () => {
		const items = (await lab.run(file, 'Every hour')).items('Tell me');
		return items.map(({ json }) => json).filter(({ link }) => (link as string).includes(saved.id));
	};
	const saved = await imported('webhook-answers-with-image');
	await lab.n8n.activate(saved);
	const path = 'webhook/aetherforge-answer';
	const cutOff = lab.n8n.post(path, { prompt: 'A red fox #never' }).catch(() => undefined);
	await until(() => lab.emulator.submits.length > 0);
	await Promise.all([lab.crashN8n(), cutOff]);
	await lab.n8n.deactivate(saved);
	// n8n 2.8 listens before it has looked for them.
	const { id: executionId } = await until(async () =>
		(await lab.n8n.executions(saved)).find(({ status }) => status === 'crashed'),
	);
	const link = `/workflow/${saved.id}/executions/${executionId}`;
	expect(await told()).toMatchObject([{ link }]);
	lab.finishJobs();
	await lab.n8n.retry(executionId);
	expect(await told()).toEqual([]);
});

it('schedule-with-summary keeps the images of the others and sums up what failed, started by its schedule', async () => {
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
	// The schedule may have fired more than once.
	const failed = lab.emulator.submits.filter(({ fields }) => fields.prompt === prompt[1]);
	const failedId = new RegExp(failed.map(({ jobId }) => jobId).join('|'));
	const summary =
		/^2 of 4 prompts failed:\n- A market #fail-message: .*could not finish.*\n- {2}: .*Prompt.*$/;
	expect(execution.items('Summary of failures').map(({ json }) => json)).toEqual([
		{
			summary: expect.stringMatching(summary) as string,
			prompts: ['A market #fail-message', ' '],
			job_ids: [expect.stringMatching(failedId)],
		},
	]);
});

it('compare-models asks each model once, and shows an image or the reason in one page', async () => {
	const name = 'Prompt and models';
	const given = example('compare-models').nodes.find((node) => node.name === name);
	const { prompt, model } = JSON.parse(given?.parameters.jsonOutput as string) as {
		prompt: string;
		model: string[];
	};
	const types = await lab.n8n.nodeTypes();
	const generate = types.find((type) => type.name === 'n8n-nodes-aetherforge.imageGenerate');
	const parameter = generate?.properties.find((property) => property.name === 'aiModel');
	expect([...model].sort()).toEqual(parameter?.options?.map((option) => option.name));
	const jsonOutput = JSON.stringify({ prompt, model: [...model, 'No Such Model'] });
	const execution = await run('compare-models', 'Start here', { [name]: { jsonOutput } });
	expectSuccess(execution);
	const submitted = lab.emulator.submits.map(({ fields }) => [fields.prompt, fields.ai_model]);
	expect(submitted.sort()).toEqual([...model].sort().map((each) => [prompt, each]));
	const html = execution.items('Side by side')[0]?.json.html as string;
	const figures = html.matchAll(/<figure>(<img|<p>).*?<figcaption>(.*?)<\/figcaption><\/figure>/gs);
	expect([...figures].map(([, shown, caption]) => [caption, shown])).toEqual([
		...model.map((each) => [each, '<img']),
		['No Such Model', '<p>'],
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

it('upscale-form-upload upscales each picture, and its last page has links and reasons', async () => {
	const saved = await imported('upscale-form-upload');
	const form = new FormData();
	for (const [name, bytes] of [
		['one.png', tinyPicture('one.png', 'png')],
		['notes.png', Buffer.from('Notes')],
		['two.png', tinyPicture('two.png', 'png')],
	] as const) {
		form.append('field-0', new File([bytes], name, { type: 'image/png' }));
	}
	const page = await nextPage(await send(saved, 'Upload pictures', form));
	expectSuccess(await lab.n8n.nextExecution(saved));
	const links = lab.emulator.submits.map(({ files: [file], jobId }) => {
		expect(file?.sha256).toBe(sha256(tinyPicture(file?.fileName ?? '', 'png')));
		return `<li>${file?.fileName}: <a href="${resultUrl(jobId)}" target="_blank">`;
	});
	expect(links).toHaveLength(2);
	for (const link of links) expect(page).toContain(link);
	expect(page).toMatch(/<li>notes\.png: [^<]*is not an image/);
});

it('job-id-first-then-get-job responds before the job is done, and checks until it is', async () => {
	// A wait that a test can sit through.
	const saved = await imported('job-id-first-then-get-job', { Wait: { amount: 2 } });
	const { status, text } = await send(saved, 'aetherforge-image', { prompt: 'A red fox #never' });
	const [job] = lab.emulator.jobs.all();
	expect([status, JSON.parse(text)]).toEqual([200, { job_id: job?.id, status: 'Pending' }]);
	const isPolled = () =>
		lab.emulator.requests.some(({ method, status }) => method === 'GET' && status === 200);
	await until(isPolled);
	lab.finishJobs();
	const execution = await lab.n8n.nextExecution(saved);
	await expectImages(execution, 'Job has ended', 1);
	expect(execution.runCount('Check the job')).toBeGreaterThan(1);
});

if (!isN8n1) {
	it('asset-list-in-data-table pays for each row once, also after Stop', async () => {
		const rows = ['sword', 'shield', 'curse'].map((name) => ({ name, prompt: `A ${name} #never` }));
		const match = ({ form }: RequestRecord) => form?.fields.prompt?.includes('curse') ?? false;
		lab.emulator.faults.add({ at: 'submit', kind: 'reset', when: 'accepted', match });
		const tables = `${await lab.n8n.personalProject()}/data-tables`;
		const columns = ['name', 'prompt', 'job_id', 'image_url', 'note'];
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
		await until(async () => (await read()).every(({ job_id: id, note }) => id ?? note));
		await lab.n8n.stop(stopped);
		lab.finishJobs();
		const execution = await lab.n8n.runManually(saved, 'Start here');
		expectSuccess(execution);
		expect(lab.emulator.submits).toHaveLength(3);
		expect(fileNames(execution, 'Images to keep')).toEqual(['sword.png', 'shield.png']);
		expect((await read())[2]?.note).toMatch('not known whether AetherForge started the job');
		const started = (prompt: string) =>
			lab.emulator.submits.find(({ fields }) => fields.prompt === prompt)?.jobId;
		expect((await read()).slice(0, 2).map(({ image_url: url }) => url)).toEqual(
			rows.slice(0, 2).map(({ prompt }) => resultUrl(started(prompt))),
		);
	});

	it('ai-agent-with-review pays nothing before the prompt is approved, and for one job then', async () => {
		const prompt = 'A red fox in the snow';
		const args = { toolParameters: { prompt }, hitlParameters: {} };
		const { credential } = await startModel([
			{ tool: 'Generate_image', arguments: args },
			(lastMessage) => ({ text: `I was told: ${lastMessage}` }),
		]);
		const file = withModel(example('ai-agent-with-review'), lab, credential);
		const saved = await lab.save({ ...file, pinData: chatMessage });
		const waiting = await lab.n8n.followExecution(
			await lab.n8n.startManually(saved, 'Chat'),
			({ status }) => status === 'waiting',
		);
		const question = JSON.stringify(`Generate this image? It is one paid job.\n\n${prompt}`);
		expect(waiting.savedText).toContain(question);
		expect(lab.emulator.requests).toEqual([]);
		const [button = ''] =
			/http[^"]*webhook-waiting[^"]*approved=true[^"]*/.exec(waiting.savedText) ?? [];
		// Links that are opened by a program count as previews of a chat app.
		const headers = { 'user-agent': 'Mozilla/5.0 (X11; Linux x86_64) Firefox/140.0' };
		expect((await fetch(button, { headers })).status).toBe(200);
		const isAnswered = (execution: Execution) => execution.runCount('Answer') > 0;
		const execution = await lab.n8n.followExecution(waiting.id, isAnswered);
		const [submit, ...more] = lab.emulator.submits;
		expect(more).toEqual([]);
		expect(submit?.fields.prompt).toBe(prompt);
		expect(execution.items('AI agent')[0]?.json.output).toContain(submit?.jobId);
	});
}

it('every example has been tried', () => {
	const left = [...examples.keys()].filter((name) => !used.has(name));
	expect(left).toEqual(isN8n1 ? ofN8n2 : []);
});
