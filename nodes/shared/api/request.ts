/** One row of a table: its cells by the names of their columns. */
export type Row = Readonly<Record<string, string | number>>;

/** A value as it is sent and as output items repeat it. */
export type Value = string | number | boolean | readonly Row[];

/** The value fields of one request by their API names, in the order of the declaration. */
export type Values = Readonly<Record<string, Value>>;

/** One file of a {@link JobRequest}. Its bytes stay where n8n keeps them until they are sent. */
export interface RequestFile {
	apiName: string;
	/** The binary field of the input item, or the URL, that it comes from. */
	from: { field: string } | { url: string } | undefined;
	fileName: string;
	mimeType: string;
	bytes: number;
	/** Opens the bytes from the start; can be called again when a request is sent again. */
	open(): Promise<AsyncIterable<Uint8Array>>;
}

/** A file that is fetched once all items have been checked. */
export interface FileToFetch {
	apiName: string;
	urlToFetch: string;
}

/** A paid request whose every part has been checked. */
export interface JobRequest {
	path: string;
	values: Values;
	files: readonly RequestFile[];
}

/** The same before its files have been fetched. */
export interface JobDraft {
	path: string;
	values: Values;
	files: readonly (RequestFile | FileToFetch)[];
}
