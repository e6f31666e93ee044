import type { IBinaryData, IDataObject, INodeExecutionData } from 'n8n-workflow';

import type { JobState } from '../../api/job';
import type { Values } from '../../api/request';
import { withDefined, type Failure } from '../../failure';
import { jobFailures } from '../../messages';
import type { Download, Downloader } from '../files/download';
import { numberedName } from '../files/fileType';
import type { ImageFacts } from '../files/imageSize';
import { COMBINED_BINARY_KEY } from '../../n8n';
import { isResult, type OutputItem } from './item';
import type { JobSlot } from '../jobs/plan';
import type { WaitResult } from '../jobs/poll';
import type { OutputSettings } from '../check/settings';

/** What the items of one job need besides the job itself. */
export interface OutputContext {
	slot: JobSlot;
	settings: OutputSettings;
	downloader: Downloader;
	signal: AbortSignal;
	/** What the items repeat of the request, by the API's names. */
	echo: Values;
	/** How many frames the job was asked for, if it makes a sheet of them. */
	frames?: number | undefined;
	/** What to try when the job has failed, as a sentence. */
	adviceIfFailed: string;
	/** With continue-on-error, an image that cannot be downloaded is an error item between the others. */
	errorItemFor: ((failure: Failure) => OutputItem) | undefined;
}

/**
 * Names to which n8n gives a meaning: it puts an error in the place of an item with `$error` and `$json`,
 * and cannot add files to an item whose `_files` is no object. A copy of an item that assigns `__proto__`
 * would inherit whatever it holds.
 */
const NAMES_OF_N8N = ['$error', '$json', COMBINED_BINARY_KEY, '__proto__'];

/**
 * These, and every name that an item of the nodes can have. Neither the request nor the input item may
 * set one: n8n runs a node again, and pays again, when its first output item has `error`.
 */
const OWN_NAMES = new Set([
	...NAMES_OF_N8N,
	...['error', 'job_id', 'status', 'image_url', 'image_urls', 'image_number', 'image_count'],
	...['job_number', 'job_count', 'error_message', 'timed_out', 'waited_seconds', 'dry_run'],
	...['files', 'images', 'width', 'height', 'mime_type', 'sheet'],
]);

/** What output items repeat of the values that were sent. */
export function echoOf(values: Values): Values {
	return Object.fromEntries(Object.entries(values).filter(([name]) => !OWN_NAMES.has(name)));
}

/** The items with the input item's JSON, whose names give way to theirs. Error items get none of it. */
export function withInputFields(items: readonly OutputItem[], input: IDataObject): OutputItem[] {
	const copied = Object.entries(input).filter(([name]) => !OWN_NAMES.has(name));
	return items.map((item) =>
		isResult(item) ? { ...item, json: { ...Object.fromEntries(copied), ...item.json } } : item,
	);
}

/** The names of input fields that items lack, or have with another value; not those that only n8n knows. */
export function notCopied(items: readonly OutputItem[], input: IDataObject): string[] {
	const isLost = (name: string) =>
		OWN_NAMES.has(name)
			? !NAMES_OF_N8N.includes(name)
			: items.some(({ json }) => name in json && json[name] !== input[name]);
	return items.every(isResult) ? Object.keys(input).filter(isLost) : [];
}

/** What tells the jobs of one item apart, if there are several. */
function numbered({ jobNumber, jobCount }: JobSlot): IDataObject {
	return jobCount > 1 ? { job_number: jobNumber, job_count: jobCount } : {};
}

/** The item of a job that is not waited for. */
export function submittedItem(slot: JobSlot, jobId: string, echo: Values): OutputItem {
	return { json: itemJson(slot, { job_id: jobId, status: 'Pending' }, echo, {}) };
}

/**
 * The output items of one job.
 *
 * @throws Failure for a job that counts as failed, and for an image that cannot be downloaded
 */
export async function jobItems(result: WaitResult, output: OutputContext): Promise<OutputItem[]> {
	const { job } = result;
	const { settings } = output;
	const isFailure = settings.onFailed === 'error';
	if (result.kind === 'seen') return [jobAsItem(job, output)];
	if (result.kind === 'timedOut') {
		const { waitedMs, wasSeen, lastReason } = result;
		if (settings.onTimeout === 'error') {
			throw wasSeen
				? jobFailures.timedOut(job, waitedMs, lastReason)
				: jobFailures.neverSeen(job.jobId, waitedMs, lastReason ?? '');
		}
		const waited_seconds = Math.round(waitedMs / 1000);
		return [jobAsItem(job, output, { timed_out: true, waited_seconds })];
	}
	if (job.status === 'Failed') {
		if (isFailure) throw jobFailures.failed(job.jobId, job.errorMessage, output.adviceIfFailed);
		return [jobAsItem(job, output, withDefined({ error_message: job.errorMessage }))];
	}
	if (job.imageUrls.length === 0) {
		if (isFailure) throw jobFailures.withoutImages(job.jobId);
		return [jobAsItem(job, output)];
	}
	return settings.outputItems === 'perJob'
		? [await jobItem(job, output)]
		: await imageItems(job, output);
}

