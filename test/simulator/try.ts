import * as fc from 'fast-check';
import { days } from './day';
import { play } from './run';
import { judge } from './rules';
import { inspect } from 'node:util';
async function main() {
	const n = Number(process.argv[2] ?? 20);
	const seed = Number(process.argv[3] ?? 1);
	const only = process.argv[4];
	const list = n === 1 ? fc.sample(days(), { seed, numRuns: 1 }) : fc.sample(days(), { seed, numRuns: n });
	let t = process.hrtime.bigint();
	for (const [i, day] of list.entries()) {
		if (only !== undefined && i !== Number(only)) continue;
		const p = await play(day);
		const now = process.hrtime.bigint();
		console.log(i, Number(now - t) / 1e6 | 0, 'ms', day.shape, day.endpoint, day.itemCount, p.n8n.executions.map((e) => `${e.id}${e.retryOf ? '<' + e.retryOf.id : ''}:${e.ending}${e.result?.resultData.error ? '(' + e.result.resultData.error.message.slice(0, 90) + ')' : ''}`).join(' '), 'reqs', p.service.emulator.requests.length, 'jobs', p.service.emulator.submits.length, judge(p, false).slice(0, 3).map((e) => `\n   ${i} !! ${e.slice(0, 400)}`).join(''));
		t = process.hrtime.bigint();
		if (only !== undefined) {
			console.log(inspect(day, { depth: 9 }));
			console.log(p.n8n.log.join('\n'));
			for (const r of p.service.emulator.requests) console.log((r.startedAtMs - 1795348800000) / 1000, ((r.endedAtMs ?? 0) - 1795348800000) / 1000, r.method, r.path, r.status, r.fault, r.jobId?.slice(-4), r.form?.fields.sim);
			for (const e of p.n8n.executions) {
				console.log(e.id, e.ending, (e.startedAtMs - 1795348800000) / 1000, (e.endedAtMs - 1795348800000) / 1000, inspect(e.result?.executionData?.contextData, { depth: 6 }), inspect(e.result?.resultData.error?.message), e.result?.resultData.error?.description);
				for (const node of ['Node', 'Second']) for (const r of e.result?.resultData.runData[node] ?? []) console.log('  ', node, r.executionStatus, inspect(r.data?.main, { depth: 7 }).slice(0, 1500), r.hints);
			}
		}
	}
}
void main();
