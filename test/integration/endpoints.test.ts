import { createHash } from 'node:crypto';
import { existsSync, readFileSync } from 'node:fs';
import path from 'node:path';
import type { IDataObject, INodeParameters } from 'n8n-workflow';

import { choicesOf } from '../../nodes/shared/endpoint';
import { tinyPicture } from '../emulator/pictures';
import { root } from '../package/sources';
import { ENDPOINT_CASES, type EndpointCase } from '../support/endpointCases';
import type { EngineResult } from '../support/engine';
import { errorOf, jsonOf, pictures } from '../support/items';
import { endpointAt, nodeCalled } from '../support/nodes';
import { useScene } from '../support/scene';

// What all paid endpoints have in common, by their rows in test/support/endpointCases.ts.

// Two images, also where one is usual: the items of a job differ.
const scene = useScene({
	jobDurationMs: 0,
	wish: () => ({ outcome: { images: ['png', 'gif'] } }),
});

const BINARY = pictures('data', 'other', 'knight', 'wizard');

async function run(node: string, parameters: INodeParameters): Promise<EngineResult> {
	return await scene.run({ node, parameters, items: [{ json: {}, binary: BINARY }] });
}

interface Case extends Pick<EndpointCase, 'path' | 'node' | 'parameters' | 'sends'> {
	/** Of each file the API's field, and the binary field that it is in. */
	files: [field: string, from: string][];
}

/** With a file in each field that takes one, and the last of the values that a field may have. */
const IN_FULL = ENDPOINT_CASES.map(({ fields, ...row }): Case => {
	const parameters = { ...row.parameters };
	const sends = { ...row.sends };
	const files: Case['files'] = [];
	for (const field of endpointAt(row.path).fields) {
		const documented = fields.find(({ name }) => name === field.apiName);
		if (field.kind === 'files') {
			const isSeveral = documented?.kind === 'files' && documented.most > 1;
			const names = isSeveral ? ['wizard', 'knight'] : ['other'];
			const sources = choicesOf(field.source);
			parameters[field.source.name] = sources.includes('binary') ? 'binary' : 'selected';
			parameters[field.names.name] = names.join(', ');
			files.push(...names.map((name): [string, string] => [field.apiName, name]));
		} else if (documented && 'allowed' in documented && field.kind === 'choice') {
			const value = String(documented.allowed.at(-1));
			parameters[field.property.name] = `={{ "${value}" }}`;
			sends[field.apiName] = value;
		} else if (field.kind === 'boolean') {
			parameters[field.property.name] = '={{ "True" }}';
			sends[field.apiName] = 'true';
		}
	}
	return { ...row, parameters, sends, files };
});

/** That a request came in as it should, and that an item of the output repeats what was sent. */
function expectSent({ path: endpoint, sends, files }: Case, json: IDataObject | undefined): void {
	const [submit] = scene.emulator.submits;
	expect(submit?.endpoint).toBe(endpoint);
	expect(Object.entries(submit?.fields ?? {})).toEqual(Object.entries(sends));
	expect(
		submit?.files.map(({ field, fileName, mimeType, sha256 }) => [
			...[field, fileName, mimeType, sha256],
		]),
	).toEqual(files.map(([field, from]) => [field, `${from}.png`, 'image/png', sha256Of(from)]));
	const repeated = Object.entries(json ?? {}).filter(([key]) => key in sends);
	const asText = (value: unknown) => (typeof value === 'string' ? value : JSON.stringify(value));
	expect(repeated.map(([key, value]) => [key, asText(value)])).toEqual(Object.entries(sends));
}

it.each(IN_FULL)('$path is sent $sends, which the output repeats', async (each) => {
	const parameters = { ...each.parameters, downloadImages: false };
	const [json] = jsonOf(await run(each.node, parameters));
	expectSent(each, json);
});

function sha256Of(field: string): string {
	return createHash('sha256').update(tinyPicture(field, 'png')).digest('hex');
}

it('an operation that does not exist is an error item for each item in the error output', async () => {
	const { items, errorItems } = await scene.run({
		node: 'imageTune',
		parameters: { operation: 'noSuchOperation' },
		items: [{ json: {} }, { json: {} }],
		nodeSettings: { onError: 'continueErrorOutput' },
	});
	expect(items).toEqual([]);
	const messages = errorItems.map((item) => errorOf(item).message);
	expect(messages).toEqual(Array(2).fill('This operation does not exist'));
});

