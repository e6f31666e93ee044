import { execFile } from 'node:child_process';
import { cpSync, mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import { mkdtemp, rm, symlink } from 'node:fs/promises';
import { isBuiltin } from 'node:module';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { promisify } from 'node:util';
import type { PackageDirectoryLoader } from 'n8n-core';
import { NODES } from '../support/nodes';
import { filesIn, manifestIn, root, sourcesIn } from './sources';

const MAX_PACKED_BYTES = 70_000;

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

beforeAll(async () => {
	temporary = await mkdtemp(path.join(tmpdir(), 'aetherforge-tarball-'));
	stage = path.join(temporary, 'checkout');
	for (const name of checkout) {
		cpSync(path.join(root, name), path.join(stage, name), { recursive: true });
	}
	await symlink(path.join(root, 'node_modules'), path.join(stage, 'node_modules'), 'dir');
	mkdirSync(path.join(stage, 'dist/nodes/Gone'), { recursive: true });
	writeFileSync(path.join(stage, 'dist/nodes/Gone/Gone.node.js'), '');
	await runNode(path.join(root, 'node_modules/gulp/bin/gulp.js'), 'build', '--silent');

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
	const sources = [...sourcesIn('nodes'), ...sourcesIn('credentials')];
	const others = ['LICENSE', 'README.md', 'index.js', 'package.json'];
	const built = sources.map((source) => `dist/${source.replace(/\.ts$/, '.js')}`);
	const shipped = [...built, ...others];
	expect(packed.files.map((file) => file.path).sort()).toEqual(shipped.sort());
	expect(packed.size).toBeLessThan(MAX_PACKED_BYTES);
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

it('offers n8n every node with its credential', async () => {
	const printed = await runNode(path.join(__dirname, 'loadPackage.cjs'), installed);
	const { known } = JSON.parse(printed) as Pick<PackageDirectoryLoader, 'known'>;
	const { nodes, credentials } = known;
	expect(Object.keys(nodes).sort()).toEqual(Object.keys(NODES).sort());
	const supported = credentials.aetherForgeApi?.supportedNodes ?? [];
	expect(supported.map((name) => name.split('.').at(-1)).sort()).toEqual(Object.keys(nodes).sort());
}, 60_000);

it('loads neither the engine nor the messages when n8n starts', async () => {
	const script = path.join(__dirname, 'loadedFiles.cjs');
	const loaded = JSON.parse(await runNode(script, installed)) as string[];
	expect(loaded).toContain('dist/nodes/ImageGenerate/ImageGenerate.node.js');
	expect(loaded.filter((file) => /shared\/(engine\/|messages|failure)/.test(file))).toEqual([]);
}, 60_000);