function jobAsItem(
	{ jobId, status, imageUrls }: JobState,
	{ slot, echo }: OutputContext,
	more: IDataObject = {},
): OutputItem {
	const own = { job_id: jobId, status };
	return { json: itemJson(slot, own, echo, { image_urls: [...imageUrls], ...more }) };
}

async function jobItem(job: JobState, output: OutputContext): Promise<OutputItem> {
	const downloads = await downloadAll(job, output);
	const files = downloads.map((download, index): [string, IBinaryData] => {
		if ('reason' in download) throw undownloadable(job, index, download.reason, job.imageUrls);
		const suffix = index === 0 ? '' : `_${index}`;
		return [`${output.settings.outputField}${suffix}`, download.file];
	});
	const images = job.imageUrls.map((image_url, index) => ({
		image_url,
		...factsOf(downloads[index]),
	}));
	const item = jobAsItem(job, output, { images, ...sheetOf(downloads[0], output) });
	return files.length === 0 ? item : { ...item, binary: Object.fromEntries(files) };
}

async function imageItems(job: JobState, output: OutputContext): Promise<OutputItem[]> {
	const { slot, settings, echo, errorItemFor } = output;
	const downloads = await downloadAll(job, output);
	return job.imageUrls.map((url, index) => {
		const download = downloads[index];
		if (download && 'reason' in download) {
			if (!errorItemFor) throw undownloadable(job, index, download.reason, job.imageUrls);
			return errorItemFor(undownloadable(job, index, download.reason, [url]));
		}
		return {
			json: itemJson(slot, { job_id: job.jobId, status: job.status }, echo, {
				image_url: url,
				image_number: index + 1,
				image_count: job.imageUrls.length,
				...factsOf(download),
				...(index === 0 ? sheetOf(download, output) : {}),
			}),
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
				await output.downloader.download(url, fileNameOf(job, index, output), output.signal),
		),
	);
}

function factsOf(download: Download | undefined): ImageFacts {
	return download && 'facts' in download ? download.facts : {};
}

/** The grid of a job's first image, whose frames are as many in a row as in a column, if it divides it. */
function sheetOf(download: Download | undefined, { frames }: OutputContext): IDataObject {
	const { width = 0, height = 0 } = factsOf(download);
	const columns = Math.sqrt(frames ?? 0);
	const [frame_width, frame_height] = [width / columns, height / columns];
	const isWhole = [columns, frame_width, frame_height].every(Number.isInteger);
	if (frames === undefined || width === 0 || !isWhole) return {};
	return { sheet: { columns, rows: columns, frame_width, frame_height, frames } };
}

/** Without extension. What tells the files of one name apart is known when all of them are there. */
function fileNameOf(job: JobState, index: number, { settings }: OutputContext): string {
	return settings.fileName === '' ? `${job.jobId}-${index + 1}` : settings.fileName;
}

/**
 * The output of a run, in which no two files have the same name: the second one of a name ends in -2,
 * the third one in -3, and so on. Many file systems take "a" and "A" for the same.
 */
export function withUniqueFileNames(items: readonly INodeExecutionData[]): INodeExecutionData[] {
	const taken = new Set<string>();
	/** The last number behind each name. */
	const numbers = new Map<string, number>();
	const unique = (name: string): string => {
		const key = name.toLowerCase();
		let candidate = name;
		while (taken.has(candidate.toLowerCase())) {
			const number = (numbers.get(key) ?? 1) + 1;
			numbers.set(key, number);
			candidate = numberedName(name, number);
		}
		taken.add(candidate.toLowerCase());
		return candidate;
	};
	const renamed = (file: IBinaryData): IBinaryData => {
		// The downloader has put its own extension behind the name.
		const [, name = '', extension = ''] = /^(.*)(\.[^.]*)$/s.exec(file.fileName ?? '') ?? [];
		return { ...file, fileName: `${unique(name)}${extension}` };
	};
	return items.map(({ binary, ...item }) => {
		if (!binary) return item;
		const files = Object.entries(binary).map(([field, file]): [string, IBinaryData] => [
			field,
			renamed(file),
		]);
		return { ...item, binary: Object.fromEntries(files) };
	});
}

/** @param urls what the data of the failure lists */
function undownloadable(job: JobState, index: number, reason: string, urls: readonly string[]) {
	const url = job.imageUrls[index] ?? '';
	return jobFailures.notDownloaded(job.jobId, url, reason).with({ imageUrls: urls });
}

/** What was asked for stands right behind the job, where a table shows it. */
export function itemJson(
	slot: JobSlot,
	job: IDataObject,
	echo: Values,
	result: IDataObject,
): IDataObject {
	return { ...job, ...(echo as IDataObject), ...result, ...numbered(slot) };
}
