import { defineConfig } from 'vitest/config'
import { RetryReporter } from './test/support/retryReporter.js'

/** What happens once a process and is looked for, such as a deprecation that Node tells once: each in a process of its own. */
const ONCE_A_PROCESS = ['test/integration/postgres/session.test.ts', 'test/integration/source/ddl.test.ts']

const integration = {
  globalSetup: ['test/support/globalSetup.ts'],
  setupFiles: ['test/support/suppressedErrors.ts'],
  // many times what the slowest take, on a machine that is busy otherwise
  testTimeout: 120_000,
  hookTimeout: 120_000,
  // CI's machines are shared: what only their load can fail (a time limit) is tried once more there
  retry: process.env.CI === undefined ? 0 : 1,
}

export default defineConfig({
  test: {
    pool: 'forks',
    // on two cores: integration tests wait for servers nearly half of their time
    maxWorkers: 4,
    // a process takes one file after another: to load 200 modules anew for each took a third of the whole time
    isolate: false,
    reporters: ['default', new RetryReporter()],
    projects: [
      // property tests compute for seconds on a machine that is busy otherwise
      { extends: true, test: { name: 'unit', include: ['test/unit/**/*.test.ts'], testTimeout: 30_000 } },
      {
        extends: true,
        test: {
          ...integration,
          name: 'integration',
          include: ['test/integration/**/*.test.ts', 'test/e2e/**/*.test.ts'],
          exclude: ONCE_A_PROCESS,
        },
      },
      { extends: true, test: { ...integration, name: 'own process', include: ONCE_A_PROCESS, isolate: true } },
    ],
  },
})
