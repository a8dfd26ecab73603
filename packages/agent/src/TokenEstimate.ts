/**
 * How many tokens a text is likely to cost a model. An estimate: every model counts in its own way.
 *
 * @since 0.1.0
 */

/**
 * Characters to a token. English prose has about 4.5, JSON Schema about 3.5; models differ by a quarter either way, and
 * scripts other than Latin cost several times more.
 *
 * @since 0.1.0
 */
export const charactersPerToken = 4

/**
 * The estimate of a value: of a text as it is, of anything else as JSON.
 *
 * @since 0.1.0
 */
export const estimate = (value: unknown): number => {
  const text = typeof value === "string" ? value : (JSON.stringify(value) ?? "")
  return Math.ceil(text.length / charactersPerToken)
}
