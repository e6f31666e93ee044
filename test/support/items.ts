import type { IBinaryData, IBinaryKeyData, INodeExecutionData, INodeType } from 'n8n-workflow';

import { tinyPicture } from '../emulator/pictures';
import type { EngineOptions, EngineResult } from './engine';
import { nodeType } from './n8nServer';

export const NO_JOB = 'No job was started, and nothing was charged.';

/** Items with their index as `n`. */
export function numbered(count: number): INodeExecutionData[] {
	return Array.from({ length: count }, (_, n) => ({ json: { n } }));
}

/** Pictures in memory by their binary fields, each with other bytes: those of `tinyPicture(field, 'png')`. */
export function pictures(...fields: string[]): IBinaryKeyData {
	const pictureOf = (field: string) =>
		inMemory(tinyPicture(field, 'png'), { fileName: `${field}.png` });
	return Object.fromEntries(fields.map((field) => [field, pictureOf(field)]));
}

export function inMemory(bytes: Buffer, more: Partial<IBinaryData> = {}): IBinaryData {
	return { data: bytes.toString('base64'), mimeType: 'image/png', ...more };
}

/** The JSON of the items of a run that has ended well. */
export function jsonOf({ items, error }: EngineResult): INodeExecutionData['json'][] {
	expect(error).toBeUndefined();
	return items.map(({ json }) => json);
}

/** The JSON of the only item of a run that has ended well. */
export function onlyJson(result: EngineResult): INodeExecutionData['json'] {
	const [json = {}, ...others] = jsonOf(result);
	expect(others).toEqual([]);
	return json;
}

/** What an error item says, which has no other key. */
export function errorOf(item: INodeExecutionData | undefined): Record<string, unknown> {
	expect(Object.keys(item?.json ?? {})).toEqual(['error']);
	return item?.json.error as Record<string, unknown>;
}

export function hintsOf({ hints }: EngineResult): string[] {
	return hints.map(({ message }) => message);
}

/** A workflow in which these nodes run one after the other before the tested one. */
export function after(
	...before: { name: string; type?: string; execute: NonNullable<INodeType['execute']> }[]
): { around: NonNullable<EngineOptions['around']> } {
	const around: NonNullable<EngineOptions['around']> = {
		nodes: [],
		nodeTypes: {},
		connections: {},
		startAt: before[0]?.name ?? 'Node',
	};
	for (const [index, { name, type = name, execute }] of before.entries()) {
		const common = { id: name, typeVersion: 1, position: [0, 0] as [number, number] };
		around.nodes.push({ ...common, name, type, parameters: {} });
		around.nodeTypes[type] = nodeType(type, {}, { execute });
		const node = before[index + 1]?.name ?? 'Node';
		around.connections[name] = { main: [[{ node, type: 'main', index: 0 }]] };
	}
	return { around };
}
