import {
	NodeConnectionTypes,
	type IExecuteFunctions,
	type INodeExecutionData,
	type INodeType,
	type INodeTypeDescription,
} from 'n8n-workflow';

import { propertiesOf } from '../shared/endpoint';
import { generateImage } from '../shared/endpoints/generateImage';
import { jobProperties } from '../shared/parameters';
import { runJobs } from '../shared/run';

export class ImageGenerate implements INodeType {
	description: INodeTypeDescription = {
		displayName: 'AetherForge Image Generate',
		name: 'imageGenerate',
		icon: { light: 'file:../shared/aetherforge.svg', dark: 'file:../shared/aetherforge.dark.svg' },
		group: ['transform'],
		version: 1,
		subtitle:
			'={{ $parameter["aiModel"] + ($parameter["waitForCompletion"] ? "" : ": Job ID First") }}',
		description: 'Generate images with AetherForge from a prompt and reference images',
		defaults: { name: 'AetherForge Image Generate' },
		inputs: [NodeConnectionTypes.Main],
		outputs: [NodeConnectionTypes.Main],
		usableAsTool: true,
		credentials: [{ name: 'aetherForgeApi', required: true }],
		properties: [...propertiesOf(generateImage), ...jobProperties],
	};

	async execute(this: IExecuteFunctions): Promise<INodeExecutionData[][]> {
		return await runJobs(this, generateImage);
	}
}
