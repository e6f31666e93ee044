import { startEmulator, type Emulator } from '../emulator/emulator';
import {
	BENCH_KEY,
	type ServiceAnswers,
	type ServiceOptions,
	type ServiceQuestion,
	type ServiceReport,
} from './service';

let emulator: Emulator | undefined;

process.on('message', (question: ServiceQuestion) => {
	void answer(question).then((reply) => process.send?.(reply));
});
// The end of whoever started it is the end of it.
process.once('disconnect', () => process.exit());

async function answer(question: ServiceQuestion): Promise<ServiceAnswers[ServiceQuestion['ask']]> {
	if (question.ask === 'start') {
		emulator = await start(question.options);
		return { apiUrl: emulator.apiUrl };
	}
	if (!emulator) throw new Error('It has not been started.');
	if (question.ask === 'report') return reportOf(emulator);
	const { id } = emulator.jobs.add({ durationMs: 0 });
	return { jobId: id, imageUrl: `${emulator.cdnUrl}/results/${id}/1.png` };
}

async function start({ jobDurationMs, resultMegabytes = 0 }: ServiceOptions): Promise<Emulator> {
	const started = await startEmulator({ apiKeys: [BENCH_KEY], jobDurationMs, pictures: false });
	if (resultMegabytes > 0) {
		const times = Infinity;
		started.faults.add({ at: 'download', kind: 'hugeBody', megabytes: resultMegabytes, times });
	}
	return started;
}

function reportOf({ submits, requests }: Emulator): ServiceReport {
	return {
		submits: submits.map(({ files }) => ({
			files: files.length,
			bytes: files.reduce((sum, { bytes }) => sum + bytes, 0),
		})),
		pollsAtMs: requests
			.filter(({ method, server }) => server === 'api' && method === 'GET')
			.map(({ startedAtMs }) => startedAtMs),
		downloads: requests.filter(({ server, status }) => server === 'cdn' && status === 200).length,
		lastAnswerAtMs: Math.max(0, ...requests.map(({ endedAtMs }) => endedAtMs ?? 0)),
	};
}
