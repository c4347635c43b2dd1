import type { PipelineStatus } from '../../src/homes/pipeline/status/status.js'
import { Charts } from './charts.js'
import { DeadLetters } from './deadLetters.js'
import { Errors } from './errors.js'
import { Flow } from './flow.js'
import { Slot } from './slot.js'
import { Snapshot } from './snapshot.js'
import { Tables } from './tables.js'
import { Verdict } from './verdict.js'

export interface PipelineProps {
  readonly pipeline: PipelineStatus
  /** By the clock of the process. */
  readonly now: number
  readonly refresh: () => void
}

/** One pipeline, what matters most at the top. */
export function Pipeline(props: PipelineProps) {
  const { pipeline } = props
  const { snapshot, slot, errors, history } = pipeline
  const put = pipeline.deadLetters.reduce((sum, { count, waiting }) => sum + count + waiting, 0)
  return (
    <>
      <Verdict {...props} />
      {errors.some(({ severity }) => severity === 'error') && <Errors {...props} />}
      <DeadLetters pipeline={pipeline.name} put={put} changed={props.refresh} />
      <Flow {...props} />
      {snapshot.some(({ done }) => !done) && <Snapshot scans={snapshot} />}
      <Charts history={history} rates={pipeline.rates} lag={pipeline.lag} now={props.now} />
      {slot !== null && <Slot slot={slot} name={pipeline.source.slot} />}
      {errors.length > 0 && errors.every(({ severity }) => severity === 'warning') && <Errors {...props} />}
      {snapshot.length > 0 && snapshot.every(({ done }) => done) && <Snapshot scans={snapshot} />}
      <Tables {...props} />
    </>
  )
}
