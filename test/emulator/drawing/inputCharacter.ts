import { drawShadow, stand, type Character } from './character';
import type { Commission } from './commission';
import { cutOut, type CutOut } from './cutOut';
import { inputsOf } from './input';
import { poseAt } from './motion';

const MAX_SIDE = 512;

/** The characters in a field's pictures; those without a plain background are left out. */
export async function charactersIn(commission: Commission, field: string): Promise<Character[]> {
	return (await inputsOf(commission, field, MAX_SIDE))
		.map((picture) => cutOut(picture))
		.filter((found) => found !== undefined)
		.map((found) => characterOf(found));
}

/** The figure of an input picture, which hops, sways and stretches as a whole. */
function characterOf({ figure, bounds }: CutOut): Character {
	const scale = 66 / Math.max(bounds.width, bounds.height);
	const width = bounds.width * scale;
	const height = bounds.height * scale;
	return (context, motion, phase) => {
		const pose = poseAt(motion, phase);
		const sway = motion === 'walk' ? 0.1 * pose.leg : pose.lean;
		drawShadow(context, pose);
		stand(context, { ...pose, lift: pose.lift * 1.2, lean: sway });
		context.imageSmoothingQuality = 'high';
		context.drawImage(
			figure,
			bounds.left,
			bounds.top,
			bounds.width,
			bounds.height,
			-width / 2,
			-height,
			width,
			height,
		);
		context.restore();
	};
}
