import { fork } from 'node:child_process';
import { once } from 'node:events';
import { join } from 'node:path';

export const BENCH_KEY = 'bench-key';

export interface ServiceOptions {
	jobDurationMs: number;
	/** Grows every result by so many megabytes. */
	resultMegabytes?: number;
}

/** What a service has seen so far; times are of the clock that all processes share. */
export interface ServiceReport {
	submits: { files: number; bytes: number }[];
	pollsAtMs: number[];
	downloads: number;
	/** When the last answer was over. */
	lastAnswerAtMs: number;
}

/** What the process of a service is asked, and says. */
export type ServiceQuestion =
	| { ask: 'start'; options: ServiceOptions }
	| { ask: 'report' }
	/** A job that is finished already. */
	| { ask: 'finishedJob' };
export interface ServiceAnswers {
	start: { apiUrl: string };
	report: ServiceReport;
	finishedJob: { jobId: string; imageUrl: string };
}

/** An emulator in a process of its own, so that its memory and work are not n8n's, nor the bench's. */
export interface Service {
	apiUrl: string;
	report(): Promise<ServiceReport>;
	finishedJob(): Promise<ServiceAnswers['finishedJob']>;
	stop(): Promise<void>;
}

/** Whoever calls this must `stop` it. */
export async function startService(options: ServiceOptions): Promise<Service> {
	const child = fork(join(__dirname, 'serviceProcess.ts'));
	const exited = once(child, 'exit');
	async function ask<Q extends ServiceQuestion>(question: Q): Promise<ServiceAnswers[Q['ask']]> {
		const answered = once(child, 'message') as Promise<[ServiceAnswers[Q['ask']]]>;
		child.send(question);
		const answer = await Promise.race([answered, exited.then(() => undefined)]);
		if (answer === undefined) throw new Error('The emulator has ended.');
		return answer[0];
	}
	const { apiUrl } = await ask({ ask: 'start', options });
	return {
		apiUrl,
		report: async () => await ask({ ask: 'report' }),
		finishedJob: async () => await ask({ ask: 'finishedJob' }),
		stop: async () => {
			child.kill();
			await exited;
		},
	};
}
