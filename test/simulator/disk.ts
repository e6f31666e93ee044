import { createHash } from 'node:crypto';
import { Readable } from 'node:stream';
import { buffer } from 'node:stream/consumers';

import type { BinaryData } from 'n8n-core';
import type { IDataDeduplicator } from 'n8n-workflow';

import type { VirtualClock as DayClock } from '../support/virtualClock';

/** n8n's binary storage, in memory: it outlives the process, as files do. */
export class BinaryStore {
	readonly #files = new Map<string, { bytes: Buffer; metadata: BinaryData.PreWriteMetadata }>();
	#count = 0;

	async store(
		location: BinaryData.FileLocation,
		content: Buffer | Readable,
		metadata: BinaryData.PreWriteMetadata,
	): Promise<BinaryData.WriteResult> {
		const bytes = Buffer.isBuffer(content) ? content : await buffer(content);
		const place =
			location.type === 'execution'
				? `workflows/${location.workflowId}/executions/${location.executionId || 'temp'}`
				: location.pathSegments.join('/');
		const uuid = `bbbbbbbb-0000-4000-8000-${String(this.#count++).padStart(12, '0')}`;
		const fileId = `${place}/binary_data/${uuid}`;
		this.#files.set(fileId, { bytes, metadata });
		return { fileId, fileSize: bytes.length };
	}

	getAsBuffer = async (fileId: string) => await Promise.resolve(this.#get(fileId).bytes);
	getAsStream = async (fileId: string) => Readable.from([await this.getAsBuffer(fileId)]);

	async getMetadata(fileId: string): Promise<BinaryData.Metadata> {
		const { bytes, metadata } = this.#get(fileId);
		return await Promise.resolve({ ...metadata, fileSize: bytes.length });
	}

	/** @returns whether there was such a file */
	async rename(oldFileId: string, newFileId: string): Promise<boolean> {
		const file = this.#files.get(oldFileId);
		if (file) this.#files.set(newFileId, file);
		return await Promise.resolve(this.#files.delete(oldFileId));
	}

	async deleteManyByFileId(fileIds: string[]): Promise<void> {
		for (const fileId of fileIds) this.#files.delete(fileId);
		await Promise.resolve();
	}

	/** The bytes of a binary object, if they are still there. */
	peek(id: string): Buffer | undefined {
		return this.#files.get(id.split(':')[1] ?? '')?.bytes;
	}

	deleteAll(): void {
		this.#files.clear();
	}

	#get(fileId: string) {
		const file = this.#files.get(fileId);
		if (!file) throw new Error(`File not found: ${fileId}`);
		return file;
	}
}

/**
 * n8n's deduplication store: one row per workflow and node ID, a list of MD5 hashes, read and written as
 * a whole (n8n's cli, deduplication-helper.js). Between reading and writing others may write: a write can
 * be lost, as in n8n. A process that dies waits for its answer for ever; its writes may still arrive.
 */
export class Deduplication {
	readonly rows = new Map<string, string[]>();
	/** Writes that nobody has an answer to: a crash leaves some. */
	openWrites = 0;

	constructor(
		private readonly clock: DayClock,
		private readonly latencyMs: number,
	) {}

	async checkProcessedAndRecord(
		...[texts, , context, { maxEntries }]: Parameters<IDataDeduplicator['checkProcessedAndRecord']>
	): ReturnType<IDataDeduplicator['checkProcessedAndRecord']> {
		const row = rowOf(context);
		const stored = await this.#read(row);
		const known = new Set(stored);
		const isProcessed = (text: unknown) => known.has(hash(text));
		const added = texts.filter((text) => !isProcessed(text));
		const list = [...(stored ?? []), ...added.map(hash)];
		if (maxEntries) list.splice(0, list.length - maxEntries);
		await this.#write(row, list, stored === undefined);
		return { new: added, processed: texts.filter(isProcessed) };
	}

	async removeProcessed(
		...[texts, , context]: Parameters<IDataDeduplicator['removeProcessed']>
	): Promise<void> {
		const row = rowOf(context);
		const known = await this.#read(row);
		if (!known) return;
		const list = [...known];
		for (const text of texts) {
			const index = list.indexOf(hash(text));
			if (index !== -1) list.splice(index, 1);
		}
		await this.#write(row, list);
	}

	async getProcessedDataCount(
		...[, context]: Parameters<IDataDeduplicator['getProcessedDataCount']>
	): Promise<number> {
		return (await this.#read(rowOf(context)))?.length ?? 0;
	}

	async #read(row: string): Promise<string[] | undefined> {
		await this.clock.wait(this.latencyMs, 'n8n');
		return this.rows.get(row);
	}

	/** @param isFirst whether the row is to be inserted: of two at once, one fails */
	async #write(row: string, list: string[], isFirst = false): Promise<void> {
		const state = { collides: false };
		this.openWrites++;
		this.clock.after(this.latencyMs / 2, 'service', () => {
			state.collides = isFirst && this.rows.has(row);
			if (!state.collides) this.rows.set(row, list);
		});
		await this.clock.wait(this.latencyMs, 'n8n');
		this.openWrites--;
		if (state.collides) throw new Error('UNIQUE constraint failed: processed_data');
	}
}

function rowOf({ workflow, node }: Parameters<IDataDeduplicator['removeProcessed']>[2]): string {
	return `${workflow.id} n:${node?.id ?? ''}`;
}

function hash(text: unknown): string {
	return createHash('md5').update(String(text)).digest('base64');
}
