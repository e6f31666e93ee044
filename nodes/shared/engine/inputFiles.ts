import type { IBinaryData, IDataObject, IExecuteFunctions, INodeProperties } from 'n8n-workflow';

import { isHttpUrl } from '../api/fetchFile';
import { choicesOf, type FilesField, type FileToFetch, type RequestFile } from '../endpoint';
import { inputFailures } from '../messages';
import { COMBINED_BINARY_KEY, isCombined, type KnownFiles } from './knownFiles';
import { asChoice, asJson, typeName, type ParameterReader } from './parameters';
import { storedFile } from './requestFile';

/** "image_2" comes before "image_10". */
const naturalOrder = new Intl.Collator('en', { numeric: true });

/** What JavaScript makes of a file that an expression puts into a text. */
const OBJECT_AS_TEXT = '[object Object]';

/** A file as n8n's expressions give it; on n8n 1.x with files in memory it lacks `data`. */
type BinaryObject = Partial<IBinaryData> & { mimeType: string };

/** The files that an item has, by the names of their binary fields. */
type ItemFiles = Partial<Record<string, IBinaryData>>;

/** What one item's files are read with. */
export interface InputFileReader {
	context: IExecuteFunctions;
	reader: ParameterReader;
	knownFiles: KnownFiles;
	isTool: boolean;
}

/**
 * The files of one field for an item: those of n8n are checked but not read beyond their first
 * bytes, those by URL are left to be fetched.
 *
 * @param limit `subject` is what takes no more than `max` files: a model, or AetherForge
 * @throws Failure when there are too few or too many, or one of them is no image
 */
export async function readInputFiles(
	input: InputFileReader,
	field: FilesField,
	itemIndex: number,
	limit: { max: number; subject: string },
): Promise<(RequestFile | FileToFetch)[]> {
	const from = sourceOf(input, field.source, itemIndex);
	if (from === 'none') return [];
	const available = binaryOf(input.context, itemIndex);
	const isByUrl = from === 'url' || from === 'urls';
	const given = givenFiles(input.reader, field, itemIndex, from, Object.keys(available));
	if (given.length > limit.max) {
		throw inputFailures.tooManyFiles(limit.subject, field, limit.max, given.length, isByUrl);
	}
	if (given.length > 0 && given.length < field.limit.min) {
		throw inputFailures.tooFewFiles(field, given.length, isByUrl);
	}
	const files: (RequestFile | FileToFetch)[] = [];
	for (const each of given) {
		if (each instanceof URL) {
			files.push({ apiName: field.apiName, urlToFetch: each.href });
			continue;
		}
		const { binary, name } = resolve(input, field, itemIndex, available, each);
		files.push(await storedFile(input.context, field.apiName, name, binary));
	}
	return files;
}

/**
 * The item's files by the names of their binary fields. The JSON holds them only when the workflow
 * says so: otherwise whoever writes the JSON could name any file in n8n's storage.
 */
function binaryOf(context: IExecuteFunctions, itemIndex: number): ItemFiles {
	const item = context.getInputData()[itemIndex];
	const combined = isCombined(context)
		? (item?.json[COMBINED_BINARY_KEY] as Record<string, IBinaryData> | undefined)
		: undefined;
	// Without a prototype a field can have any name.
	return Object.assign(Object.create(null) as ItemFiles, combined, item?.binary);
}

/** Where the files come from: one of the parameter's choices. */
function sourceOf(
	{ reader, isTool }: InputFileReader,
	source: INodeProperties,
	itemIndex: number,
): unknown {
	// A tool has no input item whose files could be meant.
	const choices = choicesOf(source).filter((choice) => choice !== 'all' || !isTool);
	return asChoice(reader.read(source.name, itemIndex), source.displayName, choices);
}

/** What the parameters name, in the order in which it is sent. */
function givenFiles(
	reader: ParameterReader,
	{ source, names, urls, limit, noun }: FilesField,
	itemIndex: number,
	from: unknown,
	available: readonly string[],
): (string | BinaryObject | URL)[] {
	switch (from) {
		case 'all':
			if (available.length > 0) return [...available].sort(naturalOrder.compare);
			throw inputFailures.noFieldAtAll(source.displayName, noun.many);
		case 'url':
		case 'urls': {
			const given = urlsIn(reader.read(urls.name, itemIndex, ''), urls.displayName, limit.max > 1);
			if (given.length === 0 && limit.min > 0) throw inputFailures.blankValue(urls.displayName);
			return given;
		}
		default: {
			const [label, isList] = [names.displayName, limit.max > 1];
			const given = filesIn(reader.read(names.name, itemIndex, ''), label, isList);
			if (given.length === 0) throw inputFailures.noFieldNames(label, isList);
			return given;
		}
	}
}

