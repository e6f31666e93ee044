import { writeFileSync } from 'node:fs';
import { createRequire } from 'node:module';
import path from 'node:path';
import type {
	INodeProperties,
	INodePropertyCollection,
	INodePropertyOptions,
	INodeType,
	INodeTypeDescription,
} from 'n8n-workflow';
import { Failure } from '../nodes/shared/failure';
import { jobProperties } from '../nodes/shared/properties';
import { markdownTable } from '../test/bench/report';
import { root, sourcesIn } from '../test/package/sources';
import { DETAIL, FILE_URL, JOB, NO_JOBS, rendered, SAID } from '../test/support/messageSamples';

// The pages of docs/ that repeat what the code says: every message, and every parameter.

const load = createRequire(__filename);
const NODES = sourcesIn('nodes', '.node.ts').flatMap((file) =>
	Object.values(load(path.join(root, file)) as Record<string, new () => INodeType>),
);

const NOTE = '<!-- Written by `npm run docs`: change the code that it is made from. -->';

function table(head: readonly string[], rows: readonly (readonly string[])[]): string {
	const isUsed = head.map((_, column) => rows.some((row) => row[column] !== ''));
	const used = (cells: readonly string[]) => cells.filter((_, column) => isUsed[column]);
	const escaped = rows.map((cells) => used(cells).map((cell) => cell.replaceAll('|', '\\|')));
	return markdownTable(used(head), escaped);
}

function unique<T>(values: readonly T[]): T[] {
	return [...new Set(values)];
}

// Messages

/** What no sentence says by itself: where it is met. */
const GROUPS: Readonly<Record<string, readonly [title: string, intro: string]>> = {
	inputFailures: [
		'Input that is refused',
		'No job is started for the item, so nothing is charged for it.',
	],
	credentialFailures: [
		'The credential',
		'No request is sent with such a credential, so nothing is charged for it. Jobs that were already started have been charged.',
	],
	apiFailures: ['Requests that AetherForge or the network refused', ''],
	jobFailures: ['Jobs that were started', ''],
	runFailures: ['Stop', 'Collect the jobs with Get Job: n8n offers no Retry after Stop.'],
	hints: ['Hints in the output panel', ''],
	logLines: ["Lines in n8n's log", ''],
	reasons: ['Reasons', 'Messages contain these after “Reason:”, or in parentheses.'],
	connection: ['Reasons of the network', ''],
};

/** What the status check of a job meets as well, which was charged when it was started. */
const OF_ANY_REQUEST = 'no; a job whose status was checked: yes';

/** Where the cost does not follow from what the failure knows. */
const COSTS: Readonly<Record<string, string>> = {
	'apiFailures.badKey': OF_ANY_REQUEST,
	'apiFailures.accountGone': OF_ANY_REQUEST,
	'apiFailures.forbidden': OF_ANY_REQUEST,
	'apiFailures.outOfCredits': OF_ANY_REQUEST,
	'apiFailures.blocked': OF_ANY_REQUEST,
	'apiFailures.unknownJob': 'yes, if it exists',
	'apiFailures.redirected': 'may have been; with HTTP 307 or 308: no',
	'apiFailures.withheld': 'no; the earlier ones: may have been',
	'runFailures.canceled': 'jobs that were started: yes',
};

function costOf(place: string, { facts }: Failure): string {
	if (place in COSTS) return COSTS[place] ?? '';
	if (facts.outcomeUnknown || facts.charge === 'possible') return 'may have been';
	return facts.jobId === undefined ? 'no' : 'yes';
}

/** With an ellipsis for what is different each time. */
function pattern(text: string): string {
	return text
		.replaceAll(new RegExp(`${JOB}\\d*|${DETAIL}|${FILE_URL}`, 'g'), '…')
		.replaceAll(/(…, )+…/g, '…')
		.replaceAll(/…\.(?= |$)/g, '…')
		.replaceAll('*', '\\*');
}

function sectionOf([group, [title, intro]]: readonly [string, readonly [string, string]]): string {
	const said = SAID.filter(
		({ place, args }) => place.startsWith(`${group}.`) && !/x{80}/.test(JSON.stringify(args)),
	);
	const texts = said.flatMap(({ made }) =>
		made instanceof Failure ? [] : [`- ${made as string}`],
	);
	const failures = said.flatMap(({ place, made }) =>
		made instanceof Failure
			? [{ ...made.facts, message: pattern(made.facts.message), cost: costOf(place, made) }]
			: [],
	);
	const rows = unique(failures.map(({ message }) => message)).map((message) => {
		const same = failures.filter((each) => each.message === message);
		const costs = unique(same.map(({ cost }) => cost)).join(', or ');
		return [message, pattern(same[0]?.description ?? ''), costs];
	});
	const isFree = rows.every(([, , cost]) => cost === 'no');
	const shown = isFree ? rows.map(([message = '', advice = '']) => [message, advice, '']) : rows;
	return [
		`## ${title}`,
		...(intro === '' ? [] : [intro]),
		...(rows.length === 0 ? [] : [table(['message', 'what to do', 'charged'], shown)]),
		...(texts.length === 0 ? [] : [unique(texts.map(pattern)).join('\n')]),
	].join('\n\n');
}

