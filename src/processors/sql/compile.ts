import { typeOf } from '../../codec/codecFor.js'
import { nearest } from '../../core/nearest.js'
import type { Table } from '../../core/table.js'
import type { Tuple } from '../rows/tuple.js'
import { parseDecimal } from './decimal.js'
import { castExplicitly, typeNamed } from './explicitCast.js'
import { ALIASES, EXTRACT_FIELDS, FUNCTIONS, type SqlFunction, TRUNCATED_UNITS } from './functions.js'
import { type AstNode, type Fields, kindAndFields, namesOf, placeIn, type SqlText, TOO_DEEP } from './grammar.js'
import { comparable, distinct, like, operation } from './operators.js'
import { ExpressionProblem } from './problem.js'
import {
  coerce,
  commonType,
  distance,
  type Evaluate,
  LITERALS,
  leftType,
  NULL_VALUE,
  readsColumn,
  strict,
  type Typed,
  unified,
} from './typed.js'
import { columnType, type SqlType, TYPE_NAMES, toInteger, type Value } from './types.js'

/** An expression's column, wherever it comes from. */
export interface Scope {
  /** Throws an {@link ExpressionProblem} where there is none. */
  column(names: readonly string[], at: number): Typed
}

/** As long as no table is known: every column is there, of any type. */
export const ANY_TABLE: Scope = {
  column: (_, at) => ({ type: 'any', evaluate: NULL_VALUE, at }),
}

/** The columns of a table that consumers see; `used` gets the index of each that is asked for. */
export function scopeOf(table: Table, used: Set<number> = new Set()): Scope {
  return {
    column: (names, at) => {
      const name = names.at(-1)!
      const qualifiers = names.slice(0, -1)
      const own = [[], [table.name], [table.schema, table.name]]
      if (!own.some((one) => one.join('\0') === qualifiers.join('\0'))) {
        throw new ExpressionProblem(`"${names.join('.')}" is of another table`, at)
      }
      const index = table.selected.find((column) => table.columns[column]!.name === name)
      if (index === undefined) {
        const known = table.selected.map((column) => table.columns[column]!.name)
        const near = nearest(name, known)
        throw new ExpressionProblem(
          `there is no column "${name}"${near === undefined ? '' : `: did you mean ${near}?`}`,
          at,
        )
      }
      used.add(index)
      const type = columnType(table, index)
      const codec = table.codecs[index]
      const oid = (codec && typeOf(codec)?.oid) ?? table.columns[index]!.typeOid
      const ofType = type === 'enum' ? { enumOid: oid } : { varying: oid === 1043 }
      return { type, evaluate: readsColumn(index, type, name), at, ...ofType }
    },
  }
}

/** Compiles the tree of a text, or throws an {@link ExpressionProblem}. */
export function compile(tree: AstNode, sql: SqlText, scope: Scope): Typed {
  try {
    return new Compiler(sql, scope).compile(tree)
  } catch (error) {
    if (error instanceof RangeError) throw new ExpressionProblem(TOO_DEEP, 0)
    throw error
  }
}

/** What must be true or false. */
export function condition(typed: Typed): (row: Tuple) => boolean | null {
  const { type, evaluate } = coerceCondition(typed, 'a condition')
  if (type !== 'bool' && type !== 'any') throw new ExpressionProblem('a condition is expected', typed.at)
  return evaluate as (row: Tuple) => boolean | null
}

function coerceCondition(typed: Typed, what: string): Typed {
  if (typed.type === 'bool' || typed.type === 'any') return typed
  if (typed.type === 'unknown') return coerce(typed, 'bool')
  throw new ExpressionProblem(`${what} must be true or false, and this is ${TYPE_NAMES[typed.type]}`, typed.at)
}

class Compiler {
  readonly #sql: SqlText
  readonly #scope: Scope

  constructor(sql: SqlText, scope: Scope) {
    this.#sql = sql
    this.#scope = scope
  }

