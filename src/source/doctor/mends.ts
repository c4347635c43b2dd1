import { quoteIdentifier, quoteLiteral } from '../../postgres/identifier.js'
import { advice, command, type Mend, setting, sql } from './finding.js'
import type { Platform } from './platform.js'

// The names of settings and commands are those of the platforms' own docs; none of them was run there (docs/doctor.md).

export interface SettingMend {
  readonly name: string
  /** As ALTER SYSTEM takes it. */
  readonly value: string
  /** Of the same in the server's base unit, which parameter groups and flags want. */
  readonly number?: number
  /** Takes effect only after a restart. */
  readonly restart: boolean
}

/** Read-only on a platform, or not offered by it: only its support could change them. */
const FIXED: Readonly<Partial<Record<Platform, readonly string[]>>> = {
  azure: ['max_slot_wal_keep_size'],
  neon: ['max_replication_slots', 'max_wal_senders', 'max_slot_wal_keep_size', 'wal_sender_timeout'],
  supabase: ['wal_level', 'idle_replication_slot_timeout'],
}

/** How a setting of the server is changed here. */
export function settingMend(platform: Platform, wanted: SettingMend): Mend[] {
  const { name, value, number = value, restart } = wanted
  if (FIXED[platform]?.includes(name)) {
    return [advice(`${name} cannot be changed by users of this platform: ask its support, or make room instead.`)]
  }
  switch (platform) {
    case 'postgres':
      return [
        sql(`ALTER SYSTEM SET ${name} = ${quoteLiteral(value)};`),
        restart ? advice('Then restart the server.') : sql('SELECT pg_reload_conf();'),
      ]
    case 'rds':
    case 'aurora':
      return amazon(platform, name, number, restart)
    case 'azure':
      return [
        command(
          `az postgres flexible-server parameter set --resource-group ‹group› --server-name ‹server› --name ${name} --value ${number}`,
        ),
        ...(restart ? [command('az postgres flexible-server restart --resource-group ‹group› --name ‹server›')] : []),
      ]
    case 'cloud-sql': {
      const flag = name === 'wal_level' ? 'cloudsql.logical_decoding=on' : `${name}=${number}`
      return [
        command(`gcloud sql instances patch ‹instance› --database-flags=${flag}`),
        advice(
          `--database-flags replaces all flags: give those that are set already too.${restart ? ' The instance restarts.' : ''}`,
        ),
      ]
    }
    case 'supabase':
      return [
        command(
          `supabase --experimental --project-ref ‹ref› postgres-config update --config ${name}=${number}${restart ? '' : ' --no-restart'}`,
        ),
      ]
    case 'neon':
      if (name !== 'wal_level') return [advice(`${name} cannot be changed by users of this platform: ask its support.`)]
      return [
        setting('Console: Settings, Logical Replication, Enable.'),
        advice('This restarts the computes of the project, and cannot be taken back.'),
      ]
  }
}

function amazon(platform: 'rds' | 'aurora', name: string, value: string | number, restart: boolean): Mend[] {
  const parameter = name === 'wal_level' ? ['rds.logical_replication', '1'] : [name, value]
  const method = restart ? 'pending-reboot' : 'immediate'
  const what = `--parameters "ParameterName=${parameter[0]},ParameterValue=${parameter[1]},ApplyMethod=${method}"`
  const group =
    platform === 'aurora'
      ? 'modify-db-cluster-parameter-group --db-cluster-parameter-group-name ‹cluster parameter group›'
      : 'modify-db-parameter-group --db-parameter-group-name ‹parameter group›'
  return [
    command(`aws rds ${group} ${what}`),
    ...(restart
      ? [
          command(
            `aws rds reboot-db-instance --db-instance-identifier ‹${platform === 'aurora' ? 'writer' : 'instance'}›`,
          ),
        ]
      : []),
    advice('A default parameter group cannot be altered: make one of your own and attach it first.'),
  ]
}

