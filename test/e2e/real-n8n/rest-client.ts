import { setTimeout as sleep } from 'node:timers/promises';
import { parse } from 'flatted';
import type {
	IBinaryData,
	IConnections,
	ICredentialDataDecryptedObject,
	IDataObject,
	INode,
	INodeExecutionData,
	INodeTypeDescription,
	IPinData,
	IRunData,
	IRunExecutionData,
	IWorkflowSettings,
} from 'n8n-workflow';

/** A workflow as the editor's files have it. */
export interface WorkflowFile {
	name: string;
	nodes: INode[];
	connections: IConnections;
	/** Items that nodes put out in manual runs without being run. */
	pinData?: IPinData;
	settings?: IWorkflowSettings;
}

export interface SavedWorkflow extends WorkflowFile {
	id: string;
	versionId: string;
}

export interface SavedCredential {
	id: string;
	name: string;
	type: string;
}

/** One of n8n's own Agents. */
export interface Agent {
	path: string;
}

export interface ExecutionSummary {
	id: string;
	status: string;
	mode: string;
	startedAt: string;
	stoppedAt?: string;
}

/** Login of the owner account that {@link N8nClient.signIn} creates. The instance is local and short-lived. */
export const owner = {
	email: 'owner@example.com',
	password: 'Aether-Forge-1',
	firstName: 'Demo',
	lastName: 'Owner',
};

/** From an execution's last status until its data are saved. */
const DATA_SAVED_WITHIN_MS = 2000;
/** The most that n8n lists at once. */
const PAGE_SIZE = 100;
const finalStatuses = ['success', 'error', 'crashed', 'canceled'];

/** A finished execution as n8n saved it. */
export class Execution {
	constructor(
		readonly id: string,
		readonly status: string,
		readonly mode: string,
		/** The saved data as it is in the database, every string of it. */
		readonly savedText: string,
		private readonly data: IRunExecutionData,
		/** What the Executions list can be searched for, as it is in the database. */
		readonly customData: Readonly<Record<string, string>>,
	) {}

	/** What every run of every node came to, as the editor keeps it. */
	get runData(): IRunData {
		return this.data.resultData.runData;
	}

	/** Message of the error that ended the execution. */
	get errorMessage(): string | undefined {
		return this.data.resultData.error?.message;
	}

	/** The node that ran last, once n8n has saved which. */
	get lastNode(): string | undefined {
		return this.data.resultData.lastNodeExecuted;
	}

	/** The items a node put out, of its last run, or none where it did not run. */
	items(nodeName: string, output = 0): INodeExecutionData[] {
		const runs = this.runData[nodeName] ?? [];
		return runs.at(-1)?.data?.main?.[output] ?? [];
	}

	/** The items that a node gave to an AI agent as its tool, of all its runs. */
	toolResults(nodeName: string): INodeExecutionData[] {
		const runs = this.runData[nodeName] ?? [];
		return runs.flatMap(({ data }) => data?.ai_tool?.[0] ?? []);
	}

	/** How many times a node ran. */
	runCount(nodeName: string): number {
		return this.runData[nodeName]?.length ?? 0;
	}
}

/** An answer of n8n's that is not a success. */
export class N8nRequestError extends Error {
	constructor(
		request: string,
		readonly status: number,
		body: string,
	) {
		super(`${request} answered ${status}: ${body.slice(0, 500)}`);
	}
}

/** The editor's own REST API, as far as setting up and running workflows needs it. */
export class N8nClient {
	private cookie = '';

	constructor(readonly url: string) {}

	/** Creates the owner account where there is none yet, and signs in to it. */
	async signIn(): Promise<void> {
		const { email, password } = owner;
		try {
			await this.request('POST', '/rest/owner/setup', owner);
		} catch (error) {
			// 400: the instance has its owner already.
			if (!(error instanceof N8nRequestError) || error.status !== 400) throw error;
			await this.request('POST', '/rest/login', { emailOrLdapLoginId: email, password });
		}
	}

	async createCredential(
		name: string,
		type: string,
		data: ICredentialDataDecryptedObject,
	): Promise<SavedCredential> {
		return await this.request('POST', '/rest/credentials', { name, type, data });
	}

	async deleteCredential({ id }: SavedCredential): Promise<void> {
		await this.request('DELETE', `/rest/credentials/${id}`);
	}

