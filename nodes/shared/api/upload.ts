import type { JobRequest, RequestFile } from '../endpoint';

/** A file part that opens its bytes only when they are sent. */
class StreamedFile extends File {
	/** n8n's HTTP layer makes the Content-Length of it; a wrong number would garble the request. */
	override readonly size: number;

	readonly #file: RequestFile;
	readonly #onRead: () => void;

	constructor(file: RequestFile, onRead: () => void) {
		super([], file.fileName, { type: file.mimeType });
		this.size = file.bytes;
		this.#file = file;
		this.#onRead = onRead;
	}

	override stream(): ReturnType<File['stream']> {
		return ReadableStream.from(this.#read()) as ReturnType<File['stream']>;
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
	#unread: number;

	/** The API takes multipart only, also without files (docs/api.md). */
	constructor({ values, files }: JobRequest) {
		for (const [name, value] of Object.entries(values)) {
			this.form.append(name, typeof value === 'object' ? JSON.stringify(value) : String(value));
		}
		this.#unread = files.length;
		this.bytes = files.reduce((sum, file) => sum + file.bytes, 0);
		for (const file of files) {
			// A third argument to append would make a plain, empty File of it.
			this.form.append(file.apiName, new StreamedFile(file, () => this.#unread--));
		}
	}

	/** Without this the server lacks the end of the request, and cannot accept it. */
	get isRead(): boolean {
		return this.#unread <= 0;
	}
}
