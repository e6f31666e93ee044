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
import { until } from './until';

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

export interface ExecutionSummary {
	id: string;
	status: string;
	mode: string;
	startedAt: string;
	stoppedAt?: string;
}

interface ListedPage {
	results: ExecutionSummary[];
	nextCursor?: string | null;
}

/** What n8n answers to anybody. */
export interface Answer {
	status: number;
	headers: Headers;
	bytes: Buffer;
	text: string;
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
/** How often n8n is asked for what is not there yet. */
const POLL_MS = 150;
/** Right after activation n8n answers 404 for a moment. */
const ACTIVE_WITHIN_MS = 15_000;
/** The most that n8n lists at once. */
const PAGE_SIZE = 100;
const finalStatuses = ['success', 'error', 'crashed', 'canceled'];

/** An execution as n8n saved it. */
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
		return this.runData[nodeName]?.at(-1)?.data?.main?.[output] ?? [];
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
		await this.request('POST', '/rest/owner/setup', owner).catch(
			// The instance has its owner already.
			where(400, async () => {
				const login = { emailOrLdapLoginId: email, password };
				await this.request('POST', '/rest/login', login);
			}),
		);
	}

	async createCredential(
		name: string,
		type: string,
		data: ICredentialDataDecryptedObject,
	): Promise<SavedCredential> {
		return await this.request('POST', '/rest/credentials', { name, type, data });
	}

	async createWorkflow(workflow: WorkflowFile): Promise<SavedWorkflow> {
		// As the editor does; without, n8n saves a null that running a single step breaks down on.
		const pinData = {};
		return await this.request('POST', '/rest/workflows', { active: false, pinData, ...workflow });
	}

	/** Changes nodes of a workflow and saves it. */
	async update(workflow: SavedWorkflow, change: (node: INode) => void): Promise<SavedWorkflow> {
		const nodes = structuredClone(workflow.nodes);
		nodes.forEach(change);
		const path = `/rest/workflows/${workflow.id}`;
		const { versionId } = await this.request<SavedWorkflow>('GET', path);
		return await this.request('PATCH', path, { ...workflow, nodes, versionId });
	}

	/** Puts a workflow into production: its webhooks and schedules start. */
	async activate(workflow: SavedWorkflow): Promise<void> {
		await this.setActive(workflow, true);
	}

	/** Takes a workflow out of production. */
	async deactivate(workflow: SavedWorkflow): Promise<void> {
		await this.setActive(workflow, false);
	}

	private async setActive({ id, versionId }: SavedWorkflow, active: boolean): Promise<void> {
		const path = `/rest/workflows/${id}`;
		const body = active ? { versionId } : {};
		await this.request('POST', `${path}/${active ? '' : 'de'}activate`, body).catch(
			// n8n 1 has no such route.
			where(404, async () => {
				await this.request('PATCH', path, { active, versionId });
			}),
		);
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
		const path = `/rest/workflows/${workflow.id}/run`;
		const body = { workflowData: workflow, triggerToStartFrom: { name: triggerName } };
		return (await this.request<{ executionId: string }>('POST', path, body)).executionId;
	}

	/** @throws Error when the execution has not ended in time. */
	async waitForExecution(id: string, timeoutSeconds = 60): Promise<Execution> {
		let endedAt: number | undefined;
		return await this.followExecution(
			id,
			({ status, lastNode }) => {
				if (!finalStatuses.includes(status)) return false;
				// n8n 1 saves the status a moment before the data, which are those of the start until then. An
				// execution that was stopped may never name its last node.
				endedAt ??= Date.now();
				return lastNode !== undefined || Date.now() - endedAt > DATA_SAVED_WITHIN_MS;
			},
			timeoutSeconds,
		);
	}

	/** Waits until an execution has come so far, be it that it waits for something. */
	async followExecution(
		id: string,
		isSoFar: (execution: Execution) => boolean,
		timeoutSeconds = 60,
	): Promise<Execution> {
		const ask = async (): Promise<Execution> => {
			const execution = await this.savedExecution(id);
			if (execution !== undefined && isSoFar(execution)) return execution;
			const status = execution?.status ?? 'not saved';
			throw new Error(`Execution ${id} is still "${status}" after ${timeoutSeconds} s.`);
		};
		return await until(ask, timeoutSeconds * 1000, POLL_MS);
	}

	/** Waits for the next execution that n8n itself starts of an active workflow, and for its end. */
	async nextExecution(workflow: SavedWorkflow, timeoutSeconds = 60): Promise<Execution> {
		const newest = async () => (await this.executions(workflow))[0];
		const { id } = await until(newest, timeoutSeconds * 1000, POLL_MS);
		return await this.waitForExecution(id, timeoutSeconds);
	}

	/** The executions of a workflow, newest first. */
	async executions({ id }: SavedWorkflow): Promise<ExecutionSummary[]> {
		return (await this.listed(20, { workflowId: id })).results;
	}

	/** All executions of a workflow that have ended, newest first. */
	async endedExecutions({ id }: SavedWorkflow): Promise<ExecutionSummary[]> {
		const filter = { workflowId: id, status: finalStatuses };
		const ended: ExecutionSummary[] = [];
		for (let from = {}; ;) {
			const { results, nextCursor } = await this.listed(PAGE_SIZE, filter, from);
			ended.push(...results);
			if (results.length < PAGE_SIZE) return ended;
			// From n8n 2.41 on a page names the next one; before, the last execution did.
			from = nextCursor ? { cursor: nextCursor } : { lastId: results.at(-1)?.id };
		}
	}

	private async listed(limit: number, filter: object, from: object = {}): Promise<ListedPage> {
		const query = { limit: String(limit), filter: JSON.stringify(filter), ...from };
		return await this.request('GET', `/rest/executions?${new URLSearchParams(query).toString()}`);
	}

	/** What n8n has saved of an execution, as text; empty where it has saved nothing. */
	async savedText(executionId: string): Promise<string> {
		const path = `/rest/executions/${executionId}`;
		return (await this.request<{ data?: string }>('GET', path)).data ?? '';
	}

	/** "Retry" of the executions list: with the workflow as it was, or with the current one. */
	async retry(
		executionId: string,
		{ loadWorkflow = false, timeoutSeconds = 60 } = {},
	): Promise<Execution> {
		const path = `/rest/executions/${executionId}/retry`;
		const { id } = await this.request<{ id: string }>('POST', path, { loadWorkflow });
		return await this.waitForExecution(id, timeoutSeconds);
	}

	async stop(executionId: string): Promise<void> {
		await this.request('POST', `/rest/executions/${executionId}/stop`, {});
	}

	/**
	 * Posts to a production webhook or form, as anybody can.
	 *
	 * @param path `webhook/<path>` or `form/<path>`.
	 */
	async post(path: string, body: IDataObject | FormData | Blob): Promise<Answer> {
		const isRaw = body instanceof FormData || body instanceof Blob;
		const content = isRaw
			? { body }
			: { body: JSON.stringify(body), headers: { 'content-type': 'application/json' } };
		const deadline = Date.now() + ACTIVE_WITHIN_MS;
		for (;;) {
			const response = await fetch(`${this.url}/${path}`, { method: 'POST', ...content });
			const bytes = Buffer.from(await response.arrayBuffer());
			const { status, headers } = response;
			if (status === 404 && Date.now() < deadline) await sleep(200);
			else return { status, headers, bytes, text: bytes.toString() };
		}
	}

	/** The bytes of a file of an item, wherever n8n keeps them. */
	async download(binary: IBinaryData): Promise<Buffer> {
		if (binary.id === undefined) return Buffer.from(binary.data, 'base64');
		const query = new URLSearchParams({ id: binary.id, action: 'download' });
		const response = await this.send('GET', `/rest/binary-data?${query.toString()}`);
		return Buffer.from(await response.arrayBuffer());
	}

	/** Every node type the editor offers, once n8n has written them down: it answers requests before that. */
	async nodeTypes(): Promise<INodeTypeDescription[]> {
		return await until(async () => {
			const response = await this.send('GET', '/types/nodes.json');
			return (await response.json()) as INodeTypeDescription[];
		});
	}

	/** The address of what is kept in the owner's own project. */
	async personalProject(): Promise<string> {
		const { id } = await this.request<{ id: string }>('GET', '/rest/projects/personal');
		return `/rest/projects/${id}`;
	}

	/** An execution as it is saved now; n8n may not have saved anything of it yet. */
	private async savedExecution(id: string): Promise<Execution | undefined> {
		type Saved = ExecutionSummary & { data: string; customData: Record<string, string> };
		const saved = await this.request<Saved>('GET', `/rest/executions/${id}`);
		const data = parse(saved.data) as IRunExecutionData | undefined;
		return data && new Execution(id, saved.status, saved.mode, saved.data, data, saved.customData);
	}

	/** Anything that needs no method of its own. */
	async request<T>(method: string, path: string, body?: object): Promise<T> {
		const response = await this.send(method, path, body);
		return ((await response.json()) as { data: T }).data;
	}

	async send(method: string, path: string, body?: object): Promise<Response> {
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
		const cookies = response.headers.getSetCookie();
		const session = cookies.find((cookie) => cookie.startsWith('n8n-auth='));
		if (session !== undefined) this.cookie = session.split(';', 1)[0] ?? '';
		if (response.ok) return response;
		throw new N8nRequestError(`${method} ${path}`, response.status, await response.text());
	}
}

/** What to do in place of a request that n8n answered with a status. */
function where(status: number, instead: () => Promise<void>): (error: unknown) => Promise<void> {
	return async (error) => {
		if (!(error instanceof N8nRequestError) || error.status !== status) throw error;
		await instead();
	};
}
