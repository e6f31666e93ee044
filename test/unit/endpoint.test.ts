import path from 'node:path';
import type { INodePropertyOptions } from 'n8n-workflow';
import {
	fileLimit,
	propertiesOf,
	type Endpoint,
	type FilesField,
} from '../../nodes/shared/endpoint';
import { generateImage } from '../../nodes/ImageGenerate/generateImage.endpoint';
import { root, sourcesIn } from '../package/sources';

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

/** The choices of the value field with this API name. */
function choicesOf(endpoint: Endpoint, apiName: string): INodePropertyOptions[] {
	for (const field of endpoint.fields) {
		if (field.kind === 'value' && field.apiName === apiName) {
			return (field.property.options ?? []) as INodePropertyOptions[];
		}
	}
	throw new Error(`no value field ${apiName}`);
}

describe('how many files a field takes', () => {
	const names = { displayName: 'Names', name: 'names', type: 'string', default: '' } as const;
	const field: FilesField = {
		kind: 'files',
		apiName: 'f',
		noun: 'file',
		names,
		limit: { files: 4 },
	};
	const byModel: FilesField = {
		...field,
		limit: { files: 4, by: { apiName: 'm', files: { A: 1 } } },
	};

	it.each<[FilesField, Record<string, string>, number]>([
		[field, {}, 4],
		[field, { m: 'A' }, 4],
		[byModel, { m: 'A' }, 1],
		[byModel, { m: 'B' }, 4],
		[byModel, {}, 4],
	])('%#', (given, values, limit) => {
		expect(fileLimit(given, values)).toBe(limit);
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
		expect(referenceImages && fileLimit(referenceImages, { ai_model: model })).toBe(limit);
	});
});

it('offers the seven models of the API document, by the API’s own strings', () => {
	expect(choicesOf(generateImage, 'ai_model').map(({ value }) => value)).toEqual([
		'GPT Image 1.5',
		'GPT Image 2',
		'Grok Imagine',
		'Grok Imagine Pro',
		'Nano Banana',
		'Nano Banana 2',
		'Nano Banana Pro',
	]);
});

it('sends generate/image as the API document has it', () => {
	expect(generateImage.path).toBe('/public/v1/generate/image');
	expect(generateImage.fields.map(({ kind, apiName }) => [kind, apiName])).toEqual([
		['value', 'prompt'],
		['value', 'ai_model'],
		['files', 'ref_images'],
	]);
});

describe.each(ENDPOINTS)('%s', (_, endpoint) => {
	it('has a path below the public API, and no two fields or parameters of one name', () => {
		expect(endpoint.path).toMatch(/^\/public\/v1\/[\w/-]+$/);
		const apiNames = endpoint.fields.map(({ apiName }) => apiName);
		expect(new Set(apiNames).size).toBe(apiNames.length);
		const parameters = propertiesOf(endpoint).map(({ name }) => name);
		expect(new Set(parameters).size).toBe(parameters.length);
	});

	it('gives each parameter once, in the order of the fields', () => {
		const declared = endpoint.fields.flatMap((field) =>
			field.kind === 'value' ? field.property : [field.source, field.names],
		);
		expect(propertiesOf(endpoint)).toEqual(declared.filter(Boolean));
	});

	it('describes each choice by the limit that holds for it', () => {
		for (const field of filesFields(endpoint)) {
			if (!field.limit.by) continue;
			const { apiName, files } = field.limit.by;
			const choices = choicesOf(endpoint, apiName);
			for (const { name, value, description } of choices) {
				const limit = fileLimit(field, { [apiName]: String(value) });
				const many = limit === 1 ? `1 ${field.noun}` : `up to ${limit} ${field.noun}s`;
				expect([name, description]).toEqual([value, `Takes ${many}`]);
			}
			const known = choices.map(({ value }) => value);
			expect(known).toEqual(expect.arrayContaining(Object.keys(files)));
		}
	});
});