  compile(node: AstNode): Typed {
    const [kind, fields] = kindAndFields(node)
    const at = placeIn(this.#sql, fields.location)
    switch (kind) {
      case 'A_Const':
        return constant(fields, at)
      case 'ColumnRef':
        return this.#column(fields, at)
      case 'A_Expr':
        return this.#operator(fields, at)
      case 'BoolExpr':
        return this.#logic(fields, at)
      case 'NullTest':
        return this.#nullTest(fields, at)
      case 'BooleanTest':
        return this.#booleanTest(fields, at)
      case 'TypeCast':
        return this.#cast(fields, at)
      case 'CaseExpr':
        return this.#case(fields, at)
      case 'CoalesceExpr':
        return this.#coalesce(fields, at)
      case 'MinMaxExpr':
        return this.#minMax(fields, at)
      case 'FuncCall':
        return this.#call(fields, at)
      case 'CollateClause':
        return this.#collate(fields, at)
      default:
        throw new ExpressionProblem(`${WORDS[kind] ?? kind} is not supported here`, at)
    }
  }

  #all(list: unknown): Typed[] {
    return ((list as readonly AstNode[] | undefined) ?? []).map((one) => this.compile(one))
  }

  #one(fields: Fields, name: string): Typed {
    return this.compile(fields[name] as AstNode)
  }

  #column(fields: Fields, at: number): Typed {
    const parts = fields.fields as readonly AstNode[]
    if (parts.some((part) => part.A_Star !== undefined)) throw new ExpressionProblem('* is no value', at)
    return this.#scope.column(namesOf(parts), at)
  }

  #operator(fields: Fields, at: number): Typed {
    const name = namesOf(fields.name).at(-1)!
    const kind = fields.kind as string
    if (kind === 'AEXPR_OP') {
      const left = fields.lexpr === undefined ? undefined : this.#one(fields, 'lexpr')
      return operation(name, left, this.#one(fields, 'rexpr'), at)
    }
    if (kind === 'AEXPR_LIKE' || kind === 'AEXPR_ILIKE') return this.#like(fields, kind === 'AEXPR_ILIKE', name, at)
    if (kind === 'AEXPR_IN') return this.#in(fields, name === '<>', at)
    if (kind.includes('BETWEEN')) return this.#between(fields, kind, at)
    if (kind === 'AEXPR_DISTINCT' || kind === 'AEXPR_NOT_DISTINCT') {
      return distinct(this.#one(fields, 'lexpr'), this.#one(fields, 'rexpr'), kind === 'AEXPR_NOT_DISTINCT', at)
    }
    if (kind === 'AEXPR_NULLIF') return this.#nullIf(fields, at)
    throw new ExpressionProblem(`${OPERATOR_WORDS[kind] ?? kind} is not supported here`, at)
  }

  #like(fields: Fields, folded: boolean, name: string, at: number): Typed {
    const right = fields.rexpr as AstNode
    const call = right.FuncCall
    const escapes = call !== undefined && namesOf(call.funcname).at(-1) === 'like_escape'
    const [pattern, escaping] = escapes ? this.#all(call.args) : [this.compile(right), undefined]
    return like(this.#one(fields, 'lexpr'), pattern!, escaping, folded, name.startsWith('!'), at)
  }

  #in(fields: Fields, negated: boolean, at: number): Typed {
    const value = this.#one(fields, 'lexpr')
    const list = (fields.rexpr as AstNode).List
    if (list === undefined) throw new ExpressionProblem('IN needs a list of values here', at)
    const tests = this.#inList(value, list.items as readonly AstNode[]).map((item) => {
      return operation('=', value, item, item.at).evaluate
    })
    const evaluate: Evaluate = (row) => {
      let result: boolean | null = false
      for (const test of tests) {
        const found = test(row)
        if (found === true) return !negated
        if (found === null) result = null
      }
      return result === null ? null : negated
    }
    return { type: 'bool', evaluate, at }
  }

  /** Items without columns meet as one array, which has one type; the others one by one. */
  #inList(value: Typed, nodes: readonly AstNode[]): readonly Typed[] {
    const items = nodes.map((node) => this.compile(node))
    const constants = new Set(items.filter((_, i) => !hasColumn(nodes[i])))
    const type = constants.size > 1 ? commonType([value, ...constants]) : undefined
    return type === undefined ? items : items.map((item) => (constants.has(item) ? coerce(item, type) : item))
  }

  #between(fields: Fields, kind: string, at: number): Typed {
    const value = this.#one(fields, 'lexpr')
    const [low, high] = this.#all((fields.rexpr as AstNode).List!.items) as [Typed, Typed]
    const within = (from: Typed, to: Typed) =>
      and(operation('>=', value, from, at).evaluate, operation('<=', value, to, at).evaluate)
    const there = within(low, high)
    const evaluate = kind.endsWith('_SYM') ? or(there, within(high, low)) : there
    return { type: 'bool', evaluate: kind.includes('NOT') ? not(evaluate) : evaluate, at }
  }

  #nullIf(fields: Fields, at: number): Typed {
    const [a, b] = [this.#one(fields, 'lexpr'), this.#one(fields, 'rexpr')]
    const same = operation('=', a, b, at).evaluate
    const type = leftType(a, b)!
    const { varying: _, ...left } = coerce(a, type)
    return { ...left, type, evaluate: (row) => (same(row) === true ? null : left.evaluate(row)), at }
  }

  #logic(fields: Fields, at: number): Typed {
    const operator = String(fields.boolop).replace('_EXPR', '')
    const parts = this.#all(fields.args).map((part) => coerceCondition(part, `what stands beside ${operator}`).evaluate)
    if (operator === 'NOT') return { type: 'bool', evaluate: not(parts[0]!), at }
    const join = operator === 'AND' ? and : or
    return { type: 'bool', evaluate: parts.reduce(join), at }
  }

  #nullTest(fields: Fields, at: number): Typed {
    const { evaluate } = this.#one(fields, 'arg')
    const isNull = fields.nulltesttype === 'IS_NULL'
    return { type: 'bool', evaluate: (row) => (evaluate(row) === null) === isNull, at }
  }

  #booleanTest(fields: Fields, at: number): Typed {
    const { evaluate } = coerceCondition(this.#one(fields, 'arg'), 'what is tested')
    const test = String(fields.booltesttype).replace('IS_', '')
    const wanted = test.endsWith('TRUE') ? true : test.endsWith('FALSE') ? false : null
    const negated = test.startsWith('NOT_')
    return { type: 'bool', evaluate: (row) => (evaluate(row) === wanted) !== negated, at }
  }

  #cast(fields: Fields, at: number): Typed {
    const typeName = fields.typeName as Fields
    const name = namesOf(typeName.names).at(-1)!
    const type = typeName.arrayBounds === undefined ? typeNamed(name) : undefined
    if (type === undefined) {
      const array = typeName.arrayBounds === undefined ? '' : '[]'
      throw new ExpressionProblem(`there is no cast to ${name}${array} here`, placeIn(this.#sql, typeName.location))
    }
    const modifiers = this.#all(typeName.typmods).map(({ evaluate }) => Number(evaluate(undefined as never)))
    return { ...castExplicitly(this.#one(fields, 'arg'), type, modifiers), varying: name === 'varchar', at }
  }

  #case(fields: Fields, at: number): Typed {
    const subject = fields.arg === undefined ? undefined : this.#one(fields, 'arg')
    const whens = (fields.args as readonly AstNode[]).map((one) => one.CaseWhen!)
    const tests = whens.map((when) => {
      const test = this.#one(when, 'expr')
      return subject === undefined
        ? coerceCondition(test, 'WHEN').evaluate
        : operation('=', subject, test, test.at).evaluate
    })
    const last: Typed = fields.defresult === undefined ? nothing(at) : this.#one(fields, 'defresult')
    const results = [last, ...whens.map((when) => this.#one(when, 'result'))]
    const { parts, ...typed } = this.#unified(results, 'CASE', at)
    const evaluate: Evaluate = (row) => {
      for (const [i, test] of tests.entries()) if (test(row) === true) return parts[i + 1]!(row)
      return parts[0]!(row)
    }
    return { ...typed, evaluate, at }
  }

  #coalesce(fields: Fields, at: number): Typed {
    const { parts, ...typed } = this.#unified(this.#all(fields.args), 'COALESCE', at)
    const evaluate: Evaluate = (row) => {
      for (const part of parts) {
        const value = part(row)
        if (value !== null) return value
      }
      return null
    }
    return { ...typed, evaluate, at }
  }

  #minMax(fields: Fields, at: number): Typed {
    const greatest = fields.op === 'IS_GREATEST'
    const args = this.#all(fields.args)
    const { type, compare, operands } = comparable(greatest ? '>' : '<', args, at, commonType(args))
    const evaluate: Evaluate = (row) => {
      let best: Value | null = null
      for (const operand of operands) {
        const value = operand.evaluate(row)
        if (value === null) continue
        const order: number = best === null ? 0 : compare(value, best)
        if (best === null || (greatest ? order > 0 : order < 0)) best = value
      }
      return best
    }
    return { type, varying: unified(args)?.varying === true, evaluate, at }
  }

  #unified(all: readonly Typed[], what: string, at: number): { type: SqlType; varying: boolean; parts: Evaluate[] } {
    const found = unified(all)
    if (found === undefined)
      throw new ExpressionProblem(`the values of ${what} are of types that do not go together`, at)
    return { ...found, parts: found.parts.map(({ evaluate }) => evaluate) }
  }

  #collate(fields: Fields, at: number): Typed {
    const name = namesOf(fields.collname).at(-1)!
    if (name !== 'C' && name !== 'POSIX' && name !== 'ucs_basic') {
      throw new ExpressionProblem(`the collation "${name}" is the server’s own: only COLLATE "C" is supported here`, at)
    }
    const arg = this.#one(fields, 'arg')
    if (arg.type !== 'any' && arg.type !== 'text' && arg.type !== 'bpchar' && arg.type !== 'unknown') {
      throw new ExpressionProblem(`COLLATE is for texts, not ${TYPE_NAMES[arg.type]}`, at)
    }
    return { ...(arg.literal === undefined ? arg : coerce(arg, 'text')), byBytes: true, at }
  }

  #call(fields: Fields, at: number): Typed {
    const names = namesOf(fields.funcname)
    const name = names.at(-1)!
    const plain = Object.keys(fields).every((field) => ['funcname', 'args', 'funcformat', 'location'].includes(field))
    const known = names.length === 1 || names[0] === 'pg_catalog' ? (ALIASES[name] ?? name) : ''
    if (!plain || (!Object.hasOwn(FUNCTIONS, known) && known !== 'concat')) throw unknownFunction(name, at)
    const args = this.#all(fields.args)
    if (known === 'concat') return concat(args, at)
    const overloads = FUNCTIONS[known]!.filter((one) => one.args.length === args.length)
    const chosen = choose(overloads, args)
    if (chosen === undefined) {
      const given = args.map(({ type }) => TYPE_NAMES[type]).join(', ')
      throw new ExpressionProblem(`there is no ${name}(${given}) here`, at)
    }
    if (known === 'extract' || known === 'date_trunc') {
      requireWord(args[0]!, known === 'extract' ? EXTRACT_FIELDS : TRUNCATED_UNITS)
    }
    const parts = args.map((arg, i) => coerce(arg, chosen.args[i]!).evaluate)
    const isKnown =
      args.every(({ type }) => type !== 'any') || overloads.every(({ result }) => result === chosen.result)
    return { type: isKnown ? chosen.result : 'any', evaluate: called(chosen, parts), at }
  }
}

