/** A promise that a test resolves when it is time. */
export interface Deferred {
	promise: Promise<void>;
	resolve: () => void;
}

export function deferred(): Deferred {
	let resolve: () => void = () => undefined;
	const promise = new Promise<void>((done) => {
		resolve = done;
	});
	return { promise, resolve };
}
