import { execFile } from 'node:child_process';
import { stat } from 'node:fs/promises';
import { join, resolve } from 'node:path';
import { promisify } from 'node:util';

const root = resolve(__dirname, '..', '..');
const run = promisify(execFile);

export async function packedKilobytes(tarball: string): Promise<number> {
	return (await stat(tarball)).size / 1000;
}

/** How many milliseconds a fresh process takes to load the installed package and make its classes. */
export async function loadMs(packageFolder: string): Promise<number> {
	const script = join(root, 'test', 'package', 'measureLoad.cjs');
	const { stdout } = await run(process.execPath, [script, packageFolder], {
		env: { ...process.env, NODE_ENV: undefined, NODE_PATH: join(root, 'node_modules') },
	});
	return Number(stdout);
}