/** Whether a column stands anywhere in it. */
function hasColumn(node: unknown): boolean {
  if (typeof node !== 'object' || node === null) return false
  return 'ColumnRef' in node || Object.values(node).some(hasColumn)
}

function called({ call }: SqlFunction, parts: readonly Evaluate[]): Evaluate {
  return (row) => {
    // An argument that has no value is an error, also beside one that is NULL.
    const values = parts.map((part) => part(row))
    return values.includes(null) ? null : call(...(values as never[]))
  }
}

/** The one that is nearest to the types of the arguments. */
function choose(overloads: readonly SqlFunction[], args: readonly Typed[]): SqlFunction | undefined {
  let best: { readonly one: SqlFunction; readonly cost: number } | undefined
  for (const one of overloads) {
    const costs = args.map(({ type }, i) => distance(type, one.args[i]!))
    if (costs.includes(undefined)) continue
    const cost = costs.reduce<number>((sum, each) => sum + each!, 0)
    if (best === undefined || cost < best.cost) best = { one, cost }
  }
  return best?.one
}

function requireWord(arg: Typed, words: readonly string[]): void {
  const word = arg.literal?.toLowerCase()
  if (word !== undefined && words.includes(word)) return
  throw new ExpressionProblem(`one of ${words.join(', ')} is expected here`, arg.at)
}

