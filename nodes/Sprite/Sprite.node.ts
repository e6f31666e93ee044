import {
	NodeConnectionTypes,
	type IExecuteFunctions,
	type INodeExecutionData,
	type INodeType,
	type INodeTypeDescription,
} from 'n8n-workflow';

import { propertiesOf } from '../shared/endpoint';
import { checksOnJobs, jobHints, paidTool, spriteJobProperties } from '../shared/properties';
import { makeSpriteV1 } from './makeSpriteV1.endpoint';
import { makeSpriteV2 } from './makeSpriteV2.endpoint';
import { reskinV1 } from './reskinV1.endpoint';
import { reskinV2 } from './reskinV2.endpoint';
import { overlayV1 } from './overlayV1.endpoint';
import { overlayV2 } from './overlayV2.endpoint';

const endpoints = [makeSpriteV1, makeSpriteV2, reskinV1, reskinV2, overlayV1, overlayV2];

export class Sprite implements INodeType {
	description: INodeTypeDescription = {
		displayName: 'AetherForge Sprite',
		name: 'sprite',
		icon: { light: 'file:../shared/aetherforge.svg', dark: 'file:../shared/aetherforge.dark.svg' },
		group: ['transform'],
		version: 1,
		subtitle:
			'={{ ({ make: "Make Sprite", reskin: "Reskin Sprite Sheet", characterOverlay: "Overlay Characters" })[$parameter["operation"]] + " " + $parameter["apiVersion"].toUpperCase() + ($parameter["waitForCompletion"] ? "" : " (No Wait)") }}',
		description:
			'Make animated sprites with AetherForge, give them another look, or put other characters into them',
		defaults: { name: 'AetherForge Sprite' },
		inputs: [NodeConnectionTypes.Main],
		outputs: [NodeConnectionTypes.Main],
		// n8n appends its tracking behind the fragment of a link from the codex, which then leads nowhere.
		documentationUrl: 'https://github.com/aetherforge/n8n-nodes-aetherforge#aetherforge-sprite',
		builderHint: {
			searchHint:
				'Animates an image of one character, or redraws a sprite sheet. Each input item is a paid job. Returns one item per job: Make Sprite puts the sheet into the binary field "data" and the GIF into "data_1".',
			relatedNodes: [
				{
					nodeType: 'n8n-nodes-aetherforge.imageGenerate',
					relationHint: 'Makes the character image',
				},
				checksOnJobs,
			],
		},
		usableAsTool: true,
		credentials: [{ name: 'aetherForgeApi', required: true }],
		hints: jobHints,
		properties: [
			paidTool(
				'Makes an animated sprite from an image of a character and returns the image_url of each file (a sprite sheet and a GIF), with the job_id and status.',
				{ operation: ['make'] },
			),
			paidTool(
				'Gives a sprite sheet another look as a description says and returns its image_url, job_id and status.',
				{ operation: ['reskin'] },
			),
			paidTool(
				'Puts other characters into a sprite sheet and returns its image_url, job_id and status.',
				{ operation: ['characterOverlay'] },
			),
			{
				displayName: 'Operation',
				name: 'operation',
				type: 'options',
				noDataExpression: true,
				options: [
					{
						name: 'Make Sprite',
						value: 'make',
						action: 'Make animated sprite',
						description: 'Animate the image of a character',
					},
					{
						name: 'Reskin Sprite Sheet',
						value: 'reskin',
						action: 'Reskin sprite sheet',
						description: 'Give a sprite sheet another look',
					},
					{
						name: 'Overlay Characters',
						value: 'characterOverlay',
						action: 'Overlay characters on sprite sheet',
						description: 'Put other characters into a sprite sheet',
					},
				],
				default: 'make',
				description: 'What to do with the character or sprite sheet',
			},
			{
				displayName: 'Version',
				name: 'apiVersion',
				type: 'options',
				noDataExpression: true,
				options: [
					{
						name: 'V1 (From One Image)',
						value: 'v1',
						description: 'Start here: takes one image and makes 25 to 169 frames',
					},
					{
						name: 'V2 (Start and End Frame)',
						value: 'v2',
						description:
							'Takes a start frame and an optional end frame. V2 may confuse chibi characters with children and reject the job: use V1 for those.',
					},
				],
				default: 'v1',
				displayOptions: { show: { operation: ['make'] } },
				description: 'Which version of the AetherForge service to use',
			},
			{
				displayName: 'Version',
				name: 'apiVersion',
				type: 'options',
				noDataExpression: true,
				options: [
					{
						name: 'V1 (Choose the Resolution)',
						value: 'v1',
						description: 'Start here: you choose how large the result is',
					},
					{
						name: 'V2 (Choose the Quality)',
						value: 'v2',
						description:
							'You choose the quality. V2 may confuse chibi characters with children and reject the job: use V1 for those.',
					},
				],
				default: 'v1',
				displayOptions: { show: { operation: ['reskin', 'characterOverlay'] } },
				description: 'Which version of the AetherForge service to use',
			},
			...endpoints.flatMap(propertiesOf),
			...spriteJobProperties,
		],
	};

	async execute(this: IExecuteFunctions): Promise<INodeExecutionData[][]> {
		// n8n loads every node when it starts. The engine is loaded on first use.
		const { runJobs } = await import('../shared/engine/runJobs');
		return await runJobs(this, endpoints, spriteJobProperties);
	}
}
