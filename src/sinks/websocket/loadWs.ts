import { PACKAGE_MISSING } from '../../core/packageErrors.js'

/** The package `ws`, which is loaded where it is used: most pipelines have no use for it. Error: PACKAGE_MISSING. */
export async function loadWs(): Promise<typeof import('ws')> {
  try {
    return await import('ws')
  } catch (cause) {
    const problem = (cause as Error).message.split('\n', 1)[0]!
    throw PACKAGE_MISSING({ package: 'ws', range: '8', needs: 'the websocket sink', problem }, { cause })
  }
}
