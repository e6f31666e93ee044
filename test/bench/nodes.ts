import { randomUUID } from 'node:crypto';
import type { INode, INodeParameters } from 'n8n-workflow';
import { node } from '../e2e/workflow';

// The nodes around this package's in the workflows that are measured.

/** One of the operations of the bench's own node. */
export function benchNode(
	name: string,
	operation: string,
	details: Readonly<Record<string, string | number>> = {},
	text = '',
): INode {
	const parameters = { operation, details: `=${JSON.stringify(details)}`, text };
	return node(name, 'n8n-nodes-bench.bench', 1, parameters);
}

/** Gives items with files of this size each. An expression may say how many. */
export function stage(items: number | string, files = 0, bytes = 0): INode {
	return benchNode('Stage', 'stage', { items, files, bytes });
}

function httpRequest(name: string, url: string, more: INodeParameters): INode {
	return node(name, 'n8n-nodes-base.httpRequest', 4.2, { url, options: {}, ...more });
}

const withApiKey = {
	authentication: 'predefinedCredentialType',
	nodeCredentialType: 'aetherForgeApi',
};

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
	const parts: INodeParameters[] = [
		{ name: 'prompt', value: prompt },
		{ name: 'ai_model', value: model },
		...Array.from({ length: files }, (_, file) => ({
			parameterType: 'formBinaryData',
			name: 'ref_images',
			inputDataFieldName: `reference_${file}`,
		})),
	];
	return httpRequest('Submit', `${apiUrl}/public/v1/generate/image`, {
		...withApiKey,
		method: 'POST',
		sendBody: true,
		contentType: 'multipart-form-data',
		bodyParameters: { parameters: parts },
		options,
	});
}

export function httpStatusCheck(apiUrl: string): INode {
	return httpRequest('Look', `=${apiUrl}/public/v1/job/{{ $json.job_id }}`, withApiKey);
}

/** @param url the image's, or an expression for it */
export function httpDownload(url = '={{ $json.image_urls[0] }}'): INode {
	const response = { response: { responseFormat: 'file', outputPropertyName: 'data' } };
	return httpRequest('Download', url, { options: { response } });
}

export function waitSeconds(amount: number): INode {
	return node('Wait', 'n8n-nodes-base.wait', 1.1, { amount, unit: 'seconds' });
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
