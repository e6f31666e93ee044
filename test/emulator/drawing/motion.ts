/** What a character does, over and over. */
export type Motion = 'walk' | 'jump' | 'attack' | 'idle';

const WORDS: readonly { motion: Motion; pattern: RegExp }[] = [
	{ motion: 'jump', pattern: /jump|hop|leap|bounc/i },
	{ motion: 'attack', pattern: /attack|slash|swing|fight|hit|strike|sword/i },
	{ motion: 'idle', pattern: /idle|stand|breath|still|wait|rest/i },
];

/** The motion that a text asks for; walking, if it names none. */
export function motionOf(text: string): Motion {
	return WORDS.find(({ pattern }) => pattern.test(text))?.motion ?? 'walk';
}

/** Where a character's body is at a moment of a motion, in hundredths of a cell. */
export interface Pose {
	/** How far its feet are off the ground. */
	lift: number;
	/** How far it is ahead of its place. */
	advance: number;
	/** How tall it is, as a factor; its width makes up for it. */
	stretch: number;
	/** How far it leans forward, in radians. */
	lean: number;
	/** Angles of its nearer limbs, in radians from straight down; the farther ones mirror the legs. */
	leg: number;
	arm: number;
	farArm: number;
}

const STILL: Pose = { lift: 0, advance: 0, stretch: 1, lean: 0, leg: 0, arm: 0, farArm: 0 };

/** @param phase from 0 to 1 over one cycle */
export function poseAt(motion: Motion, phase: number): Pose {
	const turn = 2 * Math.PI * phase;
	const swing = Math.sin(turn);
	switch (motion) {
		case 'walk':
			return {
				...STILL,
				lift: 3 * Math.abs(swing),
				lean: 0.04,
				leg: 0.72 * swing,
				arm: -0.8 * swing,
				farArm: 0.8 * swing,
			};
		case 'jump': {
			const air = Math.max(0, Math.sin(turn - 0.9)) ** 0.8;
			const crouch = Math.max(0, Math.sin(turn + Math.PI - 0.9)) ** 3;
			return {
				...STILL,
				lift: 14 * air,
				stretch: 1 + 0.08 * air - 0.16 * crouch,
				leg: 0.5 * air,
				arm: 0.2 - 2.4 * air,
				farArm: 0.2 - 2.4 * air,
			};
		}
		case 'attack': {
			// Slowly back, fast forward, and home again.
			const [raised, struck] = [bump(phase, 0.05, 0.5), bump(phase, 0.42, 0.98)];
			return {
				...STILL,
				advance: 7 * struck - 2 * raised,
				lean: 0.22 * struck - 0.12 * raised,
				leg: 0.5 * struck,
				arm: 0.5 + 2.3 * raised + 0.9 * struck,
				farArm: -0.6 * struck,
			};
		}
		case 'idle':
			return {
				...STILL,
				stretch: 1 + 0.025 * swing,
				arm: 0.12 + 0.08 * swing,
				farArm: -0.12 - 0.08 * swing,
			};
	}
}

/** From 0 up to 1 and back, between two moments. */
function bump(phase: number, from: number, to: number): number {
	if (phase <= from || phase >= to) return 0;
	return Math.sin((Math.PI * (phase - from)) / (to - from));
}
