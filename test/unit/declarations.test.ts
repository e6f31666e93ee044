import { readFileSync } from 'node:fs';
import path from 'node:path';
import {
	NodeHelpers,
	Workflow,
	type CodexData,
	type INodeParameters,
	type INodeProperties,
	type INodePropertyOptions,
	type INodeTypeDescription,
} from 'n8n-workflow';

import { choicesOf, type Field } from '../../nodes/shared/endpoint';
import { maxFiles } from '../../nodes/shared/engine/check/inputFiles';
import { imageJobProperties } from '../../nodes/shared/properties';
import { root } from '../package/sources';
import { ENDPOINT_CASES, type FieldCase } from '../support/endpointCases';
import { endpointAt, ENDPOINTS, nodeCalled, NODES } from '../support/nodes';
import { fakeContext } from './fakeContext';

const SELECTORS = ['operation', 'apiVersion'];
/** The parameters that are no field of an endpoint. */
const OTHERS = [...imageJobProperties.map(({ name }) => name), ...SELECTORS, 'toolDescription'];

/** What the node's parameters are with these ones, and n8n's defaults otherwise. */
function valuesOf(description: INodeTypeDescription, given: INodeParameters): INodeParameters {
	const node = { typeVersion: 1 };
	const { properties } = description;
	const all = NodeHelpers.getNodeParameters(properties, given, true, false, node, description);
	return all ?? {};
}

/** The properties that n8n's panel shows. */
function panel(description: INodeTypeDescription, given: INodeParameters): INodeProperties[] {
	const values = valuesOf(description, given);
	return description.properties.filter((property) =>
		NodeHelpers.displayParameter(values, property, { typeVersion: 1 }, description),
	);
}

function asTool(description: INodeTypeDescription): INodeTypeDescription {
	return { ...description, name: `${description.name}Tool` };
}

/** The operations of a node, or one without a name where it has none. */
function operationsOf({ properties }: INodeTypeDescription): Partial<INodePropertyOptions>[] {
	const operation = properties.find(({ name }) => name === 'operation');
	return (operation?.options as INodePropertyOptions[] | undefined) ?? [{}];
}

/** What the canvas shows below the node's name, as the editor finds it. */
function subtitleOf(description: INodeTypeDescription, given: INodeParameters): unknown {
	const node = fakeContext(valuesOf(description, given), {}, description.name).getNode();
	const getByName = () => ({ description });
	const nodeTypes = { getByName, getByNameAndVersion: getByName, getKnownTypes: () => ({}) };
	const workflow = new Workflow({ nodes: [node], connections: {}, active: false, nodeTypes });
	return workflow.expression.getSimpleParameterValue(node, description.subtitle, 'internal', {});
}

it.each(ENDPOINTS)('test/support/endpointCases.ts has a row for $file', ({ endpoint }) => {
	expect(ENDPOINT_CASES.map((row) => row.path)).toContain(endpoint.path);
});

describe.each(ENDPOINT_CASES)('$path', ({ path: apiPath, node, parameters, fields }) => {
	const endpoint = endpointAt(apiPath);
	const { description } = nodeCalled(node);

	it('is declared as the API documents it: its fields in their order, what they take, and how many', () => {
		expect(endpoint.fields.map(documented)).toEqual(
			fields.map(({ name, kind, isOptional = false, ...rest }: FieldCase) => ({
				name,
				kind: kind === 'number' ? 'choice' : kind,
				...('allowed' in rest && { allowed: rest.allowed.map(String).sort(), isOptional }),
				...('most' in rest && { most: rest.most, isOptional, byModel: rest.mostByModel ?? {} }),
			})),
		);
		expect(endpoint.adviceIfFailed).toMatch(/^[A-Z].{10,}\.$/);
	});

	it.each([description, asTool(description)])(
		'shows, as $name, its own parameters alone',
		(shownAs) => {
			const isTool = shownAs !== description;
			const sources = endpoint.fields.flatMap((field) => ('source' in field ? [field.source] : []));
			const choices = sources.flatMap((source) =>
				choicesOf(source).map((choice) => ({ [source.name]: choice })),
			);
			for (const choice of [{}, ...choices]) {
				if (isTool && Object.values(choice).includes('all')) continue;
				const given = { ...parameters, ...choice };
				const all = panel(shownAs, given);
				const names = all.map(({ name }) => name);
				expect([given, names]).toEqual([given, [...new Set(names)]]);
				const own = names.filter((name) => !OTHERS.includes(name));
				const values = valuesOf(shownAs, given);
				const expected = endpoint.fields.flatMap((field) => parametersOf(field, values));
				expect([given, own]).toEqual([given, expected]);
				// A tool has no item whose files could all be sent.
				if (isTool) expect(all.flatMap(choicesOf)).not.toContain('all');
			}
		},
	);

	it('is named on the canvas by its operation and version, and by whether the node waits', () => {
		const { operation, apiVersion } = valuesOf(description, parameters);
		const selected = operationsOf(description).find(({ value }) => value === operation);
		expect([operation, selected]).toEqual([operation, expect.anything()]);
		const { name = '' } = selected ?? {};
		const version = typeof apiVersion === 'string' ? apiVersion.toUpperCase() : '';
		const subtitle = subtitleOf(description, parameters);
		expect(subtitle).toMatch(new RegExp(`^(?!.*(undefined|null))(?=.*\\w).*${name}.*${version}$`));
		const withoutWaiting = subtitleOf(description, { ...parameters, waitForCompletion: false });
		expect(withoutWaiting).toBe(`${String(subtitle)} (No Wait)`);
	});
});

