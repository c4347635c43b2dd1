import { defineConfig } from 'vitest/config'

export default defineConfig({
  test: {
    pool: 'forks',
    // every integration file starts servers of its own: more at once measure the machine, not the code
    maxWorkers: 2,
    projects: [
      { extends: true, test: { name: 'unit', include: ['test/unit/**/*.test.ts'] } },
      {
        extends: true,
        test: {
          name: 'integration',
          include: ['test/integration/**/*.test.ts', 'test/e2e/**/*.test.ts'],
          globalSetup: ['test/support/globalSetup.ts'],
          setupFiles: ['test/support/suppressedErrors.ts'],
          testTimeout: 60_000,
          hookTimeout: 120_000,
          // CI's machines are shared: what only their load can fail (a time limit) is tried once more there
          retry: process.env.CI === undefined ? 0 : 1,
        },
      },
    ],
  },
})
