import path from 'node:path';
import type { INodeProperties, INodePropertyOptions } from 'n8n-workflow';
import {
	choicesOf,
	propertiesOf,
	propertiesOfField,
	type Endpoint,
	type FilesField,
	type TextField,
} from '../../nodes/shared/endpoint';
import { maxFiles } from '../../nodes/shared/engine/check/inputFiles';
import { generateImage } from '../../nodes/ImageGenerate/generateImage.endpoint';
import { root, sourcesIn } from '../package/sources';
import { ENDPOINT_CASES } from '../support/endpointCases';

/** The endpoints that are declared, one to a file, by the names of their files. */
const ENDPOINTS: [file: string, endpoint: Endpoint][] = sourcesIn('nodes', '.endpoint.ts').map(
	(file) => {
		const exported = jest.requireActual<Record<string, Endpoint>>(path.join(root, file));
		const [endpoint, ...others] = Object.values(exported);
		if (!endpoint || others.length > 0) throw new Error(`${file} does not export one endpoint`);
		return [file, endpoint];
	},
);

function filesFields(endpoint: Endpoint): FilesField[] {
	return endpoint.fields.filter((field) => field.kind === 'files');
}

/** The choices of the field with this API name, as people see them. */
function describedChoices(endpoint: Endpoint, apiName: string): INodePropertyOptions[] {
	for (const field of endpoint.fields) {
		if (field.kind === 'choice' && field.apiName === apiName) {
			return (field.property.options ?? []) as INodePropertyOptions[];
		}
	}
	throw new Error(`no choice field ${apiName}`);
}

describe('how many files a field takes', () => {
	const names = { displayName: 'Names', name: 'names', type: 'string', default: '' } as const;
	const field: FilesField = {
		kind: 'files',
		apiName: 'f',
		noun: { one: 'file', many: 'files' },
		source: { ...names, name: 'source' },
		names,
		urls: { ...names, name: 'urls' },
		limit: { min: 0, max: 4 },
	};
	const byModel: FilesField = {
		...field,
		limit: { min: 0, max: 4, by: { apiName: 'm', max: { A: 1 }, advice: '' } },
	};

	it.each<[FilesField, Record<string, string>, number]>([
		[field, {}, 4],
		[field, { m: 'A' }, 4],
		[byModel, { m: 'A' }, 1],
		[byModel, { m: 'B' }, 4],
		[byModel, { m: 'toString' }, 4],
		[byModel, {}, 4],
	])('%# depends on its own limit and the values it is sent with', (given, values, limit) => {
		expect(maxFiles(given, values)).toBe(limit);
	});

	it.each([
		['GPT Image 1.5', 10],
		['GPT Image 2', 10],
		['Grok Imagine', 5],
		['Grok Imagine Pro', 1],
		['Nano Banana', 10],
		['Nano Banana 2', 10],
		['Nano Banana Pro', 10],
		['a model of tomorrow', 10],
	])('%s takes %i reference images, as the API document says', (model, limit) => {
		const [referenceImages] = filesFields(generateImage);
		expect(referenceImages && maxFiles(referenceImages, { ai_model: model })).toBe(limit);
	});
});

describe.each(ENDPOINTS)('%s', (_, endpoint) => {
	it('has a path below the public API and a name, and no two fields or parameters of one name', () => {
		expect(endpoint.name).toMatch(/^[A-Z][a-z]+( [A-Z][a-z]+){0,2}( \(V[12]\))?$/);
		expect(endpoint.path).toMatch(/^\/public\/v1\/[\w/-]+$/);
		const apiNames = endpoint.fields.map(({ apiName }) => apiName);
		expect(new Set(apiNames).size).toBe(apiNames.length);
		// Where files come from is asked in two ways: of people, and of an AI agent's tool.
		const parameters = propertiesOf(endpoint)
			.filter(({ displayOptions }) => !displayOptions?.hide?.['@tool'])
			.map(({ name }) => name);
		expect(new Set(parameters).size).toBe(parameters.length);
	});

	it('sends what the API document has, by the row in test/support/endpointCases.ts', () => {
		const row = ENDPOINT_CASES.find(({ path }) => path === endpoint.path);
		if (!row) throw new Error(`endpointCases.ts has no row for ${endpoint.path}`);
		const declared = endpoint.fields.map((field) => [
			field.apiName,
			...(field.kind === 'choice'
				? choicesOf(field.property).filter((value) => value !== field.none)
				: []),
		]);
		const documented = row.fields.map((field) => [
			field.name,
			...('allowed' in field ? field.allowed : []),
		]);
		const asTexts = (fields: unknown[][]) => fields.map((field) => field.map(String).sort()).sort();
		expect(asTexts(declared)).toEqual(asTexts(documented));
	});

	it('gives each parameter once, in the order of the fields', () => {
		const declared = endpoint.fields.flatMap((field) => propertiesOfField(field));
		const names = (properties: INodeProperties[]) => properties.map(({ name }) => name);
		expect(names(propertiesOf(endpoint))).toEqual(names(declared));
	});

	it('says what to try after a failed job, as a sentence', () => {
		expect(endpoint.adviceIfFailed).toMatch(/^[A-Z].{10,}\.$/);
	});

	it('describes each choice by the limit that holds for it', () => {
		for (const field of filesFields(endpoint)) {
			if (!field.limit.by) continue;
			const { apiName, max } = field.limit.by;
			const choices = describedChoices(endpoint, apiName);
			for (const { name, value, description } of choices) {
				const limit = maxFiles(field, { [apiName]: String(value) });
				const { one, many } = field.noun;
				const taken = limit === 1 ? `1 ${one}` : `up to ${limit} ${many}`;
				expect([name, description]).toEqual([value, `Takes ${taken}`]);
			}
			const known = choices.map(({ value }) => value);
			expect(known).toEqual(expect.arrayContaining(Object.keys(max)));
		}
	});
});