/** How a role comes by the right to open replication sessions. */
export function replicationPrivilegeMend(platform: Platform, user: string): Mend[] {
  const role = quoteIdentifier(user)
  switch (platform) {
    case 'postgres':
      return [sql(`ALTER ROLE ${role} REPLICATION;`), advice('As a superuser.')]
    case 'rds':
    case 'aurora':
      return [
        sql(`GRANT rds_replication TO ${role};`),
        advice('As the master user, or another member of rds_superuser.'),
      ]
    case 'azure':
      return [sql(`ALTER ROLE ${role} WITH REPLICATION;`), advice('As the server admin, a member of azure_pg_admin.')]
    case 'cloud-sql':
      return [
        sql(`ALTER USER ${role} WITH REPLICATION;`),
        advice('As postgres, or another member of cloudsqlsuperuser.'),
      ]
    case 'supabase':
      return [
        sql(`ALTER ROLE ${role} WITH REPLICATION;`),
        advice('As postgres, in the SQL editor. The role postgres itself has it.'),
      ]
    case 'neon':
      return [
        command(`neonctl roles create --name ‹name›`),
        advice('Roles that are made in the console, by neonctl or the API have REPLICATION; those made by SQL do not.'),
      ]
  }
}

/** How a client is let in for replication; pg_hba.conf is not the user's on managed platforms. */
export function hbaMend(platform: Platform, { database, user }: { database: string; user: string }): Mend[] {
  const quoted = (name: string) => (/^[a-z_][a-z0-9_]*$/.test(name) ? name : `"${name.replaceAll('"', '""')}"`)
  switch (platform) {
    case 'postgres':
      return [
        setting(`pg_hba.conf: host  ${quoted(database)}  ${quoted(user)}  ‹this client's address›/32  scram-sha-256`),
        sql('SELECT pg_reload_conf();'),
        advice(
          'Logical replication is matched by the database\'s name: a line for "replication" is for physical standbys.',
        ),
      ]
    case 'rds':
    case 'aurora':
      return [
        advice('Allow the client in the security group; where rds.force_ssl is on, connect with sslmode=require.'),
      ]
    case 'azure':
      return [advice('Allow the client in the firewall rules (Networking), and connect with sslmode=require.')]
    case 'cloud-sql':
      return [
        advice(
          'Add the client to the authorized networks, or use the Cloud SQL Auth Proxy, which passes replication through.',
        ),
      ]
    case 'supabase':
      return [
        setting('Dashboard: Database, Settings, Network Restrictions: allow the client; connect with sslmode=require.'),
      ]
    case 'neon':
      return [setting('Console: Settings, Networking, IP Allow: allow the client; connect with sslmode=require.')]
  }
}

/** Where the way to the server itself is written, past a pooler. */
export function directConnectionMend(platform: Platform, directHost: string | undefined): Mend[] {
  const host = directHost === undefined ? 'the server itself' : directHost
  switch (platform) {
    case 'supabase':
      return [
        setting('Dashboard: Connect, Direct connection: postgres://postgres:…@db.‹ref›.supabase.co:5432/postgres'),
        advice('That host has an IPv6 address only, unless the project has the IPv4 add-on.'),
      ]
    case 'neon':
      return [setting(`Console: Connect, with "Connection pooling" off: the host is ${host}.`)]
    default:
      return [advice(`Give the host and port of ${host} as --url, or at least as --replication-url.`)]
  }
}

/** What only the owner of the platform's servers can do, beside what SQL can. */
export function upgradeMend(platform: Platform, fixed: string): Mend[] {
  switch (platform) {
    case 'postgres':
      return [
        advice(
          `Update the server's packages to PostgreSQL ${fixed} or later, and restart it; the data stays as it is.`,
        ),
      ]
    case 'rds':
      return [
        command(
          `aws rds modify-db-instance --db-instance-identifier ‹instance› --engine-version ${fixed} --apply-immediately`,
        ),
      ]
    case 'aurora':
      return [
        command(
          `aws rds modify-db-cluster --db-cluster-identifier ‹cluster› --engine-version ${fixed} --apply-immediately`,
        ),
      ]
    case 'azure':
      return [
        advice(
          'Minor versions come in the maintenance window: Portal, Maintenance, choose an earlier one; or restart the server.',
        ),
      ]
    case 'cloud-sql':
      return [
        command('gcloud sql reschedule-maintenance ‹instance› --reschedule-type=IMMEDIATE'),
        advice('Minor versions come with maintenance; the instance restarts.'),
      ]
    case 'supabase':
      return [setting('Dashboard: Settings, Infrastructure, Upgrade project.')]
    case 'neon':
      return [advice('Minor versions come when a compute restarts: restart it in the console.')]
  }
}
