import {
	NodeConnectionTypes,
	type IExecuteFunctions,
	type INodeExecutionData,
	type INodeType,
	type INodeTypeDescription,
} from 'n8n-workflow';

import { propertiesOf } from '../shared/endpoint';
import { checksOnJobs, jobHints, jobProperties, paidTool } from '../shared/properties';
import { generateEffectV1 } from './generateEffectV1.endpoint';
import { generateEffectV2 } from './generateEffectV2.endpoint';

const endpoints = [generateEffectV1, generateEffectV2];

export class EffectGenerate implements INodeType {
	description: INodeTypeDescription = {
		displayName: 'AetherForge Effect Generate',
		name: 'effectGenerate',
		icon: { light: 'file:../shared/aetherforge.svg', dark: 'file:../shared/aetherforge.dark.svg' },
		group: ['transform'],
		version: 1,
		subtitle:
			'={{ "Generate Effect " + $parameter["apiVersion"].toUpperCase() + ($parameter["waitForCompletion"] ? "" : " (No Wait)") }}',
		description: 'Generate visual effects for games with AetherForge from a description',
		defaults: { name: 'AetherForge Effect Generate' },
		inputs: [NodeConnectionTypes.Main],
		outputs: [NodeConnectionTypes.Main],
		// n8n appends its tracking behind the fragment of a link from the codex, which then leads nowhere.
		documentationUrl:
			'https://github.com/aetherforge/n8n-nodes-aetherforge#aetherforge-effect-generate',
		builderHint: {
			searchHint:
				'Makes a sheet of frames of a visual effect; use Image Generate for other images. Each input item is a paid job.',
			relatedNodes: [checksOnJobs],
		},
		usableAsTool: true,
		credentials: [{ name: 'aetherForgeApi', required: true }],
		hints: jobHints,
		properties: [
			paidTool(
				'Generates a visual effect for a game from a description and returns its image_url, job_id and status.',
			),
			{
				displayName: 'Version',
				name: 'apiVersion',
				type: 'options',
				noDataExpression: true,
				options: [
					{
						name: 'V1 (Choose the Resolution)',
						value: 'v1',
						description: 'You choose how large the result is, but not how many frames it has',
					},
					{
						name: 'V2 (Frames and Quality)',
						value: 'v2',
						description: 'Start here: a sheet of 4, 9, or 16 frames, which game engines can play',
					},
				],
				default: 'v2',
				description: 'Which version of the AetherForge service to use',
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
