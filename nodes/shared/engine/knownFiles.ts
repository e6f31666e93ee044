import type { IBinaryKeyData, IExecuteFunctions, INodeExecutionData } from 'n8n-workflow';

import { isTool } from './settings';

/** Where n8n keeps an item's files when a workflow's binary mode is "combined". */
export const COMBINED_BINARY_KEY = '_files';

/** Whether n8n keeps the files of items in their JSON. */
export function isCombined(context: IExecuteFunctions): boolean {
	return context.getWorkflowSettings().binaryMode === 'combined';
}

/** What an expression can ask of another node: the items of one of its runs. */
interface NodeItems {
	all(branchIndex: number | undefined, runIndex: number): INodeExecutionData[];
}

/**
 * The files that belong to this execution: those of the input items, and of every run of the nodes
 * before this one. n8n's storage opens any ID that it is given, of any workflow, and whoever writes
 * an item's JSON can make an expression give one. n8n's own names for files cannot tell: files of a
 * sub-workflow carry its caller's, and those of a retry the first execution's.
 */
export class KnownFiles {
	readonly #context: IExecuteFunctions;
	#ids: Set<string> | undefined;

	constructor(context: IExecuteFunctions) {
		this.#context = context;
	}

	/** Looks at all nodes before this one when it is first asked: most runs never do. */
	has(id: string): boolean {
		this.#ids ??= this.#collect();
		return this.#ids.has(id);
	}

	#collect(): Set<string> {
		const ids = new Set<string>();
		const isInJson = isCombined(this.#context);
		const add = (items: readonly INodeExecutionData[]): void => {
			for (const { json, binary } of items) {
				const combined = isInJson
					? (json[COMBINED_BINARY_KEY] as IBinaryKeyData | undefined)
					: undefined;
				for (const { id } of [combined, binary].flatMap((files = {}) => Object.values(files))) {
					if (id !== undefined) ids.add(id);
				}
			}
		};
		add(this.#context.getInputData());
		const proxy = this.#context.getWorkflowDataProxy(0);
		// Without `isWhole` they would be the JSON alone where a workflow keeps its files there.
		const itemsOf = proxy.$ as (nodeName: string, isWhole: true) => NodeItems;
		const nodes = proxy.$node as Readonly<Record<string, { runIndex: number }>>;
		for (const name of this.#nodesBefore()) {
			// Not until n8n throws: of a node whose output is pinned, it gives any run there is not.
			const lastRun = nodes[name]?.runIndex ?? -1;
			for (let run = 0; run <= lastRun; run++) {
				try {
					add(itemsOf(name, true).all(undefined, run));
				} catch {
					// n8n throws where a run put nothing out on the way to this node.
				}
			}
		}
		return ids;
	}

	/** A tool has no input of its own: what is before its agent counts, if there is an agent. */
	#nodesBefore(): string[] {
		const context = this.#context;
		const parentsOf = (name: string) => context.getParentNodes(name).map((node) => node.name);
		if (!isTool(context)) return parentsOf(context.getNode().name);
		try {
			const { previousNode } = context.getInputSourceData();
			return [previousNode, ...parentsOf(previousNode)];
		} catch {
			// Called by an MCP Server Trigger, or by one of n8n's own Agents.
			return [];
		}
	}
}
