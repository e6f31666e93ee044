import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdirSync, readFileSync } from 'node:fs';
import { dirname, join, relative, resolve } from 'node:path';

import { build, type Plugin } from 'esbuild';

import { DEFECTS, type Defect } from '../test/simulator/defects';

// Plays random days: see test/simulator. All of it becomes one file first, so that a defect can be put
// in on the way, and so that nothing but n8n is loaded from node_modules.

const ROOT = resolve(__dirname, '..');
const OUT = join(ROOT, 'node_modules', '.cache', 'simulator');
const DAYS_PER_DEFECT = Number(process.env.DAYS_PER_DEFECT ?? 20_000);

/** Changes the nodes' sources on their way into the bundle. */
function damaging({ changes }: Defect, onApplied: (find: string) => void): Plugin {
	return {
		name: 'defect',
		setup(bundling) {
			bundling.onLoad({ filter: /\/nodes\/.*\.ts$/ }, ({ path }) => {
				let contents = readFileSync(path, 'utf8');
				for (const [find, replace] of changes) {
					if (!contents.includes(find)) continue;
					onApplied(find);
					contents = contents.replaceAll(find, () => replace);
				}
				return { contents, loader: 'ts' };
			});
		},
	};
}

/** @returns the bundle's path, and the texts of the defect that occur nowhere */
async function bundle(name: string, defect?: Defect): Promise<{ path: string; missing: string[] }> {
	mkdirSync(OUT, { recursive: true });
	const outdir = join(OUT, name);
	const applied = new Set<string>();
	await build({
		entryPoints: ['cli', 'nodes'].map((entry) => join(ROOT, 'test', 'simulator', `${entry}.ts`)),
		outdir,
		outExtension: { '.js': '.cjs' },
		bundle: true,
		platform: 'node',
		packages: 'external',
		sourcemap: 'linked',
		logLevel: 'error',
		plugins: defect ? [damaging(defect, (find) => applied.add(find))] : [],
	});
	const missing = (defect?.changes ?? [])
		.map(([find]) => find)
		.filter((find) => !applied.has(find));
	return { path: join(outdir, 'cli.cjs'), missing };
}

async function play(path: string, args: string[], onOutput?: (text: string) => void) {
	const child = spawn(process.execPath, ['--enable-source-maps', path, ...args], {
		// Loaded anew for each process of n8n that starts.
		env: { ...process.env, SIMULATED_NODES: join(dirname(path), 'nodes.cjs') },
		stdio: ['ignore', onOutput ? 'pipe' : 'inherit', 'inherit'],
	});
	child.stdout?.on('data', (chunk: Buffer) => {
		onOutput?.(chunk.toString());
	});
	await once(child, 'close');
	return child.exitCode ?? 1;
}

interface Result {
	days: number;
	rate: string;
	findings: { rule: string; day: number; seed: number; problem: string }[];
}

async function resultOf(path: string, days: number, seed: number): Promise<Result> {
	let output = '';
	const args = ['--days', String(days), '--seed', String(seed), '--first', '--json'];
	await play(path, args, (text) => (output += text));
	return JSON.parse(output) as Result;
}

/** Plays days until one fails of the defect: what the nodes fail of without it does not count. */
async function firstFinding(path: string, sound: string, seed: number) {
	for (let day = 0; day < DAYS_PER_DEFECT;) {
		const [found] = (await resultOf(path, DAYS_PER_DEFECT - day, seed + day)).findings;
		if (!found) return undefined;
		day += found.day;
		const [anyway] = (await resultOf(sound, 1, found.seed)).findings;
		if (anyway?.rule !== found.rule) return { ...found, day };
	}
	return undefined;
}

/** Puts the defects in one at a time, and tells which of them the days find. */
async function proveIt(seed: number, only: readonly number[]): Promise<number> {
	const sound = await bundle('sound');
	let foundCount = 0;
	for (const [index, defect] of DEFECTS.entries()) {
		if (only.length > 0 && !only.includes(index + 1)) continue;
		const name = `${index + 1}. ${defect.what} (${defect.origin})`;
		const { path, missing } = await bundle(`defect-${index + 1}`, defect);
		if (missing.length > 0) {
			console.log(`${name}: CANNOT BE PUT IN, the nodes no longer hold ${missing.join(' … ')}`);
			continue;
		}
		const found = await firstFinding(path, sound.path, seed);
		if (found) foundCount++;
		console.log(
			found
				? `${name}: day ${found.day}, ${found.problem.slice(0, 160)}`
				: `${name}: NOT FOUND in ${DAYS_PER_DEFECT} days`,
		);
	}
	console.log(`\n${foundCount} of ${DEFECTS.length} found`);
	return foundCount === DEFECTS.length ? 0 : 1;
}

async function main(): Promise<void> {
	const args = process.argv.slice(2);
	if (args.includes('--defects')) {
		const after = (name: string) => args[args.indexOf(name) + 1] ?? '';
		const seed = args.includes('--seed') ? Number(after('--seed')) : 1;
		process.exitCode = await proveIt(seed, after('--defects').match(/\d+/g)?.map(Number) ?? []);
		return;
	}
	const { path } = await bundle('days');
	console.log(`days of ${relative(ROOT, path)}`);
	process.exitCode = await play(path, args);
}

void main();
