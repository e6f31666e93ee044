import type { INode } from 'n8n-workflow';
import type { Lab } from './lab';
import { asTool, effectGenerate, getJob, imageGenerate, imageTune, sprite } from './workflow';

/** A node as a tool, with what a model that calls it says. */
export interface CallableTool {
	node: INode;
	arguments: Record<string, string>;
}

/** What a model leaves to be filled in, and is told of it. */
function fromAi(key: string, description: string): string {
	return `={{ $fromAI('${key}', '${description}', 'string') }}`;
}

/** As tools are when somebody has added them: a failure is thrown. */
function added(node: INode, name: string): INode {
	return { ...asTool(node, name), onError: 'stopWorkflow' };
}

export const generateNode = (parameters: INode['parameters'] = {}): INode =>
	added(
		imageGenerate({ prompt: fromAi('prompt', 'What the image should show'), ...parameters }),
		'Generate image',
	);

export const checkNode = (): INode =>
	added(getJob({ jobId: fromAi('job_id', 'The job_id that another tool returned') }), 'Check job');

/** A tool of each paid node. */
export function paidTools({ emulator }: Lab): CallableTool[] {
	const earlier = emulator.jobs.add({ durationMs: 0 });
	const image = { image_url: `${emulator.cdnUrl}/results/${earlier.id}/1.png` };
	const imageUrl = fromAi('image_url', 'The image_url to start from');
	const description = fromAi('description', 'What the effect should look like');
	const text = fromAi('text', 'The motion');
	return [
		{ node: generateNode(), arguments: { prompt: 'A red fox' } },
		{ node: added(imageTune({ imageUrl }), 'Upscale image'), arguments: image },
		{
			node: added(effectGenerate({ description }), 'Make effect'),
			arguments: { description: 'Fire' },
		},
		{
			node: added(sprite({ imageUrl, text }), 'Make sprite'),
			arguments: { ...image, text: 'Running' },
		},
	];
}

/** What each of {@link paidTools} starts a job at. */
export const paidEndpoints = [
	'/public/v1/generate/image',
	'/public/v1/image-tune/upscale',
	'/public/v1/generate/effect/v2',
	'/public/v1/sprite/make-sprite/v1',
];
