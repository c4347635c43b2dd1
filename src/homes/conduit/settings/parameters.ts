import { describeSettings, type SettingDescription } from '../../../core/setting.js'
import { type Parameter, Parameter_Type, type Validation, Validation_Type } from '../proto/config/v1/parameter.js'
import { formatDuration } from './duration.js'
import type { Shape } from './readSettings.js'

/** Settings as a connector's specification lists them. */
export function parametersOf(shape: Shape): Record<string, Parameter> {
  return Object.fromEntries(describeSettings(shape).map((one) => [one.name, parameterOf(one)]))
}

function parameterOf(setting: SettingDescription): Parameter {
  const { description, example } = setting
  return {
    description: example === undefined ? description : `${description} Example: ${example}.`,
    default: defaultOf(setting),
    type: typeOf(setting),
    validations: validationsOf(setting),
  }
}

function defaultOf({ default: value, type, unit }: SettingDescription): string {
  if (value === undefined) return ''
  return type === 'number' && unit === 'ms' ? formatDuration(value as number) : String(value)
}

function typeOf({ type, unit, whole }: SettingDescription): Parameter['type'] {
  if (type === 'number') {
    if (unit === 'ms') return Parameter_Type.TYPE_DURATION
    return whole ? Parameter_Type.TYPE_INT : Parameter_Type.TYPE_FLOAT
  }
  return type === 'boolean' ? Parameter_Type.TYPE_BOOL : Parameter_Type.TYPE_STRING
}

function validationsOf({ required, choices, minimum, maximum, pattern, unit }: SettingDescription): Validation[] {
  const validations: Validation[] = []
  const add = (type: Validation['type'], value = '') => validations.push({ type, value })
  if (required) add(Validation_Type.TYPE_REQUIRED)
  if (choices !== undefined) add(Validation_Type.TYPE_INCLUSION, choices.join(','))
  // Of durations the host cannot compare the texts.
  if (minimum !== undefined && unit !== 'ms') add(Validation_Type.TYPE_GREATER_THAN, String(minimum - 1))
  if (maximum !== undefined && unit !== 'ms') add(Validation_Type.TYPE_LESS_THAN, String(maximum + 1))
  if (pattern !== undefined) add(Validation_Type.TYPE_REGEX, pattern)
  return validations
}
