import { execFileSync } from 'node:child_process';
import { readFileSync, writeFileSync } from 'node:fs';
import path from 'node:path';
import type {
	ICredentialType,
	INodeProperties,
	INodePropertyCollection,
	INodePropertyOptions,
	INodeType,
} from 'n8n-workflow';
import { root, sourcesIn } from './sources';

/** What saved workflows and credentials depend on; the publish workflow names that of the last release. */
const FILE = process.env.PROMISED_PARAMETERS ?? path.join(__dirname, 'savedWorkflows.json');
const UPDATE = 'UPDATE_PARAMETERS=1 npx jest test/package/savedWorkflows';

/** Stands for the default of what an agent's model is told, which may be worded better at any time. */
const IMPROVABLE = '(any text)';

/** What a saved workflow depends on in one parameter. */
interface Parameter {
	type: string;
	default: unknown;
	/** The values of a list of choices. */
	values?: unknown[];
}

/**
 * The parameters of each node and credential by their paths, `options.timeout` for one in a collection.
 * A node with several operations may have several of one name.
 */
type Promised = Record<string, Record<string, Parameter[]>>;

function isProperty(option: object): option is INodeProperties {
	return 'type' in option;
}

function isGroup(option: object): option is INodePropertyCollection {
	return 'values' in option;
}

function parametersOf(
	properties: readonly INodeProperties[],
	prefix = '',
): [path: string, parameter: Parameter][] {
	return properties.flatMap(({ name, type, default: preset, options = [] }) => {
		const at = `${prefix}${name}`;
		const inner = options.flatMap((option) => {
			if (isGroup(option)) return parametersOf(option.values, `${at}.${option.name}.`);
			return isProperty(option) ? parametersOf([option], `${at}.`) : [];
		});
		const choices = options.filter(
			(option): option is INodePropertyOptions => !isGroup(option) && !isProperty(option),
		);
		const values = choices.map(({ value }) => value);
		const own: Parameter = {
			type,
			default: name === 'toolDescription' ? IMPROVABLE : preset,
			...(choices.length === 0 ? {} : { values: values.sort() }),
		};
		return [[at, own] as [string, Parameter], ...inner];
	});
}

function byPath(properties: readonly INodeProperties[]): Record<string, Parameter[]> {
	const paths = new Map<string, Parameter[]>();
	for (const [at, parameter] of parametersOf(properties)) {
		paths.set(at, [...(paths.get(at) ?? []), parameter]);
	}
	return Object.fromEntries(paths);
}

function instances<T>(folder: 'nodes' | 'credentials', suffix: string): T[] {
	return sourcesIn(folder, suffix).flatMap((file) => {
		const exported = jest.requireActual<Record<string, new () => T>>(path.join(root, file));
		return Object.values(exported).map((made) => new made());
	});
}

function currentParameters(): Promised {
	const nodes = instances<INodeType>('nodes', '.node.ts').map(({ description }) => description);
	const credentials = instances<ICredentialType>('credentials', '.credentials.ts');
	return Object.fromEntries(
		[...nodes, ...credentials].map(({ name, properties }) => [name, byPath(properties)]),
	);
}

/** Whether a workflow that was saved with the one still means the same with the other. */
function isKept(promised: Parameter, current: Parameter): boolean {
	const kept = promised.values?.every((value) => current.values?.includes(value)) ?? true;
	const [before, now] = [promised, current].map(({ type, default: preset }) =>
		JSON.stringify([type, preset]),
	);
	return kept && before === now;
}

/** What workflows depend on and no longer find, as sentences. */
function brokenPromises(promised: Promised, current: Promised): string[] {
	return Object.entries(promised).flatMap(([owner, parameters]) =>
		Object.entries(parameters).flatMap(([at, variants]) =>
			variants.flatMap((variant) => {
				const candidates = current[owner]?.[at] ?? [];
				if (candidates.length === 0) {
					return [`${owner}: "${at}" is gone. Workflows that set it are no longer understood.`];
				}
				if (candidates.some((candidate) => isKept(variant, candidate))) return [];
				const [before, now] = [JSON.stringify(variant), JSON.stringify(candidates)];
				return [
					`${owner}: "${at}" was ${before} and is ${now}. Workflows hold the old values, and leave out what had its default: they would change without being edited.`,
				];
			}),
		),
	);
}

const current = currentParameters();

function promisedParameters(): Promised {
	return JSON.parse(readFileSync(FILE, 'utf8')) as Promised;
}

it('keeps the names, types, values and defaults that saved workflows depend on', () => {
	// What is left behind on purpose, before the first release, is taken out of the file by hand.
	expect(brokenPromises(promisedParameters(), current)).toEqual([]);
});

it('lists every parameter, so that what is added is promised from then on', () => {
	const promised = promisedParameters();
	if (process.env.UPDATE_PARAMETERS === '1' && brokenPromises(promised, current).length === 0) {
		writeFileSync(FILE, JSON.stringify(current, undefined, '\t'));
		const prettier = path.join(root, 'node_modules/prettier/bin/prettier.cjs');
		execFileSync(process.execPath, [prettier, '--write', FILE]);
		return;
	}
	const isComplete = JSON.stringify(promised) === JSON.stringify(current);
	expect(isComplete ? '' : `${FILE} lacks something that was added: run ${UPDATE}`).toBe('');
});

describe('a promise to saved workflows', () => {
	const parameter = { type: 'options', default: 'a', values: ['a', 'b'] };
	const of = (...variants: Parameter[]): Promised => ({ node: { size: variants } });

	it.each<[string, Promised]>([
		['parameter is removed or renamed', { node: { sizes: [parameter] } }],
		['node is removed or renamed', { other: { size: [parameter] } }],
		['default changes', of({ ...parameter, default: 'b' })],
		['type changes', of({ ...parameter, type: 'string' })],
		['value is removed', of({ ...parameter, values: ['a'] })],
		['value changes its type', of({ ...parameter, values: ['a', 1] })],
		['list of choices is removed', of({ type: 'options', default: 'a' })],
	])('is broken when a %s', (_, changed) => {
		expect(brokenPromises(of(parameter), changed)).toHaveLength(1);
	});

	it('is kept when a value, a parameter, or one of the same name is added', () => {
		const more = { ...parameter, values: ['a', 'b', 'c'] };
		const second = { type: 'number', default: 1 };
		expect(brokenPromises(of(parameter), of(more))).toEqual([]);
		expect(brokenPromises(of(parameter), of(second, parameter))).toEqual([]);
		expect(brokenPromises(of(parameter, second), of(parameter))).toHaveLength(1);
	});

	it('covers what lies in collections, and in the groups of fixed collections', () => {
		const text: INodeProperties = { displayName: 'T', name: 't', type: 'string', default: '' };
		const group = { displayName: 'Row', name: 'row', values: [text] };
		const collection = { displayName: 'C', name: 'c', default: {} };
		const promised = { type: 'string', default: '' };
		expect(
			byPath([
				{ ...collection, type: 'collection', options: [text] },
				{ ...collection, name: 'f', type: 'fixedCollection', options: [group] },
			]),
		).toEqual({
			c: [{ type: 'collection', default: {} }],
			'c.t': [promised],
			f: [{ type: 'fixedCollection', default: {} }],
			'f.row.t': [promised],
		});
	});
});
