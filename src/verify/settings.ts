import * as z from 'zod'
import { setting } from '../core/setting.js'

const names = z.union([z.string().min(1), z.array(z.string().min(1)).readonly()])
const selections = z.array(z.string()).readonly()

/** Every setting of a comparison, declared once. */
export const verifySettings = {
  source: setting(z.string().min(1), {
    description: 'The database that is right, as a connection string. It is only read.',
    example: 'postgres://app@db/shop',
    secret: true,
  }),
  target: setting(z.string().min(1), {
    description: 'The database that should be equal to it.',
    example: 'postgres://app@copy/shop',
    secret: true,
  }),
  tables: setting(names, {
    description: 'Which tables of the source: names, schema.name, and * in them, as for tailrace stream.',
    example: 'orders,sales.inv_*',
  }),
  exclude: setting(names.optional(), {
    description: 'Tables to leave out of these, written the same way.',
    example: 'sales.inv_old',
  }),
  targetTable: setting(z.string().min(1).default('{schema}.{table}'), {
    description: 'What each table is called in the target: {schema} and {table} stand for its names in the source.',
    example: 'copy.{schema}_{table}',
  }),
  columns: setting(selections.default([]), {
    description: 'Compare only these columns of a table, as table:column,column; its key is always compared.',
    example: 'orders:id,total',
  }),
  keys: setting(selections.default([]), {
    description: 'Another key for a table than its own, as table:column,column.',
    example: 'orders:order_number',
  }),
  values: setting(z.boolean().default(false), {
    description: 'Tell the values of both sides, of the columns that differ. They may be private: keys only otherwise.',
  }),
  repair: setting(z.boolean().default(false), {
    description:
      'Insert, update and delete rows of the target until they are equal to those of the source: only rows that differ, in small transactions.',
  }),
  settleSeconds: setting(z.number().min(0).max(3600).default(10), {
    description:
      'How long a difference must stand still before it counts, so that what is on its way is none: longer than the lag of a live copy; 0 where nothing writes.',
    unit: 's',
  }),
  limit: setting(z.int().min(1).max(1_000_000).default(1000), {
    description:
      'Rows of a table that are told of at most; without repair a table that has more is not searched further.',
    unit: 'rows',
  }),
} as const
