import type { Reporter, TestCase } from 'vitest/node'

/** Tells with what a test failed that passed when it was tried once more: else nobody could find out why. */
export class RetryReporter implements Reporter {
  onTestCaseResult(test: TestCase): void {
    const { state, errors = [] } = test.result()
    if (state !== 'passed') return
    for (const { message, stack } of errors) {
      const frames = stack?.match(/^ +at .*$/gm)?.filter((frame) => !frame.includes('node_modules')) ?? []
      console.error(
        ['', `failed at first: ${test.module.relativeModuleId} > ${test.fullName}`, message, ...frames].join('\n'),
      )
    }
  }
}
