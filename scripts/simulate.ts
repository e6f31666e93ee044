import { spawnSync, type StdioOptions } from 'node:child_process';
import { readFileSync } from 'node:fs';
import { join, resolve } from 'node:path';

import { build, type Plugin } from 'esbuild';

import { DEFECTS, type Change } from '../test/simulator/defects';

// Plays random days: see test/simulator. All of it becomes one file first, so that a defect can be put
// in on the way, and so that nothing but n8n is loaded from node_modules.

const ROOT = resolve(__dirname, '..');
const DAYS_PER_DEFECT = Number(process.env.DAYS_PER_DEFECT ?? 20_000);

/** Changes the nodes' sources on their way into the bundle. */
function damaging(changes: Change[], onApplied: (find: string) => void): Plugin {
	return {
		name: 'defect',
		setup(bundling) {
			bundling.onLoad({ filter: /\/nodes\/.*\.ts$/ }, ({ path }) => {
				let contents = readFileSync(path, 'utf8');
				for (const [find, replace] of changes) {
					if (contents.includes(find)) onApplied(find);
					contents = contents.replaceAll(find, () => replace);
				}
				return { contents, loader: 'ts' };
			});
		},
	};
}

/** @returns the bundle's folder, and the texts of the defect that occur nowhere */
async function bundle(name: string, changes: Change[] = []) {
	const folder = join(ROOT, 'node_modules', '.cache', 'simulator', name);
	const missing = new Set(changes.map(([find]) => find));
	await build({
		entryPoints: ['cli', 'nodes'].map((entry) => join(ROOT, 'test', 'simulator', `${entry}.ts`)),
		outdir: folder,
		outExtension: { '.js': '.cjs' },
		bundle: true,
		platform: 'node',
		packages: 'external',
		sourcemap: 'linked',
		logLevel: 'error',
		plugins: [damaging(changes, (find) => missing.delete(find))],
	});
	return { folder, missing: [...missing] };
}

function play(folder: string, args: string[], stdout: 'inherit' | 'pipe') {
	return spawnSync(process.execPath, ['--enable-source-maps', join(folder, 'cli.cjs'), ...args], {
		// Loaded anew for each process of n8n that starts.
		env: { ...process.env, SIMULATED_NODES: join(folder, 'nodes.cjs') },
		stdio: ['ignore', stdout, 'inherit'] satisfies StdioOptions,
		encoding: 'utf8',
	});
}

interface Finding {
	rule: string;
	day: number;
	seed: number;
	problem: string;
}

function findingIn(folder: string, days: number, seed: number): Finding | undefined {
	const args = ['--days', String(days), '--seed', String(seed), '--first', '--json'];
	const { stdout } = play(folder, args, 'pipe');
	return (JSON.parse(stdout) as { findings: Finding[] }).findings[0];
}

/** Plays days until one fails of the defect: what the nodes fail of without it does not count. */
function firstFinding(damaged: string, sound: string, seed: number): Finding | undefined {
	for (let day = 0; day < DAYS_PER_DEFECT;) {
		const found = findingIn(damaged, DAYS_PER_DEFECT - day, seed + day);
		if (!found) return undefined;
		day += found.day;
		if (findingIn(sound, 1, found.seed)?.rule !== found.rule) return { ...found, day };
	}
	return undefined;
}

/** Puts the defects in one at a time, and tells which of them the days find. */
async function proveIt(seed: number, only: readonly number[]): Promise<number> {
	const sound = await bundle('sound');
	const wanted = [...DEFECTS.entries()].filter(
		([index]) => only.length === 0 || only.includes(index + 1),
	);
	let foundCount = 0;
	for (const [index, { what, changes }] of wanted) {
		const name = `${index + 1}. ${what}`;
		const { folder, missing } = await bundle(`defect-${index + 1}`, changes);
		if (missing.length > 0) {
			console.log(`${name}: CANNOT BE PUT IN, the nodes no longer hold ${missing.join(' … ')}`);
			continue;
		}
		const found = firstFinding(folder, sound.folder, seed);
		if (found) foundCount++;
		console.log(
			found
				? `${name}: day ${found.day}, ${found.problem.slice(0, 160)}`
				: `${name}: NOT FOUND in ${DAYS_PER_DEFECT} days`,
		);
	}
	console.log(`\n${foundCount} of ${wanted.length} found`);
	return foundCount === wanted.length ? 0 : 1;
}

async function main(): Promise<void> {
	const args = process.argv.slice(2);
	if (args.includes('--defects')) {
		const after = (name: string) => args[args.indexOf(name) + 1] ?? '';
		const seed = args.includes('--seed') ? Number(after('--seed')) : 1;
		process.exitCode = await proveIt(seed, after('--defects').match(/\d+/g)?.map(Number) ?? []);
		return;
	}
	const { folder } = await bundle('days');
	process.exitCode = play(folder, args, 'inherit').status ?? 1;
}

void main();
