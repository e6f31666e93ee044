/** What a {@link Failure} knows; everything past the two texts is for workflows to read. */
interface FailureFacts {
	/** What happened. */
	message: string;
	/** What to do. */
	description: string;
	/** The job that the texts name. */
	jobId?: string;
	/** Whether that job has been charged, or may have been, where that is known by itself. */
	charge?: 'certain' | 'possible';
	/** Whether a retry of the execution, and Get Job, collect that job. */
	isCollectable?: boolean;
	/** The last status that the API gave for the job. */
	status?: string;
	imageUrls?: readonly string[] | undefined;
	httpStatus?: number | undefined;
	/** Which of an item's jobs it is, if the item starts several. */
	jobNumber?: number;
	jobCount?: number;
	/** Whether every other item would meet the same, so that nothing more is worth sending. */
	concernsAllItems?: boolean;
	/** Whether a job may exist, and be charged, although no job ID came back. */
	outcomeUnknown?: boolean;
	/** Whether a retry resends the request anyway, as the user wants. */
	isResubmitted?: boolean;
}

/** The one class of what goes wrong for an item. n8n's own error classes are made from it at the end. */
export class Failure extends Error {
	readonly facts: Readonly<FailureFacts>;

	constructor(facts: FailureFacts) {
		super(facts.message);
		this.name = 'Failure';
		this.facts = facts;
	}

	/** The same with facts that were not known where it arose. */
	with(facts: Partial<FailureFacts>): Failure {
		return new Failure({ ...this.facts, ...facts });
	}

	/** The same for one of an item's jobs, if the item starts several. */
	of({ jobNumber, jobCount }: { jobNumber: number; jobCount: number }): Failure {
		return jobCount > 1 ? this.with({ jobNumber, jobCount }) : this;
	}
}

/** The most that a text repeats of what users, servers, and n8n have written. */
const LONGEST_EXCERPT = 200;
/** n8n's descriptions are whole sentences of advice. */
const LONGEST_DESCRIPTION = 400;

/** The start of a text that may be of any length, in whole characters. */
export function excerpt(text: string, longest = LONGEST_EXCERPT): string {
	if (text.length <= longest) return text;
	return `${text.slice(0, longest - 1).replace(/[\ud800-\udbff]$/, '')}…`;
}

/** Anything that is thrown, as a failure: n8n's own, of an expression say, keep their words. */
export function asFailure(error: unknown): Failure {
	if (error instanceof Failure) return error;
	const { message, description } = error as { message?: unknown; description?: unknown };
	return new Failure({
		message: excerpt(typeof message === 'string' ? message : String(error)),
		description: typeof description === 'string' ? excerpt(description, LONGEST_DESCRIPTION) : '',
	});
}

/** An object without the properties that are undefined: n8n would save them, and show some. */
export function withDefined<T extends object>(properties: T): Defined<T> {
	const defined = Object.entries(properties).filter(([, value]) => value !== undefined);
	return Object.fromEntries(defined) as Defined<T>;
}

type Defined<T> = { [Key in keyof T]?: Exclude<T[Key], undefined> };