	/**
	 * Makes one of n8n's own Agents (n8n 2.41), which call nodes as tools without any workflow.
	 *
	 * @param model the credential of what answers as OpenAI does.
	 */
	async createAgent(name: string, model: SavedCredential, tools: readonly INode[]): Promise<Agent> {
		const { id: projectId } = await this.request<{ id: string }>('GET', '/rest/projects/personal');
		const { id } = await this.request<{ id: string }>(
			'POST',
			`/rest/projects/${projectId}/agents/v2`,
			{
				name,
				schema: {
					name,
					model: 'openai/any',
					credential: model.id,
					instructions: 'Do as the user says.',
					tools: tools.map((tool) => ({
						type: 'node',
						name: tool.name,
						node: {
							nodeType: tool.type,
							nodeTypeVersion: tool.typeVersion,
							nodeParameters: tool.parameters,
							credentials: tool.credentials,
						},
					})),
				},
			},
		);
		return { path: `/rest/projects/${projectId}/agents/v2/${id}` };
	}

	/** Says something to an agent; gives the events of its answer, as text. */
	async chat({ path }: Agent, message: string): Promise<string> {
		return await (await this.send('POST', `${path}/chat`, { message })).text();
	}

	/** A key for n8n's public API, as a person makes one. */
	async createApiKey(): Promise<string> {
		const scopes = await this.request<string[]>('GET', '/rest/api-keys/scopes');
		const key = { label: 'Example', expiresAt: null, scopes };
		const { rawApiKey } = await this.request<{ rawApiKey: string }>('POST', '/rest/api-keys', key);
		return rawApiKey;
	}

	async testCredential(
		credential: SavedCredential,
		data: ICredentialDataDecryptedObject,
	): Promise<{ status: 'OK' | 'Error'; message: string }> {
		return await this.request('POST', '/rest/credentials/test', {
			credentials: { ...credential, data },
		});
	}

	async createWorkflow(workflow: WorkflowFile): Promise<SavedWorkflow> {
		// As the editor does; without, n8n saves a null that running a single step breaks down on.
		const pinData = {};
		return await this.request('POST', '/rest/workflows', { active: false, pinData, ...workflow });
	}

	/** Puts a workflow into production: its webhooks and schedules start. */
	async activate({ id, versionId }: SavedWorkflow): Promise<void> {
		try {
			await this.request('POST', `/rest/workflows/${id}/activate`, { versionId });
		} catch (error) {
			// 404: n8n 1 has no such route.
			if (!(error instanceof N8nRequestError) || error.status !== 404) throw error;
			await this.request('PATCH', `/rest/workflows/${id}`, { active: true, versionId });
		}
	}

	/** Takes a workflow out of production. */
	async deactivate({ id, versionId }: SavedWorkflow): Promise<void> {
		try {
			await this.request('POST', `/rest/workflows/${id}/deactivate`, {});
		} catch (error) {
			if (!(error instanceof N8nRequestError) || error.status !== 404) throw error;
			await this.request('PATCH', `/rest/workflows/${id}`, { active: false, versionId });
		}
	}

	/**
	 * Runs a workflow as the editor's "Execute workflow" button does, to its end.
	 *
	 * @param triggerName the trigger to start from.
	 */
	async runManually(
		workflow: SavedWorkflow,
		triggerName: string,
		timeoutSeconds = 60,
	): Promise<Execution> {
		const executionId = await this.startManually(workflow, triggerName);
		return await this.waitForExecution(executionId, timeoutSeconds);
	}

	/** Starts such a run without waiting for it; gives its ID. */
	async startManually(workflow: SavedWorkflow, triggerName: string): Promise<string> {
		const { executionId } = await this.request<{ executionId: string }>(
			'POST',
			`/rest/workflows/${workflow.id}/run`,
			{ workflowData: workflow, triggerToStartFrom: { name: triggerName } },
		);
		return executionId;
	}

	/**
	 * Runs one node as the editor's "Execute step" button does, on what the nodes before it have put
	 * out in an earlier execution.
	 */
	async runStep(
		workflow: SavedWorkflow,
		nodeName: string,
		{ runData }: Execution,
	): Promise<Execution> {
		const { executionId } = await this.request<{ executionId: string }>(
			'POST',
			`/rest/workflows/${workflow.id}/run`,
			{
				workflowData: workflow,
				runData,
				destinationNode: { nodeName, mode: 'inclusive' },
				dirtyNodeNames: [],
			},
		);
		return await this.waitForExecution(executionId);
	}

