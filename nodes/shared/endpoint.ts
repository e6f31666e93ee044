import type { INodeProperties } from 'n8n-workflow';

/** A text that the API takes as it is, or one of a list of texts. */
export interface ValueField {
	kind: 'value';
	/** The multipart field's name in the API. */
	apiName: string;
	/** The parameter that people fill in. */
	property: INodeProperties;
}

/** Files that come from binary fields of the input item. */
export interface FilesField {
	kind: 'files';
	apiName: string;
	/** What one of the files is called in sentences, e.g. "reference image". */
	noun: string;
	/**
	 * The parameter with the options `none`, `all` and `selected`. Without it the files are always
	 * those that `names` selects.
	 */
	source?: INodeProperties;
	/** The parameter with the names of binary fields. */
	names: INodeProperties;
	/** How many files the API takes, where it depends on the value of another field. */
	limit: { files: number; by?: { apiName: string; files: Readonly<Record<string, number>> } };
}

export type Field = ValueField | FilesField;

/**
 * A paid POST of the API, declared once: what people fill in and how it is sent. Nodes show its
 * parameters and hand it to the engine; neither knows more of the endpoint than this.
 */
export interface Endpoint {
	/** The path below the base URL. */
	path: string;
	fields: readonly Field[];
}

/** One file of a {@link JobRequest}. Its bytes stay where n8n keeps them until they are sent. */
export interface RequestFile {
	apiName: string;
	/** The binary field of the input item it comes from. */
	fieldName: string;
	fileName: string;
	mimeType: string;
	bytes: number;
	/** Opens the bytes from the start; can be called again when a request is sent again. */
	open(): Promise<AsyncIterable<Uint8Array>>;
}

/** A paid request whose every part has been checked. */
export interface JobRequest {
	path: string;
	/** The value fields by their API names, in the order of the declaration. */
	values: Readonly<Record<string, string>>;
	files: readonly RequestFile[];
}

/** The parameters of an endpoint in the order in which its fields are declared. */
export function propertiesOf(endpoint: Endpoint): INodeProperties[] {
	return endpoint.fields.flatMap((field) =>
		field.kind === 'value'
			? [field.property]
			: [...(field.source ? [field.source] : []), field.names],
	);
}

/** How many files of a field the API takes together with these values. */
export function fileLimit(field: FilesField, values: Readonly<Record<string, string>>): number {
	const { by, files } = field.limit;
	return by?.files[values[by.apiName] ?? ''] ?? files;
}
