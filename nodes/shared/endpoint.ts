import type { INodeProperties, INodePropertyOptions } from 'n8n-workflow';

/** A text that is sent as it is. */
export interface TextField {
	kind: 'text';
	/** The multipart field's name in the API. */
	apiName: string;
	/** The parameter that people fill in. */
	property: INodeProperties;
}

/** One of the values that the parameter lists. Where they are numbers, numeric texts count as well. */
export interface ChoiceField {
	kind: 'choice';
	apiName: string;
	property: INodeProperties;
	/** Other texts are sent too: for what the API learns after this release. */
	isOpen?: true;
	/** The choice that stands for leaving the field out. */
	none?: string;
}

/** Sent as `true` or `false`. */
export interface BooleanField {
	kind: 'boolean';
	apiName: string;
	property: INodeProperties;
}

/** A column of a {@link TableField}. */
export interface Column {
	/** The key in the API's JSON, and the parameter's name in the list. */
	name: string;
	kind: 'text' | 'wholeNumber';
	/** Rows of the list have no such parameter: they are numbered by position, from 1. */
	isPosition?: true;
}

/** Rows of cells, filled in as a list or given as JSON, and sent as JSON text. */
export interface TableField {
	kind: 'table';
	apiName: string;
	/** The parameter that decides between `fields` (the list) and `json`. */
	source: INodeProperties;
	/** A fixedCollection with multiple values and a single group. */
	list: INodeProperties;
	json: INodeProperties;
	/** In the order in which they are sent. */
	columns: readonly Column[];
}

/** Image files. */
export interface FilesField {
	kind: 'files';
	apiName: string;
	/** What messages call one of the files, and several. */
	noun: { one: string; many: string };
	/**
	 * The parameter that says where the files come from: `none`, `all` binary fields of the item, the
	 * ones that `names` gives (`selected`, `binary`), or `urls` (`url`). An AI agent's tool gets
	 * a version of it without `all`, with URLs as the default.
	 */
	source: INodeProperties;
	/** The parameter with binary fields: their names, or files by expression. */
	names: INodeProperties;
	urls: INodeProperties;
	limit: {
		min: number;
		max: number;
		/** Another maximum for some values of another field, and what else the user can do. */
		by?: { apiName: string; max: Readonly<Record<string, number>>; advice: string };
	};
}

export type ValueField = TextField | ChoiceField | BooleanField | TableField;

export type Field = ValueField | FilesField;

/**
 * A paid POST of the API, declared once: what people fill in and how it is sent. Nodes show its
 * parameters and hand it to the engine; neither knows more of the endpoint than this.
 */
export interface Endpoint {
	/** The path below the base URL. */
	path: string;
	/** What a job of it is called in a dry run, "Upscale" for instance. */
	name: string;
	/** The API name of the value by which prices differ, a model for instance. */
	pricedBy?: string;
	/**
	 * In a node with several endpoints: the values of the node's own parameters that select this one,
	 * `{ operation: 'make', apiVersion: 'v1' }` for instance. Those parameters take no expressions.
	 */
	when?: Readonly<Record<string, string>>;
	/** In the order in which people see them. */
	fields: readonly Field[];
	/** What to try when AetherForge could not finish a job, as a sentence. */
	adviceIfFailed: string;
}

/** The parameters of a field in the order in which people see them. */
export function propertiesOfField(field: Field): INodeProperties[] {
	switch (field.kind) {
		case 'files':
			return [...forPeopleAndTools(field.source), field.names, field.urls];
		case 'table':
			return [field.source, field.list, field.json];
		default:
			return [field.property];
	}
}

/** As a tool the input item has no files, but a model can pass a URL. */
function forPeopleAndTools(source: INodeProperties): INodeProperties[] {
	const options = source.options as INodePropertyOptions[];
	const url = options.find(({ value }) => value === 'url' || value === 'urls');
	const { show, ...rest } = source.displayOptions ?? {};
	return [
		{ ...source, displayOptions: { ...source.displayOptions, hide: { '@tool': [true] } } },
		{
			...source,
			options: options.filter(({ value }) => value !== 'all'),
			default: url?.value ?? source.default,
			displayOptions: { ...rest, show: { ...show, '@tool': [true] } },
		},
	];
}

/** The parameters of an endpoint, each shown only where the endpoint is selected. */
export function propertiesOf({ fields, when = {} }: Endpoint): INodeProperties[] {
	const selected = Object.entries(when).map(([name, value]): [string, string[]] => [name, [value]]);
	return fields.flatMap(propertiesOfField).map((property) =>
		selected.length === 0
			? property
			: {
					...property,
					displayOptions: {
						...property.displayOptions,
						show: { ...Object.fromEntries(selected), ...property.displayOptions?.show },
					},
				},
	);
}

/** The values that a parameter of type `options` lists. */
export function choicesOf({ options = [] }: INodeProperties): INodePropertyOptions['value'][] {
	return (options as INodePropertyOptions[]).map(({ value }) => value);
}
