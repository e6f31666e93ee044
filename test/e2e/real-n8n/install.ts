import { createHash } from 'node:crypto';
import { existsSync } from 'node:fs';
import { readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { dirname, join, resolve } from 'node:path';
import { runCommand } from './programs';

/** The n8n versions that are tested: folders of `test/e2e` with a package.json and a lockfile. */
export const releases = ['n8n-2.41', 'n8n-2.8', 'n8n-1.123'] as const;
export type Release = (typeof releases)[number];

/** An n8n that is ready to be started. */
export interface N8nInstall {
	release: Release;
	/** The Node.js that this n8n runs on. */
	nodePath: string;
	/** n8n's command. */
	commandPath: string;
	/** Settings without which this version does not start on that Node.js. */
	env: Record<string, string>;
}

/** The first and the last major version of Node.js that an n8n's `engines` accept. */
const acceptedNodes: Record<Release, [from: number, to: number]> = {
	'n8n-2.41': [24, 24],
	'n8n-2.8': [20, 24],
	'n8n-1.123': [20, 24],
};

const root = resolve(__dirname, '..');

/**
 * Installs a pinned n8n from its lockfile, unless that was done before: 2.7 GB and some minutes the
 * first time, a moment from then on.
 *
 * @param report receives the lines that tell a person what is going on.
 * @throws Error with the end of the log when a step fails.
 */
export async function installN8n(
	release: Release,
	report: (line: string) => void,
): Promise<N8nInstall> {
	const folder = join(root, release);
	const modules = join(folder, 'node_modules');
	const lockfile = await readFile(join(folder, 'package-lock.json'), 'utf8');
	const fingerprint = createHash('sha256').update(lockfile).digest('hex');
	// Written last, so that an interrupted install is done again.
	const stamp = join(modules, '.installed');
	if (!existsSync(stamp) || (await readFile(stamp, 'utf8')) !== fingerprint) {
		const logFile = join(tmpdir(), `install-${release}.log`);
		report(`Installing ${release} (2.7 GB, some minutes, only the first time; see ${logFile}) …`);
		await rm(modules, { recursive: true, force: true });
		// Of thousands of packages only two need their install script.
		await npm(folder, logFile, 'ci', '--ignore-scripts');
		await npm(folder, logFile, 'rebuild', 'sqlite3', '--ignore-scripts=false');
		const major = Number.parseInt(process.versions.node, 10);
		const [from, to] = acceptedNodes[release];
		if (major < from || major > to) {
			report(`Fetching the Node.js that ${release} needs (this one is ${process.version}) …`);
			await npm(folder, logFile, 'rebuild', 'node', '--ignore-scripts=false');
		}
		await writeFile(stamp, fingerprint);
	}
	const ownNode = join(modules, 'node', 'bin', process.platform === 'win32' ? 'node.exe' : 'node');
	const nodePath = existsSync(ownNode) ? ownNode : process.execPath;
	return {
		release,
		nodePath,
		commandPath: join(modules, 'n8n', 'bin', 'n8n'),
		env: {
			// This module fetches a list from n8n's servers at every start. Older n8n refuse its name.
			...(release === 'n8n-2.41' ? { N8N_DISABLED_MODULES: 'mcp-registry' } : {}),
			// The default engine needs isolated-vm, of which there is no binary for Node.js 20.
			...(nodePath === process.execPath ? { N8N_EXPRESSION_ENGINE: 'legacy' } : {}),
		},
	};
}

async function npm(folder: string, logFile: string, ...args: string[]): Promise<void> {
	// Where Node.js came with its headers, node-gyp need not download them.
	const prefix = resolve(dirname(process.execPath), '..');
	const headers = existsSync(join(prefix, 'include', 'node', 'node_api.h'));
	await runCommand('npm', [...args, '--no-audit', '--no-fund', '--foreground-scripts'], {
		cwd: folder,
		logFile,
		env: { JOBS: 'max', ...(headers ? { npm_config_nodedir: prefix } : {}) },
	});
}
