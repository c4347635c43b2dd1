import { expect, test } from 'vitest'
import {
  detectPlatform,
  detectPooler,
  type Platform,
  type PlatformSigns,
  type PoolerSigns,
} from '../../../../src/source/doctor/platform.js'

const nothing: PlatformSigns = { host: 'localhost', settingPrefixes: ['plpgsql'], roles: [], aurora: false }

test.each<[Platform, Partial<PlatformSigns>]>([
  ['postgres', {}],
  ['rds', { settingPrefixes: ['rds'] }],
  ['rds', { roles: ['rdsadmin'] }],
  ['rds', { host: 'shop.c9akciq32.us-east-1.rds.amazonaws.com' }],
  ['aurora', { settingPrefixes: ['rds'], aurora: true }],
  ['aurora', { host: 'shop.cluster-c9akciq32.us-east-1.rds.amazonaws.com' }],
  ['azure', { settingPrefixes: ['azure'] }],
  ['azure', { roles: ['azure_pg_admin'] }],
  ['azure', { host: 'shop.postgres.database.azure.com' }],
  ['cloud-sql', { settingPrefixes: ['cloudsql'] }],
  ['cloud-sql', { roles: ['cloudsqladmin'] }],
  ['supabase', { roles: ['supabase_admin'] }],
  ['supabase', { host: 'db.abcdefgh.supabase.co' }],
  ['supabase', { host: 'aws-0-eu-central-1.pooler.supabase.com' }],
  ['neon', { settingPrefixes: ['neon'] }],
  ['neon', { roles: ['neon_superuser'] }],
  ['neon', { host: 'ep-cool-1234.eu-central-1.aws.neon.tech' }],
  // a copy of a Supabase database on RDS is none of Supabase's any more, yet its roles came with it: the roles win
  ['supabase', { roles: ['supabase_admin', 'rdsadmin'] }],
  // the server tells more than the name of a proxy before it
  ['cloud-sql', { host: 'proxy.rds.amazonaws.com', roles: ['cloudsqladmin'] }],
])('%s by %j', (platform, signs) => expect(detectPlatform({ ...nothing, ...signs })).toBe(platform))

const direct: PoolerSigns = { host: 'db', port: 5432, announcedPid: 7, backendPid: 7, refusal: undefined }

test.each<[Partial<PoolerSigns>, object | undefined]>([
  [{}, undefined],
  [{ port: 6543 }, undefined],
  [{ announcedPid: undefined, backendPid: undefined, refusal: 'connection refused' }, undefined],
  [{ announcedPid: 99 }, { name: 'a connection pooler', transactionMode: false }],
  [{ refusal: 'unsupported startup parameter: options' }, { name: 'PgBouncer' }],
  [{ refusal: 'unsupported startup parameter in options: DateStyle' }, { name: 'PgBouncer' }],
  [
    { host: 'aws-0-eu-central-1.pooler.supabase.com', port: 6543 },
    { name: "Supabase's pooler", transactionMode: true },
  ],
  [
    { host: 'aws-0-eu-central-1.pooler.supabase.com', port: 5432 },
    { name: "Supabase's pooler", transactionMode: false },
  ],
  [{ host: 'db.abcdefgh.supabase.co', port: 6543 }, { transactionMode: true }],
  [{ host: 'db.abcdefgh.supabase.co', port: 5432 }, undefined],
  [
    { host: 'ep-cool-1234-pooler.eu-central-1.aws.neon.tech' },
    { name: "Neon's pooler", transactionMode: true, directHost: 'ep-cool-1234.eu-central-1.aws.neon.tech' },
  ],
  [{ host: 'ep-cool-1234.eu-central-1.aws.neon.tech' }, undefined],
  [{ host: 'shop.proxy-c9akciq32.us-east-1.rds.amazonaws.com' }, { name: 'Amazon RDS Proxy' }],
])('pooler by %j', (signs, expected) => {
  const found = detectPooler({ ...direct, ...signs })
  if (expected === undefined) expect(found).toBeUndefined()
  else expect(found).toMatchObject(expected)
})
