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

/** The message alone: n8n shows nothing else of what a credential throws. */
function refusal({ message }: Error): ApplicationError {
	return new ApplicationError(message);
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
			hint: 'Sign in at <a href="https://aetherforgeai.com" target="_blank">aetherforgeai.com</a> to get an API key',
		},
		{
			displayName: 'Base URL',
			name: 'baseUrl',
			type: 'string',
			default: 'https://api.aetherforgeai.com',
			required: true,
			placeholder: 'e.g. https://api.aetherforgeai.com',
			description:
				'Change this only if you use a proxy or the emulator. Must start with https://, except for localhost.',
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
		const { apiKey, baseUrl } = credentials;
		const { credentialFailures } = await import('../nodes/shared/messages');
		// An expression in the credential may give anything.
		if (typeof apiKey !== 'string') throw refusal(credentialFailures.keyIsNoText());
		if (typeof baseUrl !== 'string') throw refusal(credentialFailures.baseUrlIsNoText());
		const checked = checkBaseUrl(baseUrl);
		if ('flaw' in checked) throw refusal(credentialFailures.baseUrl(baseUrl, checked.flaw));
		const { origin } = checked.url;
		if (originOf(requestOptions) !== origin) throw refusal(credentialFailures.otherOrigin(origin));
		return {
			...requestOptions,
			headers: { ...requestOptions.headers, Authorization: `Bearer ${apiKey.trim()}` },
			// The one is for n8n's current request helpers, the other for the older ones.
			disableFollowRedirect: true,
			maxRedirects: 0,
		};
	};

	/**
	 * Asks for a job that cannot exist: 401 is a bad key, a 404 for the job a good one, and neither
	 * costs anything. n8n 2.40 reads the exceptions and the rules for status codes; older versions
	 * know neither and take every answer for a success unless a rule knows its text. The last rule is
	 * for servers that are no AetherForge API: their answers have no `detail`.
	 */
	test: ICredentialTestRequest = {
		request: {
			baseURL: '={{$credentials.baseUrl.trim().replace(/\\/+$/, "")}}',
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
				properties: { key: 'detail', value: 'User not found', message: ACCOUNT_GONE },
			},
			{
				type: 'responseSuccessBody',
				properties: { key: 'detail', value: 'Not Found', message: NO_API },
			},
			{
				type: 'responseSuccessBody',
				properties: { key: 'detail', value: undefined, message: NO_API },
			},
		] as NonNullable<ICredentialTestRequest['rules']>,
	};
}
