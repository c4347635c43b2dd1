/** What a text gives for the name of a pipeline. */
export function namePart(text: string): string {
  return text.replace(/[^A-Za-z0-9_-]/g, '_').slice(0, 50)
}
