import type {
	IAuthenticate,
	Icon,
	ICredentialTestRequest,
	ICredentialType,
	IHttpRequestOptions,
	INodeProperties,
} from 'n8n-workflow';
import { ApplicationError } from 'n8n-workflow';

import { checkBaseUrl } from '../nodes/shared/api/baseUrl';

const WRONG_KEY = 'The API key is wrong or has expired';
const ACCOUNT_GONE = 'The API key is known, but its account no longer exists';
const NO_API = 'There is no AetherForge API at this Base URL';

/** Where a request goes. n8n's older request helper, which the HTTP Request node uses, has `uri`. */
function originOf(options: IHttpRequestOptions & { uri?: unknown }): string | undefined {
	const address = typeof options.uri === 'string' ? options.uri : options.url;
	return URL.canParse(address, options.baseURL)
		? new URL(address, options.baseURL).origin
		: undefined;
}

export class AetherForgeApi implements ICredentialType {
	name = 'aetherForgeApi';

	displayName = 'AetherForge API';

	icon: Icon = {
		light: 'file:../nodes/shared/aetherforge.svg',
		dark: 'file:../nodes/shared/aetherforge.dark.svg',
	};

	documentationUrl = 'https://github.com/aetherforge/n8n-nodes-aetherforge#credential';

	properties: INodeProperties[] = [
		{
			displayName: 'API Key',
			name: 'apiKey',
			type: 'string',
			typeOptions: { password: true },
			default: '',
			required: true,
			description: 'The API key of your AetherForge account',
		},
		{
			displayName: 'Base URL',
			name: 'baseUrl',
			type: 'string',
			default: 'https://api.aetherforgeai.com',
			required: true,
			placeholder: 'e.g. https://api.aetherforgeai.com',
			description:
				'Where the AetherForge API is. Change it only for a proxy or an emulator. Must be https, except on this machine.',
		},
	];

	/**
	 * Adds the key to a request, but only to one for the base URL's own origin, over https or on this
	 * machine. n8n's HTTP Request node can use this credential too, with any address.
	 *
	 * Such a request follows no redirect, whatever the node says: n8n would send the key along to
	 * wherever it leads. n8n's switch against that does not hold for hosts below the base URL's.
	 */
	authenticate: IAuthenticate = async (credentials, requestOptions) => {
		const checked = checkBaseUrl(credentials.baseUrl as string);
		if ('reason' in checked) {
			throw new ApplicationError(`The Base URL of the AetherForge credential ${checked.reason}`);
		}
		if (originOf(requestOptions) !== checked.url.origin) {
			throw new ApplicationError(
				`The AetherForge API key is only sent to ${checked.url.origin}, the Base URL of its credential`,
			);
		}
		const headers = {
			...requestOptions.headers,
			Authorization: `Bearer ${(credentials.apiKey as string).trim()}`,
		};
		return await Promise.resolve({
			...requestOptions,
			headers,
			// The one is for n8n's current request helpers, the other for the older ones.
			disableFollowRedirect: true,
			maxRedirects: 0,
		});
	};

	/**
	 * Asks for a job that cannot exist: 401 is a bad key, a 404 for the job a good one, and neither
	 * costs anything. n8n 2.40 reads the exceptions and the rules for status codes; older versions
	 * know neither and take every answer for a success unless a rule knows its text.
	 */
	test: ICredentialTestRequest = {
		request: {
			baseURL: '={{$credentials.baseUrl.replace(/\\/+$/, "")}}',
			url: '/public/v1/job/00000000-0000-0000-0000-000000000000',
			disableFollowRedirect: true,
			ignoreHttpStatusErrors: { ignore: true, except: [401, 403, 429, 500, 502, 503, 504] },
		},
		rules: [
			{ type: 'responseCode', properties: { value: 401, message: WRONG_KEY } },
			{
				type: 'responseSuccessBody',
				properties: { key: 'detail', value: 'Invalid API key', message: WRONG_KEY },
			},
			{
				type: 'responseSuccessBody',
				properties: { key: 'detail', value: 'Not Found User', message: ACCOUNT_GONE },
			},
			{
				type: 'responseSuccessBody',
				properties: { key: 'detail', value: 'Not Found', message: NO_API },
			},
		] as NonNullable<ICredentialTestRequest['rules']>,
	};
}
