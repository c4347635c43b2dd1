import { openSession } from '../../support/openSession.js'
import { tailrace } from '../../support/tailrace.js'
import { TABLES } from './tables.js'

/** What differs between the sides, by `tailrace verify` and by what the servers themselves say of all rows. */
export async function differences(
  source: string,
  target: string,
  tables: readonly string[] = TABLES,
): Promise<string[]> {
  const [rows, verified] = [await byRows(source, target, tables), await byVerify(source, target, tables)]
  return [...rows, ...verified]
}

/** That both would tell: a row of each table is altered at the target, and put back. */
export async function unnoticed(source: string, target: string): Promise<string[]> {
  const missed: string[] = []
  await using session = await openSession(target)
  const alterations = [
    ['INSERT INTO public.log SELECT * FROM public.log LIMIT 1', 'a row twice'],
    ['DELETE FROM public.events WHERE id = (SELECT min(id) FROM public.events)', 'a row less'],
    ["UPDATE public.documents SET body = body || 'x' WHERE id = (SELECT max(id) FROM public.documents)", 'a value'],
  ] as const
  for (const [sql, what] of alterations) {
    // The checks read in sessions of their own: what is altered has to be committed.
    await session.query(`CREATE TABLE public.kept AS TABLE public.${tableOf(sql)}`)
    await session.query(`SET session_replication_role = replica; ${sql}`)
    if ((await byRows(source, target)).length === 0) missed.push(`${what} is not seen in the rows`)
    if ((await byVerify(source, target)).length === 0) missed.push(`${what} is not seen by tailrace verify`)
    const table = tableOf(sql)
    await session.query(
      `DELETE FROM public.${table}; INSERT INTO public.${table} TABLE public.kept; DROP TABLE public.kept`,
    )
  }
  return missed
}

const tableOf = (sql: string) => /public\.(\w+)/.exec(sql)![1]!

async function byVerify(source: string, target: string, tables: readonly string[] = TABLES): Promise<string[]> {
  const { code, stdout, stderr } = await tailrace([
    ...['verify', '--source', source, '--target', target, '--tables', tables.join(','), '--settle', '0'],
  ])
  return code === 0 ? [] : [`tailrace verify ended with ${code}: ${stdout}${stderr}`]
}

/** Each row as often as it is there. */
async function byRows(source: string, target: string, tables: readonly string[] = TABLES): Promise<string[]> {
  const found: string[] = []
  await using left = await openSession(source)
  await using right = await openSession(target)
  for (const table of tables) {
    const sql = `SELECT count(*)::text AS count, md5(string_agg(md5(t::text), '' ORDER BY md5(t::text) COLLATE "C")) AS rows
                   FROM public.${table} AS t`
    const [[one], [other]] = [await left.query(sql), await right.query(sql)]
    if (JSON.stringify(one) !== JSON.stringify(other)) {
      found.push(`${table}: ${JSON.stringify(one)} at the source, ${JSON.stringify(other)} at the target`)
    }
  }
  return found
}