describe('the parameters of an endpoint', () => {
	const property = { displayName: 'Text', name: 'text', type: 'string', default: '' } as const;
	const field: TextField = { kind: 'text', apiName: 'text', property };
	const shown = { ...property, displayOptions: { show: { source: ['fields'] }, hide: { a: [1] } } };
	const endpoint: Endpoint = { path: '/', name: 'Test', fields: [field], adviceIfFailed: '' };

	it('are as they are declared where the node has no other endpoint', () => {
		expect(propertiesOf({ ...endpoint, fields: [{ ...field, property: shown }] })).toEqual([shown]);
	});

	it('are shown only where the endpoint is selected, and keep their own conditions', () => {
		const when = { operation: 'make', apiVersion: 'v1' };
		const selected = { operation: ['make'], apiVersion: ['v1'] };
		expect(propertiesOf({ ...endpoint, when })).toEqual([
			{ ...property, displayOptions: { show: selected } },
		]);
		expect(propertiesOf({ ...endpoint, when, fields: [{ ...field, property: shown }] })).toEqual([
			{
				...property,
				displayOptions: { show: { ...selected, source: ['fields'] }, hide: { a: [1] } },
			},
		]);
	});

	const named = (name: string): INodeProperties => ({ ...property, name });

	it('of a table are its source, its list and its JSON', () => {
		const [source, list, json] = [named('source'), named('list'), named('json')];
		const table = { kind: 'table', apiName: 't', source, list, json, columns: [] } as const;
		expect(propertiesOfField(table)).toEqual([source, list, json]);
	});

	it('of files are their source, their names and their URLs, with the source once more for tools', () => {
		const sourceOf = (...values: string[]): INodeProperties => ({
			...named('source'),
			type: 'options',
			options: values.map((value) => ({ name: value, value })),
			default: values[0],
		});
		const [names, urls] = [named('names'), named('urls')];
		const files: Omit<FilesField, 'source'> = {
			kind: 'files',
			apiName: 'f',
			noun: { one: 'file', many: 'files' },
			names,
			urls,
			limit: { min: 0, max: 9 },
		};
		const several = sourceOf('none', 'all', 'selected', 'urls');
		expect(propertiesOfField({ ...files, source: several })).toEqual([
			{ ...several, displayOptions: { hide: { '@tool': [true] } } },
			{
				...several,
				options: [
					{ name: 'none', value: 'none' },
					{ name: 'selected', value: 'selected' },
					{ name: 'urls', value: 'urls' },
				],
				default: 'urls',
				displayOptions: { show: { '@tool': [true] } },
			},
			names,
			urls,
		]);
		const shownSource = { ...sourceOf('binary', 'url'), displayOptions: { show: { mode: ['a'] } } };
		const [forPeople, forTools] = propertiesOfField({ ...files, source: shownSource });
		expect(forPeople).toMatchObject({
			default: 'binary',
			displayOptions: { show: { mode: ['a'] }, hide: { '@tool': [true] } },
		});
		expect(forTools).toMatchObject({
			default: 'url',
			displayOptions: { show: { mode: ['a'], '@tool': [true] } },
		});
	});

	it('of a choice give their values', () => {
		const options = [4, 9, 16].map((value) => ({ name: `${value} Frames`, value }));
		expect(choicesOf({ ...property, type: 'options', options })).toEqual([4, 9, 16]);
		expect(choicesOf(property)).toEqual([]);
	});
});
