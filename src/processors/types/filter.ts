import * as z from 'zod'
import { setting } from '../../core/setting.js'
import { FilterProcessor } from '../filterProcessor.js'
import { processorType } from '../processorType.js'
import { SqlCondition } from '../sql/expression.js'
import { problemOf } from '../sql/problemOf.js'

/** `type: filter`. */
export const filterType = processorType({
  settings: {
    where: setting(z.string().min(1), {
      description:
        'Only rows go on for which this condition, in PostgreSQL’s SQL, is true. An update that brings a row over it becomes an insert or a delete.',
      example: "status <> 'draft' AND total >= 10.50",
    }),
  },
  needsGrammar: true,
  problems: ({ where }) => problemOf('where', () => SqlCondition.parse(where)),
  create: ({ where }, { name }) => [new FilterProcessor(name, SqlCondition.parse(where))],
})
