import type { SafetyLevel } from '../../src/homes/pipeline/status/status.js'

/** Told apart by their form, too, for who does not see the colour. */
export function SafetyIcon({ level }: { readonly level: SafetyLevel }) {
  return (
    <svg class="icon" viewBox="0 0 24 24" width="32" height="32" aria-hidden="true">
      {level === 'safe' && (
        <>
          <path
            class="icon-face"
            d="M12 2.5 20 5.600v5.600c0 5-3.300 8.700-8 10.300-4.700-1.600-8-5.300-8-10.300V5.600z"
          />
          <path class="icon-mark" d="m8.300 12 2.600 2.600 4.900-5.100" />
        </>
      )}
      {level === 'at_risk' && (
        <>
          <path class="icon-face" d="M12 3 22 20.500H2z" />
          <path class="icon-mark" d="M12 9.500v5M12 17.400v.1" />
        </>
      )}
      {level === 'in_trouble' && (
        <>
          <path class="icon-face" d="M8 2.500h8L21.500 8v8L16 21.500H8L2.500 16V8z" />
          <path class="icon-mark" d="M12 7v6M12 16.400v.1" />
        </>
      )}
    </svg>
  )
}

export function Arrow() {
  return (
    <svg class="arrow" viewBox="0 0 24 12" width="24" height="12" aria-hidden="true">
      <path d="M0 6h21m-5-4.500L21 6l-5 4.500" />
    </svg>
  )
}
