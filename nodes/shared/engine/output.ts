import type { IBinaryData, IDataObject } from 'n8n-workflow';

import type { JobState } from '../api/answer';
import type { Values } from '../endpoint';
import { toErrorItem } from '../failure';
import { jobFailures } from '../messages';
import type { Download, Downloader } from './download';
import type { OutputItem } from './itemRun';
import type { WaitResult } from './poll';
import type { OutputSettings } from './settings';

/** What the items of one job need beside the job itself. */
export interface OutputContext {
	settings: OutputSettings;
	downloader: Downloader;
	signal: AbortSignal;
	/** What the items repeat of the request, by the API's names. */
	echo: Values;
	/** What to try when the job has failed, as a sentence. */
	adviceIfFailed: string;
	/**
	 * With continue-on-error, an image that cannot be had is an error item between the others: the
	 * index to name in it, if there are several input items.
	 */
	errorItems: { itemIndex: number | undefined } | undefined;
}

/** The item of a job that is not waited for. */
export function submittedItem(jobId: string, echo: Values): OutputItem {
	return { json: itemJson({ job_id: jobId, status: 'Pending' }, echo) };
}

/**
 * The output items of one job.
 *
 * @throws Failure for a job that counts as failed, and for an image that cannot be had
 */
export async function jobItems(result: WaitResult, output: OutputContext): Promise<OutputItem[]> {
	const { job, timedOut, waitedMs, lastReason } = result;
	const { settings, echo } = output;
	const isFailure = settings.onFailed === 'error';
	const item = (more: IDataObject = {}): OutputItem[] => [
		{
			json: itemJson(
				{ job_id: job.jobId, status: job.status, image_urls: [...job.imageUrls], ...more },
				echo,
			),
		},
	];
	if (job.status === 'Succeed') {
		if (job.imageUrls.length === 0) {
			if (isFailure) throw jobFailures.withoutImages(job.jobId);
			return item();
		}
		return settings.outputItems === 'perJob'
			? [await jobItem(job, output)]
			: await imageItems(job, output);
	}
	if (job.status === 'Failed') {
		if (isFailure) throw jobFailures.failed(job.jobId, job.errorMessage, output.adviceIfFailed);
		return item(job.errorMessage === undefined ? {} : { error_message: job.errorMessage });
	}
	if (!timedOut) return item();
	if (settings.onTimeout === 'error') {
		throw jobFailures.timedOut(job, waitedMs, lastReason);
	}
	return item({ timed_out: true, waited_seconds: Math.round(waitedMs / 1000) });
}

async function jobItem(job: JobState, output: OutputContext): Promise<OutputItem> {
	const { settings, echo } = output;
	const downloads = await downloadAll(job, output);
	const binary = new Map<string, IBinaryData>();
	downloads.forEach((download, index) => {
		if ('reason' in download) throw undownloadable(job, index, download.reason, job.imageUrls);
		const suffix = index === 0 ? '' : `_${index}`;
		binary.set(`${settings.outputField}${suffix}`, download.file);
	});
	return {
		json: itemJson({ job_id: job.jobId, status: job.status, image_urls: [...job.imageUrls] }, echo),
		...(binary.size === 0 ? {} : { binary: Object.fromEntries(binary) }),
	};
}

async function imageItems(job: JobState, output: OutputContext): Promise<OutputItem[]> {
	const { settings, echo, errorItems } = output;
	const downloads = await downloadAll(job, output);
	return job.imageUrls.map((url, index) => {
		const download = downloads[index];
		if (download && 'reason' in download) {
			if (!errorItems) throw undownloadable(job, index, download.reason, job.imageUrls);
			return toErrorItem(undownloadable(job, index, download.reason, [url]), errorItems.itemIndex);
		}
		return {
			json: itemJson(
				{
					job_id: job.jobId,
					status: job.status,
					image_url: url,
					image_number: index + 1,
					image_count: job.imageUrls.length,
				},
				echo,
			),
			// fromEntries defines the field whatever its name; a literal would lose "__proto__".
			...(download ? { binary: Object.fromEntries([[settings.outputField, download.file]]) } : {}),
		};
	});
}

async function downloadAll(job: JobState, output: OutputContext): Promise<Download[]> {
	if (!output.settings.downloadImages) return [];
	return await Promise.all(
		job.imageUrls.map(
			async (url, index) =>
				await output.downloader.download(url, `${job.jobId}-${index + 1}`, output.signal),
		),
	);
}

/** @param urls what the data of the failure lists */
function undownloadable(job: JobState, index: number, reason: string, urls: readonly string[]) {
	const url = job.imageUrls[index] ?? '';
	return jobFailures.notDownloaded(job.jobId, url, reason).with({ imageUrls: urls });
}

/** The node's own names come first, and win over the request's, whatever those may be one day. */
function itemJson(own: IDataObject, echo: Values): IDataObject {
	return { ...own, ...(echo as IDataObject), ...own };
}
