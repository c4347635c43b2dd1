import { type Lsn, parseLsn } from '../lsn.js'
import type { Queryable } from '../queryable.js'

/** What is known of the server, the session's database and its user. */
export interface ServerFacts {
  /** As a number: 170010 for 17.10. */
  readonly version: number
  /** As the server prints it: `17.10 (Debian 17.10-1.pgdg12+1)`. */
  readonly versionText: string
  /** Given by initdb, kept by every copy: tells two clusters apart. */
  readonly systemIdentifier: string
  /** Raised by each promotion. */
  readonly timeline: number
  readonly inRecovery: boolean
  readonly walLevel: string
  /** 0: no limit. */
  readonly walSenderTimeoutMs: number
  /** Undefined: no limit. */
  readonly maxSlotWalKeepBytes: number | undefined
  readonly logicalDecodingWorkMemBytes: number
  readonly walSegmentBytes: number
  readonly maxReplicationSlots: number
  readonly usedReplicationSlots: number
  readonly maxWalSenders: number
  readonly usedWalSenders: number
  readonly database: string
  readonly encoding: string
  readonly lcMonetary: string
  readonly user: string
  readonly superuser: boolean
  /** May open replication sessions: REPLICATION, superuser, or the role by which Amazon RDS grants it. */
  readonly mayReplicate: boolean
  readonly bypassesRowSecurity: boolean
  /** The end of the WAL as inserted, written, flushed; on a standby all three are the place replayed to. */
  readonly insertLsn: Lsn
  readonly writtenLsn: Lsn
  readonly flushedLsn: Lsn
}

interface ServerRow {
  readonly version_text: string
  readonly settings: string
  readonly system_identifier: string
  readonly timeline: number
  readonly in_recovery: boolean
  readonly used_slots: number
  readonly used_senders: number
  readonly database: string
  readonly encoding: string
  readonly role: string
  readonly superuser: boolean
  readonly may_replicate: boolean
  readonly bypasses: boolean
  readonly insert_lsn: string
  readonly written_lsn: string
  readonly flushed_lsn: string
}

/** A primary names its WAL files by its timeline; the control file's would be that of the last checkpoint. */
const SERVER_SQL = `
WITH wal AS (
  SELECT pg_catalog.pg_is_in_recovery() AS in_recovery
)
SELECT pg_catalog.current_setting('server_version') AS version_text,
       (SELECT pg_catalog.json_object_agg(g.name, g.setting)::pg_catalog.text
          FROM pg_catalog.pg_settings g
         WHERE g.name IN ('server_version_num', 'wal_level', 'wal_sender_timeout', 'max_slot_wal_keep_size',
                          'logical_decoding_work_mem', 'wal_segment_size', 'max_replication_slots', 'max_wal_senders',
                          'lc_monetary')) AS settings,
       (SELECT c.system_identifier::pg_catalog.text FROM pg_catalog.pg_control_system() c) AS system_identifier,
       CASE WHEN wal.in_recovery THEN (SELECT c.timeline_id FROM pg_catalog.pg_control_checkpoint() c)
            ELSE ('x' || pg_catalog.substr(pg_catalog.pg_walfile_name(pg_catalog.pg_current_wal_lsn()), 1, 8)
                 )::pg_catalog.bit(32)::pg_catalog.int4 END AS timeline,
       wal.in_recovery,
       (SELECT pg_catalog.count(*)::pg_catalog.int4 FROM pg_catalog.pg_replication_slots) AS used_slots,
       (SELECT pg_catalog.count(*)::pg_catalog.int4 FROM pg_catalog.pg_stat_replication) AS used_senders,
       d.datname AS database,
       pg_catalog.pg_encoding_to_char(d.encoding) AS encoding,
       r.rolname AS role,
       r.rolsuper AS superuser,
       r.rolsuper OR r.rolreplication OR EXISTS (
         SELECT FROM pg_catalog.pg_roles rds
          WHERE rds.rolname = 'rds_replication' AND pg_catalog.pg_has_role(rds.oid, 'MEMBER')) AS may_replicate,
       r.rolsuper OR r.rolbypassrls AS bypasses,
       CASE WHEN wal.in_recovery THEN pg_catalog.pg_last_wal_replay_lsn()
            ELSE pg_catalog.pg_current_wal_insert_lsn() END::pg_catalog.text AS insert_lsn,
       CASE WHEN wal.in_recovery THEN pg_catalog.pg_last_wal_replay_lsn()
            ELSE pg_catalog.pg_current_wal_lsn() END::pg_catalog.text AS written_lsn,
       CASE WHEN wal.in_recovery THEN pg_catalog.pg_last_wal_replay_lsn()
            ELSE pg_catalog.pg_current_wal_flush_lsn() END::pg_catalog.text AS flushed_lsn
  FROM wal, pg_catalog.pg_database d, pg_catalog.pg_roles r
 WHERE d.datname = pg_catalog.current_database() AND r.rolname = CURRENT_USER`

const KIB = 1024
const MIB = 1024 * 1024

/** One query. */
export async function serverFacts(queryable: Queryable): Promise<ServerFacts> {
  const [row] = await queryable.query<ServerRow>(SERVER_SQL)
  const settings = JSON.parse(row!.settings) as Record<string, string>
  const keepMib = Number(settings.max_slot_wal_keep_size)
  return {
    version: Number(settings.server_version_num),
    versionText: row!.version_text,
    systemIdentifier: row!.system_identifier,
    timeline: row!.timeline,
    inRecovery: row!.in_recovery,
    walLevel: settings.wal_level!,
    walSenderTimeoutMs: Number(settings.wal_sender_timeout),
    maxSlotWalKeepBytes: keepMib < 0 ? undefined : keepMib * MIB,
    logicalDecodingWorkMemBytes: Number(settings.logical_decoding_work_mem) * KIB,
    walSegmentBytes: Number(settings.wal_segment_size),
    maxReplicationSlots: Number(settings.max_replication_slots),
    usedReplicationSlots: row!.used_slots,
    maxWalSenders: Number(settings.max_wal_senders),
    usedWalSenders: row!.used_senders,
    database: row!.database,
    encoding: row!.encoding,
    lcMonetary: settings.lc_monetary!,
    user: row!.role,
    superuser: row!.superuser,
    mayReplicate: row!.may_replicate,
    bypassesRowSecurity: row!.bypasses,
    insertLsn: parseLsn(row!.insert_lsn)!,
    writtenLsn: parseLsn(row!.written_lsn)!,
    flushedLsn: parseLsn(row!.flushed_lsn)!,
  }
}

/** Which cluster and history a replication session stands on: the answer to IDENTIFY_SYSTEM. */
export interface SystemIdentity {
  readonly systemIdentifier: string
  readonly timeline: number
  /** The end of the WAL flushed, on a standby of that replayed. */
  readonly flushedLsn: Lsn
  readonly database: string | undefined
}

/** Asks over a replication session, where no SQL but replication commands may be at hand. */
export async function identifySystem(replication: Queryable): Promise<SystemIdentity> {
  const [row] = await replication.query<{
    systemid: string
    timeline: number | string
    xlogpos: string
    dbname: string | null
  }>('IDENTIFY_SYSTEM')
  return {
    systemIdentifier: row!.systemid,
    timeline: Number(row!.timeline),
    flushedLsn: parseLsn(row!.xlogpos)!,
    database: row!.dbname ?? undefined,
  }
}
