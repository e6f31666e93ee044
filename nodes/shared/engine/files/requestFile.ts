import type { IBinaryData, IExecuteFunctions } from 'n8n-workflow';

import type { FileToFetch, RequestFile } from '../../api/request';
import { inputFailures, shortened } from '../../messages';
import { IMAGE_SIGNATURE_BYTES, imageTypeOf, safeFileName, type FileType } from './fileType';

/** A file as n8n's expressions and people's JSON give it: nothing but its type is certain. */
export interface GivenFile {
	mimeType: unknown;
	id?: unknown;
	data?: unknown;
	fileName?: unknown;
}

/** What was found in a file. */
export interface StoredContent {
	bytes: number;
	/** Undefined for what is no image. */
	type: FileType | undefined;
	open: RequestFile['open'];
}

/** The ID of a file in n8n's storage, if it is there. */
export function storageIdOf({ id }: GivenFile): string | undefined {
	return typeof id === 'string' && id !== '' ? id : undefined;
}

/** Whether a file can be opened: n8n 1 leaves the content out of some. */
export function hasContent(file: GivenFile): boolean {
	const { data } = file;
	return storageIdOf(file) !== undefined || typeof data === 'string' || isBytes(data);
}

/**
 * A file of n8n's, checked but not read beyond its first bytes.
 *
 * @param fieldName the binary field it is in, if it is in one
 * @param known what was found in other files, by their IDs
 * @throws Failure when it is gone, empty, or no image
 */
export async function storedFile(
	context: IExecuteFunctions,
	apiName: string,
	fieldName: string | undefined,
	file: GivenFile,
	known: Map<string, Promise<StoredContent>>,
): Promise<RequestFile> {
	const givenName = typeof file.fileName === 'string' ? safeFileName(file.fileName) : '';
	const label = givenName || (fieldName ?? 'file');
	let content: StoredContent;
	try {
		const id = storageIdOf(file);
		const found = known.get(id ?? '') ?? lookInto(context, file);
		if (id !== undefined) known.set(id, found);
		content = await found;
	} catch (error) {
		const reason = error instanceof Error ? error.message : String(error);
		throw inputFailures.unreadableFile(label, fieldName, reason);
	}
	const { bytes, type, open } = content;
	if (bytes === 0) throw inputFailures.emptyFile(label, fieldName);
	if (type === undefined) throw inputFailures.notAnImage(label, fieldName, String(file.mimeType));
	return {
		apiName,
		from: fieldName === undefined ? undefined : { field: fieldName },
		fileName: givenName || `${fieldName ?? 'image'}.${type.extension}`,
		mimeType: type.mimeType,
		bytes,
		open,
	};
}

async function lookInto(context: IExecuteFunctions, file: GivenFile): Promise<StoredContent> {
	const { size, open } = contentOf(context, file);
	return { bytes: await size(), type: imageTypeOf(await firstBytes(await open())), open };
}

/** A file that was fetched into n8n's storage, to be sent on. */
export async function fetchedFile(
	context: IExecuteFunctions,
	{ apiName, urlToFetch }: FileToFetch,
	binary: IBinaryData,
): Promise<RequestFile> {
	const { size, open } = contentOf(context, binary);
	return {
		apiName,
		from: { url: shortened(urlToFetch) },
		fileName: binary.fileName ?? 'image',
		mimeType: binary.mimeType,
		bytes: await size(),
		open,
	};
}

/** The exact size of a file in bytes. */
export async function sizeOf(context: IExecuteFunctions, file: GivenFile): Promise<number> {
	return await contentOf(context, file).size();
}

/** Where the bytes of a file are: in n8n's storage, or with the item. */
function contentOf(context: IExecuteFunctions, file: GivenFile) {
	const id = storageIdOf(file);
	if (id === undefined) {
		// Decoded again each time: all items' bytes at once would take a lot of memory.
		return {
			size: () => Promise.resolve(bytesOf(file.data).length),
			open: () => Promise.resolve(inMemory(bytesOf(file.data))),
		};
	}
	return {
		// `bytes` of the binary data itself is unknown on n8n 1.x.
		size: async () => (await context.helpers.getBinaryMetadata(id)).fileSize,
		open: async () => (await context.helpers.getBinaryStream(id)) as AsyncIterable<Uint8Array>,
	};
}

async function* inMemory(bytes: Buffer): AsyncGenerator<Uint8Array> {
	yield await Promise.resolve(bytes);
}

/** Whether a value is a Buffer, or what JSON makes of one. */
function isBytes(data: unknown): data is Uint8Array | { data: number[] } {
	if (ArrayBuffer.isView(data)) return true;
	return typeof data === 'object' && data !== null && 'data' in data && Array.isArray(data.data);
}

/**
 * The bytes of base64, with or without what data URLs have before it, or of a Buffer. Node.js has no
 * length of base64 that allows for white space, and a request whose length is wrong never ends.
 */
function bytesOf(data: unknown): Buffer {
	if (isBytes(data)) return Buffer.from(ArrayBuffer.isView(data) ? data : data.data);
	const base64 = typeof data === 'string' ? data.replace(/^\s*data:[^,]*;base64,/i, '') : '';
	return Buffer.from(base64, 'base64');
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
