import { readFileSync } from 'node:fs';
import { availableParallelism } from 'node:os';
import { join, resolve } from 'node:path';
import { Command } from 'commander';
import { build, type Plugin } from 'esbuild';
import type { Finding, Part } from '../test/simulator/cli';
import { DEFECTS, type Change } from '../test/simulator/defects';

// Plays random days: see test/simulator. All of it becomes one file first, so that a defect can be put
// in on the way.

const ROOT = resolve(__dirname, '..');

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

/** @returns what the process wrote, where it is only the result */
async function play(folder: string, part: Part): Promise<string> {
	const { execa } = await import('execa');
	const args = ['--enable-source-maps', join(folder, 'cli.cjs'), JSON.stringify(part)];
	const { stdout, failed } = await execa(process.execPath, args, {
		// Loaded anew for each process of n8n that starts.
		env: { SIMULATED_NODES: join(folder, 'nodes.cjs') },
		stdin: 'ignore',
		stdout: part.json ? 'pipe' : 'inherit',
		stderr: 'inherit',
		reject: false,
	});
	if (failed) process.exitCode = 1;
	return stdout ?? '';
}

/** Plays the days side by side, in as many processes as the machine has cores. */
async function playAll(folder: string, part: Part): Promise<void> {
	const share = Math.ceil(part.days / availableParallelism());
	const parts = [];
	for (let start = 0; start < part.days; start += share) {
		const days = Math.min(share, part.days - start);
		parts.push(play(folder, { ...part, seed: part.seed + start, days }));
	}
	await Promise.all(parts);
}

/** Puts the defects in one at a time, and tells which of them the days find. */
async function proveIt(days: number, seed: number, only: readonly number[]): Promise<void> {
	const wanted = [...DEFECTS.entries()].filter(
		([index]) => only.length === 0 || only.includes(index + 1),
	);
	const part = { days, seed, json: true };
	let foundCount = 0;
	for (const [index, { what, changes }] of wanted) {
		const { folder, missing } = await bundle(`defect-${index + 1}`, changes);
		let outcome = `CANNOT BE PUT IN, the nodes no longer hold ${missing.join(' … ')}`;
		if (missing.length === 0) {
			const found = JSON.parse(await play(folder, part)) as Finding | null;
			if (found) foundCount++;
			outcome = found
				? `day ${found.day}, ${found.problem.slice(0, 160)}`
				: `NOT FOUND in ${days} days`;
		}
		console.log(`${index + 1}. ${what}: ${outcome}`);
	}
	console.log(`\n${foundCount} of ${wanted.length} found`);
	if (foundCount < wanted.length) process.exitCode = 1;
}

async function main(options: { days?: number; seed?: number; defects?: string | true }) {
	const { days, seed, defects } = options;
	if (defects !== undefined) {
		await proveIt(days ?? 20_000, seed ?? 1, String(defects).match(/\d+/g)?.map(Number) ?? []);
		return;
	}
	const { folder } = await bundle('days');
	await playAll(folder, {
		days: days ?? 1000,
		seed: seed ?? Math.floor(Math.random() * 1e9),
		json: false,
	});
}

void new Command('simulate')
	.description("Plays random days on n8n-core's engine in virtual time, and judges them.")
	.option('--days <number>', 'how many days: 1000, or up to 20000 for each defect', Number)
	.option('--seed <number>', 'of the first day', Number)
	.option('--defects [numbers]', 'put known defects into the nodes, to see the days find them')
	.action(main)
	.parseAsync();
