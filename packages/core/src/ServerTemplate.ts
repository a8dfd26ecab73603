/**
 * A server whose environment, headers or arguments depend on the namespace it is for, as data: `${namespace}` in them
 * stands for its name. Nothing else is expanded, and nowhere else.
 *
 * @example
 * ```ts
 * import { ServerConfig, ServerTemplate } from "@scoped-mcp/core"
 *
 * const notes = ServerConfig.http({ url: "https://notes.example.com/mcp", headers: { "X-Tenant": "${namespace}" } })
 *
 * export const ofAcme = ServerTemplate.expand(notes, "acme")
 * ```
 *
 * @since 0.1.0
 */
import * as Redacted from "effect/Redacted"
import type { Server } from "./ServerSource.ts"

/**
 * What stands for the name of the namespace.
 *
 * @since 0.1.0
 */
export const placeholder = "${namespace}"

type Secret = Redacted.Redacted<string>

// Not `replaceAll` with a text, in which `$&` and the like mean something.
const fill = (text: string, namespace: string): string => text.split(placeholder).join(namespace)

const fillSecret = (secret: Secret, namespace: string): Secret => Redacted.make(fill(Redacted.value(secret), namespace))

const fillAll = (secrets: Readonly<Record<string, Secret>>, namespace: string): Readonly<Record<string, Secret>> =>
  Object.fromEntries(Object.entries(secrets).map(([name, secret]) => [name, fillSecret(secret, namespace)]))

const refuse = (fields: Readonly<Record<string, string | undefined>>) => {
  for (const [field, text] of Object.entries(fields)) {
    if (text?.includes(placeholder) === true) {
      throw new TypeError(`${field} must not hold ${placeholder}; give the servers as a function of the namespace`)
    }
  }
}

/**
 * The server of one namespace. A programmatic source is left as it is.
 *
 * @throws TypeError for a placeholder in the command, the folder or the address, where a name could lead elsewhere.
 * @since 0.1.0
 */
export const expand = (server: Server, namespace: string): Server => {
  switch (server._tag) {
    case "Stdio":
      refuse({ command: server.command, cwd: server.cwd })
      return {
        ...server,
        args: server.args.map((arg) => (typeof arg === "string" ? fill(arg, namespace) : fillSecret(arg, namespace))),
        env: fillAll(server.env, namespace)
      }
    case "Http":
    case "Sse":
      refuse({ url: Redacted.value(server.url) })
      return { ...server, headers: fillAll(server.headers, namespace) }
    case "FromLayer":
    case "FromTransport":
      return server
  }
}
