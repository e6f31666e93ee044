import { spawnSync } from 'node:child_process';
import { resolve } from 'node:path';

const ROOT = resolve(__dirname, '..', '..');
const LONGEST_MS = 120_000;

it(
	'keeps every rule on 300 random days, the same ones each time',
	() => {
		const args = ['scripts/simulate.ts', '--days', '300', '--seed', '20261129'];
		const tsx = resolve(ROOT, 'node_modules', '.bin', 'tsx');
		const { stdout, stderr, status } = spawnSync(tsx, args, { cwd: ROOT, encoding: 'utf8' });
		// The output tells of the day that fails.
		expect({ status, output: status === 0 ? '' : `${stdout}${stderr}` }).toEqual({
			status: 0,
			output: '',
		});
	},
	LONGEST_MS,
);