/** What is added to a description, by what else is known. */
function additions(): string[] {
	const starts = { ...NO_JOBS, startsJobs: true, isChecking: true, canRetry: true };
	const facts = { message: '', description: '' };
	const charged = { ...facts, jobId: JOB };
	const sent = { ...starts, isChecking: false };
	const jobs = { ownJobIds: [JOB], otherJobIds: [JOB, JOB] };
	const texts = [
		rendered(new Failure(facts), starts),
		rendered(new Failure(facts), { ...starts, isOneOfMany: true }),
		rendered(new Failure(facts), { ...starts, isRetry: true }),
		rendered(new Failure(facts), { ...sent, ...jobs, row: { number: 2, text: 'A wizard' } }),
		rendered(new Failure(facts), sent),
		rendered(new Failure({ ...charged, charge: 'certain' }), sent),
		rendered(new Failure({ ...charged, charge: 'possible' }), sent),
		rendered(new Failure({ ...facts, outcomeUnknown: true }), sent),
		rendered(new Failure({ ...facts, outcomeUnknown: true }), { ...sent, canRetry: false }),
		rendered(new Failure({ ...facts, outcomeUnknown: true, isResubmitted: true }), sent),
		rendered(new Failure(charged), { ...NO_JOBS, unknownItems: [3] }),
	];
	return texts.map(({ description }) => `- ${pattern(description)}`);
}

function messagesPage(): string {
	return [
		'# Messages, and what to do',
		NOTE,
		`The message says what happened, and the description below it says what to do and what it cost. A job counts as charged once AetherForge has accepted it. A failed one _may have been_ charged: whether it is refunded isn't documented. The first ten job IDs are in the texts, all of them in the details of the error, and after Stop in n8n's log. Here, … stands for such an ID, a URL, or the words of AetherForge or n8n, and "Prompt" for any parameter. URLs are shortened to the host and the last part of the path, because what is in between may be secret. _Retry_ means **Retry** in the Executions tab: [retries.md](retries.md) says what it pays for.`,
		...Object.entries(GROUPS).map(sectionOf),
		'## What is added to a description',
		additions().join('\n'),
	].join('\n\n');
}

// Parameters

function choicesOf({ type, options }: INodeProperties): INodePropertyOptions[] {
	return type === 'options' ? (options as INodePropertyOptions[]) : [];
}

function presetOf(property: INodeProperties): string {
	const { name, default: preset } = property;
	const choice = choicesOf(property).find(({ value }) => value === preset);
	if (choice) return choice.name;
	if (typeof preset === 'boolean') return preset ? 'on' : 'off';
	if (typeof preset === 'number') return String(preset);
	// What a tool's model reads is too long for a column.
	return typeof preset !== 'string' || preset === '' || name === 'toolDescription'
		? ''
		: `\`${preset}\``;
}

function textOf(property: INodeProperties): string {
	const choices = choicesOf(property).map(({ name, description }) =>
		description === undefined ? `**${name}**` : `**${name}** (${description.replace(/\.$/, '')})`,
	);
	const listed = choices.length === 0 ? '' : `Choices: ${choices.join(', ')}`;
	const hint = (property.hint ?? '').replace(/^e\.g\. /, 'For example: ');
	return [property.description ?? '', hint, listed]
		.filter((text) => text !== '')
		.map((text) => (text.endsWith('.') ? text : `${text}.`))
		.join(' ');
}

/** When a parameter is shown, its node's operation and version aside. */
function conditionOf({ displayOptions }: INodeProperties, node: INodeTypeDescription): string {
	const conditions = Object.entries(displayOptions?.show ?? {}).flatMap(([name, values = []]) => {
		if (name === '@tool') return ['as a tool'];
		const other = node.properties.find((each) => each.name === name.replace('/', ''));
		if (!other || name === 'operation' || name === 'apiVersion') return [];
		const named = choicesOf(other).filter(({ value }) => (values as unknown[]).includes(value));
		return [`${other.displayName}: ${named.map((choice) => choice.name).join(', ') || 'on'}`];
	});
	const isHidden = displayOptions?.hide?.['@tool'] !== undefined;
	return [...conditions, ...(isHidden ? ['not in tools'] : [])].join('; ');
}

interface Row {
	label: string;
	operations: unknown[] | undefined;
	versions: string[];
	/** All else that a reader sees of it. */
	key: string;
	cells: readonly [when: string, preset: string, text: string];
}

