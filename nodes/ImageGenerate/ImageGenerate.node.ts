import {
	NodeConnectionTypes,
	type IExecuteFunctions,
	type INodeExecutionData,
	type INodeType,
	type INodeTypeDescription,
} from 'n8n-workflow';

import { propertiesOf } from '../shared/endpoint';
import { generateImage } from './generateImage.endpoint';
import { checksOnJobs, imageJobProperties, jobHints, paidTool } from '../shared/properties';

export class ImageGenerate implements INodeType {
	description: INodeTypeDescription = {
		displayName: 'AetherForge Image Generate',
		name: 'imageGenerate',
		icon: { light: 'file:../shared/aetherforge.svg', dark: 'file:../shared/aetherforge.dark.svg' },
		group: ['transform'],
		version: 1,
		subtitle:
			'={{ "Generate: " + $parameter["aiModel"] + ($parameter["waitForCompletion"] ? "" : " (No Wait)") }}',
		description: 'Generate images with AetherForge from a prompt, with optional reference images',
		defaults: { name: 'AetherForge Image Generate' },
		inputs: [NodeConnectionTypes.Main],
		outputs: [NodeConnectionTypes.Main],
		// n8n appends its tracking behind the fragment of a link from the codex, which then leads nowhere.
		documentationUrl:
			'https://github.com/aetherforge/n8n-nodes-aetherforge#aetherforge-image-generate',
		builderHint: {
			searchHint:
				'Makes a new image from a prompt; use Image Tune to change an existing one. Each input item is a paid job. Returns one item per image, with the file in the binary field "data" and the image_url.',
			relatedNodes: [
				{
					nodeType: 'n8n-nodes-aetherforge.imageTune',
					relationHint: 'Upscale or change the image',
				},
				{ nodeType: 'n8n-nodes-aetherforge.sprite', relationHint: 'Animate a character image' },
				checksOnJobs,
			],
		},
		usableAsTool: true,
		credentials: [{ name: 'aetherForgeApi', required: true }],
		hints: jobHints,
		properties: [
			paidTool('Generates one image from a prompt and returns its image_url, job_id and status.'),
			...propertiesOf(generateImage),
			...imageJobProperties,
		],
	};

	async execute(this: IExecuteFunctions): Promise<INodeExecutionData[][]> {
		// n8n loads every node when it starts. The engine is loaded on first use.
		const { runJobs } = await import('../shared/engine/runJobs');
		return await runJobs(this, [generateImage], imageJobProperties);
	}
}
