import type {
	IDataObject,
	IExecuteFunctions,
	INodeExecutionData,
	INodeParameters,
} from 'n8n-workflow';

import type { StoredContent } from './requestFile';
import { COMBINED_BINARY_KEY, isTool } from '../../n8n';

/** What an expression can ask of another node: the items of one of its runs. */
interface NodeItems {
	all(branchIndex: number | undefined, runIndex: number): INodeExecutionData[] | null;
}

/** A node, and its type as far as it is known. */
interface NodeBefore {
	name: string;
	type?: string;
}

/** Where a workflow gets files of other workflows: from the one that calls it, and those it calls. */
const SUB_WORKFLOW = /\.executeWorkflow(Trigger)?$/;

/** How an expression names a node, `$('Form')` and `$node["Form"]` for instance. */
const NODE_IN_EXPRESSION =
	/\$(?:(?:node\s*\[|items\s*\(|\()\s*(["'`])((?:\\.|(?!\1)[^])*)\1|node\.([\w$]+))/g;

/** No node has more outputs than this. */
const MOST_OUTPUTS = 32;

/**
 * The files that belong to this execution: those of the input items, and of every run of the nodes
 * before this one. n8n's storage opens any ID that it is given, of any workflow, and anyone who writes
 * an item's JSON can make an expression give one. n8n's own names for files cannot tell: files of a
 * sub-workflow carry its caller's, and those of a retry the first execution's.
 */
export class KnownFiles {
	/** What the files of the run were found to be, by their IDs: each is opened once, not per item. */
	readonly contents = new Map<string, Promise<StoredContent>>();

	readonly #context: IExecuteFunctions;
	readonly #ofNode = new Map<string, Set<string>>();
	/** The node's parameters as written. */
	#written: INodeParameters | undefined;
	#isCombined: boolean | undefined;
	#before: Set<string> | undefined;
	#ofSubWorkflows: Set<string> | undefined;

	constructor(context: IExecuteFunctions) {
		this.#context = context;
	}

	/**
	 * Whether n8n keeps the files of items in their JSON. n8n 1 has the setting, but does nothing
	 * about it: only where it is in force is `$item` the item's JSON instead of a function.
	 */
	get isCombined(): boolean {
		this.#isCombined ??=
			this.#context.getWorkflowSettings().binaryMode === 'combined' &&
			typeof this.#context.getWorkflowDataProxy(0).$item !== 'function';
		return this.#isCombined;
	}

	/**
	 * Whether a file that an expression gives belongs to this execution. Looks at all nodes before this
	 * one when it is first asked: most runs never do.
	 *
	 * @param parameterName whose expression it is: n8n finds the nodes that it names in any branch
	 */
	has(id: string, parameterName: string): boolean {
		this.#before ??= this.#collectBefore();
		if (this.#before.has(id) || (this.isCombined && this.#subWorkflowFiles.has(id))) return true;
		this.#written ??= this.#context.getNode().parameters;
		const written = this.#written[parameterName];
		if (typeof written !== 'string') return false;
		for (const [, , quoted, plain] of written.matchAll(NODE_IN_EXPRESSION)) {
			const name = quoted?.replace(/\\(.)/g, '$1') ?? plain ?? '';
			if (this.#idsOf(name).has(id)) return true;
		}
		return false;
	}

	/**
	 * Whether a file's ID names another workflow. It matters where files are part of the JSON, like any
	 * other value: there nothing tells the item's own from one that somebody has written. IDs of files
	 * in n8n's database name no workflow.
	 */
	isForeign(id: string): boolean {
		if (!this.isCombined) return false;
		// Storage in folders would open what lies behind "..", and Windows knows further such names.
		const path = /^(?:[\w-]+:)?([\w-]+(?:\/[\w-]+)*)$/.exec(id)?.[1]?.split('/');
		const isOwn =
			path !== undefined &&
			(path[0]?.toLowerCase() !== 'workflows' || path[1] === this.#context.getWorkflow().id);
		if (isOwn) return false;
		return !this.#subWorkflowFiles.has(id);
	}

	get #subWorkflowFiles(): Set<string> {
		return (this.#ofSubWorkflows ??= this.#collectOfSubWorkflows());
	}

	#collectBefore(): Set<string> {
		const ids = new Set<string>();
		this.#addIds(ids, this.#context.getInputData());
		for (const { name } of this.#nodesBefore()) {
			for (const items of this.#runsOf(name)) this.#addIds(ids, items);
		}
		return ids;
	}

	/** What a node of any branch put out, on any of its outputs. */
	#idsOf(nodeName: string): Set<string> {
		const known = this.#ofNode.get(nodeName);
		if (known) return known;
		const ids = new Set<string>();
		for (let output = 0; output < MOST_OUTPUTS; output++) {
			for (const items of this.#runsOf(nodeName, output)) this.#addIds(ids, items);
		}
		this.#ofNode.set(nodeName, ids);
		return ids;
	}

	#collectOfSubWorkflows(): Set<string> {
		const ids = new Set<string>();
		for (const { name, type = '' } of this.#nodesBefore()) {
			if (!SUB_WORKFLOW.test(type)) continue;
			for (const items of this.#runsOf(name)) {
				this.#addIds(ids, items);
				// A workflow with declared inputs gets files under any name.
				for (const { json } of items) addIdsWithin(ids, json);
			}
		}
		return ids;
	}

	#addIds(ids: Set<string>, items: readonly INodeExecutionData[]): void {
		for (const { json, binary } of items) {
			const combined = this.isCombined ? json[COMBINED_BINARY_KEY] : undefined;
			for (const files of [combined, binary]) {
				for (const file of Object.values(files ?? {}) as unknown[]) {
					const id = idOf(file);
					if (id !== undefined) ids.add(id);
				}
			}
		}
	}

	/** @param output the one that leads to this node, unless given */
	*#runsOf(nodeName: string, output?: number): Generator<INodeExecutionData[]> {
		const proxy = this.#context.getWorkflowDataProxy(0);
		// Without `isWhole` they would be the JSON alone where a workflow keeps its files there.
		const itemsOf = proxy.$ as (nodeName: string, isWhole: true) => NodeItems;
		const nodes = proxy.$node as Readonly<Record<string, { runIndex: number }>>;
		let lastRun: number;
		try {
			// Not until n8n throws: of a node whose output is pinned, it gives any run there is not.
			lastRun = nodes[nodeName]?.runIndex ?? -1;
		} catch {
			// There is no such node.
			return;
		}
		for (let run = 0; run <= lastRun; run++) {
			try {
				yield itemsOf(nodeName, true).all(output, run) ?? [];
			} catch {
				// n8n throws where a run put nothing out on the way to this node.
			}
		}
	}

	/** A tool has no input: what is before its agent counts, if there is an agent. */
	#nodesBefore(): NodeBefore[] {
		const context = this.#context;
		if (!isTool(context)) return context.getParentNodes(context.getNode().name);
		try {
			const { previousNode } = context.getInputSourceData();
			return [{ name: previousNode }, ...context.getParentNodes(previousNode)];
		} catch {
			// Called by an MCP Server Trigger, or by one of n8n's own Agents.
			return [];
		}
	}
}

function idOf(file: unknown): string | undefined {
	const id: unknown = typeof file === 'object' && file !== null ? Reflect.get(file, 'id') : '';
	return typeof id === 'string' && id !== '' ? id : undefined;
}

/** Adds the IDs of all files in a JSON. */
function addIdsWithin(ids: Set<string>, json: IDataObject): void {
	const rest: unknown[] = [json];
	for (let value = rest.pop(); value !== undefined; value = rest.pop()) {
		if (typeof value !== 'object' || value === null) continue;
		const id = 'mimeType' in value ? idOf(value) : undefined;
		if (id !== undefined) ids.add(id);
		for (const inner of Object.values(value) as unknown[]) {
			if (inner !== undefined) rest.push(inner);
		}
	}
}
