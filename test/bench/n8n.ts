import { randomUUID } from 'node:crypto';
import { cp, mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { INode, INodeParameters } from 'n8n-workflow';
import { installN8n, type N8nInstall } from '../e2e/real-n8n/install';
import { installCommunityPackage } from '../e2e/real-n8n/package-tarball';
import { N8nClient, type SavedCredential, type WorkflowFile } from '../e2e/real-n8n/rest-client';
import { startN8n } from '../e2e/real-n8n/server';
import type { Postgres } from '../e2e/real-n8n/postgres';
import type { Started } from '../e2e/real-n8n/started';
import { withCredential } from '../e2e/workflow';
import { writtenBytes } from './processMemory';
import { BENCH_KEY } from './service';

/** Everything needed to start one n8n after the other, each fresh. */
export interface N8nKit {
	install: N8nInstall;
	/** A folder of community nodes as n8n has it, with this package and the bench's own nodes. */
	nodesDirectory: string;
	/** A server to keep n8n's data in, instead of SQLite. */
	postgres?: Postgres;
}

/** A fresh n8n, ready to run workflows. */
export interface FreshN8n {
	client: N8nClient;
	pid: number;
	/** Bytes that have been written to its database so far: to PostgreSQL's log, or by n8n itself. */
	writtenBytes(): Promise<number>;
	/** Saves a workflow and starts it, without following how it goes on; gives the execution's ID. */
	start(file: WorkflowFile): Promise<string>;
	/** A credential for the nodes, and for n8n's own HTTP Request node. */
	credentialFor(apiUrl: string): Promise<SavedCredential>;
	stop(): Promise<void>;
}

export async function prepareN8n(
	tarball: string,
	say: (line: string) => void,
	onStarted: Started['add'],
): Promise<N8nKit> {
	const install = await installN8n('n8n-2.41', say);
	const nodesDirectory = await mkdtemp(join(tmpdir(), 'aetherforge-bench-nodes-'));
	onStarted(async () => {
		await rm(nodesDirectory, { recursive: true, force: true });
	});
	await installCommunityPackage(tarball, nodesDirectory);
	const benchNodes = join(nodesDirectory, 'node_modules', 'n8n-nodes-bench');
	await cp(join(__dirname, 'raw-nodes'), benchNodes, { recursive: true });
	return { install, nodesDirectory };
}

export async function startFreshN8n(kit: N8nKit, onStarted: Started['add']): Promise<FreshN8n> {
	const server = await startN8n(kit.install, {
		installNodes: async (directory) => {
			await cp(kit.nodesDirectory, directory, { recursive: true });
		},
		env: (await kit.postgres?.emptyDatabase()) ?? {},
	});
	let isStopped = false;
	const stop = async () => {
		if (isStopped) return;
		isStopped = true;
		await server.stop();
	};
	onStarted(stop);
	await server.ready;
	const client = new N8nClient(server.url);
	await client.signIn();
	return {
		client,
		pid: server.pid,
		writtenBytes: kit.postgres?.writtenBytes ?? (async () => await writtenBytes(server.pid)),
		start: async (file) => await client.startManually(await client.createWorkflow(file), 'Start'),
		credentialFor: async (apiUrl) =>
			await client.createCredential('AetherForge', 'aetherForgeApi', {
				apiKey: BENCH_KEY,
				baseUrl: apiUrl,
			}),
		stop,
	};
}

function node(name: string, type: string, typeVersion: number, parameters: INodeParameters): INode {
	return { id: randomUUID(), name, type, typeVersion, position: [0, 0], parameters };
}

const benchType = 'n8n-nodes-bench.bench';

/** One of the operations of the bench's own node. */
export function benchNode(
	name: string,
	operation: string,
	details: Readonly<Record<string, string | number>>,
	text = '',
): INode {
	const parameters = { operation, details: JSON.stringify(details), text };
	return node(name, benchType, 1, parameters);
}

const httpRequestVersion = 4.2;
const submitPath = '/public/v1/generate/image';

interface Part {
	[name: string]: string;
	name: string;
}

/**
 * n8n's HTTP Request node as it submits a job. Parameters with the same name become parts with the
 * same name, so that it can send several files; their number is fixed when the workflow is built.
 */
export function httpSubmit(
	apiUrl: string,
	prompt: string,
	files: number,
	model = 'GPT Image 1.5',
	options: INodeParameters = {},
): INode {
	const parts: Part[] = [
		{ name: 'prompt', value: prompt },
		{ name: 'ai_model', value: model },
		...Array.from({ length: files }, (_, file) => ({
			parameterType: 'formBinaryData',
			name: 'ref_images',
			inputDataFieldName: `reference_${file}`,
		})),
	];
	return node('Submit', 'n8n-nodes-base.httpRequest', httpRequestVersion, {
		method: 'POST',
		url: `${apiUrl}${submitPath}`,
		authentication: 'predefinedCredentialType',
		nodeCredentialType: 'aetherForgeApi',
		sendBody: true,
		contentType: 'multipart-form-data',
		bodyParameters: { parameters: parts },
		options,
	});
}

export function httpStatusCheck(apiUrl: string): INode {
	return node('Look', 'n8n-nodes-base.httpRequest', httpRequestVersion, {
		url: `=${apiUrl}/public/v1/job/{{ $json.job_id }}`,
		authentication: 'predefinedCredentialType',
		nodeCredentialType: 'aetherForgeApi',
		options: {},
	});
}

/** @param url the image's, or an expression for it */
export function httpDownload(url: string): INode {
	const response = { response: { responseFormat: 'file', outputPropertyName: 'data' } };
	return node('Download', 'n8n-nodes-base.httpRequest', httpRequestVersion, {
		url,
		options: { response },
	});
}

/** A webhook that answers at once, so that nobody waits for the run. */
export function startByWebhook(path: string): INode {
	const parameters = { httpMethod: 'POST', path, responseMode: 'onReceived', options: {} };
	return { ...node('Start', 'n8n-nodes-base.webhook', 2, parameters), webhookId: path };
}

export function waitSeconds(amount: number): INode {
	return node('Wait', 'n8n-nodes-base.wait', 1.1, { amount, unit: 'seconds' });
}

/** Its first output: finished jobs; the second one: the others. */
export function ifFinished(): INode {
	return ifStatus('Finished?', 'Succeed');
}

/** Its first output: jobs with this status; the second one: the others. */
export function ifStatus(name: string, status: string): INode {
	return node(name, 'n8n-nodes-base.if', 2.2, {
		conditions: {
			options: { caseSensitive: true, leftValue: '', typeValidation: 'strict', version: 2 },
			combinator: 'and',
			conditions: [
				{
					id: randomUUID(),
					leftValue: '={{ $json.status }}',
					rightValue: status,
					operator: { type: 'string', operation: 'equals' },
				},
			],
		},
		options: {},
	});
}

/** The workflow with the credential in our nodes and in those of n8n that use it. */
export function withKey(file: WorkflowFile, credential: SavedCredential): WorkflowFile {
	const { id, name, type } = credential;
	const ready = withCredential(file, credential);
	return {
		...ready,
		nodes: ready.nodes.map((each) =>
			each.parameters.nodeCredentialType === type || each.type === benchType
				? { ...each, credentials: { [type]: { id, name } } }
				: each,
		),
	};
}