	/** @throws Error when the execution has not ended in time. */
	async waitForExecution(id: string, timeoutSeconds = 60): Promise<Execution> {
		const deadline = Date.now() + timeoutSeconds * 1000;
		let endedAt: number | undefined;
		for (;;) {
			const { status, execution } = await this.savedExecution(id);
			if (finalStatuses.includes(status)) {
				// n8n 1 saves the status a moment before the data, which are those of the start until then. An
				// execution that was stopped may never name its last node.
				endedAt ??= Date.now();
				const isWhole =
					execution?.lastNode !== undefined || Date.now() - endedAt > DATA_SAVED_WITHIN_MS;
				if (execution !== undefined && isWhole) return execution;
			}
			if (Date.now() > deadline) {
				throw new Error(`Execution ${id} is still "${status}" after ${timeoutSeconds} s.`);
			}
			await sleep(150);
		}
	}

	/** Waits until an execution has come so far, be it that it waits for something. */
	async followExecution(
		id: string,
		isSoFar: (execution: Execution) => boolean,
		timeoutSeconds = 60,
	): Promise<Execution> {
		const deadline = Date.now() + timeoutSeconds * 1000;
		for (;;) {
			const { status, execution } = await this.savedExecution(id);
			if (execution !== undefined && isSoFar(execution)) return execution;
			if (Date.now() > deadline) {
				throw new Error(`Execution ${id}, now "${status}", is not so far in ${timeoutSeconds} s.`);
			}
			await sleep(150);
		}
	}

	/** The executions of a workflow, newest first. */
	async executions({ id }: SavedWorkflow): Promise<ExecutionSummary[]> {
		const filter = encodeURIComponent(JSON.stringify({ workflowId: id }));
		const { results } = await this.request<{ results: ExecutionSummary[] }>(
			'GET',
			`/rest/executions?limit=20&filter=${filter}`,
		);
		return results;
	}

	/** All executions of a workflow that have ended, newest first. */
	async endedExecutions({ id }: SavedWorkflow): Promise<ExecutionSummary[]> {
		const filter = encodeURIComponent(JSON.stringify({ workflowId: id, status: finalStatuses }));
		const ended: ExecutionSummary[] = [];
		for (let from = ''; ;) {
			const { results, nextCursor } = await this.request<{
				results: ExecutionSummary[];
				nextCursor?: string | null;
			}>('GET', `/rest/executions?limit=${PAGE_SIZE}${from}&filter=${filter}`);
			ended.push(...results);
			if (results.length < PAGE_SIZE) return ended;
			// From n8n 2.41 on a page names the next one; before, the last execution did.
			from = nextCursor ? `&cursor=${nextCursor}` : `&lastId=${results.at(-1)?.id}`;
		}
	}

	/** What n8n has saved of an execution, as text; empty where it has saved nothing. */
	async savedText(executionId: string): Promise<string> {
		const { data } = await this.request<{ data?: string }>(
			'GET',
			`/rest/executions/${executionId}`,
		);
		return data ?? '';
	}

	/** Waits for the next execution that n8n itself starts of an active workflow, and for its end. */
	async nextExecution(workflow: SavedWorkflow, timeoutSeconds = 60): Promise<Execution> {
		const deadline = Date.now() + timeoutSeconds * 1000;
		for (;;) {
			const [execution] = await this.executions(workflow);
			if (execution !== undefined) return await this.waitForExecution(execution.id, timeoutSeconds);
			if (Date.now() > deadline) {
				throw new Error(`"${workflow.name}" was not started within ${timeoutSeconds} s.`);
			}
			await sleep(150);
		}
	}

	/** Changes nodes of a workflow and saves it. */
	async update(workflow: SavedWorkflow, change: (node: INode) => void): Promise<SavedWorkflow> {
		const nodes = structuredClone(workflow.nodes);
		nodes.forEach(change);
		return await this.save({ ...workflow, nodes });
	}

	/** Removes all pinned data and saves the workflow, which n8n 2.40 runs as it is saved. */
	async unpin(workflow: SavedWorkflow): Promise<SavedWorkflow> {
		return await this.save({ ...workflow, pinData: {} });
	}

	/** "Retry" of the executions list: with the workflow as it was, or with the current one. */
	async retry(
		executionId: string,
		{ loadWorkflow = false, timeoutSeconds = 60 } = {},
	): Promise<Execution> {
		const { id } = await this.request<{ id: string }>(
			'POST',
			`/rest/executions/${executionId}/retry`,
			{ loadWorkflow },
		);
		return await this.waitForExecution(id, timeoutSeconds);
	}

	async stop(executionId: string): Promise<void> {
		await this.request('POST', `/rest/executions/${executionId}/stop`, {});
	}

