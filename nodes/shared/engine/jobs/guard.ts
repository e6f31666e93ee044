import { createHash } from 'crypto';
import type { IDataObject, IExecuteFunctions, INodeParameters } from 'n8n-workflow';

import { propertiesOf, type Endpoint } from '../../endpoint';
import { COMBINED_BINARY_KEY } from '../../n8n';

const HASH_LENGTH = 32;

/**
 * The ID of a file in n8n's storage. n8n moves a webhook's files when the execution ends, and rewrites
 * their IDs wherever an item's JSON shares the file's object; the part at the end stays.
 */
const FILE_ID = /^[\w-]+:workflows\/.*\/binary_data\/([^/]+)$/;

/**
 * Tells a retry of the same work from an edited workflow. The guard of an item is made of the parameters
 * as written and of the item's JSON: an evaluated prompt may hold `$now`. Where n8n keeps a file is not
 * part of it. Each is calculated once.
 *
 * @returns the guard of an item by its index; it never throws
 */
export function guardsOf(
	context: IExecuteFunctions,
	endpoint: Endpoint,
): (itemIndex: number) => string {
	const { parameters } = context.getNode();
	const written = hashOf([
		endpoint.path,
		parametersOf(endpoint, parameters),
		additionalFieldsOf(parameters),
	]);
	const items = context.getInputData();
	const guards: string[] = [];
	return (itemIndex) =>
		(guards[itemIndex] ??= hashOf([written, hashOf(sourceOf(items[itemIndex]?.json))]));
}

/** The parameters as written, but for those at their default: the next release of this package may have more. */
function parametersOf(endpoint: Endpoint, written: INodeParameters): unknown[] {
	// Of two with the same name, for people and for tools, the first one.
	const properties = propertiesOf(endpoint).reverse();
	const usual = new Map(properties.map((property) => [property.name, hashOf(property.default)]));
	return [...usual.keys()]
		.sort()
		.filter((name) => written[name] !== undefined && hashOf(written[name]) !== usual.get(name))
		.map((name) => [name, written[name]]);
}

/** Form fields beyond the declared ones, as written. Added and left empty, the option changes nothing. */
function additionalFieldsOf({ options }: INodeParameters): unknown {
	const written = (options as IDataObject | undefined)?.additionalFields;
	return typeof written === 'string' && /^\s*(\{\s*\}\s*)?$/.test(written) ? undefined : written;
}

/**
 * What makes an item what it is. The files that n8n keeps in the JSON get other IDs from the first run to
 * the retry. What these nodes put out is told by its job: after a crash it comes out again, and the
 * prompt next to it may hold another `$now`.
 */
function sourceOf(json: IDataObject | undefined): unknown {
	try {
		const {
			job_id: jobId,
			status,
			image_number: number,
			image_url: url,
			image_urls: urls,
		} = json ?? {};
		if (typeof jobId === 'string' && status !== undefined && (url ?? urls)) return [jobId, number];
		return { ...json, [COMBINED_BINARY_KEY]: undefined };
	} catch {
		return undefined;
	}
}

/**
 * A hash of what n8n saves of a value. Items that cannot be written as JSON, since they refer to
 * themselves for instance, are all alike.
 */
export function hashOf(value: unknown): string {
	let text: string;
	try {
		// In a list, since nothing at all has no text.
		text = JSON.stringify([value], withoutPlace);
	} catch {
		text = 'cannot be written';
	}
	return createHash('sha256').update(text).digest('hex').slice(0, HASH_LENGTH);
}

/** Where a file lies says nothing about what it is. */
function withoutPlace(_: string, value: unknown): unknown {
	return typeof value === 'string' ? value.replace(FILE_ID, '$1') : value;
}
