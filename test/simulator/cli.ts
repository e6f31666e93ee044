import { JOBS } from './day';
import { FAULT_NAMES } from './faults';
import { asTest, playDays, ruleOf } from './simulate';

/** What scripts/simulate.ts asks of one of its processes. */
export interface Part {
	days: number;
	/** Of the first day. */
	seed: number;
	/** Ends with the first finding. */
	first: boolean;
	/** Writes nothing but the result. */
	json: boolean;
}

export interface Finding {
	rule: string;
	day: number;
	seed: number;
	problem: string;
}

async function main({ days, seed, first, json }: Part): Promise<void> {
	const startedAtMs = performance.now();
	const findings: Finding[] = [];
	/** The faults and kinds of jobs that came up: what never does is not tested. */
	const seen = new Set<string>();
	let count = 0;
	const summary = () => {
		const rate = (count / (performance.now() - startedAtMs)) * 1000;
		return `${count} days, ${rate.toFixed(1)} a second, ${findings.length} findings`;
	};
	await playDays({
		days,
		seed,
		shrinks: json ? 0 : 300,
		onDay: ({ day, service, network }) => {
			count++;
			for (const name of service.faultOf.values()) seen.add(name);
			for (const job of day.jobs.slice(0, service.emulator.submits.length)) seen.add(job);
			if (network.refusedCount > 0) seen.add('refused');
			if (!json && count % 500 === 0) console.log(summary());
		},
		onFinding: (finding) => {
			const [problem = ''] = finding.problems;
			findings.push({ rule: ruleOf(problem), seed: finding.seed, day: count, problem });
			if (!json) console.log(`\n${asTest(finding)}\n`);
			return first;
		},
	});
	if (json) {
		console.log(JSON.stringify({ days: count, findings }));
		return;
	}
	const unseen = [...FAULT_NAMES, ...JOBS, 'refused'].filter((name) => !seen.has(name));
	if (count >= 1000 && unseen.length > 0) console.log(`never came up: ${unseen.join(', ')}`);
	console.log(`seed ${seed}: ${summary()}`);
	for (const rule of new Set(findings.map((each) => each.rule))) {
		console.log(`${rule}: ${findings.filter((each) => each.rule === rule).length} days`);
	}
	process.exitCode = findings.length === 0 ? 0 : 1;
}

void main(JSON.parse(process.argv[2] ?? '') as Part);
