import { existsSync, readdirSync, readFileSync } from 'node:fs';
import path from 'node:path';

export const root = path.resolve(__dirname, '../..');

export interface Manifest {
	name: string;
	n8n: { nodes: string[] };
	publishConfig: Record<string, unknown>;
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
