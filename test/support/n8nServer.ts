import './environment';

import { Logger } from '@n8n/backend-common';
import { Container } from '@n8n/di';
import type { ExecutionLifecycleHooks } from 'n8n-core';
import {
	LoggerProxy,
	type ICredentialsHelper,
	type IHttpRequestOptions,
	type INodeType,
	type INodeTypeDescription,
	type INodeTypes,
	type IWorkflowExecuteAdditionalData,
} from 'n8n-workflow';
import { inspect } from 'node:util';
import { AetherForgeApi } from '../../credentials/AetherForgeApi.credentials';

// What n8n's server hands its engine, n8n-core.

const credentialType = new AetherForgeApi();

/**
 * What belongs to one execution. n8n's own credentials helper lives in its server; this one does the same.
 *
 * @param credentialOf the values of the credential for an item
 */
export function additionalDataOf(
	executionId: string,
	hooks: ExecutionLifecycleHooks,
	credentialOf: (itemIndex: number) => object,
): IWorkflowExecuteAdditionalData {
	const credentialsHelper = {
		getParentTypes: () => [],
		isCredentialUsableByNode: () => true,
		getCredentialsProperties: () => credentialType.properties,
		getDecrypted: async (...given: Parameters<ICredentialsHelper['getDecrypted']>) =>
			await Promise.resolve(credentialOf(given[6]?.itemIndex ?? 0)),
		preAuthentication: async () => {
			await Promise.resolve();
		},
		authenticate: async (...[data, , options]: Parameters<ICredentialsHelper['authenticate']>) => {
			if (typeof credentialType.authenticate !== 'function') throw new Error('not a function');
			return await credentialType.authenticate(data, options as IHttpRequestOptions);
		},
	};
	return {
		credentialsHelper,
		executionId,
		hooks,
		webhookWaitingBaseUrl: 'http://n8n.test/webhook-waiting',
		formWaitingBaseUrl: 'http://n8n.test/form-waiting',
		variables: {},
		currentNodeExecutionIndex: 0,
		setExecutionStatus: () => undefined,
		sendDataToUI: () => undefined,
		logAiEvent: () => undefined,
	} as object as IWorkflowExecuteAdditionalData;
}

/** A node type with one input and one output that has nothing else to tell of itself. */
export function nodeType(
	name: string,
	description: Partial<INodeTypeDescription>,
	does: Partial<INodeType> = {},
): INodeType {
	return {
		description: {
			displayName: name,
			name,
			group: ['transform'],
			version: 1,
			description: '',
			defaults: {},
			inputs: ['main'],
			outputs: ['main'],
			properties: [],
			...description,
		},
		...does,
	};
}

/** The node types by the names that nodes have them by. */
export function nodeTypesOf(known: Readonly<Record<string, INodeType | undefined>>): INodeTypes {
	const byName = (name: string) => {
		const type = known[name];
		if (!type) throw new Error(`no node type ${name}`);
		return type;
	};
	return { getByName: byName, getByNameAndVersion: byName, getKnownTypes: () => ({}) };
}

/** Writes n8n's log as lines "level message", with the metadata behind if there are any. */
export function logTo(lines: string[]): void {
	const write = (level: string) => (message: string, metadata?: object) => {
		const more = metadata === undefined ? '' : ` ${inspect(metadata, { depth: 8 })}`;
		lines.push(`${level} ${message}${more}`);
	};
	const [error, warn, info] = [write('error'), write('warn'), write('info')];
	const logger = { error, warn, info, debug: () => undefined };
	LoggerProxy.init(logger);
	Container.set(Logger, { ...logger, scoped: () => logger } as object as Logger);
}
