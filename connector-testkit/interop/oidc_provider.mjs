// A certified OpenID provider (npm oidc-provider) on loopback, with a user who signs in and consents at once.
// Prints its issuer as one line of JSON and serves until it is told to stop.

import { createServer } from 'node:http';
import { Provider } from 'oidc-provider';

const server = createServer();
await new Promise((resolve) => server.listen(0, '127.0.0.1', resolve));
const issuer = `http://127.0.0.1:${server.address().port}`;

const machine = { grant_types: ['client_credentials'], redirect_uris: [], response_types: [] };
const provider = new Provider(issuer, {
  clients: [
    { ...machine, client_id: 'machine', client_secret: 's3cret', token_endpoint_auth_method: 'client_secret_post' },
    { ...machine, client_id: 'basic', client_secret: 's3cret', token_endpoint_auth_method: 'client_secret_basic' },
    {
      client_id: 'person',
      application_type: 'native',
      token_endpoint_auth_method: 'none',
      grant_types: ['authorization_code', 'refresh_token'],
      response_types: ['code'],
      // For native clients the port of a loopback address is not compared (RFC 8252, 7.3).
      redirect_uris: ['http://127.0.0.1/callback'],
    },
  ],
  features: { clientCredentials: { enabled: true }, devInteractions: { enabled: false } },
  rotateRefreshToken: true,
  scopes: ['openid', 'offline_access', 'read'],
  pkce: { required: () => true },
  cookies: { keys: ['for a test only'] },
  ttl: { AccessToken: 3600, ClientCredentials: 3600, RefreshToken: 3600, Session: 3600, Grant: 3600, Interaction: 600, IdToken: 3600 },
  findAccount: (_ctx, id) => ({ accountId: id, claims: () => ({ sub: id }) }),
  interactions: { url: (_ctx, interaction) => `/interaction/${interaction.uid}` },
});

const provide = provider.callback();
server.on('request', async (request, response) => {
  if (!request.url.startsWith('/interaction/')) return provide(request, response);
  try {
    const { prompt, params, session } = await provider.interactionDetails(request, response);
    let result = { login: { accountId: 'ada' } };
    if (prompt.name === 'consent') {
      const grant = new provider.Grant({ accountId: session.accountId, clientId: params.client_id });
      grant.addOIDCScope(params.scope);
      result = { consent: { grantId: await grant.save() } };
    }
    await provider.interactionFinished(request, response, result, { mergeWithLastSubmission: prompt.name === 'consent' });
  } catch (error) {
    response.writeHead(500).end(String(error));
  }
});
process.on('SIGTERM', () => process.exit(0));
console.log(JSON.stringify({ issuer }));
