import type { IDataObject, IExecuteFunctions, INodeProperties } from 'n8n-workflow';

import { isHttpUrl } from '../../api/fetchFile';
import { choicesOf, type FilesField } from '../../endpoint';
import type { FileToFetch, RequestFile, Values } from '../../api/request';
import { inputFailures } from '../../messages';
import { isFileContent } from '../files/fileType';
import { COMBINED_BINARY_KEY } from '../../n8n';
import type { KnownFiles } from '../files/knownFiles';
import { asChoice, typeName, type ParameterReader } from './parameters';
import { hasContent, storageIdOf, storedFile, type GivenFile } from '../files/requestFile';

/** "image_2" comes before "image_10". */
const naturalOrder = new Intl.Collator('en', { numeric: true });

/** What JavaScript makes of a file that an expression puts into a text. */
const OBJECT_AS_TEXT = '[object Object]';

/** How many commas the name of a field may have, plus one. */
const MOST_PARTS = 10;

/** The files that an item has. */
interface ItemFiles {
	/** By the names of their binary fields. */
	named: Partial<Record<string, GivenFile>>;
	/** The JSON in which paths may lead to more, if the workflow keeps its files there. */
	json: IDataObject | undefined;
}

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
	const item = filesOf(input, itemIndex);
	const given = givenFiles(input, field, itemIndex, from, item);
	const isByUrl = from === 'urls';
	if (given.length > limit.max) {
		throw inputFailures.tooManyFiles(limit.subject, field, limit.max, given.length, isByUrl);
	}
	const label = from === 'all' ? field.source.displayName : field.names.displayName;
	const { context, knownFiles } = input;
	const files: (RequestFile | FileToFetch)[] = [];
	for (const each of given) {
		if (each instanceof URL) {
			files.push({ apiName: field.apiName, urlToFetch: each.href });
			continue;
		}
		const isNamed = typeof each === 'string';
		const file = isNamed
			? namedFile(item, each, label)
			: ownFile(item, knownFiles, each, field.names);
		const id = storageIdOf(file);
		if (id !== undefined && knownFiles.isForeign(id)) throw inputFailures.otherWorkflowsFile(label);
		const name = isNamed ? each : undefined;
		files.push(await storedFile(context, field.apiName, name, file, knownFiles.contents));
	}
	return files;
}

/**
 * The item's files. Its JSON holds them only where the workflow says so: otherwise anyone who writes the
 * JSON could name any file in n8n's storage.
 */
function filesOf({ context, knownFiles }: InputFileReader, itemIndex: number): ItemFiles {
	const item = context.getInputData()[itemIndex];
	const json = knownFiles.isCombined ? item?.json : undefined;
	const files: Record<string, unknown> = { ...(json?.[COMBINED_BINARY_KEY] as object | undefined) };
	const combined = Object.entries(files).filter(([, file]) => isFile(file) && hasContent(file));
	// Without a prototype a field can have any name.
	const named = Object.create(null) as ItemFiles['named'];
	const binary = Object.entries(item?.binary ?? {}).filter(([, file]) => isFile(file));
	return { named: Object.assign(named, Object.fromEntries([...combined, ...binary])), json };
}

/** Where the files come from. */
type Source = 'none' | 'all' | 'named' | 'urls';

/** What the choices of the parameters stand for: a single file has other words than several. */
const SOURCES: Readonly<Record<string, Source>> = {
	none: 'none',
	all: 'all',
	selected: 'named',
	binary: 'named',
	urls: 'urls',
	url: 'urls',
};

function sourceOf(
	{ reader, isTool }: InputFileReader,
	source: INodeProperties,
	itemIndex: number,
): Source {
	// A tool has no input item whose files could be meant.
	const choices = choicesOf(source).filter((choice) => choice !== 'all' || !isTool);
	const choice = asChoice(
		reader.read(source.name, itemIndex, source.default),
		source.displayName,
		choices,
	);
	return SOURCES[String(choice)] ?? 'named';
}

/** What the parameters name, in the order in which it is sent. */
function givenFiles(
	{ reader, isTool }: InputFileReader,
	{ source, names, urls, limit, noun }: FilesField,
	itemIndex: number,
	from: Exclude<Source, 'none'>,
	item: ItemFiles,
): (string | GivenFile | URL)[] {
	switch (from) {
		case 'all': {
			const available = namesOf(item);
			if (available.length > 0) return available;
			throw inputFailures.noFieldAtAll(source.displayName, noun.many);
		}
		case 'urls': {
			const given = urlsIn(
				reader.read(urls.name, itemIndex, urls.default),
				urls.displayName,
				limit.max > 1,
			);
			// People who choose URLs mean one; for a tool it is all there is to choose.
			const isRequired = limit.min > 0 || !isTool;
			if (given.length === 0 && isRequired) throw inputFailures.blankValue(urls.displayName);
			return given;
		}
		case 'named': {
			const [label, isList] = [names.displayName, limit.max > 1];
			const given = filesIn(reader.read(names.name, itemIndex, names.default), label, isList, item);
			if (given.length === 0) throw inputFailures.noFieldNames(label, isList);
			return given;
		}
	}
}

function namesOf({ named }: ItemFiles): string[] {
	return Object.keys(named).sort(naturalOrder.compare);
}

