import type { ExecutionLifecycleHooks } from 'n8n-core';
import type {
	ICredentialDataDecryptedObject,
	ICredentialsHelper,
	IHttpRequestOptions,
	IWorkflowExecuteAdditionalData,
} from 'n8n-workflow';
import { AetherForgeApi } from '../../credentials/AetherForgeApi.credentials';

const type = new AetherForgeApi();

/**
 * What n8n's server hands its engine for one execution. n8n's own credentials helper lives in that
 * server; this one does the same.
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
		getCredentialsProperties: () => type.properties,
		getDecrypted: async (...given: Parameters<ICredentialsHelper['getDecrypted']>) =>
			await Promise.resolve(credentialOf(given[6]?.itemIndex ?? 0)),
		preAuthentication: async () => {
			await Promise.resolve();
		},
		authenticate: async (
			data: ICredentialDataDecryptedObject,
			_: string,
			options: IHttpRequestOptions,
		) => {
			if (typeof type.authenticate !== 'function') throw new Error('not a function');
			return await type.authenticate(data, options);
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
