import { defineError } from './tailraceError.js'

export const TEMPLATE_INVALID = defineError('TEMPLATE_INVALID', {
  retry: 'operator',
  message: (e: { place: string; problem: string }) => `the template cannot be read, ${e.place}: ${e.problem}`,
  hint: 'It is a Go template, as {{ index .Metadata "opencdc.collection" }}: fields, index, pipelines, if, with, range, variables, comparisons and the usual functions on text are understood, nothing else.',
})

export const TEMPLATE_FAILED = defineError('TEMPLATE_FAILED', {
  retry: 'operator',
  message: (e: { place: string; problem: string }) =>
    `the template gives nothing for a record, ${e.place}: ${e.problem}`,
  hint: 'Use a field that every record has, or say what is to be taken instead: {{ with .Metadata.name }}{{ . }}{{ else }}other{{ end }}, {{ default "other" .Metadata.name }}.',
})
