import { mkdir, readdir } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import { manifestIn, root } from '../../package/sources';
import { runCommand } from './programs';

/**
 * Builds this repository and packs it as for publishing.
 *
 * @param directory receives the tarball and a log.
 * @returns the path of the tarball.
 */
export async function packRepository(directory: string): Promise<string> {
	const options = { cwd: root, logFile: join(directory, 'pack.log') };
	await runCommand('npm', ['run', 'build'], options);
	await runCommand('npm', ['pack', '--pack-destination', directory], options);
	const tarball = (await readdir(directory)).find((file) => file.endsWith('.tgz'));
	if (tarball === undefined) throw new Error(`npm pack left no tarball in ${directory}.`);
	return join(directory, tarball);
}

/**
 * Unpacks a packed node package to where n8n's "Install a community node" does. It has no dependencies
 * that would have to be installed.
 *
 * @param nodesDirectory n8n's folder for community nodes, `<user folder>/.n8n/nodes`.
 */
export async function installCommunityPackage(
	tarball: string,
	nodesDirectory: string,
): Promise<void> {
	const directory = join(nodesDirectory, 'node_modules', manifestIn(root).name);
	const options = { cwd: directory, logFile: join(dirname(tarball), 'community-install.log') };
	await mkdir(directory, { recursive: true });
	await runCommand('tar', ['-xzf', tarball, '--strip-components=1'], options);
}
