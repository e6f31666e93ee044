import type { IBinaryData, IExecuteFunctions } from 'n8n-workflow';

import {
	fileLimit,
	type Endpoint,
	type FilesField,
	type JobRequest,
	type RequestFile,
} from '../endpoint';
import { refused } from '../messages';
import { IMAGE_SIGNATURE_BYTES, imageTypeOf } from './fileType';
import { readText } from './settings';

/** Where n8n keeps an item's files when a workflow's binary mode is "combined". */
export const COMBINED_BINARY_KEY = '_files';

/** Texts of requests that may wait for their turn in memory: thousands of short prompts, few long ones. */
const KEPT_CHARACTERS = 1_000_000;

/**
 * Checked requests from the check of all items until each one's turn, so that what was checked is
 * what is sent. Beyond a little memory nothing is kept: such an item's parameters are read again.
 */
export class CheckedRequests {
	readonly #requests = new Map<number, JobRequest>();
	#characters = 0;

	keep(itemIndex: number, request: JobRequest): void {
		const characters = charactersOf(request);
		if (this.#characters + characters > KEPT_CHARACTERS) return;
		this.#characters += characters;
		this.#requests.set(itemIndex, request);
	}

	/** Hands a request out, once. */
	take(itemIndex: number): JobRequest | undefined {
		const request = this.#requests.get(itemIndex);
		if (request === undefined) return undefined;
		this.#requests.delete(itemIndex);
		this.#characters -= charactersOf(request);
		return request;
	}
}

function charactersOf({ values }: JobRequest): number {
	return Object.values(values).reduce((sum, value) => sum + value.length, 0);
}

/**
 * An item's parameters as a request whose every part has been checked.
 *
 * @throws Failure saying what is wrong with this item
 */
export async function readRequest(
	context: IExecuteFunctions,
	endpoint: Endpoint,
	itemIndex: number,
): Promise<JobRequest> {
	const values = readValues(context, endpoint, itemIndex);
	const files: RequestFile[] = [];
	for (const field of endpoint.fields) {
		if (field.kind !== 'files') continue;
		const names = fieldNames(context, field, itemIndex);
		const limit = fileLimit(field, values);
		if (names.length > limit) {
			const by = field.limit.by && values[field.limit.by.apiName];
			throw refused.tooManyFiles(by ?? 'AetherForge', field.noun, limit, names.length);
		}
		for (const name of names) files.push(await readFile(context, field, itemIndex, name));
	}
	return { path: endpoint.path, values, files };
}

/** The value fields of a request, which output items repeat beside their job. */
export function readValues(
	context: IExecuteFunctions,
	endpoint: Endpoint,
	itemIndex: number,
): Record<string, string> {
	return Object.fromEntries(
		endpoint.fields
			.filter((field) => field.kind === 'value')
			.map(({ apiName, property }) => [
				apiName,
				readText(context, property.name, property.displayName, itemIndex),
			]),
	);
}

/**
 * The item's files by the names of their binary fields. The JSON holds them only when the workflow
 * says so: otherwise whoever writes the JSON could name any file in n8n's storage.
 */
function binaryOf(context: IExecuteFunctions, itemIndex: number): Record<string, IBinaryData> {
	const item = context.getInputData()[itemIndex];
	const isCombined = context.getWorkflowSettings().binaryMode === 'combined';
	return {
		...(isCombined ? (item?.json[COMBINED_BINARY_KEY] as Record<string, IBinaryData>) : {}),
		...item?.binary,
	};
}

function fieldNames(context: IExecuteFunctions, field: FilesField, itemIndex: number): string[] {
	const source = field.source
		? (context.getNodeParameter(field.source.name, itemIndex) as string)
		: 'selected';
	if (source === 'none') return [];
	const available = Object.keys(binaryOf(context, itemIndex)).sort();
	if (source === 'all') {
		if (available.length > 0) return available;
		throw refused.noFieldAtAll(field.source?.displayName ?? '');
	}
	if (source !== 'selected') {
		throw refused.optionValue(
			field.source?.displayName ?? '',
			source,
			'"none", "all" or "selected"',
		);
	}
	const given: unknown = context.getNodeParameter(field.names.name, itemIndex, '');
	const names = (Array.isArray(given) ? given.map(String) : String(given).split(','))
		.map((name) => name.trim())
		.filter((name) => name !== '');
	if (names.length === 0) throw refused.noFieldNames(field.names.displayName);
	const missing = names.find((name) => !available.includes(name));
	if (missing !== undefined) {
		throw refused.unknownField(missing, available, field.names.displayName);
	}
	return names;
}

async function readFile(
	context: IExecuteFunctions,
	field: FilesField,
	itemIndex: number,
	fieldName: string,
): Promise<RequestFile> {
	const binary = binaryOf(context, itemIndex)[fieldName];
	if (binary === undefined) throw refused.unknownField(fieldName, [], field.names.displayName);
	const givenName = binary.fileName ?? '';
	const label = givenName || fieldName;
	const { id, data } = binary;
	const open =
		id === undefined
			? () => Promise.resolve(inMemory(data))
			: async () => (await context.helpers.getBinaryStream(id)) as AsyncIterable<Uint8Array>;
	let bytes: number;
	let head: Uint8Array;
	try {
		// `bytes` of the binary data itself is unknown on n8n 1.x.
		bytes =
			id === undefined
				? Buffer.byteLength(data, 'base64')
				: (await context.helpers.getBinaryMetadata(id)).fileSize;
		head = await firstBytes(await open());
	} catch (error) {
		const reason = error instanceof Error ? error.message : String(error);
		throw refused.unreadableFile(fieldName, label, reason);
	}
	if (bytes === 0) throw refused.emptyFile(fieldName, label);
	const type = imageTypeOf(head);
	if (type === undefined) throw refused.notAnImage(fieldName, label, binary.mimeType);
	return {
		apiName: field.apiName,
		fieldName,
		fileName: partName(givenName) || `${fieldName}.${type.extension}`,
		mimeType: type.mimeType,
		bytes,
		open,
	};
}

async function* inMemory(base64: string): AsyncGenerator<Uint8Array> {
	yield await Promise.resolve(Buffer.from(base64, 'base64'));
}

/** Reads the start of a file and closes it again. */
async function firstBytes(stream: AsyncIterable<Uint8Array>): Promise<Uint8Array> {
	const chunks: Uint8Array[] = [];
	let bytes = 0;
	for await (const chunk of stream) {
		chunks.push(chunk);
		bytes += chunk.length;
		if (bytes >= IMAGE_SIGNATURE_BYTES) break;
	}
	return Buffer.concat(chunks);
}

/** A file name for a multipart header: without folders, control characters and lone surrogates. */
function partName(fileName: string): string {
	const base = fileName.split(/[/\\]/).at(-1) ?? '';
	return base
		.replace(/\p{Cc}/gu, '')
		.replace(/\p{Cs}/gu, '')
		.trim()
		.slice(0, 200);
}
