import type {
	BooleanField,
	ChoiceField,
	FilesField,
	TableField,
	TextField,
} from '../shared/endpoint';
import { imageInput } from '../shared/fields';

// What the versions of an operation, or several operations, have in common.

export const motion: TextField = {
	kind: 'text',
	apiName: 'text',
	property: {
		displayName: 'Motion',
		name: 'text',
		type: 'string',
		typeOptions: { rows: 2 },
		default: '',
		required: true,
		placeholder: 'e.g. Walking animation',
		description: 'What the character does, in words',
	},
};

export const isPixel: BooleanField = {
	kind: 'boolean',
	apiName: 'is_pixel',
	property: {
		displayName: 'Input Is Pixel Art',
		name: 'isPixel',
		type: 'boolean',
		default: false,
		description: 'Whether the input image is pixel art. It does not make the result pixel art.',
	},
};

export const reskinDescription: TextField = {
	kind: 'text',
	apiName: 'description',
	property: {
		displayName: 'Reskin Description',
		name: 'description',
		type: 'string',
		typeOptions: { rows: 4 },
		default: '',
		required: true,
		placeholder: 'e.g. The same character in golden armor',
		description: 'What the character should look like, in words',
	},
};

export const style: ChoiceField = {
	kind: 'choice',
	apiName: 'style',
	none: 'none',
	property: {
		displayName: 'Style',
		name: 'style',
		type: 'options',
		options: [
			{ name: 'Cartoon', value: 'cartoon', description: 'Drawn like a cartoon' },
			{ name: 'None', value: 'none', description: 'Leave the style to AetherForge' },
			{ name: 'Pixel Art', value: 'pixel', description: 'Drawn in large pixels' },
			{
				name: 'Quarter View',
				value: 'quater_view',
				description: 'A view from above, at an angle',
			},
			{ name: 'SD', value: 'sd', description: 'AetherForge does not document this style' },
		],
		default: 'none',
		description: 'The look of the result',
	},
};

export const spriteSheet = imageInput({
	apiName: 'sprite_sheet',
	name: 'spriteSheet',
	label: 'Sprite Sheet',
	noun: { one: 'sprite sheet', many: 'sprite sheets' },
});

export const characterImages: FilesField = {
	kind: 'files',
	apiName: 'character_images',
	noun: { one: 'character image', many: 'character images' },
	source: {
		displayName: 'Character Images Source',
		name: 'characterImagesSource',
		type: 'options',
		options: [
			{ name: 'Binary Files', value: 'binary', description: 'Send files of the input item' },
			{ name: 'URLs', value: 'url', description: 'Fetch the images from URLs and send them' },
		],
		default: 'binary',
		description: 'Where the 1 to 4 character images come from',
	},
	names: {
		displayName: 'Character Field Name(s)',
		name: 'characterImagesFields',
		type: 'string',
		requiresDataPath: 'multiple',
		// Any default would pay for the sheet as its own character.
		default: '',
		required: true,
		placeholder: 'e.g. knight, wizard',
		displayOptions: { show: { characterImagesSource: ['binary'] } },
		hint: 'The names of the input binary fields that hold 1 to 4 character images, separated by commas',
		description:
			'The names are listed in the Binary tab of the input panel. An expression may also give a list of names and files.',
	},
	urls: {
		displayName: 'Character URL(s)',
		name: 'characterImagesUrls',
		type: 'string',
		typeOptions: { rows: 2 },
		default: '',
		required: true,
		placeholder: 'e.g. https://example.com/knight.png https://example.com/wizard.png',
		displayOptions: { show: { characterImagesSource: ['url'] } },
		hint: '1 to 4 URLs, separated by spaces, line breaks, or commas',
		description:
			'The URLs of the character images. They are fetched without your API key, before the job is charged. An expression may also give a list.',
	},
	limit: { min: 1, max: 4 },
};

export const rows: TableField = {
	kind: 'table',
	apiName: 'rows',
	columns: [
		{ name: 'row', kind: 'wholeNumber', isPosition: true },
		{ name: 'title', kind: 'text' },
		{ name: 'description', kind: 'text' },
	],
	source: {
		displayName: 'Specify Rows',
		name: 'rowsInput',
		type: 'options',
		noDataExpression: true,
		options: [
			{ name: 'Using Fields Below', value: 'fields', description: 'Add the rows one by one' },
			{ name: 'Using JSON', value: 'json', description: 'Enter all rows as a JSON list' },
		],
		default: 'fields',
		description: 'How to describe the rows of the sprite sheet',
	},
	list: {
		displayName: 'Rows',
		name: 'rows',
		type: 'fixedCollection',
		typeOptions: {
			multipleValues: true,
			sortable: true,
			fixedCollection: {
				itemTitle:
					'={{ "Row " + ($collection.item.index + 1) + ": " + $collection.item.value.title }}',
			},
		},
		placeholder: 'Add row',
		default: {},
		required: true,
		displayOptions: { show: { rowsInput: ['fields'] } },
		description: 'The rows of the sprite sheet from top to bottom. Add at least one.',
		options: [
			{
				displayName: 'Row',
				name: 'row',
				values: [
					{
						displayName: 'Title',
						name: 'title',
						type: 'string',
						default: '',
						required: true,
						placeholder: 'e.g. Idle',
						description: 'The name of the animation in this row',
					},
					{
						displayName: 'Description',
						name: 'description',
						type: 'string',
						default: '',
						required: true,
						placeholder: 'e.g. Character standing still',
						description: 'What the character does in this row',
					},
				],
			},
		],
	},
	json: {
		displayName: 'Rows (JSON)',
		name: 'rowsJson',
		type: 'json',
		typeOptions: { rows: 5 },
		default: '',
		required: true,
		displayOptions: { show: { rowsInput: ['json'] } },
		hint: 'e.g. [{ "row": 1, "title": "Idle", "description": "Character standing still" }]',
		description:
			'A list of objects with the fields row (a whole number, from 1), title, and description. An expression may also give the list itself.',
	},
};
