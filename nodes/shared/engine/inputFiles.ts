import type { IBinaryData, IExecuteFunctions, INodeProperties } from 'n8n-workflow';

import { choicesOf, type FilesField, type RequestFile } from '../endpoint';
import { inputFailures } from '../messages';
import { IMAGE_SIGNATURE_BYTES, imageTypeOf } from './fileType';
import { asChoice, type ParameterReader } from './parameters';

/** Where n8n keeps an item's files when a workflow's binary mode is "combined". */
export const COMBINED_BINARY_KEY = '_files';

/** "image_2" comes before "image_10". */
const naturalOrder = new Intl.Collator('en', { numeric: true });

/**
 * The files of one field for an item, checked but not read beyond their first bytes.
 *
 * @param limit `subject` is what takes no more than `max` files: a model, or AetherForge
 * @throws Failure when there are too few or too many, or one of them is no image
 */
export async function readInputFiles(
	context: IExecuteFunctions,
	reader: ParameterReader,
	field: FilesField,
	itemIndex: number,
	limit: { max: number; subject: string },
): Promise<RequestFile[]> {
	const from = sourceOf(reader, field, itemIndex);
	if (from === 'none') return [];
	const available = binaryOf(context, itemIndex);
	const names = fieldNames(reader, field, itemIndex, from, Object.keys(available));
	if (names.length > limit.max) {
		throw inputFailures.tooManyFiles(limit.subject, field, limit.max, names.length);
	}
	if (names.length > 0 && names.length < field.limit.min) {
		throw inputFailures.tooFewFiles(field, names.length);
	}
	const files: RequestFile[] = [];
	for (const name of names) {
		const binary = available[name];
		if (binary === undefined) {
			const known = Object.keys(available).sort(naturalOrder.compare);
			throw inputFailures.unknownField(name, known, field.names.displayName);
		}
		files.push(await openFile(context, field.apiName, name, binary));
	}
	return files;
}

/**
 * The item's files by the names of their binary fields. The JSON holds them only when the workflow
 * says so: otherwise whoever writes the JSON could name any file in n8n's storage.
 */
function binaryOf(
	context: IExecuteFunctions,
	itemIndex: number,
): Partial<Record<string, IBinaryData>> {
	const item = context.getInputData()[itemIndex];
	const isCombined = context.getWorkflowSettings().binaryMode === 'combined';
	const combined = isCombined
		? (item?.json[COMBINED_BINARY_KEY] as Record<string, IBinaryData> | undefined)
		: undefined;
	// Without a prototype a field can have any name.
	return Object.assign(Object.create(null) as Record<string, IBinaryData>, combined, item?.binary);
}

/** Where the files come from: one of the parameter's choices. */
function sourceOf(reader: ParameterReader, { source }: FilesField, itemIndex: number): unknown {
	if (!source) return 'selected';
	return asChoice(reader.read(source.name, itemIndex), source.displayName, choicesOf(source));
}

/** The binary fields to send, in the order in which they are sent. */
function fieldNames(
	reader: ParameterReader,
	field: FilesField,
	itemIndex: number,
	from: unknown,
	available: readonly string[],
): string[] {
	const { source, names, limit } = field;
	if (from === 'all') {
		if (available.length > 0) return [...available].sort(naturalOrder.compare);
		throw inputFailures.noFieldAtAll(source?.displayName ?? '', field.noun.many);
	}
	const given = reader.read(names.name, itemIndex, '');
	const list = Array.isArray(given)
		? given.map((name) => nameOf(name, names))
		: [nameOf(given, names)];
	const isList = Array.isArray(given) || limit.max === 1;
	const selected = (isList ? list : list.flatMap((text) => text.split(',')))
		.map((name) => name.trim())
		.filter((name) => name !== '');
	const mayBeEmpty = limit.min === 0 && !source;
	if (selected.length === 0 && !mayBeEmpty) throw inputFailures.noFieldNames(names.displayName);
	return selected;
}

function nameOf(given: unknown, { displayName }: INodeProperties): string {
	if (given === null || given === undefined) return '';
	if (typeof given === 'string' || typeof given === 'number') return String(given);
	throw inputFailures.valueOfWrongType(displayName, 'an object');
}

async function openFile(
	context: IExecuteFunctions,
	apiName: string,
	fieldName: string,
	binary: IBinaryData,
): Promise<RequestFile> {
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
		throw inputFailures.unreadableFile(fieldName, label, reason);
	}
	if (bytes === 0) throw inputFailures.emptyFile(fieldName, label);
	const type = imageTypeOf(head);
	if (type === undefined) throw inputFailures.notAnImage(fieldName, label, binary.mimeType);
	return {
		apiName,
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
