import { useState } from 'preact/hooks'
import { keepToken } from '../api.js'

/** Where the process wants to know who asks. */
export function TokenForm({ given }: { readonly given: () => void }) {
  const [tried, setTried] = useState(false)
  const submit = (event: SubmitEvent) => {
    event.preventDefault()
    keepToken(String(new FormData(event.currentTarget as HTMLFormElement).get('token')))
    setTried(true)
    given()
  }
  return (
    <section class="card token">
      <h1>Who asks?</h1>
      <p>This process tells how it is only to those who know its token (--http-token).</p>
      <form onSubmit={submit}>
        <label>
          Token
          <input name="token" type="password" autocomplete="off" required />
        </label>
        <button type="submit" class="main">
          Look
        </button>
      </form>
      {tried && <p role="alert">That is not the token.</p>}
    </section>
  )
}
