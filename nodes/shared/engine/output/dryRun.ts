import type { IDataObject } from 'n8n-workflow';

import type { Endpoint } from '../../endpoint';
import type { JobRequest } from '../../api/request';
import { hints } from '../../messages';
import type { OutputItem } from './item';
import type { JobBook } from '../jobs/jobBook';
import { echoOf, itemJson } from './output';
import { lowestLimit, type JobSlot, type SubmitPlan } from '../jobs/plan';

/** What would be sent: the files by their API names, with the binary fields or URLs they come from. */
export function dryRunItem(slot: JobSlot, { values, files }: JobRequest): OutputItem {
	const byField: Record<string, IDataObject[]> = {};
	for (const { apiName, from, fileName, mimeType, bytes } of files) {
		const described = { ...from, file_name: fileName, mime_type: mimeType, bytes };
		(byField[apiName] ??= []).push(described);
	}
	return { json: itemJson(slot, { dry_run: true }, echoOf(values), { files: byField }) };
}

/** How many jobs would be started, by what decides their price, and what would become of the rest. */
export function dryRunHint(
	{ name, pricedBy }: Endpoint,
	book: JobBook,
	dryRuns: readonly SubmitPlan[],
): string {
	const counts = new Map<string, number>();
	let resumed = 0;
	let withheld = 0;
	for (const { slot, settings, submit } of dryRuns) {
		const entry = book.recalled(slot);
		if (entry && 'jobId' in entry && !entry.hasFailed) {
			resumed++;
			continue;
		}
		if (entry && 'outcomeUnknown' in entry && !settings.resubmitIfUnknown) {
			withheld++;
			continue;
		}
		const price = pricedBy === undefined ? undefined : submit.values[pricedBy];
		const by = typeof price === 'string' ? price : name;
		counts.set(by, (counts.get(by) ?? 0) + 1);
	}
	const starting = dryRuns.filter(({ slot }) => !book.recalled(slot));
	const limit = lowestLimit(starting);
	const isRefused = book.countedJobs + starting.length > limit;
	const isAlone = book.counts.started + book.counts.unknown === 0;
	return hints.dryRun([...counts], resumed, {
		withheld,
		limit: isRefused ? limit : undefined,
		isAlone,
	});
}
