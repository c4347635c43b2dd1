/** Where the server runs, as far as its mends differ. `postgres`: a server of one's own, or what we do not know. */
export const PLATFORMS = ['postgres', 'rds', 'aurora', 'azure', 'cloud-sql', 'supabase', 'neon'] as const

export type Platform = (typeof PLATFORMS)[number]

export const PLATFORM_NAMES: Readonly<Record<Platform, string>> = {
  postgres: 'PostgreSQL',
  rds: 'Amazon RDS',
  aurora: 'Amazon Aurora',
  azure: 'Azure Database for PostgreSQL (Flexible Server)',
  'cloud-sql': 'Google Cloud SQL',
  supabase: 'Supabase',
  neon: 'Neon',
}

/** What gives a platform away. */
export interface PlatformSigns {
  readonly host: string
  /** First parts of the names of settings such as `rds.logical_replication`. */
  readonly settingPrefixes: readonly string[]
  readonly roles: readonly string[]
  /** Has the function aurora_version(). */
  readonly aurora: boolean
}

interface Signature {
  readonly platform: Platform
  readonly host: RegExp
  readonly prefixes: readonly string[]
  readonly roles: readonly string[]
}

/** In this order: Supabase and Neon run on others' machines. */
const SIGNATURES: readonly Signature[] = [
  {
    platform: 'supabase',
    host: /\.supabase\.(co|com|in)$/,
    prefixes: [],
    roles: ['supabase_admin', 'supabase_replication_admin'],
  },
  { platform: 'neon', host: /\.neon\.(tech|build)$/, prefixes: ['neon'], roles: ['neon_superuser'] },
  { platform: 'aurora', host: /\.cluster-[^.]*\.[^.]+\.rds\.amazonaws\.com(\.cn)?$/, prefixes: [], roles: [] },
  {
    platform: 'rds',
    host: /\.rds\.amazonaws\.com(\.cn)?$/,
    prefixes: ['rds'],
    roles: ['rdsadmin', 'rds_superuser'],
  },
  {
    platform: 'azure',
    host: /\.postgres\.database\.(azure|chinacloudapi|usgovcloudapi)\.(com|cn|net)$/,
    prefixes: ['azure'],
    roles: ['azuresu', 'azure_pg_admin'],
  },
  {
    platform: 'cloud-sql',
    host: /\.sql\.goog$/,
    prefixes: ['cloudsql'],
    roles: ['cloudsqladmin', 'cloudsqlsuperuser'],
  },
]

/** What the server itself has tells more than its name, behind which a proxy may stand. */
export function detectPlatform({ host, settingPrefixes, roles, aurora }: PlatformSigns): Platform {
  const bySigns = SIGNATURES.find(
    (one) =>
      one.prefixes.some((prefix) => settingPrefixes.includes(prefix)) || one.roles.some((role) => roles.includes(role)),
  )
  const found = (bySigns ?? SIGNATURES.find((one) => one.host.test(host.toLowerCase())))?.platform ?? 'postgres'
  return found === 'rds' && aurora ? 'aurora' : found
}

export interface PoolerSigns {
  readonly host: string
  readonly port: number
  /** As the server's first message has it, and as the server says when asked: a pooler makes the first one up. */
  readonly announcedPid: number | undefined
  readonly backendPid: number | undefined
  /** What was said when the connection failed. */
  readonly refusal: string | undefined
}

export interface Pooler {
  readonly name: string
  /** Gives each transaction another session: nothing that lasts longer than one works. */
  readonly transactionMode: boolean
  /** The host to go to instead, where its name tells. */
  readonly directHost: string | undefined
}

/** The pooler that stands between us and the server; undefined when nothing tells of one. */
export function detectPooler({ host, port, announcedPid, backendPid, refusal }: PoolerSigns): Pooler | undefined {
  const name = host.toLowerCase()
  if (name.endsWith('.pooler.supabase.com') || (name.endsWith('.supabase.co') && port === 6543)) {
    return { name: "Supabase's pooler", transactionMode: port === 6543, directHost: undefined }
  }
  if (/^[^.]+-pooler\..*\.neon\.(tech|build)$/.test(name)) {
    return { name: "Neon's pooler", transactionMode: true, directHost: host.replace(/-pooler\./i, '.') }
  }
  if (name.includes('.proxy-') && name.includes('.rds.amazonaws.com')) {
    return { name: 'Amazon RDS Proxy', transactionMode: true, directHost: undefined }
  }
  if (refusal !== undefined && /unsupported startup parameter/i.test(refusal)) {
    return { name: 'PgBouncer', transactionMode: false, directHost: undefined }
  }
  if (announcedPid !== undefined && backendPid !== undefined && announcedPid !== backendPid) {
    return { name: 'a connection pooler', transactionMode: false, directHost: undefined }
  }
  return undefined
}
