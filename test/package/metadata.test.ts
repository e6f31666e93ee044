import { existsSync, readdirSync, readFileSync } from 'node:fs';
import path from 'node:path';
import type {
	Icon,
	ICredentialType,
	INodeProperties,
	INodePropertyOptions,
	INodeType,
	INodeTypeDescription,
} from 'n8n-workflow';
import { builtPath, manifestIn, root, sourcesIn } from './sources';

interface Codex {
	node: string;
	categories: string[];
	subcategories?: Record<string, string[]>;
	alias: string[];
	resources: Record<'primaryDocumentation' | 'credentialDocumentation', { url: string }[]>;
}

const manifest = manifestIn(root);
const nodeFiles = sourcesIn('nodes', '.node.ts');
const credentialFiles = sourcesIn('credentials', '.credentials.ts');

/** An instance of the class n8n looks for in a file: the one that has the file's name. */
function instantiate(file: string): unknown {
	const classes = jest.requireActual<Record<string, new () => unknown>>(path.join(root, file));
	const found = classes[classNameOf(file)];
	if (!found) throw new Error(`${file} exports no class ${classNameOf(file)}`);
	return new found();
}

function classNameOf(file: string): string {
	return path.basename(file).replace(/\.(node|credentials)\.ts$/, '');
}

function lowerFirst(name: string): string {
	return name.charAt(0).toLowerCase() + name.slice(1);
}

/** The names and the choices of all parameters, those inside a collection as well. */
function namesIn(descriptions: readonly INodeTypeDescription[]): string[] {
	const found: string[] = [];
	const add = (parameters: readonly object[]): void => {
		for (const parameter of parameters as Partial<INodeProperties & INodePropertyOptions>[]) {
			found.push(String(parameter.name), String(parameter.value));
			add(parameter.options ?? []);
		}
	};
	for (const { properties } of descriptions) add(properties);
	return found;
}

function iconContents(icon: unknown, file: string): string[] {
	if (typeof icon !== 'object' || icon === null) throw new Error(`${file}: icon has no themes`);
	const { light, dark } = icon as Exclude<Icon, string>;
	return [light, dark].map((iconPath) => {
		expect(iconPath).toMatch(/^file:.+\.svg$/);
		const svg = path.resolve(root, path.dirname(file), iconPath.replace('file:', ''));
		return readFileSync(svg, 'utf8');
	});
}

function expectThemedIcons(icon: unknown, file: string): void {
	const [light, dark] = iconContents(icon, file);
	expect(light).toMatch(/^<svg /);
	expect(dark).toMatch(/^<svg /);
	expect(light).not.toBe(dark);
}

describe('package.json', () => {
	it('registers every node and nothing else', () => {
		expect([...manifest.n8n.nodes].sort()).toEqual(nodeFiles.map(builtPath));
	});

	it('registers every credential and nothing else', () => {
		expect([...manifest.n8n.credentials].sort()).toEqual(credentialFiles.map(builtPath));
	});

	it('declares itself a strict community package', () => {
		expect(manifest.n8n).toMatchObject({ n8nNodesApiVersion: 1, strict: true });
	});

	it('leaves n8n-workflow to the n8n it is installed in', () => {
		expect(manifest.peerDependencies).toEqual({ 'n8n-workflow': '*' });
		expect(manifest).not.toHaveProperty('dependencies');
		expect(manifest).not.toHaveProperty('optionalDependencies');
		expect(manifest).not.toHaveProperty('overrides');
	});

	it('ships the build and the entry', () => {
		expect(manifest).toMatchObject({ main: 'index.js', files: ['dist', 'index.js'] });
	});
});

