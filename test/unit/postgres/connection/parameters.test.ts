import { expect, test } from 'vitest'
import { CONNECTION_PARAMETERS } from '../../../../src/postgres/connection/parameters.js'

/** PQconninfoOptions of libpq 18 without its debug builds' own, and what a string may have besides. */
const LIBPQ = `service user password passfile channel_binding connect_timeout dbname host hostaddr port client_encoding
  options application_name fallback_application_name keepalives keepalives_idle keepalives_interval keepalives_count
  tcp_user_timeout sslmode sslnegotiation sslcompression sslcert sslkey sslcertmode sslpassword sslrootcert sslcrl
  sslcrldir sslsni requirepeer require_auth min_protocol_version max_protocol_version ssl_min_protocol_version
  ssl_max_protocol_version gssencmode krbsrvname gsslib gssdelegation replication target_session_attrs
  load_balance_hosts scram_client_key scram_server_key oauth_issuer oauth_client_id oauth_client_secret oauth_scope
  sslkeylogfile servicefile requiressl`.split(/\s+/)

test('every parameter of libpq is known, once', () => {
  expect(CONNECTION_PARAMETERS.map(({ name }) => name).sort()).toEqual([...LIBPQ].sort())
})

test('the variables are those of libpq, one for a parameter', () => {
  const variables = CONNECTION_PARAMETERS.flatMap(({ variable }) => variable ?? [])
  expect(new Set(variables).size).toBe(variables.length)
  for (const variable of variables) expect(variable).toMatch(/^PG[A-Z_]+$/)
})
