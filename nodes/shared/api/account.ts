import type { IExecuteFunctions } from 'n8n-workflow';

import { asFailure, Failure } from '../failure';
import { credentialFailures } from '../messages';
import { checkBaseUrl } from './baseUrl';

/** The credential's type name. */
export const CREDENTIAL = 'aetherForgeApi';

/** A usable credential, as it was read for one item. */
export interface Account {
	readonly baseUrl: URL;
	readonly apiKey: string;
	/** Why nothing more is worth starting with it, once that is known. */
	refusal?: Failure;
}

/** The accounts of a run. A credential may be an expression, and is read for each request, for its item. */
export class Accounts {
	readonly #context: IExecuteFunctions;
	readonly #accounts = new Map<string, Account>();

	constructor(context: IExecuteFunctions) {
		this.#context = context;
	}

	/**
	 * Reads the node's credential for an item. Nothing is sent.
	 *
	 * @returns the same object each time for the same credential
	 * @throws Failure when there is no key, or it must not be sent to the credential's base URL
	 */
	async of(itemIndex: number): Promise<Account> {
		let checked: Account;
		try {
			checked = await this.#readCredential(itemIndex);
		} catch (error) {
			const known = error instanceof Failure;
			const failure = known ? error : credentialFailures.unreadable(asFailure(error).message);
			throw failure.with({ concernsAllItems: this.#accounts.size === 0 });
		}
		const id = `${checked.baseUrl.href} ${checked.apiKey}`;
		const account = this.#accounts.get(id) ?? checked;
		this.#accounts.set(id, account);
		return account;
	}

	async #readCredential(itemIndex: number): Promise<Account> {
		const { baseUrl, apiKey } = await this.#context.getCredentials<{
			baseUrl?: unknown;
			apiKey?: unknown;
		}>(CREDENTIAL, itemIndex);
		if (typeof apiKey !== 'string') throw credentialFailures.keyIsNoText();
		if (typeof baseUrl !== 'string') throw credentialFailures.baseUrlIsNoText();
		const checked = checkBaseUrl(baseUrl);
		if ('flaw' in checked) throw credentialFailures.baseUrl(baseUrl, checked.flaw);
		const key = apiKey.trim();
		if (key === '') throw credentialFailures.noKey();
		// A header holds visible ASCII only; HTTP libraries differ in how they refuse the rest.
		if (!/^[\x21-\x7e]+$/.test(key)) throw credentialFailures.keyWithOddCharacters();
		return { baseUrl: checked.url, apiKey: key };
	}

	/** Remembers what concerns every request of an account alike. */
	noted(account: Account, failure: Failure): Failure {
		if (!failure.facts.concernsAllItems) return failure;
		// With one account for all items, naming one of them says nothing.
		const concernsAllItems = this.#accounts.size === 1;
		// What is not sent has no unknown outcome.
		account.refusal ??= failure.with({ concernsAllItems, outcomeUnknown: false });
		return failure.with({ concernsAllItems });
	}
}

/** Servers may repeat what they were sent, and what they say ends up in texts that people share. */
export function scrub({ apiKey }: Account, text: string): string {
	return text.replaceAll(apiKey, '***');
}
