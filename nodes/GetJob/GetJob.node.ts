import {
	NodeConnectionTypes,
	type IExecuteFunctions,
	type INodeExecutionData,
	type INodeType,
	type INodeTypeDescription,
} from 'n8n-workflow';

import { lookupProperties, toolDescription } from '../shared/properties';

export class GetJob implements INodeType {
	description: INodeTypeDescription = {
		displayName: 'AetherForge Get Job',
		name: 'getJob',
		icon: { light: 'file:../shared/aetherforge.svg', dark: 'file:../shared/aetherforge.dark.svg' },
		group: ['transform'],
		version: 1,
		subtitle: '={{ $parameter["waitForCompletion"] ? "Wait Until Finished" : "Check Once" }}',
		description: 'Get the status and images of an AetherForge job',
		defaults: { name: 'AetherForge Get Job' },
		inputs: [NodeConnectionTypes.Main],
		outputs: [NodeConnectionTypes.Main],
		// n8n appends its tracking behind the fragment of a link from the codex, which then leads nowhere.
		documentationUrl: 'https://github.com/aetherforge/n8n-nodes-aetherforge#aetherforge-get-job',
		builderHint: {
			searchHint:
				'Gets a job that another AetherForge node started, free of charge. Needed only after waitForCompletion false or onTimeout returnPending: by default those nodes wait for their images.',
		},
		usableAsTool: true,
		credentials: [{ name: 'aetherForgeApi', required: true }],
		properties: [
			toolDescription(
				'Checks the status of a job by its job_id and returns it, with the image_url once the status is Succeed. Free of charge.',
			),
			{
				displayName: 'Job ID',
				name: 'jobId',
				type: 'string',
				default: '',
				required: true,
				placeholder: 'e.g. 123e4567-e89b-12d3-a456-…',
				description: 'The job_id that another AetherForge node returned',
			},
			...lookupProperties,
		],
	};

	async execute(this: IExecuteFunctions): Promise<INodeExecutionData[][]> {
		// n8n loads every node when it starts. The engine is loaded on first use.
		const { runLookups } = await import('../shared/engine/runLookups');
		return await runLookups(this);
	}
}
