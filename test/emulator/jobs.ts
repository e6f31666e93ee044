import { randomUUID } from 'node:crypto';
import type { Artwork } from './artwork';
import type { KeptFile, ReceivedFile } from './form';

/** A paid POST that was accepted. */
export interface Submit {
	jobId: string;
	/** The path of the endpoint, `/public/v1/generate/image`. */
	endpoint: string;
	fields: Readonly<Record<string, string>>;
	files: readonly ReceivedFile[];
	acceptedAtMs: number;
}

/** How `image_urls` looks in the answer of a finished job; everything but `strings` is undocumented. */
export type ImageUrlsShape = 'strings' | 'absent' | 'url' | 'imageUrl' | 'contentUrl';

export type ImageFormat = 'png' | 'gif';

/** What becomes of a job once its time is up. */
export interface Outcome {
	/** `Succeed`, `Failed`, or a status nobody has documented. */
	status: string;
	/** One result per entry. They are listed for `Succeed` only. */
	images: readonly ImageFormat[];
	imageUrls: ImageUrlsShape;
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
	/** What the picture is of. */
	readonly subject: PictureSubject;
}

/** What a result picture shows. */
export interface PictureSubject {
	prompt: string;
	model: string;
	/** The files of the submit that were small enough to keep. */
	references: readonly KeptFile[];
	artwork: Artwork;
}

/** What a prompt tag changes about its job. */
export interface TagEffect {
	outcome: Partial<Outcome>;
	/** Factor of the job's duration. */
	slowness?: number;
}

interface PromptTag {
	/** As written by people. */
	usage: string;
	pattern: RegExp;
	help: string;
	effect: (argument: number) => TagEffect;
}

/** Words in a prompt that control the outcome of its job, for people who develop workflows. */
export const PROMPT_TAGS: readonly PromptTag[] = [
	{
		usage: '#fail',
		pattern: /(?:^|\s)#fail(?=\s|$)/,
		help: 'the job ends as Failed',
		effect: () => ({ outcome: { status: 'Failed' } }),
	},
	{
		usage: '#fail-message',
		pattern: /(?:^|\s)#fail-message(?=\s|$)/,
		help: 'the job ends as Failed, with an error_message (undocumented, but seen by clients)',
		effect: () => ({
			outcome: {
				status: 'Failed',
				extra: { error_message: 'The prompt asked for this failure.' },
			},
		}),
	},
	{
		usage: '#slow',
		pattern: /(?:^|\s)#slow(?=\s|$)/,
		help: 'the job takes ten times as long',
		effect: () => ({ outcome: {}, slowness: 10 }),
	},
	{
		usage: '#never',
		pattern: /(?:^|\s)#never(?=\s|$)/,
		help: 'the job stays Pending forever',
		effect: () => ({ outcome: {}, slowness: Infinity }),
	},
	{
		usage: '#images-N',
		pattern: /(?:^|\s)#images-(\d{1,2})(?=\s|$)/,
		help: 'the job gives N images (0 to 99)',
		effect: (count) => ({ outcome: { images: Array<ImageFormat>(count).fill('png') } }),
	},
	{
		usage: '#gif',
		pattern: /(?:^|\s)#gif(?=\s|$)/,
		help: 'the job gives a PNG and a GIF of the same picture',
		effect: () => ({ outcome: { images: ['png', 'gif'] } }),
	},
];

/** The prompt without its tags, and what they ask for together. */
export function readPromptTags(prompt: string): { text: string; effects: TagEffect[] } {
	let text = prompt;
	const effects: TagEffect[] = [];
	for (const tag of PROMPT_TAGS) {
		const found = tag.pattern.exec(prompt);
		if (!found) continue;
		effects.push(tag.effect(Number(found[1] ?? 0)));
		text = text.replace(tag.pattern, '');
	}
	return { text: text.trim(), effects };
}

/** How a new job differs from the usual one. */
export interface JobWish {
	/** Absent: a random UUID. */
	id?: string;
	durationMs?: number;
	outcome?: Partial<Outcome>;
	subject?: Partial<PictureSubject>;
}

/** All jobs of an emulator, by id. */
export class Jobs {
	private readonly byId = new Map<string, Job>();

	constructor(
		private readonly now: () => number,
		private readonly usual: { durationMs: number; imagesPerJob: number },
	) {}

	/** Makes a job without a submit, as if someone had paid for it before. */
	add(wish: JobWish = {}): Job {
		const job: Job = {
			id: wish.id ?? randomUUID(),
			createdAtMs: this.now(),
			durationMs: wish.durationMs ?? this.usual.durationMs,
			outcome: {
				status: 'Succeed',
				images: Array<ImageFormat>(this.usual.imagesPerJob).fill('png'),
				imageUrls: 'strings',
				extra: {},
				...wish.outcome,
			},
			subject: {
				prompt: '',
				model: '',
				references: [],
				artwork: { kind: 'scene' },
				...wish.subject,
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
	answerOf(job: Job, cdnUrl: string): Record<string, unknown> {
		if (this.now() - job.createdAtMs < job.durationMs) {
			return { job_id: job.id, status: 'Pending', image_urls: [] };
		}
		const { status, images, imageUrls, extra } = job.outcome;
		const urls =
			status === 'Succeed'
				? images.map((format, index) => `${cdnUrl}/results/${job.id}/${index + 1}.${format}`)
				: [];
		return {
			job_id: job.id,
			status,
			...(imageUrls === 'absent' ? {} : { image_urls: shaped(urls, imageUrls) }),
			...extra,
		};
	}
}

function shaped(urls: string[], shape: Exclude<ImageUrlsShape, 'absent'>): unknown[] {
	return shape === 'strings' ? urls : urls.map((url) => ({ [shape]: url }));
}
