import { execFile } from 'node:child_process';
import {
	appendFileSync,
	cpSync,
	existsSync,
	mkdirSync,
	readFileSync,
	writeFileSync,
} from 'node:fs';
import { mkdtemp, rm, symlink } from 'node:fs/promises';
import { isBuiltin } from 'node:module';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { promisify } from 'node:util';
import type { Icon, ICredentialType, INodeTypeDescription } from 'n8n-workflow';
import { builtPath, filesIn, manifestIn, root, sourcesIn } from './sources';

const MAX_PACKED_BYTES = 70_000;

interface Loaded {
	known: { credentials: Record<string, { supportedNodes?: string[] }> };
	types: {
		nodes: (INodeTypeDescription & { iconUrl?: Icon })[];
		credentials: (ICredentialType & { iconUrl?: Icon })[];
	};
}

interface PackResult {
	filename: string;
	size: number;
	files: { path: string }[];
}

const run = promisify(execFile);
const manifest = manifestIn(root);
const checkout = [
	...['package.json', 'package-lock.json', '.npmrc', 'tsconfig.json', 'gulpfile.js', 'index.js'],
	...['README.md', 'CHANGELOG.md', 'LICENSE', 'nodes', 'credentials', 'test/package'],
];

let temporary: string;
let stage: string;
let installed: string;
let packed: PackResult;

/** Runs node as n8n would be run: packages are found through NODE_PATH, and nothing says it is a test. */
async function runNode(script: string, ...args: string[]): Promise<string> {
	const { stdout } = await run(process.execPath, [script, ...args], {
		cwd: stage,
		env: { ...process.env, NODE_ENV: undefined, NODE_PATH: path.join(root, 'node_modules') },
	});
	return stdout;
}

async function build(): Promise<void> {
	await runNode(path.join(root, 'node_modules/gulp/bin/gulp.js'), 'build', '--silent');
}

beforeAll(async () => {
	temporary = await mkdtemp(path.join(tmpdir(), 'aetherforge-tarball-'));
	stage = path.join(temporary, 'checkout');
	for (const name of checkout) {
		if (existsSync(path.join(root, name))) {
			cpSync(path.join(root, name), path.join(stage, name), { recursive: true });
		}
	}
	await symlink(path.join(root, 'node_modules'), path.join(stage, 'node_modules'), 'dir');
	mkdirSync(path.join(stage, 'dist/nodes/Gone'), { recursive: true });
	writeFileSync(path.join(stage, 'dist/nodes/Gone/Gone.node.js'), '');
	await build();

	const options = ['--json', '--ignore-scripts', '--pack-destination', temporary];
	const { stdout } = await run('npm', ['pack', ...options], { cwd: stage });
	const [result] = JSON.parse(stdout) as PackResult[];
	if (!result) throw new Error('npm pack made no tarball');
	packed = result;
	installed = path.join(temporary, 'node_modules', manifest.name);
	mkdirSync(installed, { recursive: true });
	const tarball = path.join(temporary, packed.filename);
	await run('tar', ['-xzf', tarball, '-C', installed, '--strip-components=1']);
}, 120_000);

afterAll(async () => {
	await rm(temporary, { recursive: true, force: true });
});

it('ships what n8n lists, the engine, icons, codex, output schemas and nothing else', () => {
	const sources = ['.ts', '.svg', '.json'].flatMap((suffix) => [
		...sourcesIn('nodes', suffix),
		...sourcesIn('credentials', suffix),
	]);
	const shipped = [
		...sources.map(builtPath),
		...['LICENSE', 'README.md', 'index.js', 'package.json'],
	];
	expect(packed.files.map((file) => file.path).sort()).toEqual(shipped.sort());
});

it('stays small', () => {
	expect(packed.size).toBeLessThan(MAX_PACKED_BYTES);
});

it('copies icons, codex and output schemas byte for byte', () => {
	const copies = ['.svg', '.json'].flatMap((suffix) => sourcesIn('nodes', suffix));
	for (const copy of copies) {
		const shipped = readFileSync(path.join(installed, builtPath(copy)));
		expect(shipped.equals(readFileSync(path.join(root, copy)))).toBe(true);
	}
});

it('requires nothing but itself, n8n-workflow and what Node has', () => {
	const foreign = filesIn(path.join(installed, 'dist'))
		.filter((file) => file.endsWith('.js'))
		.flatMap((file) => {
			const code = readFileSync(path.join(installed, 'dist', file), 'utf8');
			return [...code.matchAll(/\b(?:require|import)\(["'`]([^"'`]+)/g)].map(
				([, name = '']) => name,
			);
		})
		.filter((name) => !name.startsWith('.') && name !== 'n8n-workflow' && !isBuiltin(name));
	expect(foreign).toEqual([]);
});

describe('in n8n', () => {
	let loaded: Loaded;

	beforeAll(async () => {
		loaded = JSON.parse(
			await runNode(path.join(__dirname, 'loadPackage.cjs'), installed),
		) as Loaded;
	}, 60_000);

	it('offers every node and credential', () => {
		const names = [...loaded.types.nodes, ...loaded.types.credentials].map(({ name }) => name);
		const sources = [
			...sourcesIn('nodes', '.node.ts'),
			...sourcesIn('credentials', '.credentials.ts'),
		];
		const expected = sources.map((file) => path.basename(file).split('.')[0] ?? '');
		expect(names).toEqual(expected.map((name) => name.charAt(0).toLowerCase() + name.slice(1)));
	});

	it('finds each icon, in both themes, for nodes and credentials', () => {
		const prefix = `icons/${manifest.name}/`;
		for (const { name, iconUrl } of [...loaded.types.nodes, ...loaded.types.credentials]) {
			if (typeof iconUrl !== 'object') throw new Error(`${name} has no themed icon`);
			for (const url of [iconUrl.light, iconUrl.dark]) {
				expect(url.startsWith(prefix)).toBe(true);
				expect(existsSync(path.join(installed, url.slice(prefix.length)))).toBe(true);
			}
		}
	});

	it('reads each codex', () => {
		for (const { codex } of loaded.types.nodes) {
			expect(codex?.categories).not.toHaveLength(0);
			expect(codex?.resources?.primaryDocumentation).not.toHaveLength(0);
		}
	});

	it('connects the credentials with the nodes that use them', () => {
		for (const { name, credentials } of loaded.types.nodes) {
			for (const credential of credentials ?? []) {
				expect(loaded.known.credentials[credential.name]?.supportedNodes).toContain(name);
			}
		}
	});
});

it('loads neither the engine nor the messages when n8n starts', async () => {
	const script = path.join(__dirname, 'loadedFiles.cjs');
	const loaded = JSON.parse(await runNode(script, installed)) as string[];
	expect(loaded).toContain('dist/nodes/ImageGenerate/ImageGenerate.node.js');
	expect(loaded.filter((file) => /shared\/(engine\/|messages|failure)/.test(file))).toEqual([]);
}, 60_000);

it('fails to build on a type error and leaves the last build as it was', async () => {
	const dist = path.join(stage, 'dist');
	const before = filesIn(dist).map((file) => readFileSync(path.join(dist, file), 'utf8'));
	const [source = ''] = sourcesIn('nodes', '.node.ts');
	appendFileSync(path.join(stage, source), "\nexport const wrong: number = 'text';\n");

	await expect(build()).rejects.toMatchObject({
		code: 1,
		stdout: expect.stringContaining('TS2322') as string,
	});

	const after = filesIn(dist).map((file) => readFileSync(path.join(dist, file), 'utf8'));
	expect(after).toEqual(before);
}, 60_000);