/** A JSON schema as far as the editor reads it, which lists an output's fields before a node has run. */
interface Schema {
	type: string;
	properties?: Record<string, Schema>;
	items?: Schema;
}

/** Where n8n looks for the schema of a node's operation. */
function schemaFile(node: string, operation: unknown): string {
	const folder = nodeCalled(node).constructor.name;
	const part = typeof operation === 'string' ? `/${operation}` : '';
	return `nodes/${folder}/__schema__/v1.0.0${part}.json`;
}

function schemaIn(file: string): Schema {
	if (!existsSync(path.join(root, file))) {
		throw new Error(`There is no ${file}, which lists an operation's output in the editor`);
	}
	return JSON.parse(readFileSync(path.join(root, file), 'utf8')) as Schema;
}

/** The schema that a value fits, without a choice. */
function schemaOf(value: unknown): Schema {
	if (Array.isArray(value)) return { type: 'array', items: schemaOf(value[0]) };
	if (typeof value === 'object' && value !== null) {
		const properties = Object.entries(value).map(([key, each]) => [key, schemaOf(each)] as const);
		return { type: 'object', properties: Object.fromEntries(properties) };
	}
	return { type: Number.isInteger(value) ? 'integer' : typeof value };
}

/** What is enough of a PNG to have a size. */
function pngOf(width: number, height = width): Buffer {
	const head = Buffer.from('\x89PNG\r\n\x1a\n\0\0\0\x0dIHDR\0\0\0\0\0\0\0\0', 'latin1');
	head.writeUInt32BE(width, 16);
	head.writeUInt32BE(height, 20);
	return head;
}

function answerDownloads(body: Buffer): void {
	const always = { at: 'download', kind: 'respond', status: 200, times: Infinity } as const;
	scene.emulator.faults.add({ ...always, body });
}

describe('the schema of an operation', () => {
	it.each(ENDPOINT_CASES)(
		'lists what $path puts out for what it needs, in its order, with its types',
		async (row) => {
			answerDownloads(pngOf(1120));
			const { type, properties = {} } = schemaIn(schemaFile(row.node, row.parameters.operation));
			const items = jsonOf(await run(row.node, row.parameters));
			const files = row.fields.filter((field) => field.kind === 'files' && !field.isOptional);
			expectSent({ ...row, files: files.map(({ name }) => [name, 'data']) }, items[0]);
			const isPerJob = 'image_urls' in properties;
			expect(items).toHaveLength(isPerJob ? 1 : 2);
			const ofImages = isPerJob
				? ['image_urls', 'images']
				: ['image_url', 'image_number', 'image_count', 'width', 'height', 'mime_type'];
			for (const [index, json] of items.entries()) {
				// A sheet of frames is the first of its job's images.
				const sheet = 'frame' in row.sends && index === 0 ? ['sheet'] : [];
				const names = ['job_id', 'status', ...Object.keys(row.sends), ...ofImages, ...sheet];
				expect(Object.keys(json)).toEqual(names);
				if ('apiVersion' in row.parameters) continue;
				// Of the default version; `sheet` is listed for every item.
				const { sheet: listedSheet, ...others } = properties;
				expect(listedSheet !== undefined).toBe('frame' in row.sends);
				expect(schemaOf(json)).toEqual({ type, properties: index === 0 ? properties : others });
				expect(Object.keys(index === 0 ? properties : others)).toEqual(names);
			}
		},
	);

	it('lists what Get Job puts out', async () => {
		const { id } = scene.emulator.jobs.add({ durationMs: 0 });
		const [json] = jsonOf(await run('getJob', { jobId: id }));
		const { type, properties } = schemaIn(schemaFile('getJob', undefined));
		expect(schemaOf(json)).toEqual({ type, properties });
	});
});

describe('the sheet of frames', () => {
	const frames = { columns: 5, rows: 5, frame_width: 224, frame_height: 112, frames: 25 };
	const options = { additionalFields: '{"frame": 25}' };

	it.each<[string, INodeParameters, width: number, object | undefined]>([
		['sprite', { operation: 'make', text: 'Walking' }, 1120, frames],
		['sprite', { operation: 'make', text: 'Walking' }, 1121, undefined],
		['sprite', { operation: 'reskin', description: 'd' }, 1120, undefined],
		['imageGenerate', { prompt: 'p', options }, 1120, undefined],
	])('of %s with %j, %i pixels wide, is %j', async (node, parameters, width, sheet) => {
		answerDownloads(pngOf(width, 560));
		const [json] = jsonOf(await run(node, parameters));
		expect(json?.sheet).toEqual(sheet);
	});
});
