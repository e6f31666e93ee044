import {
	NodeConnectionTypes,
	type IExecuteFunctions,
	type INodeExecutionData,
	type INodeType,
	type INodeTypeDescription,
} from 'n8n-workflow';

import { propertiesOf } from '../shared/endpoint';
import { checksOnJobs, jobHints, jobProperties, paidTool } from '../shared/properties';
import { upscale } from './upscale.endpoint';
import { inpaint } from './inpaint.endpoint';
import { splitLayers } from './splitLayers.endpoint';

const endpoints = [upscale, inpaint, splitLayers];

export class ImageTune implements INodeType {
	description: INodeTypeDescription = {
		displayName: 'AetherForge Image Tune',
		name: 'imageTune',
		icon: { light: 'file:../shared/aetherforge.svg', dark: 'file:../shared/aetherforge.dark.svg' },
		group: ['transform'],
		version: 1,
		subtitle:
			'={{ ({ upscale: "Upscale Image", inpaint: "Inpaint Image", splitLayers: "Split Image" })[$parameter["operation"]] + ($parameter["waitForCompletion"] ? "" : " (No Wait)") }}',
		description: 'Upscale images, change parts of them, or split them into layers with AetherForge',
		defaults: { name: 'AetherForge Image Tune' },
		inputs: [NodeConnectionTypes.Main],
		outputs: [NodeConnectionTypes.Main],
		// n8n appends its tracking behind the fragment of a link from the codex, which then leads nowhere.
		documentationUrl: 'https://github.com/aetherforge/n8n-nodes-aetherforge#aetherforge-image-tune',
		builderHint: {
			searchHint:
				'Upscales, inpaints or splits an existing image; use Image Generate for a new one. No operation removes a background. Each input item is a paid job.',
			relatedNodes: [
				{ nodeType: 'n8n-nodes-aetherforge.imageGenerate', relationHint: 'Makes the image' },
				checksOnJobs,
			],
		},
		usableAsTool: true,
		credentials: [{ name: 'aetherForgeApi', required: true }],
		hints: jobHints,
		properties: [
			paidTool('Enlarges one image and returns its image_url, job_id and status.', {
				operation: ['upscale'],
			}),
			paidTool(
				'Changes a part of one image as a prompt says and returns its image_url, job_id and status.',
				{ operation: ['inpaint'] },
			),
			paidTool(
				'Splits off the part of one image that a keyword names, and returns the image_url of each layer, with the job_id and status.',
				{ operation: ['splitLayers'] },
			),
			{
				displayName: 'Operation',
				name: 'operation',
				type: 'options',
				noDataExpression: true,
				options: [
					{
						name: 'Upscale Image',
						value: 'upscale',
						action: 'Upscale image',
						description: 'Enlarge an image to 1K, 2K, or 4K',
					},
					{
						name: 'Inpaint Image',
						value: 'inpaint',
						action: 'Inpaint image',
						description: 'Add, change, or remove something in an image',
					},
					{
						name: 'Split Image',
						value: 'splitLayers',
						action: 'Split image into layers',
						description: 'Get the parts of an image, such as the arms of a character, as images',
					},
				],
				default: 'upscale',
				description: 'What to do with the image',
			},
			...endpoints.flatMap(propertiesOf),
			...jobProperties,
		],
	};

	async execute(this: IExecuteFunctions): Promise<INodeExecutionData[][]> {
		// n8n loads every node when it starts. The engine is loaded on first use.
		const { runJobs } = await import('../shared/engine/runJobs');
		return await runJobs(this, endpoints);
	}
}