function concat(args: readonly Typed[], at: number): Typed {
  const parts = args.map((arg) => {
    // As each is printed, not as it is cast: true is t.
    if (arg.type === 'bool') return strict(arg.evaluate, (value) => (value === true ? 't' : 'f'))
    if (arg.type === 'bpchar' || arg.type === 'any') return arg.evaluate
    return (arg.type === 'unknown' ? coerce(arg, 'text') : castExplicitly(arg, 'text')).evaluate
  })
  return { type: 'text', evaluate: (row) => parts.map((part) => part(row) ?? '').join(''), at }
}

function unknownFunction(name: string, at: number): ExpressionProblem {
  if (CHANGING.includes(name)) {
    return new ExpressionProblem(`${name}() gives another value each time, and a record may come twice`, at)
  }
  const known = [
    ...Object.keys(FUNCTIONS),
    ...Object.keys(ALIASES),
    'concat',
    'coalesce',
    'nullif',
    'greatest',
    'least',
  ]
  const near = nearest(name, known)
  return new ExpressionProblem(
    `the function ${name} is not supported here${near === undefined ? '' : `: did you mean ${near}?`}`,
    at,
  )
}

const CHANGING = ['now', 'random', 'clock_timestamp', 'statement_timestamp', 'gen_random_uuid', 'timeofday']