describe('lockfiles', () => {
	const endToEnd = readdirSync(path.join(root, 'test/e2e'))
		.map((name) => `test/e2e/${name}/package-lock.json`)
		.filter((file) => existsSync(path.join(root, file)));

	it.each(['package-lock.json', ...endToEnd])('%s names no registry', (file) => {
		const lockfile = readFileSync(path.join(root, file), 'utf8');
		expect(lockfile.match(/"resolved": "https?:.+/g) ?? []).toEqual([]);
	});
});

describe.each(nodeFiles)('%s', (file) => {
	const node = instantiate(file) as INodeType;
	const { description } = node;
	const codex = JSON.parse(
		readFileSync(path.join(root, file.replace(/\.ts$/, '.json')), 'utf8'),
	) as Codex;

	it('has one name for folder, file, class and node', () => {
		const className = classNameOf(file);
		expect(file).toBe(`nodes/${className}/${className}.node.ts`);
		expect(node.constructor.name).toBe(className);
		expect(description.name).toBe(lowerFirst(className));
	});

	it('has a codex that belongs to it', () => {
		expect(codex.node).toBe(`${manifest.name}.${description.name}`);
		expect(codex.categories).not.toHaveLength(0);
		expect(codex.alias).not.toHaveLength(0);
		const { primaryDocumentation, credentialDocumentation } = codex.resources;
		for (const [documentation] of [primaryDocumentation, credentialDocumentation]) {
			expect(documentation?.url).toMatch(/^https:\/\//);
		}
	});

	it('is found in the nodes panel by the words that people type', () => {
		// n8n's panel leaves out what is in the category AI, unless it is a root node there.
		if (codex.categories.includes('AI')) {
			expect(codex.subcategories?.AI).toContain('Root Nodes');
		}
		expect(codex.alias).toContain('aetherforge');
	});

	it('has an icon for each theme', () => {
		expectThemedIcons(description.icon, file);
	});

	it('tells in the canvas what it does', () => {
		expect(description.subtitle).toEqual(expect.stringMatching(/\S/));
	});

	it('can be an AI agent’s tool', () => {
		expect(description.usableAsTool).toBe(true);
	});

	it('tells n8n’s AI builder what it costs', () => {
		const { searchHint } = description.builderHint ?? {};
		expect(searchHint).toMatch(file.includes('GetJob') ? /free of charge/ : /is a paid job/);
		expect(searchHint?.length).toBeLessThan(300);
	});

	it('points n8n’s AI builder only at other nodes of this package', () => {
		const others = nodeFiles
			.filter((other) => other !== file)
			.map((other) => `${manifest.name}.${lowerFirst(classNameOf(other))}`);
		const related = (description.builderHint?.relatedNodes ?? []).map(({ nodeType }) => nodeType);
		expect(others).toEqual(expect.arrayContaining(related));
		expect(new Set(related).size).toBe(related.length);
	});

	it('speaks to n8n’s AI builder of parameters, values and fields that there are', () => {
		const known = namesIn(nodeFiles.map((each) => (instantiate(each) as INodeType).description));
		const fields = ['image_url', 'job_id'];
		const { searchHint = '', relatedNodes = [] } = description.builderHint ?? {};
		const texts = [searchHint, ...relatedNodes.map(({ relationHint }) => relationHint)];
		const used = texts.join(' ').match(/\b[a-z]+([A-Z]|_[a-z])\w*/g) ?? [];
		expect([...known, ...fields]).toEqual(expect.arrayContaining(used));
	});

	it('uses only credentials of this package', () => {
		const known = credentialFiles.map((source) => (instantiate(source) as ICredentialType).name);
		const used = (description.credentials ?? []).map(({ name }) => name);
		expect(used).not.toHaveLength(0);
		expect(known).toEqual(expect.arrayContaining(used));
	});
});

describe.each(credentialFiles)('%s', (file) => {
	const credential = instantiate(file) as ICredentialType;

	it('has one name for file, class and credential', () => {
		expect(credential.constructor.name).toBe(classNameOf(file));
		expect(credential.name).toBe(lowerFirst(classNameOf(file)));
	});

	it('has an icon for each theme', () => {
		expectThemedIcons(credential.icon, file);
	});

	it('can be tested and sends its secret only through n8n', () => {
		expect(credential.test?.request.url).toEqual(expect.stringMatching(/\S/));
		expect(credential.authenticate).toBeDefined();
	});
});
