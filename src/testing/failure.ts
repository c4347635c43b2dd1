/** What a check has found. */
export class ContractFailure extends Error {
  override readonly name = 'ContractFailure'
}

/** Fails with `problem`, unless it is empty. */
export function require(problem: string): void {
  if (problem !== '') throw new ContractFailure(problem)
}

/** What the promise gives, or a failure if it takes longer. */
export async function within<Result>(work: Promise<Result>, ms: number, what: string): Promise<Result> {
  let timer: NodeJS.Timeout | undefined
  const late = new Promise<never>((_, reject) => {
    timer = setTimeout(() => reject(new ContractFailure(`${what} has not come to an end after ${ms} ms`)), ms)
  })
  try {
    return await Promise.race([work, late])
  } finally {
    clearTimeout(timer)
  }
}

/** Whether it has come to an end by then, well or not. */
export async function settles(work: Promise<unknown>, ms: number): Promise<boolean> {
  const settled = work.then(
    () => {},
    () => {},
  )
  return within(settled, ms, '').then(
    () => true,
    () => false,
  )
}
