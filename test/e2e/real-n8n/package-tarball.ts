import { mkdir, readFile, readdir, writeFile } from 'node:fs/promises';
import { dirname, join, resolve } from 'node:path';
import { runCommand } from './command';

const repository = resolve(__dirname, '..', '..', '..');

interface Manifest {
	name: string;
	version: string;
	dependencies?: Record<string, string>;
	devDependencies?: unknown;
	peerDependencies?: unknown;
	optionalDependencies?: unknown;
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
	const logFile = join(directory, 'pack.log');
	await runCommand('npm', ['run', 'build'], { cwd: repository, logFile });
	await runCommand('npm', ['pack', '--pack-destination', directory], { cwd: repository, logFile });
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
 * @returns the folder of the installed package.
 */
export async function installCommunityPackage(
	tarball: string,
	nodesDirectory: string,
): Promise<string> {
	const { name } = await readManifest(repository);
	const directory = join(nodesDirectory, 'node_modules', name);
	const logFile = join(dirname(tarball), 'community-install.log');
	await mkdir(directory, { recursive: true });
	await runCommand('tar', ['-xzf', tarball, '-C', directory, '--strip-components=1'], {
		cwd: nodesDirectory,
		logFile,
	});
	const manifest = await readManifest(directory);
	delete manifest.devDependencies;
	delete manifest.peerDependencies;
	delete manifest.optionalDependencies;
	await writeFile(join(directory, 'package.json'), JSON.stringify(manifest, null, 2));
	const flags = ['--audit=false', '--fund=false', '--bin-links=false'];
	await runCommand(
		'npm',
		[
			'install',
			...flags,
			'--install-strategy=shallow',
			'--ignore-scripts=true',
			'--package-lock=false',
		],
		{ cwd: directory, logFile },
	);
	await writeFile(
		join(nodesDirectory, 'package.json'),
		JSON.stringify({
			name: 'installed-nodes',
			private: true,
			dependencies: { [name]: manifest.version },
		}),
	);
	return directory;
}
