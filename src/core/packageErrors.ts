import { defineError } from './tailraceError.js'

export const PACKAGE_MISSING = defineError('PACKAGE_MISSING', {
  retry: 'operator',
  message: (e: { package: string; range: string; needs: string; problem: string }) =>
    `${e.needs} needs the package ${e.package}, which cannot be loaded: ${e.problem}`,
  hint: (e) =>
    `Where tailrace is installed run: npm install ${e.package}@${e.range} (with -g if tailrace was installed with -g).`,
})
