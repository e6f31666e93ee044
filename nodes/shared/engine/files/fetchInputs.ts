import type { IExecuteFunctions } from 'n8n-workflow';

import type { Clock } from '../../clock';
import type { FileToFetch, JobDraft, JobRequest, RequestFile } from '../../api/request';
import { inputFailures } from '../../messages';
import { Downloader, INPUTS, type Download } from './download';
import { fileNameIn } from './fileType';
import { fetchedFile } from './requestFile';

/** Fetches the files that the requests of a run name by URL, each URL once. */
export class InputFetcher {
	readonly #context: IExecuteFunctions;
	readonly #signal: AbortSignal;
	readonly #downloader: Downloader;
	readonly #downloads = new Map<string, Promise<Download>>();

	/** @param signal ends what is in progress */
	constructor(context: IExecuteFunctions, clock: Clock, signal: AbortSignal) {
		this.#context = context;
		this.#signal = signal;
		this.#downloader = new Downloader(context, clock, INPUTS);
	}

	/**
	 * The request with all of its files in n8n's storage.
	 * @throws Failure naming the URL whose file could not be fetched, or is not an image
	 */
	async complete({ path, values, files }: JobDraft): Promise<JobRequest> {
		const fetched = files.map(async (file) =>
			'urlToFetch' in file ? await this.#fetch(file) : file,
		);
		return { path, values, files: await Promise.all(fetched) };
	}

	async #fetch(file: FileToFetch): Promise<RequestFile> {
		const { urlToFetch: url } = file;
		const download =
			this.#downloads.get(url) ?? this.#downloader.download(url, fileNameIn(url), this.#signal);
		this.#downloads.set(url, download);
		const result = await download;
		if ('file' in result) return await fetchedFile(this.#context, file, result.file);
		throw inputFailures.unfetchable(url, result.reason);
	}
}
