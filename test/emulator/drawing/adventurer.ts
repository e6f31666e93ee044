import type { SKRSContext2D } from '@napi-rs/canvas';
import { drawShadow, stand, type Character } from './character';
import { poseAt } from './motion';

const OUTLINE = '#2a2135';

interface Outfit {
	tunic: string;
	tunicShade: string;
	scarf: string;
	hair: string;
	skin: string;
	boots: string;
	hasHat: boolean;
}

/** A small adventurer, seen from the side, in an outfit of its own. */
export function adventurer(random: () => number): Character {
	const hue = Math.floor(random() * 360);
	const skins = ['#f7d3b0', '#e3a877', '#a8693f', '#ffe0c8'];
	const outfit: Outfit = {
		tunic: `hsl(${hue}, 62%, 52%)`,
		tunicShade: `hsl(${hue}, 60%, 38%)`,
		scarf: `hsl(${(hue + 150) % 360}, 80%, 60%)`,
		hair: `hsl(${(hue + 200 + random() * 60) % 360}, 45%, ${28 + random() * 30}%)`,
		skin: skins[Math.floor(random() * skins.length)] ?? '#f7d3b0',
		boots: '#5b3a2e',
		hasHat: random() < 0.5,
	};
	return (context, motion, phase) => {
		const pose = poseAt(motion, phase);
		drawShadow(context, pose);
		stand(context, pose);
		// Room above for a hat in mid-air.
		context.scale(0.84, 0.84);
		context.lineJoin = 'round';
		context.lineCap = 'round';
		context.lineWidth = 2;
		context.strokeStyle = OUTLINE;
		drawLimb(context, { x: 1, y: -32, angle: pose.farArm, length: 13 }, outfit.tunicShade, {
			end: outfit.skin,
			radius: 3.6,
		});
		drawLeg(context, -pose.leg, outfit);
		drawScarfTail(context, phase, outfit);
		drawLeg(context, pose.leg, outfit);
		drawBody(context, outfit);
		drawHead(context, outfit, phase);
		if (motion === 'attack') drawSword(context, pose.arm);
		drawLimb(context, { x: -1, y: -32, angle: pose.arm, length: 13 }, outfit.tunic, {
			end: outfit.skin,
			radius: 3.8,
		});
		context.restore();
	};
}

function drawLeg(context: SKRSContext2D, angle: number, { tunicShade, boots }: Outfit): void {
	const [hipX, hipY, length] = [0, -17, 14];
	const footX = hipX + Math.sin(angle) * length;
	const footY = hipY + Math.cos(angle) * length;
	strokeTwice(context, 6.5, tunicShade, () => {
		context.moveTo(hipX, hipY);
		context.lineTo(footX, footY);
	});
	context.fillStyle = boots;
	context.beginPath();
	context.ellipse(footX + 2, footY + 0.8, 5.8, 3.4, -angle * 0.45, 0, 2 * Math.PI);
	context.fill();
	context.stroke();
}

function drawLimb(
	context: SKRSContext2D,
	{ x, y, angle, length }: { x: number; y: number; angle: number; length: number },
	color: string,
	{ end, radius }: { end: string; radius: number },
): void {
	const endX = x + Math.sin(angle) * length;
	const endY = y + Math.cos(angle) * length;
	strokeTwice(context, 5.5, color, () => {
		context.moveTo(x, y);
		context.lineTo(endX, endY);
	});
	context.fillStyle = end;
	context.beginPath();
	context.arc(endX, endY, radius, 0, 2 * Math.PI);
	context.fill();
	context.stroke();
}

/** A thick line with an outline. */
function strokeTwice(
	context: SKRSContext2D,
	width: number,
	color: string,
	trace: () => void,
): void {
	for (const [lineWidth, strokeStyle] of [
		[width + 4, OUTLINE],
		[width, color],
	] as const) {
		context.lineWidth = lineWidth;
		context.strokeStyle = strokeStyle;
		context.beginPath();
		trace();
		context.stroke();
	}
	context.lineWidth = 2;
	context.strokeStyle = OUTLINE;
}

