import { createCanvas } from '@napi-rs/canvas';
import type { Canvas, SKRSContext2D } from '@napi-rs/canvas';
import type { Commission } from './commission';
import { cutOut } from './cutOut';
import { inputPicture } from './input';

const MAX_SIDE = 1024;

/**
 * One layer of the input. A figure on a plain background gives the background, then its parts from the
 * top down; any other picture is cut into bands. Stacked, the layers show the input again.
 */
export async function paintLayer(commission: Commission): Promise<Canvas> {
	const { job, number, random } = commission;
	const input = await inputPicture(commission, MAX_SIDE);
	const count = job.outcome.images.length;
	const found = count > 1 ? cutOut(input) : undefined;
	const layer = createCanvas(input.width, input.height);
	const context = layer.getContext('2d');
	if (found && number === 1) {
		context.fillStyle = found.background;
		context.fillRect(0, 0, layer.width, layer.height);
		return layer;
	}
	const bounds = found?.bounds ?? { top: 0, height: input.height };
	const bands = found ? count - 1 : count;
	const band = found ? number - 2 : number - 1;
	const waves = Array.from({ length: bands }, () => random() * 2 * Math.PI);
	const edge = (index: number): Edge => ({
		y: bounds.top + (bounds.height * index) / bands,
		swing: bounds.height * 0.03,
		phase: waves[index] ?? 0,
	});
	context.beginPath();
	context.moveTo(0, band === 0 ? 0 : heightAt(edge(band), 0));
	if (band === 0) context.lineTo(layer.width, 0);
	else traceEdge(context, edge(band), 0, layer.width);
	if (band === bands - 1) {
		context.lineTo(layer.width, layer.height);
		context.lineTo(0, layer.height);
	} else {
		// A little of the next band too, which covers it: no seam shows between the two.
		const end = edge(band + 1);
		traceEdge(context, { ...end, y: end.y + 2 }, layer.width, 0);
	}
	context.closePath();
	context.clip();
	// Smoothing blurs edges even where nothing is scaled.
	context.imageSmoothingEnabled = false;
	context.drawImage(found?.figure ?? input, 0, 0);
	return layer;
}

interface Edge {
	y: number;
	swing: number;
	phase: number;
}

function heightAt({ y, swing, phase }: Edge, share: number): number {
	return y + Math.sin(phase + share * 9) * swing;
}

/** A wavy line from one side to the other. */
function traceEdge(context: SKRSContext2D, edge: Edge, from: number, to: number): void {
	const steps = 64;
	for (let step = 0; step <= steps; step++) {
		const x = from + ((to - from) * step) / steps;
		context.lineTo(x, heightAt(edge, x / Math.max(from, to)));
	}
}
