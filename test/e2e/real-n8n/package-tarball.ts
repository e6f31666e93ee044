import { mkdir, readFile, readdir, writeFile } from 'node:fs/promises';
import { dirname, join, resolve } from 'node:path';
import { runCommand } from './programs';

const repository = resolve(__dirname, '..', '..', '..');

interface Manifest extends Record<string, unknown> {
	name: string;
	version: string;
}

async function readManifest(directory: string): Promise<Manifest> {
	return JSON.parse(await readFile(join(directory, 'package.json'), 'utf8')) as Manifest;
}

/**
 * Builds this repository and packs it as for publishing.
 *
 * @param directory receives the tarball and a log.
 * @returns the path of the tarball.
 */
export async function packRepository(directory: string): Promise<string> {
	const options = { cwd: repository, logFile: join(directory, 'pack.log') };
	await runCommand('npm', ['run', 'build'], options);
	await runCommand('npm', ['pack', '--pack-destination', directory], options);
	const tarball = (await readdir(directory)).find((file) => file.endsWith('.tgz'));
	if (tarball === undefined) throw new Error(`npm pack left no tarball in ${directory}.`);
	return join(directory, tarball);
}

/**
 * Installs a packed node package as n8n's "Install a community node" does, in the same steps
 * (`downloadPackage` of n8n 2.40's community-packages.service): unpack, drop the dependencies that
 * are not for run time, install the others without scripts, note the package.
 *
 * @param nodesDirectory n8n's folder for community nodes, `<user folder>/.n8n/nodes`.
 */
export async function installCommunityPackage(
	tarball: string,
	nodesDirectory: string,
): Promise<void> {
	const { name } = await readManifest(repository);
	const directory = join(nodesDirectory, 'node_modules', name);
	const options = { cwd: directory, logFile: join(dirname(tarball), 'community-install.log') };
	await mkdir(directory, { recursive: true });
	await runCommand('tar', ['-xzf', tarball, '--strip-components=1'], options);
	const manifest = await readManifest(directory);
	const dropped = /^(dev|peer|optional)Dependencies$/;
	const kept = Object.entries(manifest).filter(([key]) => !dropped.test(key));
	await writeFile(join(directory, 'package.json'), JSON.stringify(Object.fromEntries(kept)));
	const flags = ['--audit=false', '--fund=false', '--bin-links=false', '--package-lock=false'];
	const how = ['--install-strategy=shallow', '--ignore-scripts=true'];
	await runCommand('npm', ['install', ...flags, ...how], options);
	const dependencies = { [name]: manifest.version };
	const installed = { name: 'installed-nodes', private: true, dependencies };
	await writeFile(join(nodesDirectory, 'package.json'), JSON.stringify(installed));
}
