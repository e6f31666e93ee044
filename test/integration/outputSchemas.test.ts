import { existsSync, readFileSync } from 'node:fs';
import path from 'node:path';
import type {
	IBinaryData,
	IDataObject,
	INodeParameters,
	INodePropertyOptions,
	INodeType,
} from 'n8n-workflow';

import { tinyPicture } from '../emulator/pictures';
import { root, sourcesIn } from '../package/sources';
import { ENDPOINT_CASES } from '../support/endpointCases';
import type { EngineOptions } from '../support/engine';
import { useScene } from '../support/scene';

// The editor lists these fields before a node has run, so that they can be dragged into the next one.

type Name = Extract<EngineOptions['node'], string>;

/** A JSON schema as far as the editor reads it. */
interface Schema {
	type: string;
	properties?: Record<string, Schema>;
	items?: Schema;
}

const nodes = sourcesIn('nodes', '.node.ts').map((file) => {
	const className = path.basename(file, '.node.ts');
	const classes = jest.requireActual<Record<string, new () => INodeType>>(path.join(root, file));
	const found = classes[className];
	if (!found) throw new Error(`${file} exports no class ${className}`);
	return { className, description: new found().description };
});

interface Case {
	file: string;
	node: Name;
	parameters: INodeParameters;
}

/** What a node's operation cannot do without, in its default version. */
function requiredFor(node: string, operation: string): INodeParameters {
	if (node === 'getJob') return { jobId: '={{ $json.job_id }}' };
	const row = ENDPOINT_CASES.find(
		(each) => each.node === node && (each.parameters.operation ?? '') === operation,
	);
	if (!row) throw new Error(`endpointCases.ts has no row for ${node} ${operation}`.trim());
	const entries = Object.entries(row.parameters).filter(([name]) => name !== 'apiVersion');
	return Object.fromEntries(entries);
}

/** Every node with each of its operations, by the path under which n8n looks for its schema. */
const CASES: Case[] = nodes.flatMap(({ className, description: { name, properties } }) => {
	const operation = properties.find((property) => property.name === 'operation');
	const choices = (operation?.options ?? []) as INodePropertyOptions[];
	const parts = choices.length === 0 ? [''] : choices.map(({ value }) => `/${String(value)}`);
	return parts.map((part) => ({
		file: `${className}/__schema__/v1.0.0${part}.json`,
		node: name as Name,
		parameters: requiredFor(name, part.slice(1)),
	}));
});

const OF_JOB = ['image_urls', 'images'];

const scene = useScene({
	jobDurationMs: 0,
	pictures: true,
	wish: () => ({ outcome: { images: ['png', 'gif'] } }),
});

function written(file: string): Schema {
	const place = path.join(root, 'nodes', file);
	if (!existsSync(place)) {
		throw new Error(`There is no nodes/${file}, which lists an operation's output in the editor`);
	}
	return JSON.parse(readFileSync(place, 'utf8')) as Schema;
}

/** The schema that a value fits, without a choice. */
function schemaOf(value: unknown): Schema {
	if (Array.isArray(value)) return { type: 'array', items: schemaOf(value[0]) };
	if (typeof value === 'object' && value !== null) {
		const properties = Object.entries(value).map(([key, each]): [string, Schema] => [
			key,
			schemaOf(each),
		]);
		return { type: 'object', properties: Object.fromEntries(properties) };
	}
	return { type: Number.isInteger(value) ? 'integer' : typeof value };
}

/** What an operation really puts out. */
async function output({ node, parameters }: Case, more: INodeParameters = {}) {
	const { id } = scene.emulator.jobs.add({ durationMs: 0, outcome: { images: ['png', 'gif'] } });
	const data: IBinaryData = {
		data: tinyPicture('data', 'png').toString('base64'),
		mimeType: 'image/png',
	};
	const { items, error } = await scene.run({
		node,
		parameters: { ...parameters, ...more },
		items: [{ json: { job_id: id }, binary: { data } }],
	});
	expect(error).toBeUndefined();
	return items.map(({ json }) => json);
}

it('there is a schema where n8n looks for one, and no other', () => {
	const files = sourcesIn('nodes', '.json').filter((file) => file.includes('/__schema__/'));
	expect(files).toEqual(CASES.map(({ file }) => `nodes/${file}`).sort());
});

describe.each(CASES)('$file', (operation) => {
	it('has the fields of each item that the node puts out by default, in their order, with their types', async () => {
		const { type, properties = {} } = written(operation.file);
		/** The default of Sprite. */
		const isPerJob = 'image_urls' in properties;
		const items = await output(operation);
		expect(items).toHaveLength(isPerJob ? 1 : 2);
		for (const [index, json] of items.entries()) {
			const { sheet, ...others } = properties;
			const own = index === 0 ? properties : others;
			expect(schemaOf(json)).toEqual({ type, properties: own });
			expect(Object.keys(json)).toEqual(Object.keys(own));
			expect(sheet === undefined).toBe(!/make|Effect/.test(operation.file));
		}
	});

	it('has all but what the other way to return images has', async () => {
		const { properties = {} } = written(operation.file);
		const isPerJob = 'image_urls' in properties;
		const outputItems = isPerJob ? 'perImage' : 'perJob';
		const [item] = await output(operation, { options: { outputItems } });
		const ofImage = ['image_url', 'image_number', 'image_count', 'width', 'height', 'mime_type'];
		const [here, there] = isPerJob ? [OF_JOB, ofImage] : [ofImage, OF_JOB];
		const listed = Object.keys(properties);
		expect(listed.filter((name) => !(name in (item ?? {})))).toEqual(here);
		expect(Object.keys(item ?? {}).filter((name) => !listed.includes(name))).toEqual(there);
	});
});

it.each<[string, INodeParameters, missing: IDataObject, extra: string[]]>([
	[
		'EffectGenerate/__schema__/v1.0.0.json',
		{ apiVersion: 'v1' },
		{ resolution: '1K' },
		['quality', 'frame', 'sheet'],
	],
	['Sprite/__schema__/v1.0.0/make.json', { apiVersion: 'v2' }, {}, []],
	[
		'Sprite/__schema__/v1.0.0/reskin.json',
		{ apiVersion: 'v2' },
		{ quality: 'standard' },
		['resolution'],
	],
	[
		'Sprite/__schema__/v1.0.0/characterOverlay.json',
		{ apiVersion: 'v2' },
		{ quality: 'standard' },
		['resolution'],
	],
])(
	'%s is of the default version, and another one differs in no more than what it is asked for',
	async (file, version, missing, extra) => {
		const operation = CASES.find((each) => each.file === file);
		if (!operation) throw new Error(`no operation has the schema ${file}`);
		const [item = {}] = await output(operation, version);
		const listed = Object.keys(written(file).properties ?? {});
		expect(item).toMatchObject(missing);
		expect(Object.keys(item).filter((key) => !listed.includes(key))).toEqual(Object.keys(missing));
		expect(listed.filter((key) => !(key in item))).toEqual(extra);
	},
);
