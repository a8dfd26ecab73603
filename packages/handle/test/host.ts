/** Programs in plain JavaScript that own servers through the handle, run and ended as processes of their own. */
import { fileURLToPath } from "node:url"
import { Effect } from "effect"
import { run } from "../../node/test/host.ts"
import { fixture, makeTag } from "../../node/test/system.ts"

/** What `fixtures/host.mjs` is told. */
export interface Program {
  readonly servers: ReadonlyArray<ReadonlyArray<string>>
  readonly act?:
    | "wait"
    | "leave"
    | "succeed"
    | "fail"
    | "exit"
    | "throw"
    | "reject"
    | "heap"
    | "using"
    | "listener"
    | "forget"
    | "listen"
    | "tools"
    | "chat"
  /** For `leave`: how soon. */
  readonly turns?: number
  readonly closeTimeout?: string
  readonly signals?: "auto" | "on" | "off"
}

export const hostScript = fileURLToPath(new URL("fixtures/host.mjs", import.meta.url))

/** The server of the package `node`, with its manners by argument. */
export const serverScript = fixture("server.mjs")

/** The argument of `fixtures/host.mjs`. The tag is only in the environment of its servers. */
export const settings = (program: Program, tag: string): string =>
  JSON.stringify({ act: "wait", ...program, script: serverScript, env: { TAG: tag } })

export const host = Effect.fnUntraced(function* (program: Program, execArgv?: ReadonlyArray<string>) {
  const tag = makeTag()
  return { ...(yield* run(hostScript, settings(program, tag), execArgv)), tag }
})
