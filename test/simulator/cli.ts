import { Command } from 'commander';

import { asTest, ruleOf, simulate } from './simulate';
import { Tally } from './tally';

interface Options {
	days: string;
	seed: string;
	first?: true;
	json?: true;
}

const program = new Command()
	.option('--days <number>', 'how many days', '1000')
	.option('--seed <number>', 'of the first day', String(Math.floor(Math.random() * 1e9)))
	.option('--first', 'end with the first finding')
	.option('--json', 'only the result, for programs')
	.parse();

async function main(): Promise<void> {
	const { days, seed, first = false, json = false } = program.opts<Options>();
	const tally = new Tally();
	const startedAtMs = performance.now();
	const findings: { rule: string; seed: number; day: number; problem: string }[] = [];
	const perSecond = (count: number) => (count / (performance.now() - startedAtMs)) * 1000;
	await simulate({
		days: Number(days),
		seed: Number(seed),
		shrinks: json ? 0 : 300,
		tally,
		onFinding: (finding, dayCount) => {
			const { problems } = finding;
			const [problem = ''] = problems;
			findings.push({ rule: ruleOf(problem), seed: finding.seed, day: dayCount, problem });
			if (!json) console.log(`\n${asTest(finding)}\n`);
			return first;
		},
		onProgress: (count) => {
			if (json || count % 500 !== 0) return;
			console.log(
				`${count} days, ${perSecond(count).toFixed(1)} a second, ${findings.length} findings`,
			);
		},
	});
	const rate = perSecond(tally.dayCount).toFixed(1);
	if (json) {
		console.log(JSON.stringify({ days: tally.dayCount, rate, findings }));
		return;
	}
	console.log(`${tally.toString()}\n\nseed ${seed}: ${tally.dayCount} days, ${rate} a second`);
	for (const rule of new Set(findings.map((each) => each.rule))) {
		console.log(`${rule}: ${findings.filter((each) => each.rule === rule).length} days`);
	}
	process.exitCode = findings.length === 0 ? 0 : 1;
}

void main();
