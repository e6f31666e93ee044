import type { Day } from './day';
import { FAULTS, HELD_MS } from './faults';
import { JOBS } from './day';
import type { Played } from './run';

/** How often everything came up: what never does is not tested. */
export class Tally {
	readonly #counts = new Map<string, number>();
	dayCount = 0;

	add(played: Played): void {
		const { day, n8n, service, network } = played;
		this.dayCount++;
		for (const [name, value] of choicesOf(day)) this.#count(`${name}: ${value}`);
		for (const [name, count] of service.struck) this.#count(`fault: ${name}`, count);
		if (network.refusedCount > 0) this.#count('fault: refused', network.refusedCount);
		service.emulator.submits.forEach((_, index) => {
			if (day.jobs[index] !== undefined) this.#count(`job: ${day.jobs[index]}`);
		});
		for (const { ending, retryOf, isRerunOf } of n8n.executions) {
			const kind = retryOf ? 'retry' : isRerunOf ? 'run again' : 'execution';
			this.#count(`${kind} ends: ${ending}`);
		}
		this.#count('total: requests', service.emulator.requests.length);
		this.#count('total: paid jobs', service.emulator.submits.length);
		this.#count('total: executions', n8n.executions.length);
	}

	/** @returns a table, with what has never come up at its end */
	toString(): string {
		const byGroup = new Map<string, string[]>();
		for (const [name, count] of [...this.#counts].sort((a, b) => b[1] - a[1])) {
			const [group = '', value = ''] = name.split(': ');
			byGroup.set(group, [...(byGroup.get(group) ?? []), `${value} ${count}`]);
		}
		const rows = [...byGroup]
			.sort()
			.map(([group, values]) => `${group.padEnd(22)} ${values.join(', ')}`);
		const expected = [
			...[...Object.keys(FAULTS), ...Object.keys(HELD_MS), 'refused'].map(
				(name) => `fault: ${name}`,
			),
			...JOBS.map((name) => `job: ${name}`),
		];
		const never = expected.filter((name) => !this.#counts.has(name));
		return [...rows, ...(never.length > 0 ? [`never: ${never.join(', ')}`] : [])].join('\n');
	}

	#count(name: string, by = 1): void {
		this.#counts.set(name, (this.#counts.get(name) ?? 0) + by);
	}
}

const COUNTED_OTHERWISE = new Set(['seed', 'disruption', 'beside', 'refused']);

/** The day's own choices, as far as they can be counted. */
function choicesOf(day: Day): [string, string][] {
	const { options, disruption, retries } = day;
	const values = Object.entries({ ...day, ...options });
	return [
		...values.flatMap(([name, value]): [string, string][] =>
			typeof value === 'object' || COUNTED_OTHERWISE.has(name) ? [] : [[name, String(value)]],
		),
		['beside', day.beside ? 'yes' : 'no'],
		['disruption', disruption ? `${disruption.kind} at ${disruption.at}` : 'none'],
		...retries.flatMap(({ workflow, edit, of, disruption: later }): [string, string][] => [
			['retry of', `${of}, ${workflow}`],
			['edit', edit],
			['disruption of a retry', later?.kind ?? 'none'],
		]),
	];
}
