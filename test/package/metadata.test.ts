import { readdirSync, readFileSync } from 'node:fs';
import path from 'node:path';
import type { ICredentialType, INodeType } from 'n8n-workflow';

import {
	allCredentials,
	allNodes,
	builtPath,
	credentialFiles,
	instanceOf,
	manifestIn,
	nodeFiles,
	root,
} from './sources';

interface Codex {
	node: string;
	categories: string[];
	subcategories?: Record<string, string[]>;
	alias: string[];
	resources: Record<'primaryDocumentation' | 'credentialDocumentation', { url: string }[]>;
}

/** A parameter or a choice, as far as it is looked at here. */
interface Named {
	name: string;
	value?: unknown;
	options?: Named[];
}

const manifest = manifestIn(root);

function classNameOf(file: string): string {
	return path.basename(file).replace(/\.(node|credentials)\.ts$/, '');
}

function lowerFirst(name: string): string {
	return name.charAt(0).toLowerCase() + name.slice(1);
}

/** The names and the choices of all parameters, those inside a collection as well. */
function namesIn(parameters: readonly Named[]): string[] {
	return parameters.flatMap(({ name, value, options = [] }) => [
		name,
		String(value),
		...namesIn(options),
	]);
}

it('registers every node and credential, as a strict package without dependencies', () => {
	const { n8n, main, files } = manifest;
	expect({ main, files }).toEqual({ main: 'index.js', files: ['dist', 'index.js'] });
	expect(n8n).toMatchObject({ n8nNodesApiVersion: 1, strict: true });
	expect([...n8n.nodes].sort()).toEqual(nodeFiles.map(builtPath));
	expect([...n8n.credentials].sort()).toEqual(credentialFiles.map(builtPath));
	expect(manifest.peerDependencies).toEqual({ 'n8n-workflow': '*' });
	const others = ['dependencies', 'optionalDependencies', 'overrides'];
	expect(Object.keys(manifest).filter((key) => others.includes(key))).toEqual([]);
});

it('names no registry in a lockfile', () => {
	const endToEnd = readdirSync(path.join(root, 'test/e2e'), { withFileTypes: true })
		.filter((entry) => entry.isDirectory() && entry.name.startsWith('n8n-'))
		.map(({ name }) => `test/e2e/${name}/package-lock.json`);
	for (const file of ['package-lock.json', ...endToEnd]) {
		const lockfile = readFileSync(path.join(root, file), 'utf8');
		expect([file, ...(lockfile.match(/"resolved": "https?:.+/g) ?? [])]).toEqual([file]);
	}
});

describe.each(nodeFiles)('%s', (file) => {
	const node = instanceOf(file) as INodeType;
	const { description } = node;
	const codexFile = path.join(root, file.replace(/\.ts$/, '.json'));
	const codex = JSON.parse(readFileSync(codexFile, 'utf8')) as Codex;
	const { searchHint = '', relatedNodes = [] } = description.builderHint ?? {};

	it('has one name for folder, file, class, node and codex', () => {
		const className = classNameOf(file);
		expect(file).toBe(`nodes/${className}/${className}.node.ts`);
		expect(description.name).toBe(lowerFirst(className));
		expect(codex.node).toBe(`${manifest.name}.${description.name}`);
	});

	it('is found in the nodes panel by the words that people type, with documentation', () => {
		// n8n's panel leaves out what is in the category AI, unless it is a root node there.
		if (codex.categories.includes('AI')) {
			expect(codex.subcategories?.AI).toContain('Root Nodes');
		}
		expect(codex.categories).not.toHaveLength(0);
		expect(codex.alias).toContain('aetherforge');
		const { primaryDocumentation, credentialDocumentation } = codex.resources;
		for (const [documentation] of [primaryDocumentation, credentialDocumentation]) {
			expect(documentation?.url).toMatch(/^https:\/\//);
		}
	});

	it('tells in the canvas what it does, and can be an AI agent’s tool', () => {
		expect(description.subtitle).toEqual(expect.stringMatching(/\S/));
		expect(description.usableAsTool).toBe(true);
	});

	it('tells n8n’s AI builder what it costs', () => {
		expect(searchHint).toMatch(file.includes('GetJob') ? /free of charge/ : /is a paid job/);
		expect(searchHint.length).toBeLessThan(300);
	});

	it('points n8n’s AI builder only at other nodes, parameters, values and fields that there are', () => {
		const others = nodeFiles
			.filter((other) => other !== file)
			.map((other) => `${manifest.name}.${lowerFirst(classNameOf(other))}`);
		const related = relatedNodes.map(({ nodeType }) => nodeType);
		expect(others).toEqual(expect.arrayContaining(related));
		expect(new Set(related).size).toBe(related.length);
		const known = allNodes().flatMap((each) => namesIn(each.description.properties as Named[]));
		const texts = [searchHint, ...relatedNodes.map(({ relationHint }) => relationHint)];
		const used = texts.join(' ').match(/\b[a-z]+([A-Z]|_[a-z])\w*/g) ?? [];
		expect([...known, 'image_url', 'job_id']).toEqual(expect.arrayContaining(used));
	});

	it('uses only credentials of this package', () => {
		const used = (description.credentials ?? []).map(({ name }) => name);
		expect(used).not.toHaveLength(0);
		expect(allCredentials().map(({ name }) => name)).toEqual(expect.arrayContaining(used));
	});
});

it.each(credentialFiles)('%s has one name, can be tested and sends its secret itself', (file) => {
	const credential = instanceOf(file) as ICredentialType;
	expect(credential.name).toBe(lowerFirst(classNameOf(file)));
	expect(credential.test?.request.url).toEqual(expect.stringMatching(/\S/));
	expect(credential.authenticate).toBeDefined();
});