function constant(fields: Fields, at: number): Typed {
  if (fields.isnull === true) return nothing(at)
  if (fields.boolval !== undefined) {
    const value = (fields.boolval as Fields).boolval === true
    return { type: 'bool', evaluate: () => value, at }
  }
  if (fields.sval !== undefined) {
    const literal = String((fields.sval as Fields).sval ?? '')
    return { type: 'unknown', literal, evaluate: () => literal, at }
  }
  if (fields.ival !== undefined) {
    const value = Number((fields.ival as Fields).ival ?? 0)
    return { type: 'int4', evaluate: () => value, at }
  }
  if (fields.fval === undefined) throw new ExpressionProblem('bit strings are not supported here', at)
  const text = String((fields.fval as Fields).fval)
  const big = /^-?\d+$/.test(text) ? toInteger('int8', BigInt(text)) : undefined
  if (big !== undefined) {
    const evaluate = () => big
    LITERALS.set(evaluate, big)
    return { type: 'int8', evaluate, at }
  }
  const decimal = parseDecimal(text)
  if (decimal === undefined) throw new ExpressionProblem(`${text} is not supported here`, at)
  return { type: 'numeric', evaluate: () => decimal, at }
}

function nothing(at: number): Typed {
  return { type: 'unknown', evaluate: NULL_VALUE, at }
}

function not(evaluate: Evaluate): Evaluate {
  return (row) => {
    const value = evaluate(row)
    return value === null ? null : value !== true
  }
}

function and(a: Evaluate, b: Evaluate): Evaluate {
  return (row) => {
    const left = a(row)
    if (left === false) return false
    const right = b(row)
    return right === false ? false : left === null || right === null ? null : true
  }
}

function or(a: Evaluate, b: Evaluate): Evaluate {
  return (row) => {
    const left = a(row)
    if (left === true) return true
    const right = b(row)
    return right === true ? true : left === null || right === null ? null : false
  }
}

const WORDS: Readonly<Record<string, string>> = {
  SubLink: 'a subquery',
  A_ArrayExpr: 'ARRAY',
  RowExpr: 'a row of values',
  ParamRef: 'a parameter',
  SQLValueFunction: 'a function that gives another value each time (a record may come twice)',
  A_Indirection: 'a subscript or field',
  GroupingFunc: 'GROUPING',
  XmlExpr: 'XML',
  SetToDefault: 'DEFAULT',
}

const OPERATOR_WORDS: Readonly<Record<string, string>> = {
  AEXPR_OP_ANY: 'ANY: write IN (…)',
  AEXPR_OP_ALL: 'ALL',
  AEXPR_SIMILAR: 'SIMILAR TO',
}
