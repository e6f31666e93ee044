import * as fc from 'fast-check';
import { days } from './day';
import { play } from './run';
import { judge } from './rules';
async function main() {
	const n = Number(process.argv[2] ?? 20);
	const seed = Number(process.argv[3] ?? 1);
	const list = fc.sample(days(), { seed, numRuns: n });
	let t = process.hrtime.bigint();
	for (const [i, day] of list.entries()) {
		const p = await play(day);
		const now = process.hrtime.bigint();
		console.log(i, Number(now - t) / 1e6 | 0, 'ms', day.shape, day.endpoint, day.itemCount, p.n8n.executions.map((e) => `${e.id}${e.retryOf ? '<' + e.retryOf.id : ''}:${e.ending}${e.result?.resultData.error ? '(' + e.result.resultData.error.message.slice(0, 90) + ')' : ''}`).join(' '), 'reqs', p.service.emulator.requests.length, 'jobs', p.service.emulator.submits.length, judge(p, false).slice(0, 3).map((e) => `\n   ${i} !! ${e.slice(0, 400)}`).join(''));
		t = process.hrtime.bigint();
	}
}
void main();