function drawBody(context: SKRSContext2D, { tunic, tunicShade, boots }: Outfit): void {
	context.fillStyle = tunic;
	context.beginPath();
	context.moveTo(-8, -38);
	context.lineTo(8, -38);
	context.quadraticCurveTo(11, -26, 12, -13);
	context.quadraticCurveTo(0, -9, -12, -13);
	context.quadraticCurveTo(-11, -26, -8, -38);
	context.closePath();
	context.fill();
	context.save();
	context.clip();
	context.fillStyle = tunicShade;
	context.fillRect(-14, -40, 9, 32);
	context.fillStyle = boots;
	context.fillRect(-14, -23.5, 28, 4);
	context.restore();
	context.stroke();
	context.fillStyle = '#f5c542';
	context.fillRect(1.5, -24, 5, 5);
}

function drawScarfTail(context: SKRSContext2D, phase: number, { scarf }: Outfit): void {
	const wave = Math.sin(2 * Math.PI * phase * 2) * 3;
	context.fillStyle = scarf;
	context.beginPath();
	context.moveTo(-4, -41);
	context.quadraticCurveTo(-16, -46 + wave, -25, -37 - wave);
	context.lineTo(-23, -29 - wave);
	context.quadraticCurveTo(-14, -36 + wave, -5, -34);
	context.closePath();
	context.fill();
	context.stroke();
}

function drawHead(context: SKRSContext2D, outfit: Outfit, phase: number): void {
	const y = -55;
	context.fillStyle = outfit.skin;
	context.beginPath();
	context.arc(0, y, 17, 0, 2 * Math.PI);
	context.fill();
	context.stroke();
	context.fillStyle = 'rgba(240, 110, 110, 0.45)';
	context.beginPath();
	context.ellipse(8.5, y + 7, 3.4, 2.3, 0, 0, 2 * Math.PI);
	context.fill();
	const isBlinking = phase > 0.9 && phase < 0.97;
	context.fillStyle = OUTLINE;
	for (const x of [3.5, 12]) {
		context.beginPath();
		context.ellipse(x, y + 1, 1.9, isBlinking ? 0.6 : 3.4, 0, 0, 2 * Math.PI);
		context.fill();
	}
	if (!isBlinking) {
		context.fillStyle = '#ffffff';
		for (const x of [4.1, 12.6]) {
			context.beginPath();
			context.arc(x, y - 0.4, 0.8, 0, 2 * Math.PI);
			context.fill();
		}
	}
	context.fillStyle = outfit.hair;
	context.beginPath();
	context.moveTo(14, y - 9);
	context.quadraticCurveTo(8, y - 4, 4, y - 10);
	context.quadraticCurveTo(-1, y - 2, -6, y - 6);
	context.quadraticCurveTo(-7, y + 3, -10, y + 13);
	context.bezierCurveTo(-26, y + 6, -23, y - 23, 0, y - 20);
	context.quadraticCurveTo(12, y - 20, 14, y - 9);
	context.closePath();
	context.fill();
	context.stroke();
	if (outfit.hasHat) drawHat(context, y, outfit);
	context.fillStyle = outfit.scarf;
	context.beginPath();
	context.roundRect(-9, -43, 19, 7, 3.5);
	context.fill();
	context.stroke();
}

function drawHat(context: SKRSContext2D, y: number, { tunic, scarf }: Outfit): void {
	context.fillStyle = tunic;
	context.beginPath();
	context.moveTo(-14, y - 11);
	context.quadraticCurveTo(-9, y - 23, -17, y - 28);
	context.quadraticCurveTo(2, y - 29, 13, y - 11);
	context.closePath();
	context.fill();
	context.stroke();
	context.beginPath();
	context.ellipse(-0.5, y - 11, 20, 4, 0.04, 0, 2 * Math.PI);
	context.fill();
	context.stroke();
	context.fillStyle = scarf;
	context.fillRect(-12, y - 17, 23, 2.6);
}

function drawSword(context: SKRSContext2D, angle: number): void {
	context.save();
	context.translate(-1 + Math.sin(angle) * 13, -32 + Math.cos(angle) * 13);
	context.rotate(-angle - 1.35);
	context.fillStyle = '#dfe8f2';
	context.beginPath();
	context.moveTo(-2.2, 5);
	context.lineTo(-2.2, 25);
	context.lineTo(0, 30);
	context.lineTo(2.2, 25);
	context.lineTo(2.2, 5);
	context.closePath();
	context.fill();
	context.stroke();
	context.fillStyle = '#f5c542';
	context.beginPath();
	context.roundRect(-6, 2.5, 12, 3.4, 1.6);
	context.fill();
	context.stroke();
	context.restore();
}
