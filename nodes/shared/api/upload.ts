import type { JobRequest, RequestFile } from './request';

/** A file part that opens its bytes only when they are sent. */
class StreamedFile extends File {
	/** n8n's HTTP layer makes the Content-Length of it; a wrong number would garble the request. */
	override readonly size: number;

	readonly #file: RequestFile;
	readonly #onRead: () => void;
	readonly #readings: AsyncGenerator<Uint8Array>[] = [];

	constructor(file: RequestFile, onRead: () => void) {
		super([], file.fileName, { type: file.mimeType });
		this.size = file.bytes;
		this.#file = file;
		this.#onRead = onRead;
	}

	override stream(): ReturnType<File['stream']> {
		const reading = this.#read();
		this.#readings.push(reading);
		return ReadableStream.from(reading) as ReturnType<File['stream']>;
	}

	/** Closes what was opened and not read to its end: a server may answer, or not, before that. */
	close(): void {
		for (const reading of this.#readings) reading.return(undefined).catch(() => undefined);
	}

	async *#read(): AsyncGenerator<Uint8Array> {
		yield* await this.#file.open();
		this.#onRead();
	}
}

/** The body of a paid POST, which knows whether all of it has been handed over for sending. */
export class Upload {
	readonly form = new FormData();
	/** The size of its files. */
	readonly bytes: number;
	readonly #files: readonly StreamedFile[];
	#unread: number;

	/** The API takes multipart only, also without files (docs/api.md). */
	constructor({ values, files }: JobRequest) {
		for (const [name, value] of Object.entries(values)) {
			this.form.append(name, typeof value === 'object' ? JSON.stringify(value) : String(value));
		}
		this.#unread = files.length;
		this.bytes = files.reduce((sum, file) => sum + file.bytes, 0);
		this.#files = files.map((file) => {
			const streamed = new StreamedFile(file, () => this.#unread--);
			// A third argument to append would make a plain, empty File of it.
			this.form.append(file.apiName, streamed);
			return streamed;
		});
	}

	/** Ends it, however the request ended. */
	close(): void {
		for (const file of this.#files) file.close();
	}

	/** Without this the server lacks the end of the request, and cannot accept it. */
	get isRead(): boolean {
		return this.#unread <= 0;
	}
}
