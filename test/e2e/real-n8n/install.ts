import { createHash } from 'node:crypto';
import { existsSync } from 'node:fs';
import { copyFile, mkdir, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { dirname, join, resolve } from 'node:path';
import { runCommand, type Report } from './command';

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

interface Peculiarities {
	/** Major versions of Node.js that this n8n's `engines` accept, both included. */
	node: { from: number; to: number };
	env: Record<string, string>;
}

const peculiarities: Record<Release, Peculiarities> = {
	// This module fetches a list from n8n's servers at every start. Older n8n refuse its name.
	'n8n-2.41': { node: { from: 24, to: 24 }, env: { N8N_DISABLED_MODULES: 'mcp-registry' } },
	'n8n-2.8': { node: { from: 20, to: 24 }, env: {} },
	'n8n-1.123': { node: { from: 20, to: 24 }, env: {} },
};

const root = resolve(__dirname, '..');
const progressIntervalMs = 5_000;

export function isRelease(name: string): name is Release {
	return releases.some((release) => release === name);
}

/**
 * Installs a pinned n8n from its lockfile, unless that was done before: 2.7 GB and some minutes the
 * first time, a moment from then on.
 *
 * @param report receives the lines that tell a person what is going on.
 * @throws Error with the end of the log when a step fails.
 */
export async function installN8n(release: Release, report: Report): Promise<N8nInstall> {
	const folder = join(root, release);
	const modules = join(folder, 'node_modules');
	const lockfile = await readFile(join(folder, 'package-lock.json'), 'utf8');
	const fingerprint = createHash('sha256').update(lockfile).digest('hex');
	// Written last, so that an interrupted install is done again.
	const stamp = join(modules, '.installed');
	if (!existsSync(stamp) || (await readFile(stamp, 'utf8')) !== fingerprint) {
		const logFile = join(tmpdir(), `install-${release}.log`);
		await rm(logFile, { force: true });
		report(`Installing ${release} (2.7 GB, some minutes, only the first time) …`);
		await rm(modules, { recursive: true, force: true });
		await installPackages(folder, lockfile, logFile, report);
		await provideSqlite(folder, logFile, report);
		if (!systemNodeSuits(release)) {
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
			...peculiarities[release].env,
			// The default engine needs isolated-vm, of which there is no binary for Node.js 20.
			...(nodePath === process.execPath ? { N8N_EXPRESSION_ENGINE: 'legacy' } : {}),
		},
	};
}

function systemNodeSuits(release: Release): boolean {
	const major = Number.parseInt(process.versions.node, 10);
	const { from, to } = peculiarities[release].node;
	return major >= from && major <= to;
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

async function installPackages(
	folder: string,
	lockfile: string,
	logFile: string,
	report: Report,
): Promise<void> {
	const { packages } = JSON.parse(lockfile) as { packages: Record<string, unknown> };
	const paths = Object.keys(packages).filter((path) => path !== '');
	const startedAt = Date.now();
	const progress = setInterval(() => {
		const present = paths.filter((path) => existsSync(join(folder, path, 'package.json'))).length;
		const seconds = Math.round((Date.now() - startedAt) / 1000);
		const state =
			present === 0 ? 'fetching packages' : `${present} of ${paths.length} packages unpacked`;
		report(`  ${state}, ${seconds} s`);
	}, progressIntervalMs);
	try {
		// Of thousands of packages only two need their install script: they get it below.
		await npm(folder, logFile, 'ci', '--ignore-scripts');
	} finally {
		clearInterval(progress);
	}
}

/**
 * Provides the one compiled module n8n cannot do without. It is built against Node-API, so the
 * binary of one n8n serves the others, whatever their Node.js.
 */
async function provideSqlite(folder: string, logFile: string, report: Report): Promise<void> {
	const binary = join('node_modules', 'sqlite3', 'build', 'Release', 'node_sqlite3.node');
	const version = await sqliteVersion(folder);
	for (const release of releases) {
		const other = join(root, release);
		if (other === folder || !existsSync(join(other, binary))) continue;
		if ((await sqliteVersion(other)) !== version) continue;
		await mkdir(dirname(join(folder, binary)), { recursive: true });
		await copyFile(join(other, binary), join(folder, binary));
		return;
	}
	report('Fetching or compiling sqlite3 (up to two minutes) …');
	await npm(folder, logFile, 'rebuild', 'sqlite3', '--ignore-scripts=false');
}

async function sqliteVersion(folder: string): Promise<string> {
	const file = join(folder, 'node_modules', 'sqlite3', 'package.json');
	const { version } = JSON.parse(await readFile(file, 'utf8')) as { version: string };
	return version;
}
