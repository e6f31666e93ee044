import { existsSync, readdirSync, readFileSync } from 'node:fs';
import path from 'node:path';
import type { ICredentialType, INodeType } from 'n8n-workflow';

export const root = path.resolve(__dirname, '../..');

export interface Manifest {
	name: string;
	main: string;
	files: string[];
	n8n: { strict?: boolean; n8nNodesApiVersion: number; nodes: string[]; credentials: string[] };
	peerDependencies: Record<string, string>;
	publishConfig: Record<string, unknown>;
	scripts: Record<string, string>;
}

/** package.json, as it stands in `directory`. */
export function manifestIn(directory: string): Manifest {
	return JSON.parse(readFileSync(path.join(directory, 'package.json'), 'utf8')) as Manifest;
}

/** Every file under `directory`, sorted, as paths relative to `directory` with forward slashes. */
export function filesIn(directory: string): string[] {
	if (!existsSync(directory)) return [];
	return readdirSync(directory, { recursive: true, withFileTypes: true })
		.filter((entry) => entry.isFile())
		.map((entry) => path.relative(directory, path.join(entry.parentPath, entry.name)))
		.map((file) => file.replaceAll(path.sep, '/'))
		.sort();
}

/** The source files of `folder` whose names end in `suffix`, as paths relative to the repository. */
export function sourcesIn(folder: 'nodes' | 'credentials', suffix = ''): string[] {
	return filesIn(path.join(root, folder))
		.map((file) => `${folder}/${file}`)
		.filter((file) => file.endsWith(suffix));
}

/** An instance of the class that n8n looks for in a file: the one that has the file's name. */
export function instanceOf(file: string): unknown {
	const className = path.basename(file).split('.')[0] ?? '';
	const classes = jest.requireActual<Record<string, new () => unknown>>(path.join(root, file));
	const found = classes[className];
	if (!found) throw new Error(`${file} exports no class ${className}`);
	return new found();
}

export const nodeFiles = sourcesIn('nodes', '.node.ts');
export const credentialFiles = sourcesIn('credentials', '.credentials.ts');
export const allNodes = () => nodeFiles.map(instanceOf) as INodeType[];
export const allCredentials = () => credentialFiles.map(instanceOf) as ICredentialType[];

/** Where the build puts a source file. */
export function builtPath(source: string): string {
	return `dist/${source.replace(/\.ts$/, '.js')}`;
}
