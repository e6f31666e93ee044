import { join, parse } from 'node:path';
import type {
	INodeParameters,
	INodePropertyOptions,
	INodeType,
	INodeTypeDescription,
} from 'n8n-workflow';
import { manifestIn, root } from '../../package/sources';

type NodeModule = Record<string, new () => INodeType>;

/** Of every node of this package. */
export const descriptions = manifestIn(root).n8n.nodes.map((file) => {
	const name = parse(file).name.replace(/\.node$/, '');
	const path = join(root, 'nodes', name, `${name}.node`);
	const NodeClass = jest.requireActual<NodeModule>(path)[name];
	if (NodeClass === undefined) throw new Error(`${file} has no class ${name}.`);
	return new NodeClass().description;
});

/** What can be chosen of a parameter, or nothing where the node does not have it. */
export function choicesOf(
	{ properties }: INodeTypeDescription,
	name: string,
): INodePropertyOptions[] {
	const lists = properties.filter((property) => property.name === name);
	const choices = lists.flatMap(({ options = [] }) => options as INodePropertyOptions[]);
	return [...new Map(choices.map((choice) => [choice.value, choice])).values()];
}

/** Every operation in every version, of every node, with the parameters that select it. */
export const forms = descriptions.flatMap((description) =>
	['operation', 'apiVersion']
		.reduce<INodeParameters[]>(
			(all, name) => {
				const choices = choicesOf(description, name);
				if (choices.length === 0) return all;
				return all.flatMap((each) => choices.map(({ value }) => ({ ...each, [name]: value })));
			},
			[{}],
		)
		.map((selected) => ({
			form: [description.displayName, ...Object.values(selected).map(String)].join(' '),
			description,
			selected,
		})),
);