/** One URL; where several are possible, a list by white space or commas, a list, or one as JSON. */
function urlsIn(given: unknown, label: string, isList: boolean): URL[] {
	const entries = Array.isArray(given)
		? (given as unknown[])
		: urlOf(given) === given
			? textsIn(given, label, isList)
			: [given];
	return entries.map((entry, index) => {
		const url = urlOf(entry);
		if (typeof url !== 'string') throw inputFailures.unusableEntry(label, index + 1, typeName(url));
		if (isFileContent(url)) throw inputFailures.contentAsText(label);
		if (!isHttpUrl(url) || /\s/.test(url.trim())) throw inputFailures.unusableUrl(label, url);
		return new URL(url);
	});
}

/** The URL in an attachment of Airtable (`url`) or Notion (`file.url`, `external.url`), or the entry. */
function urlOf(entry: unknown): unknown {
	if (typeof entry !== 'object' || entry === null) return entry;
	const { url, file, external } = entry as Record<string, unknown>;
	const inner = [url, ...[file, external].map((each) => (each as { url?: unknown } | null)?.url)];
	return inner.find((each) => typeof each === 'string') ?? entry;
}

function textsIn(given: unknown, label: string, isList: boolean): unknown[] {
	if (given === null || given === undefined) return [];
	if (typeof given !== 'string') throw inputFailures.valueOfWrongType(label, typeName(given));
	if (isFileContent(given)) throw inputFailures.contentAsText(label);
	if (!isList) return given.trim() === '' ? [] : [given.trim()];
	if (given.trim().startsWith('[')) return listIn(given, label);
	// A comma can be part of a URL.
	return given.split(/\s+|,(?=\s*https?:\/\/)/i).filter((url) => url !== '');
}

function listIn(json: string, label: string): unknown[] {
	try {
		return JSON.parse(json) as unknown[];
	} catch (error) {
		// What JSON.parse quotes of the text may be secret.
		const reason = error instanceof Error ? error.message.replace(/,? ?(\.{3})?"[^]*$/, '') : '';
		throw inputFailures.invalidJson(label, reason, 'a JSON list of URLs');
	}
}

/** Names of binary fields, and files that an expression gives. */
function filesIn(
	given: unknown,
	label: string,
	isList: boolean,
	item: ItemFiles,
): (string | GivenFile)[] {
	if (Array.isArray(given)) {
		return given.flatMap((each: unknown, index) => {
			const files = filesIn(each, label, false, item);
			// Two files are meant where two are named: a job with the rest would be charged, too.
			if (files.length === 0) throw inputFailures.emptyEntry(label, index + 1);
			return files;
		});
	}
	if (given === null || given === undefined) return [];
	if (isFile(given)) return [given];
	if (typeof given !== 'string' && typeof given !== 'number') {
		throw inputFailures.valueOfWrongType(label, typeName(given));
	}
	const text = String(given);
	if (text.includes(OBJECT_AS_TEXT)) throw inputFailures.textAndFile(label);
	if (isFileContent(text)) throw inputFailures.contentAsText(label);
	if (fileNamed(item, text) !== undefined) return [text];
	const names = isList ? namesIn(text, item) : [text.trim()];
	return names.filter((name) => name !== '');
}

/** Commas separate names, unless they are part of one: the longest name that is a field's counts. */
function namesIn(text: string, item: ItemFiles): string[] {
	const parts = text.split(',');
	const names: string[] = [];
	for (let from = 0, to: number; from < parts.length; from = to) {
		const joined = () => parts.slice(from, to).join(',').trim();
		to = Math.min(parts.length, from + MOST_PARTS);
		while (to > from + 1 && fileNamed(item, joined()) === undefined) to--;
		names.push(joined());
	}
	return names;
}

function isFile(value: unknown): value is GivenFile {
	return typeof value === 'object' && value !== null && 'mimeType' in value;
}

function namedFile(item: ItemFiles, name: string, label: string): GivenFile {
	const file = fileNamed(item, name);
	if (file === undefined) throw inputFailures.unknownField(name, namesOf(item), label);
	return file;
}

/** The file in a binary field or, where files are part of the JSON, at a path as n8n's own nodes take. */
function fileNamed({ named, json }: ItemFiles, name: string): GivenFile | undefined {
	const atPath = named[name] === undefined ? valueAt(json, name) : undefined;
	return isFile(atPath) && hasContent(atPath) ? atPath : named[name];
}

/** A file by expression. An ID opens any file in n8n's storage, so it has to be one of this run's. */
function ownFile(
	{ named }: ItemFiles,
	knownFiles: KnownFiles,
	given: GivenFile,
	{ name, displayName: label }: INodeProperties,
): GivenFile {
	const id = storageIdOf(given);
	if (id !== undefined && !knownFiles.has(id, name)) throw inputFailures.foreignFile(label);
	if (hasContent(given)) return given;
	// With files in memory n8n 1.x leaves the content out of $binary: the item's own file has it.
	const [own, ...others] = Object.values(named).filter(
		(file) =>
			file !== undefined &&
			Object.entries(given).every(([key, value]) => Reflect.get(file, key) === value),
	);
	if (own === undefined || others.length > 0) throw inputFailures.fileWithoutContent(label);
	return own;
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

/** How many files of a field the API takes together with these values. */
export function maxFiles({ limit: { max, by } }: FilesField, values: Values): number {
	const value = by && values[by.apiName];
	return typeof value === 'string' && by && Object.hasOwn(by.max, value)
		? (by.max[value] ?? max)
		: max;
}