	/**
	 * Posts to a production webhook or form, as anybody can. Right after activation n8n answers 404
	 * for a moment: these are tried again for 15 s.
	 *
	 * @param path `webhook/<path>` or `form/<path>`.
	 */
	async post(
		path: string,
		body: IDataObject | FormData | Blob,
	): Promise<{ status: number; headers: Headers; bytes: Buffer; text: string }> {
		const deadline = Date.now() + 15_000;
		const content =
			body instanceof FormData || body instanceof Blob
				? { body }
				: { body: JSON.stringify(body), headers: { 'content-type': 'application/json' } };
		for (;;) {
			const response = await fetch(`${this.url}/${path}`, { method: 'POST', ...content });
			const bytes = Buffer.from(await response.arrayBuffer());
			if (response.status !== 404 || Date.now() > deadline) {
				const { status, headers } = response;
				return { status, headers, bytes, text: bytes.toString() };
			}
			await sleep(200);
		}
	}

	/** The bytes of a file of an item, wherever n8n keeps them. */
	async download(binary: IBinaryData): Promise<Buffer> {
		if (binary.id === undefined) return Buffer.from(binary.data, 'base64');
		const query = new URLSearchParams({ id: binary.id, action: 'download' });
		const response = await this.send('GET', `/rest/binary-data?${query.toString()}`);
		return Buffer.from(await response.arrayBuffer());
	}

	/** Every node type the editor offers. */
	async nodeTypes(): Promise<INodeTypeDescription[]> {
		const response = await this.send('GET', '/types/nodes.json');
		return (await response.json()) as INodeTypeDescription[];
	}

	/**
	 * What the editor lists as the output fields of a node that has not run. It asks without a session.
	 *
	 * @returns undefined where n8n has no such schema
	 */
	async outputSchema(nodeType: string, operation?: string): Promise<unknown> {
		const place = operation === undefined ? '' : `/${operation}`;
		const response = await fetch(`${this.url}/schemas/${nodeType}/1.0.0${place}.json`);
		return response.ok ? await response.json() : undefined;
	}

	/** An execution as it is saved now; n8n may not have saved anything of it yet. */
	/**
	 * Creates a data table of text columns.
	 *
	 * @returns what reads all of its rows.
	 */
	async createDataTable(
		name: string,
		columns: readonly string[],
		rows: readonly object[],
	): Promise<() => Promise<Record<string, unknown>[]>> {
		const { id: projectId } = await this.request<{ id: string }>('GET', '/rest/projects/personal');
		const tables = `/rest/projects/${projectId}/data-tables`;
		const { id } = await this.request<{ id: string }>('POST', tables, {
			name,
			columns: columns.map((column) => ({ name: column, type: 'string' })),
		});
		await this.request('POST', `${tables}/${id}/insert`, { data: rows, returnType: 'count' });
		return async () => {
			const { data } = await this.request<{ data: Record<string, unknown>[] }>(
				'GET',
				`${tables}/${id}/rows`,
			);
			return data;
		};
	}

	private async savedExecution(
		id: string,
	): Promise<{ status: string; execution: Execution | undefined }> {
		const { status, mode, data, customData } = await this.request<
			ExecutionSummary & { data: string; customData: Record<string, string> }
		>('GET', `/rest/executions/${id}`);
		const saved = parse(data) as IRunExecutionData | undefined;
		const execution = saved && new Execution(id, status, mode, data, saved, customData);
		return { status, execution };
	}

	private async save(workflow: SavedWorkflow): Promise<SavedWorkflow> {
		const path = `/rest/workflows/${workflow.id}`;
		const { versionId } = await this.request<SavedWorkflow>('GET', path);
		return await this.request('PATCH', path, { ...workflow, versionId });
	}

	private async request<T>(method: string, path: string, body?: object): Promise<T> {
		const response = await this.send(method, path, body);
		const { data } = (await response.json()) as { data: T };
		return data;
	}

	private async send(method: string, path: string, body?: object): Promise<Response> {
		const response = await fetch(this.url + path, {
			method,
			headers: {
				'content-type': 'application/json',
				// n8n closes connections that are idle for 5 s. A test that parses for as long could use one again
				// while it is being closed.
				connection: 'close',
				// n8n ties a session to the browser it was opened in.
				'browser-id': 'real-n8n',
				cookie: this.cookie,
			},
			...(body === undefined ? {} : { body: JSON.stringify(body) }),
		});
		const session = response.headers
			.getSetCookie()
			.find((cookie) => cookie.startsWith('n8n-auth='));
		if (session !== undefined) this.cookie = session.split(';', 1)[0] ?? '';
		if (!response.ok) {
			throw new N8nRequestError(`${method} ${path}`, response.status, await response.text());
		}
		return response;
	}
}