/** A declared field as the rows of endpointCases.ts have it. */
function documented(field: Field): object {
	const { apiName: name, kind } = field;
	if (field.kind === 'files') {
		const { min, max: most, by } = field.limit;
		const models = ['a model of tomorrow', 'toString', ...Object.keys(by?.max ?? {})];
		const byModel = models
			.map((model) => [model, maxFiles(field, { ai_model: model })] as const)
			.filter(([, ofModel]) => ofModel !== most);
		return { name, kind, most, isOptional: min === 0, byModel: Object.fromEntries(byModel) };
	}
	if (field.kind !== 'choice') return { name, kind };
	const allowed = choicesOf(field.property).filter((value) => value !== field.none);
	return { name, kind, allowed: allowed.map(String).sort(), isOptional: field.none !== undefined };
}

/** The parameters of a field that are shown with these values. */
function parametersOf(field: Field, values: INodeParameters): string[] {
	if (!('source' in field)) return [field.property.name];
	const source = values[field.source.name] as string;
	if (field.kind === 'table') {
		return [field.source.name, source === 'json' ? field.json.name : field.list.name];
	}
	const names = ['binary', 'selected'].includes(source) ? [field.names.name] : [];
	const urls = ['url', 'urls'].includes(source) ? [field.urls.name] : [];
	return [field.source.name, ...names, ...urls];
}

/** What n8n's nodes panel finds a node by. */
function codexOf(name: string): CodexData & { node: string } {
	const folder = name.charAt(0).toUpperCase() + name.slice(1);
	const file = path.join(root, 'nodes', folder, `${folder}.node.json`);
	return JSON.parse(readFileSync(file, 'utf8')) as CodexData & { node: string };
}

describe.each(Object.entries(NODES))('%s', (name, { description }) => {
	const { displayName, properties } = description;
	const operations = operationsOf(description);

	it('tells an agent’s model what each operation does, and of the job_id', () => {
		const texts = operations.map(({ value }) => {
			const given: INodeParameters = value === undefined ? {} : { operation: value };
			const [first] = panel(asTool(description), given);
			expect([value, first?.name]).toEqual([value, 'toolDescription']);
			expect([value, first?.default]).toEqual([value, expect.stringContaining('job_id')]);
			return first?.default;
		});
		expect(texts).toEqual([...new Set(texts)]);
	});

	it('takes no expression where it chooses between its endpoints', () => {
		const selectors = properties.filter((each) => SELECTORS.includes(each.name));
		const open = selectors.filter(({ noDataExpression }) => !noDataExpression);
		expect(open.map((each) => each.displayName)).toEqual([]);
	});

	it('is found in the nodes panel by the words of its endpoints, and by no others', () => {
		const words = new Set(ENDPOINT_CASES.flatMap(({ searchedBy }) => searchedBy));
		const own = ENDPOINT_CASES.filter((row) => row.node === name);
		const expected = new Set(own.flatMap(({ searchedBy }) => searchedBy));
		const { node, alias = [], categories = [], subcategories } = codexOf(name);
		expect(node).toBe(`n8n-nodes-aetherforge.${name}`);
		// n8n's panel leaves out what is in the category AI, unless it is a root node there.
		if (categories.includes('AI')) expect(subcategories?.AI).toContain('Root Nodes');
		const texts = [displayName, name, ...alias].map((text) => text.toLowerCase());
		const found = [...words].filter((word) => texts.some((text) => text.includes(word)));
		expect(found.sort()).toEqual([...expected].sort());
	});

	it('tells n8n’s AI builder what it costs, and of no node that is not there', () => {
		const { searchHint = '', relatedNodes = [] } = description.builderHint ?? {};
		expect(searchHint).toMatch(name === 'getJob' ? /free of charge/ : /is a paid job/);
		const related = relatedNodes.map(({ nodeType }) => nodeType.split('.')[1]);
		expect(Object.keys(NODES)).toEqual(expect.arrayContaining(related));
	});
});

it('says under Get Job whether it waits', () => {
	const { description } = nodeCalled('getJob');
	const subtitles = [false, true].map((waitForCompletion) =>
		subtitleOf(description, { waitForCompletion }),
	);
	expect(subtitles).toEqual(['Check Once', 'Wait Until Finished']);
});
