/**
 * Opens the page for a person's consent in the browser of this machine. It is not part of `McpNode.layer`, because a
 * program may run where nobody looks.
 *
 * @since 0.1.0
 */
import { spawn } from "node:child_process"
import * as AuthorizationBrowser from "@scoped-mcp/core/AuthorizationBrowser"
import * as Clock from "effect/Clock"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"

/**
 * A program and its arguments; the address is added as the last one. It is started directly, never through a shell.
 *
 * @since 0.1.0
 */
export type Command = readonly [program: string, ...args: Array<string>]

const commands: Partial<Record<NodeJS.Platform, Command>> = {
  darwin: ["open"],
  win32: ["rundll32", "url.dll,FileProtocolHandler"]
}

/** Some openers end at once, and some with the browser. */
const patience = "2 seconds"

const start = ([program, ...args]: Command, address: string) =>
  Effect.callback<void, AuthorizationBrowser.BrowserUnavailable>((resume) => {
    const failed = (detail: string) =>
      resume(Effect.fail(new AuthorizationBrowser.BrowserUnavailable({ detail: `${program} ${detail}` })))
    const child = spawn(program, [...args, address], { stdio: "ignore", detached: true, shell: false })
    child.once("error", ({ message }) => failed(message))
    child.once("exit", (code) => (code === 0 ? resume(Effect.void) : failed(`ended with code ${code}`)))
    // It is the person's now, and outlives us.
    child.unref()
  })

/** @since 0.1.0 */
export const make = (command: Command = commands[process.platform] ?? ["xdg-open"]) =>
  AuthorizationBrowser.AuthorizationBrowser.of({
    open: (url) =>
      url.protocol === "https:" || url.protocol === "http:"
        ? start(command, url.href).pipe(
            Effect.timeoutOrElse({ duration: patience, orElse: () => Effect.void }),
            Effect.provideService(Clock.Clock, Clock.Clock.defaultValue())
          )
        : Effect.fail(new AuthorizationBrowser.BrowserUnavailable({ detail: `${url.protocol} is no page` }))
  })

/**
 * `xdg-open`, or what the system has in its place, unless another command is given.
 *
 * @since 0.1.0
 */
export const layer = (command?: Command): Layer.Layer<AuthorizationBrowser.AuthorizationBrowser> =>
  Layer.succeed(AuthorizationBrowser.AuthorizationBrowser, make(command))