/** One URL; where several are possible, a list by white space or commas, a list, or one as JSON. */
function urlsIn(given: unknown, label: string, isList: boolean): URL[] {
	const urls = Array.isArray(given) ? given : textsIn(given, label, isList);
	return urls.map((url: unknown, index) => {
		if (typeof url !== 'string') throw inputFailures.unusableEntry(label, index + 1, typeName(url));
		if (!isHttpUrl(url)) throw inputFailures.unusableUrl(label, url);
		return new URL(url);
	});
}

function textsIn(given: unknown, label: string, isList: boolean): unknown[] {
	if (given === null || given === undefined) return [];
	if (typeof given !== 'string') throw inputFailures.valueOfWrongType(label, typeName(given));
	if (!isList) return given.trim() === '' ? [] : [given.trim()];
	if (given.trim().startsWith('[')) {
		const parsed = asJson(given, label, 'a JSON list of URLs');
		if (Array.isArray(parsed)) return parsed;
	}
	// A comma can be part of a URL.
	return given.split(/\s+|,(?=\s*https?:\/\/)/i).filter((url) => url !== '');
}

/** Names of binary fields, and files that an expression gives. */
function filesIn(given: unknown, label: string, isList: boolean): (string | BinaryObject)[] {
	if (Array.isArray(given)) {
		return given.flatMap((each: unknown) => filesIn(each, label, false));
	}
	if (given === null || given === undefined) return [];
	if (isBinaryObject(given)) return [given];
	if (typeof given !== 'string' && typeof given !== 'number') {
		throw inputFailures.valueOfWrongType(label, typeName(given));
	}
	const text = String(given);
	if (text.includes(OBJECT_AS_TEXT)) throw inputFailures.textAndFile(label);
	return (isList ? text.split(',') : [text])
		.map((name) => name.trim())
		.filter((name) => name !== '');
}

function isBinaryObject(value: unknown): value is BinaryObject {
	return typeof value === 'object' && value !== null && 'mimeType' in value;
}

/** @returns the file, and the name of its binary field if it has one */
function resolve(
	{ context, knownFiles }: InputFileReader,
	{ names: { displayName } }: FilesField,
	itemIndex: number,
	available: ItemFiles,
	given: string | BinaryObject,
): { binary: IBinaryData; name: string | undefined } {
	if (typeof given === 'object') {
		return { binary: ownFile(available, knownFiles, given, displayName), name: undefined };
	}
	const binary = available[given];
	if (binary) return { binary, name: given };
	const item = context.getInputData()[itemIndex];
	// In combined mode files are part of the JSON, like any other value: nothing tells the item's own
	// from one that somebody has written there, and n8n's own nodes open what lies at a path.
	const atPath = isCombined(context) ? valueAt(item?.json, given) : undefined;
	if (isBinaryObject(atPath) && isWhole(atPath)) return { binary: atPath, name: given };
	const known = Object.keys(available).sort(naturalOrder.compare);
	throw inputFailures.unknownField(given, known, displayName);
}

/** A file by expression. An ID opens any file in n8n's storage, so it has to be one of this run's. */
function ownFile(
	available: ItemFiles,
	knownFiles: KnownFiles,
	given: BinaryObject,
	label: string,
): IBinaryData {
	if (isWhole(given)) {
		if (given.id === undefined || knownFiles.has(given.id)) return given;
		throw inputFailures.foreignFile(label);
	}
	// With files in memory n8n 1.x leaves the content out of $binary: the item's own file has it.
	const [own, ...others] = Object.values(available).filter(
		(file) =>
			file !== undefined &&
			Object.entries(given).every(([key, value]) => Reflect.get(file, key) === value),
	);
	if (own === undefined || others.length > 0) throw inputFailures.fileWithoutContent(label);
	return own;
}

function isWhole(file: BinaryObject): file is IBinaryData {
	return typeof file.id === 'string' || typeof file.data === 'string';
}

/**
 * What lies at a path: names and positions, "_files.photo" or "shots[0]". n8n 2.40 drags it in as
 * "$item._files['my photo']", a name for the item's JSON that its own expressions do not know.
 */
function valueAt(json: IDataObject | undefined, path: string): unknown {
	let at: unknown = json;
	const keys = path.replace(/^\$(json|item)\b/, '').matchAll(/\['(.*?)'\]|[^.[\]]+/g);
	for (const [plain, quoted] of keys) {
		const key = quoted ?? plain;
		if (typeof at !== 'object' || at === null || !Object.hasOwn(at, key)) return undefined;
		at = Reflect.get(at, key);
	}
	return at;
}
