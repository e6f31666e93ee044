import type { INode, INodeParameters } from 'n8n-workflow';
import type { WorkflowFile } from '../e2e/real-n8n/rest-client';
import {
	chain,
	getJob,
	imageGenerate,
	loopOverItems,
	noOp,
	webhook,
	workflow,
	type Link,
	type NodeSettings,
} from '../e2e/workflow';
import { httpDownload, httpStatusCheck, httpSubmit, ifStatus, stage, waitSeconds } from './nodes';

/** One batch a second, as many as this node has under way by default. */
const BATCH = { batch: { batchSize: 20, batchInterval: 1000 } };
const RETRY_ON_FAIL: NodeSettings = { retryOnFail: true, maxTries: 3, waitBetweenTries: 1000 };
/** The most that n8n's panel allows. */
const PATIENT_RETRY: NodeSettings = { retryOnFail: true, maxTries: 5, waitBetweenTries: 5000 };

/** How images can be had in n8n. */
export type Way = keyof typeof WAYS;

export const WAYS = {
	node: 'this node',
	collected: 'this node, then Get Job',
	retried: 'HTTP Request, Wait, IF',
	errorOutput: 'the same, submits never repeated',
	looped: 'Loop Over Items',
} as const;

/** What a workflow shall make. */
export interface Order {
	items: number;
	/** Reference images of each item. */
	files: number;
	/** The model's name, or an expression for it. */
	model: string;
	/** n8n's "Save execution progress": what nodes have put out is saved as they end. */
	savesProgress: boolean;
}

/** A workflow for an order, in one of the ways, started by a webhook. */
export function workflowFor(way: Way, order: Order, apiUrl: string, path: string): WorkflowFile {
	const staged = stage(order.items, order.files, 1000);
	const start = chain(webhook(path, 'onReceived'), staged);
	const file = workflow(way, [...start, ...linksOf(way, staged, order, apiUrl)]);
	return {
		...file,
		settings: { ...file.settings, saveExecutionProgress: order.savesProgress },
	};
}

function linksOf(way: Way, staged: INode, order: Order, apiUrl: string): Link[] {
	if (way === 'node') return [[staged, generate(order)]];
	if (way === 'collected') {
		const parameters = { jobId: '={{ $json.job_id }}', waitForCompletion: true };
		const collect = getJob(parameters, RETRY_ON_FAIL);
		return chain(staged, generate(order, { waitForCompletion: false }), collect);
	}
	const prompt = `=A lighthouse, number {{ $('Stage').item.json.row }}`;
	const submitWith = (settings: NodeSettings, options: INodeParameters): INode => ({
		...httpSubmit(apiUrl, prompt, order.files, order.model, options),
		...settings,
	});
	const wait = waitSeconds(2);
	const check = { ...httpStatusCheck(apiUrl), ...PATIENT_RETRY };
	const download = { ...httpDownload(), ...PATIENT_RETRY };
	if (way === 'looped') {
		const loop = loopOverItems();
		const submit = submitWith(RETRY_ON_FAIL, {});
		const pending = ifStatus('Pending?', 'Pending');
		return [
			[staged, loop],
			[loop, submit, 1],
			...chain(submit, wait, check, pending, wait),
			[pending, download, 1],
			[download, loop],
		];
	}
	const submit =
		way === 'retried'
			? submitWith(RETRY_ON_FAIL, { batching: BATCH })
			: submitWith({ onError: 'continueErrorOutput' }, { batching: BATCH });
	const finished = ifStatus('Finished?', 'Succeed');
	const failed = ifStatus('Failed?', 'Failed');
	return [
		[staged, submit],
		...(way === 'errorOutput' ? [[submit, noOp('Not submitted'), 1] as const] : []),
		...chain(submit, wait, check, finished, download),
		[finished, failed, 1],
		[failed, submit],
		[failed, wait, 1],
	];
}

function generate({ files, model }: Order, parameters: INodeParameters = {}): INode {
	return imageGenerate(
		{
			prompt: '=A lighthouse, number {{ $json.row }}',
			aiModel: model,
			referenceImages: files > 0 ? 'all' : 'none',
			...parameters,
		},
		RETRY_ON_FAIL,
	);
}
