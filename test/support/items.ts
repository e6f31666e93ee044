import type {
	IBinaryData,
	IBinaryKeyData,
	INodeConnections,
	INodeExecutionData,
	INodeType,
} from 'n8n-workflow';

import { tinyPicture } from '../emulator/pictures';
import type { EngineOptions, EngineResult } from './engine';
import { nodeType } from './n8nServer';

// What tests give to a node, and what they read in what it gives back.

export const NO_JOB = 'No job was started, and nothing was charged.';

/** Items with their index as `n`. */
export function numbered(count: number): INodeExecutionData[] {
	return Array.from({ length: count }, (_, n) => ({ json: { n } }));
}

/** Pictures in memory by their binary fields, each with other bytes: those of `tinyPicture(field, 'png')`. */
export function pictures(...fields: string[]): IBinaryKeyData {
	return Object.fromEntries(
		fields.map((field) => [
			field,
			inMemory(tinyPicture(field, 'png'), { fileName: `${field}.png` }),
		]),
	);
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
	...before: { name: string; type?: string; execute: INodeType['execute'] }[]
): { around: NonNullable<EngineOptions['around']> } {
	const nodeTypes = before.map(({ name, type = name, execute }): [string, INodeType] => [
		type,
		nodeType(type, {}, execute && { execute }),
	]);
	const connections = before.map(({ name }, index): [string, INodeConnections] => {
		const node = before[index + 1]?.name ?? 'Node';
		return [name, { main: [[{ node, type: 'main', index: 0 }]] }];
	});
	return {
		around: {
			nodes: before.map(({ name, type = name }) => ({
				id: name,
				name,
				type,
				typeVersion: 1,
				position: [0, 0],
				parameters: {},
			})),
			nodeTypes: Object.fromEntries(nodeTypes),
			connections: Object.fromEntries(connections),
			startAt: before[0]?.name ?? 'Node',
		},
	};
}
