/** A keyword of a connection string, as libpq has it ("Parameter Key Words" in the PostgreSQL docs). */
export interface ConnectionParameter {
  readonly name: string
  /** The variable that stands for it where neither string nor service file has it. */
  readonly variable?: string
  /** For people. */
  readonly default?: string
  /** What tailrace does with it, for docs/connections.md. */
  readonly does: string
  /** Why it cannot be honoured; a value given for it is an error then. */
  readonly refused?: string
}

const GSS = 'Accepted; it matters to GSSAPI logins only, and these are refused when a server asks for one.'
const LOOKS_ONLY = 'Accepted and checked; Node cannot set it, so the system decides (`net.ipv4.tcp_*`).'
const OAUTH = 'tailrace does not log in by OAuth'

/** Every parameter of libpq 18, and what becomes of it here: none is ignored without a word. */
export const CONNECTION_PARAMETERS: readonly ConnectionParameter[] = [
  {
    name: 'host',
    variable: 'PGHOST',
    default: 'a local socket, else `localhost`',
    does: 'Name, address, or the folder of a Unix socket (begins with `/`, an abstract one with `@`); several with commas. Without one: the first of /var/run/postgresql and /tmp that has a socket for the port, else localhost. Each address of a name is tried.',
  },
  {
    name: 'hostaddr',
    variable: 'PGHOSTADDR',
    does: 'Address to connect to without asking DNS, as many as hosts. The name in `host` is still the one that the certificate is checked for.',
  },
  { name: 'port', variable: 'PGPORT', default: '5432', does: 'One for all hosts, or as many as hosts.' },
  {
    name: 'dbname',
    variable: 'PGDATABASE',
    default: 'the user',
    does: 'Database. (A connection string within it is not expanded.)',
  },
  { name: 'user', variable: 'PGUSER', default: "the system's user", does: 'Role to log in as.' },
  {
    name: 'password',
    variable: 'PGPASSWORD',
    does: 'Password. Without one it is looked up in the password file, anew for each connection.',
  },
  {
    name: 'passfile',
    variable: 'PGPASSFILE',
    default: '`~/.pgpass`',
    does: 'Password file. One that others may read is passed over with a warning.',
  },
  { name: 'service', variable: 'PGSERVICE', does: 'Section of a service file with further parameters.' },
  {
    name: 'servicefile',
    variable: 'PGSERVICEFILE',
    default: '`~/.pg_service.conf`, then `pg_service.conf` in `PGSYSCONFDIR`',
    does: 'Service file.',
  },
  {
    name: 'require_auth',
    variable: 'PGREQUIREAUTH',
    does: 'Which ways to log in are accepted: password, md5, scram-sha-256, none, or with `!` which are not. (gss, sspi and oauth can be named; tailrace never logs in by them.) Anything else ends the attempt before a password is sent.',
  },
  {
    name: 'channel_binding',
    variable: 'PGCHANNELBINDING',
    default: 'prefer',
    does: 'disable, prefer, require. `require` refuses every login but SCRAM-SHA-256-PLUS, also without TLS.',
  },
  {
    name: 'connect_timeout',
    variable: 'PGCONNECT_TIMEOUT',
    default: '10',
    does: 'Seconds for each address, from the first packet to the end of the login; 0 or less waits for ever. (libpq waits for ever where it is not given.)',
  },
  {
    name: 'client_encoding',
    variable: 'PGCLIENTENCODING',
    default: 'UTF8',
    does: 'UTF8 or auto; rows are read as UTF-8, so any other is an error.',
  },
  {
    name: 'options',
    variable: 'PGOPTIONS',
    does: "Handed to the server at start. tailrace's own settings (formats, time zone, time limits) stand behind it and win.",
  },
  { name: 'application_name', variable: 'PGAPPNAME', default: 'tailrace', does: 'Shown in pg_stat_activity.' },
  { name: 'fallback_application_name', does: 'Where application_name is not given.' },
  { name: 'keepalives', default: '1', does: 'TCP keepalive: 0 is off.' },
  { name: 'keepalives_idle', default: 'the system’s', does: 'Seconds of silence before the first probe.' },
  { name: 'keepalives_interval', does: LOOKS_ONLY },
  { name: 'keepalives_count', does: LOOKS_ONLY },
  { name: 'tcp_user_timeout', does: LOOKS_ONLY },
  {
    name: 'target_session_attrs',
    variable: 'PGTARGETSESSIONATTRS',
    default: 'any',
    does: 'any, read-write, read-only, primary, standby, prefer-standby: asked of each server after the login, at each reconnect again.',
  },
  {
    name: 'load_balance_hosts',
    variable: 'PGLOADBALANCEHOSTS',
    default: 'disable',
    does: 'disable: in the order written; random: hosts and their addresses in an order drawn for each connection.',
  },
  {
    name: 'sslmode',
    variable: 'PGSSLMODE',
    default: 'prefer',
    does: 'disable, allow, prefer, require, verify-ca, verify-full, with the fallbacks of libpq. Where a root certificate is there, every mode with TLS verifies the chain. Unix sockets have no TLS.',
  },
  {
    name: 'sslnegotiation',
    variable: 'PGSSLNEGOTIATION',
    default: 'postgres',
    does: 'postgres, or direct (PostgreSQL 17 and later; needs sslmode=require or stronger).',
  },
  {
    name: 'sslrootcert',
    variable: 'PGSSLROOTCERT',
    default: '`~/.postgresql/root.crt`',
    does: 'Certificates of the authorities to trust. `system`: those of the operating system (`SSL_CERT_FILE`, else its bundle, else Node’s own), which makes verify-full the default and the only mode. A file that is named and missing is an error in every mode.',
  },
  {
    name: 'sslcrl',
    variable: 'PGSSLCRL',
    default: '`~/.postgresql/root.crl`',
    does: 'Revoked certificates. A file that is named and missing is an error.',
  },
  { name: 'sslcrldir', variable: 'PGSSLCRLDIR', does: 'Folder of such files, named by `openssl rehash`.' },
  {
    name: 'sslcert',
    variable: 'PGSSLCERT',
    default: '`~/.postgresql/postgresql.crt`',
    does: 'Certificate to show to the server. A file that is named and missing is an error.',
  },
  {
    name: 'sslkey',
    variable: 'PGSSLKEY',
    default: '`~/.postgresql/postgresql.key`',
    does: 'Its private key, PEM or DER. Refused where others may read it: 0600, or 0640 when root owns it.',
  },
  { name: 'sslpassword', does: 'Of an encrypted key.' },
  {
    name: 'sslcertmode',
    variable: 'PGSSLCERTMODE',
    default: 'allow',
    does: 'disable: no certificate is shown; allow: one is if there is one. `require` is an error: Node does not tell whether the server asked.',
  },
  {
    name: 'sslsni',
    variable: 'PGSSLSNI',
    default: '1',
    does: 'Whether the host’s name is told to the server at the start of TLS.',
  },
  {
    name: 'ssl_min_protocol_version',
    variable: 'PGSSLMINPROTOCOLVERSION',
    default: 'TLSv1.2',
    does: 'TLSv1, TLSv1.1, TLSv1.2, TLSv1.3.',
  },
  { name: 'ssl_max_protocol_version', variable: 'PGSSLMAXPROTOCOLVERSION', does: 'The same; by default the newest.' },
  {
    name: 'sslcompression',
    variable: 'PGSSLCOMPRESSION',
    default: '0',
    does: 'Accepted; no TLS library compresses any more, as with libpq.',
  },
  {
    name: 'gssencmode',
    variable: 'PGGSSENCMODE',
    default: 'prefer',
    does: 'disable, prefer: TLS as sslmode says. `require` is an error.',
  },
  { name: 'krbsrvname', variable: 'PGKRBSRVNAME', does: GSS },
  { name: 'gsslib', variable: 'PGGSSLIB', does: GSS },
  { name: 'gssdelegation', variable: 'PGGSSDELEGATION', does: GSS },
  {
    name: 'requirepeer',
    variable: 'PGREQUIREPEER',
    does: 'Over TCP it has no meaning, as with libpq; over a Unix socket it is an error: Node does not tell who the server runs as.',
  },
  { name: 'min_protocol_version', variable: 'PGMINPROTOCOLVERSION', does: '3.0; a later one is an error.' },
  {
    name: 'max_protocol_version',
    variable: 'PGMAXPROTOCOLVERSION',
    default: '3.0',
    does: '3.0, 3.2 or latest: 3.0 is spoken.',
  },
  { name: 'replication', does: 'Only what says no: tailrace itself decides which of its sessions replicate.' },
  { name: 'requiressl', does: 'Of old: 1 is sslmode=require, 0 is prefer.' },
  refused('scram_client_key', undefined, 'tailrace logs in with a password, not with keys made from it'),
  refused('scram_server_key', undefined, 'tailrace logs in with a password, not with keys made from it'),
  refused('oauth_issuer', undefined, OAUTH),
  refused('oauth_client_id', undefined, OAUTH),
  refused('oauth_client_secret', undefined, OAUTH),
  refused('oauth_scope', undefined, OAUTH),
  refused('sslkeylogfile', undefined, 'tailrace writes no TLS secrets to files'),
]

export const PARAMETER_NAMES: readonly string[] = CONNECTION_PARAMETERS.map(({ name }) => name)

function refused(name: string, variable: string | undefined, why: string): ConnectionParameter {
  return { name, ...(variable !== undefined && { variable }), does: `An error: ${why}.`, refused: why }
}