function isOfTools(property?: INodeProperties): boolean {
	return property?.displayOptions?.show?.['@tool'] !== undefined;
}

function rowsOf(node: INodeTypeDescription): Row[] {
	const rowOf = (property: INodeProperties, owner = property, prefix = ''): Row => {
		const { operation, apiVersion = [] } = owner.displayOptions?.show ?? {};
		const label = prefix + property.displayName;
		// As a tool, some parameters have a twin with another default.
		const twin = node.properties[node.properties.indexOf(property) + 1];
		const isTwin = twin?.name === property.name && isOfTools(twin) && !isOfTools(property);
		const preset = `${presetOf(property)}${isTwin ? `; as a tool: ${presetOf(twin)}` : ''}`;
		const when = conditionOf(owner, node).replace(isTwin ? /(; )?not in tools$/ : /$/, '');
		const cells = [when, preset, textOf(property)] as const;
		const key = [label, ...cells].join('\n');
		return { label, operations: operation, versions: apiVersion as string[], key, cells };
	};
	return node.properties.flatMap((property, index, all) => {
		const options = property.options ?? [];
		if (isOfTools(property) && all[index - 1]?.name === property.name && options.length > 0)
			return [];
		if (property.type === 'collection') {
			const prefix = `${property.displayName} > `;
			return (options as INodeProperties[]).map((option) => rowOf(option, option, prefix));
		}
		if (property.type !== 'fixedCollection') return [rowOf(property)];
		const cells = (options as INodePropertyCollection[]).flatMap(({ values }) => values);
		const prefix = `${property.displayName} > `;
		return [rowOf(property), ...cells.map((cell) => rowOf(cell, property, prefix))];
	});
}

/** A row for each parameter, once for all versions that have it alike. */
function tableOf(rows: readonly Row[]): string {
	const lines = unique(rows.map(({ key }) => key)).map((key) => {
		const same = rows.filter((row) => row.key === key);
		const [when, preset, text] = same[0]?.cells ?? ['', '', ''];
		const versions = unique(same.flatMap((row) => row.versions)).join(', ');
		const conditions = [versions.toUpperCase(), when].filter((each) => each !== '').join('; ');
		return [same[0]?.label ?? '', conditions, preset, text];
	});
	return table(['parameter', 'shown for', 'default', 'what it does'], lines);
}

function nodesPage(): string {
	const nodes = NODES.map((Node) => new Node().description);
	const names = jobProperties.map(({ name }) => name);
	const [model] = nodes.filter(({ properties }) => properties.includes(jobProperties[0] as never));
	if (!model) throw new Error('No node has the parameters that nodes share.');
	const ofJobs = model.properties.filter(({ name }) => names.includes(name));
	const shared = rowsOf({ ...model, properties: ofJobs });
	const sections = nodes.flatMap((node) => {
		const title = node.displayName.replace(/^AetherForge /, '');
		const rows = rowsOf(node);
		const own = rows.filter(({ key }) => !shared.some((row) => row.key === key));
		const lacking = shared.filter(({ label }) => !rows.some((row) => row.label === label));
		const image = `images/${title.toLowerCase().replaceAll(' ', '-')}`;
		const operations = node.properties.filter(({ name }) => name === 'operation');
		return [
			`## ${title}`,
			`<picture>\n  <source media="(prefers-color-scheme: dark)" srcset="${image}-dark.png">\n  <img alt="The parameters of ${title}" src="${image}-light.png" width="419">\n</picture>`,
			`${node.description}.`,
			tableOf(own.filter((row) => row.operations === undefined)),
			...operations
				.flatMap(choicesOf)
				.flatMap(({ name, value }) => [
					`### ${name}`,
					tableOf(own.filter((row) => row.operations?.includes(value))),
				]),
			`It also has the [shared parameters](#shared-parameters)${lacking.length === 0 ? '' : `, but not ${lacking.map(({ label }) => `**${label}**`).join(', ')}`}.`,
		];
	});
	const fixed = nodes
		.flatMap(({ properties }) => properties)
		.filter(({ noDataExpression }) => noDataExpression);
	return [
		'# Parameters',
		NOTE,
		`Every parameter of every node, as the panel explains it. These take no expression: ${unique(fixed.map(({ displayName }) => displayName)).join(', ')}. [files-and-output.md](files-and-output.md) explains images by field, URL, and expression, and what the nodes return.`,
		...sections,
		'## Shared parameters',
		'Where a node has another default or text, its own table says so.',
		tableOf(shared),
	].join('\n\n');
}

/** The pages by their names in docs/. */
export const PAGES: Readonly<Record<string, string>> = {
	'messages.md': `${messagesPage()}\n`,
	'nodes.md': `${nodesPage()}\n`,
};

if (require.main === module) {
	for (const [name, page] of Object.entries(PAGES)) {
		writeFileSync(path.join(root, 'docs', name), page);
	}
}
