import { randomUUID } from 'node:crypto';
import type { ReceivedForm } from './form';

/** A paid POST that was accepted. */
export interface Submit extends ReceivedForm {
	jobId: string;
	/** The path of the endpoint, `/public/v1/generate/image`. */
	endpoint: string;
	acceptedAtMs: number;
}

export type ImageFormat = 'png' | 'gif';

/** What becomes of a job once its time is up. */
export interface Outcome {
	/** `Succeed`, `Failed`, or a status nobody has documented. */
	status: string;
	/** One result per entry. They are listed for `Succeed` only. */
	images: readonly ImageFormat[];
	/** How `image_urls` looks; everything but `strings` is undocumented. */
	imageUrls: 'strings' | 'absent' | 'url';
	/** Further keys of the answer, `error_message` for instance. */
	extra: Readonly<Record<string, unknown>>;
}

/** A job. Everything that is not read-only may be changed by a test at any time. */
export interface Job {
	readonly id: string;
	readonly createdAtMs: number;
	/** From creation until the outcome shows; `Infinity`: pending forever. */
	durationMs: number;
	outcome: Outcome;
	/** The words of its submit without their tags, and all fields: what its results show. */
	readonly prompt: string;
	readonly fields: Submit['fields'];
}

/** How a new job differs from the usual one. */
export type JobWish = Partial<Omit<Job, 'createdAtMs' | 'outcome'>> & {
	outcome?: Partial<Outcome>;
};

interface TagEffect {
	outcome?: Partial<Outcome>;
	/** Factor of the job's duration. */
	slowness?: number;
}

const failed = { status: 'Failed' };
const extra = { error_message: 'The prompt asked for this failure.' };

/** Words in a prompt that control the outcome of its job, for people who develop workflows; N: a number. */
export const PROMPT_TAGS: readonly [tag: string, help: string, (n: number) => TagEffect][] = [
	['#fail', 'the job ends as Failed', () => ({ outcome: failed })],
	['#fail-message', 'the job fails and says why', () => ({ outcome: { ...failed, extra } })],
	['#slow', 'the job takes ten times as long', () => ({ slowness: 10 })],
	['#never', 'the job stays Pending forever', () => ({ slowness: Infinity })],
	['#images-N', 'the job gives N images (0 to 99)', (n) => ({ outcome: { images: pngs(n) } })],
	['#gif', 'the job gives a PNG and a GIF', () => ({ outcome: { images: ['png', 'gif'] } })],
];

function pngs(count: number): ImageFormat[] {
	return Array<ImageFormat>(count).fill('png');
}

/** The prompt without its tags, and what they ask for together. */
export function readPromptTags(prompt: string): { text: string } & Required<TagEffect> {
	const read = { text: prompt, slowness: 1, outcome: {} };
	for (const [tag, , effectOf] of PROMPT_TAGS) {
		const pattern = new RegExp(`(?<!\\S)${tag.replace('N', '(\\d{1,2})')}(?!\\S)`);
		const found = pattern.exec(prompt);
		if (!found) continue;
		const { outcome, slowness = 1 } = effectOf(Number(found[1]));
		Object.assign(read.outcome, outcome);
		read.slowness *= slowness;
		read.text = read.text.replace(pattern, '').trim();
	}
	return read;
}

/** All jobs of an emulator, by id. */
export class Jobs {
	private readonly byId = new Map<string, Job>();

	constructor(
		private readonly now: () => number,
		private readonly usualDurationMs: number,
	) {}

	/** Makes a job without a submit, as if someone had paid for it before. */
	add(wish: JobWish = {}): Job {
		const job: Job = {
			id: randomUUID(),
			createdAtMs: this.now(),
			durationMs: this.usualDurationMs,
			prompt: '',
			fields: {},
			...wish,
			outcome: {
				status: 'Succeed',
				images: ['png'],
				imageUrls: 'strings',
				extra: {},
				...wish.outcome,
			},
		};
		this.byId.set(job.id, job);
		return job;
	}

	find(id: string): Job | undefined {
		return this.byId.get(id);
	}

	/** @throws when there is no such job */
	get(id: string): Job {
		const job = this.byId.get(id);
		if (!job) throw new Error(`The emulator has no job ${id}`);
		return job;
	}

	/** In the order of their making. */
	all(): Job[] {
		return [...this.byId.values()];
	}

	/** Ends a job now, with the outcome it has or the given one. */
	finish(id: string, outcome: Partial<Outcome> = {}): void {
		const job = this.get(id);
		job.outcome = { ...job.outcome, ...outcome };
		job.durationMs = this.now() - job.createdAtMs;
	}

	/** The body of `GET /public/v1/job/{id}` at this moment. */
	answerOf({ id, createdAtMs, durationMs, outcome }: Job, cdnUrl: string): object {
		if (this.now() - createdAtMs < durationMs) {
			return { job_id: id, status: 'Pending', image_urls: [] };
		}
		const { status, images, imageUrls: shape } = outcome;
		const results = status === 'Succeed' ? images : [];
		const urls = results.map((format, index) => {
			const url = `${cdnUrl}/results/${id}/${index + 1}.${format}`;
			return shape === 'strings' ? url : { [shape]: url };
		});
		const listed = shape === 'absent' ? {} : { image_urls: urls };
		return { job_id: id, status, ...listed, ...outcome.extra };
	}
}
