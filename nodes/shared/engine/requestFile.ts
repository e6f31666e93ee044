import type { IBinaryData, IExecuteFunctions } from 'n8n-workflow';

import type { FileToFetch, RequestFile } from '../endpoint';
import { inputFailures, shortened } from '../messages';
import { IMAGE_SIGNATURE_BYTES, imageTypeOf, safeFileName } from './fileType';

/**
 * A file of n8n's, checked but not read beyond its first bytes.
 *
 * @param fieldName the binary field it is in, if it is in one
 * @throws Failure when it is gone, empty, or no image
 */
export async function storedFile(
	context: IExecuteFunctions,
	apiName: string,
	fieldName: string | undefined,
	binary: IBinaryData,
): Promise<RequestFile> {
	const givenName = safeFileName(binary.fileName ?? '');
	const label = givenName || (fieldName ?? 'file');
	const content = contentOf(context, binary);
	let bytes: number;
	let head: Uint8Array;
	try {
		bytes = await content.size();
		head = await firstBytes(await content.open());
	} catch (error) {
		const reason = error instanceof Error ? error.message : String(error);
		throw inputFailures.unreadableFile(label, fieldName, reason);
	}
	if (bytes === 0) throw inputFailures.emptyFile(label, fieldName);
	const type = imageTypeOf(head);
	if (type === undefined) throw inputFailures.notAnImage(label, fieldName, binary.mimeType);
	return {
		apiName,
		from: fieldName === undefined ? undefined : { field: fieldName },
		fileName: givenName || `${fieldName ?? 'image'}.${type.extension}`,
		mimeType: type.mimeType,
		bytes,
		open: content.open,
	};
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

/** Where the bytes of a file are: in n8n's storage, or with the item. */
function contentOf(context: IExecuteFunctions, { id, data }: IBinaryData) {
	if (id === undefined) {
		return {
			size: () => Promise.resolve(Buffer.byteLength(data, 'base64')),
			open: () => Promise.resolve(inMemory(data)),
		};
	}
	return {
		// `bytes` of the binary data itself is unknown on n8n 1.x.
		size: async () => (await context.helpers.getBinaryMetadata(id)).fileSize,
		open: async () => (await context.helpers.getBinaryStream(id)) as AsyncIterable<Uint8Array>,
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
