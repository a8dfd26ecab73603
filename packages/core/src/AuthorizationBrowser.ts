/**
 * Shows a person the page on which they allow a server to be used. There is none by default, because a program may have
 * no screen: the error `AuthRequired` then says which address to open.
 *
 * @since 0.1.0
 */
import * as Context from "effect/Context"
import type * as Effect from "effect/Effect"
import * as Schema from "effect/Schema"

/**
 * No browser could be opened.
 *
 * @since 0.1.0
 */
export class BrowserUnavailable extends Schema.TaggedError<BrowserUnavailable>("@scoped-mcp/core/BrowserUnavailable")(
  "BrowserUnavailable",
  { detail: Schema.String }
) {
  override get message() {
    return `No browser could be opened: ${this.detail}`
  }
}

/** @since 0.1.0 */
export class AuthorizationBrowser extends Context.Service<
  AuthorizationBrowser,
  {
    /** Opens the page and does not wait for the person. `server` is who wants to be allowed. */
    readonly open: (url: URL, server: string) => Effect.Effect<void, BrowserUnavailable>
  }
>()("@scoped-mcp/core/AuthorizationBrowser") {}
