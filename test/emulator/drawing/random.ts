import { createHash } from 'node:crypto';

/** Numbers from 0 to 1 that follow from the seed alone (a xorshift generator). */
export function randomFrom(seed: string): () => number {
	let state = createHash('sha256').update(seed).digest().readUInt32BE() | 1;
	return () => {
		state ^= state << 13;
		state ^= state >>> 17;
		state ^= state << 5;
		return (state >>> 0) / 0x1_0000_0000;
	};
}
