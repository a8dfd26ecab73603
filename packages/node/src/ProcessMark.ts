/**
 * The mark by which a process is known as a server of ours, or as started by one, wherever it went: an entry of a variable
 * in its environment. The variable is a list, so that a runtime started by a server of another runtime keeps the marks
 * of both.
 *
 * @since 0.1.0
 */

/**
 * The variable that holds the marks.
 *
 * @since 0.1.0
 */
export const variable = "SCOPED_MCP_OWNER"

/**
 * The marks in an environment, given as `NAME=value` texts.
 *
 * @since 0.1.0
 */
export const read = (environment: ReadonlyArray<string>): ReadonlyArray<string> =>
  environment.flatMap((text) =>
    text.startsWith(`${variable}=`)
      ? text
          .slice(variable.length + 1)
          .split(",")
          .filter((mark) => mark !== "")
      : []
  )

/**
 * The value of the variable that adds a mark to those it had.
 *
 * @since 0.1.0
 */
export const add = (before: string | undefined, mark: string): string =>
  before === undefined || before === "" ? mark : `${before},${mark}`
