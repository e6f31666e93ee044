import { readFileSync } from 'node:fs';
import { availableParallelism } from 'node:os';
import { join, resolve } from 'node:path';
import { Command } from 'commander';
import { build, type Plugin } from 'esbuild';
import type { Finding, Part } from '../test/simulator/cli';
import { DEFECTS, type Change } from '../test/simulator/defects';

// Plays random days: see test/simulator. All of it becomes one file first, so that a defect can be put
// in on the way, and so that nothing but n8n is loaded from node_modules.

const ROOT = resolve(__dirname, '..');
/** Fewer than that are played sooner than another process has started. */
const DAYS_WORTH_A_PROCESS = 50;
const DAYS_PER_DEFECT = 20_000;

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
async function playAll(folder: string, { days, ...rest }: Part): Promise<void> {
	const parts = Math.min(availableParallelism(), Math.ceil(days / DAYS_WORTH_A_PROCESS));
	const share = Math.ceil(days / parts);
	const starts = Array.from({ length: parts }, (_, part) => part * share);
	await Promise.all(
		starts.map(async (start) => {
			const seed = rest.seed + start;
			await play(folder, { ...rest, seed, days: Math.min(share, days - start) });
		}),
	);
}

/** Puts the defects in one at a time, and tells which of them the days find. */
async function proveIt(seed: number, only: readonly number[]): Promise<void> {
	const wanted = [...DEFECTS.entries()].filter(
		([index]) => only.length === 0 || only.includes(index + 1),
	);
	const part = { days: DAYS_PER_DEFECT, seed, first: true, json: true };
	let foundCount = 0;
	for (const [index, { what, changes }] of wanted) {
		const { folder, missing } = await bundle(`defect-${index + 1}`, changes);
		let outcome = `CANNOT BE PUT IN, the nodes no longer hold ${missing.join(' … ')}`;
		if (missing.length === 0) {
			const { findings } = JSON.parse(await play(folder, part)) as { findings: Finding[] };
			const [found] = findings;
			foundCount += findings.length;
			outcome = found
				? `day ${found.day}, ${found.problem.slice(0, 160)}`
				: `NOT FOUND in ${DAYS_PER_DEFECT} days`;
		}
		console.log(`${index + 1}. ${what}: ${outcome}`);
	}
	console.log(`\n${foundCount} of ${wanted.length} found`);
	if (foundCount < wanted.length) process.exitCode = 1;
}

interface Options {
	days: number;
	seed?: number;
	first: boolean;
	defects?: string | true;
}

async function main({ defects, seed, ...options }: Options): Promise<void> {
	if (defects !== undefined) {
		await proveIt(seed ?? 1, String(defects).match(/\d+/g)?.map(Number) ?? []);
		return;
	}
	const { folder } = await bundle('days');
	const part = { ...options, seed: seed ?? Math.floor(Math.random() * 1e9), json: false };
	await playAll(folder, part);
}

void new Command('simulate')
	.description("Plays random days on n8n-core's engine in virtual time, and judges them.")
	.option('--days <number>', 'how many days', Number, 1000)
	.option('--seed <number>', 'of the first day', Number)
	.option('--first', 'end with the first finding', false)
	.option('--defects [numbers]', 'put known defects into the nodes, to see the days find them')
	.action(main)
	.parseAsync();
