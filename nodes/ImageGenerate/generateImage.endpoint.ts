import type { Endpoint } from '../shared/endpoint';

/** How many reference images each model takes. */
const MODELS = {
	'GPT Image 1.5': 10,
	'GPT Image 2': 10,
	'Grok Imagine': 5,
	'Grok Imagine Pro': 1,
	'Nano Banana': 10,
	'Nano Banana 2': 10,
	'Nano Banana Pro': 10,
};

/** POST /public/v1/generate/image: an image from a prompt and, optionally, reference images. */
export const generateImage: Endpoint = {
	path: '/public/v1/generate/image',
	name: 'Image Generate',
	pricedBy: 'ai_model',
	adviceIfFailed: 'Try another prompt, model, or reference image.',
	fields: [
		{
			kind: 'text',
			apiName: 'prompt',
			property: {
				displayName: 'Prompt',
				name: 'prompt',
				type: 'string',
				typeOptions: { rows: 4 },
				default: '',
				required: true,
				placeholder:
					'e.g. A young knight with a blue cape, full body, side view, plain white background, game art',
				description:
					'What the image should show, in words. There is no parameter for size or aspect ratio: say it here, for example wide 16:9.',
			},
		},
		{
			kind: 'choice',
			apiName: 'ai_model',
			isOpen: true,
			property: {
				displayName: 'Model',
				name: 'aiModel',
				type: 'options',
				options: Object.entries(MODELS).map(([name, most]) => ({
					name,
					value: name,
					description: `Takes ${most === 1 ? '1 reference image' : `up to ${most} reference images`}`,
				})),
				default: 'GPT Image 1.5',
				description:
					'The AI model that makes the image. To use one that is not listed, switch to Expression and enter its name.',
			},
		},
		{
			kind: 'files',
			apiName: 'ref_images',
			noun: { one: 'reference image', many: 'reference images' },
			source: {
				displayName: 'Reference Images',
				name: 'referenceImages',
				type: 'options',
				options: [
					{
						name: 'None',
						value: 'none',
						description: 'Generate the image from the prompt alone',
					},
					{
						name: 'All Binary Fields of the Item',
						value: 'all',
						description: 'Send every file of the input item, in the order of the field names',
					},
					{
						name: 'Selected Binary Fields',
						value: 'selected',
						description: 'Send the files of the binary fields you name, in your order',
					},
					{
						name: 'URLs',
						value: 'urls',
						description: 'Fetch images from URLs and send them, in your order',
					},
				],
				default: 'none',
				description: 'Which images to send as references',
			},
			names: {
				displayName: 'Input Data Field Name(s)',
				name: 'binaryPropertyName',
				type: 'string',
				requiresDataPath: 'multiple',
				default: 'data',
				required: true,
				placeholder: 'e.g. data, styleReference',
				displayOptions: { show: { referenceImages: ['selected'] } },
				hint: 'The names of the input binary fields that hold the images, separated by commas',
				description:
					'The names are listed in the Binary tab of the input panel. An expression may also give a list of names and files, such as {{ $binary.data }}.',
			},
			urls: {
				displayName: 'Reference Image URL(s)',
				name: 'referenceImageUrls',
				type: 'string',
				typeOptions: { rows: 2 },
				default: '',
				placeholder: 'e.g. https://example.com/style.png',
				displayOptions: { show: { referenceImages: ['urls'] } },
				hint: 'Separate several URLs with spaces, line breaks, or commas',
				description:
					'The URLs of the images. They are fetched without your API key, before the job is charged. An expression may also give a list.',
			},
			limit: {
				min: 0,
				max: 10,
				by: {
					apiName: 'ai_model',
					max: MODELS,
					advice: 'or choose a model that takes more',
				},
			},
		},
	],
};
