/** Starts the helper processes of a server that does not clean up after itself. */
import { spawn } from "node:child_process"
import { once } from "node:events"
import * as Effect from "effect/Effect"
import type { HelperKind } from "../Fault.ts"

/** Ignores the polite signals, as helpers that nobody thinks of do: what a shell ignores, its successor does as well. */
const helper = "trap '' TERM HUP INT; echo $$ >&3; exec sleep 3600 3>&-"

const firstLine = async (stream: NodeJS.ReadableStream): Promise<string> => {
  let text = ""
  for await (const chunk of stream) {
    text += String(chunk)
    if (text.includes("\n")) break
  }
  return text.trim()
}

/** What `sh` is told, so that the helper is where it is wanted. */
const command = (how: HelperKind): ReadonlyArray<string> => {
  switch (how) {
    case "shell":
      return ["-c", 'sh -c "$1"; exit $?', "sh", helper]
    case "launcher":
      return ["-c", 'sh -c "$1" & exit 0', "sh", helper]
    case "plain":
    case "session":
    case "pipes":
      return ["-c", helper]
  }
}

/** Answers the number of the helper itself, not of the shell or launcher before it. */
export const start = (how: HelperKind): Effect.Effect<number> =>
  Effect.promise(async () => {
    const child = spawn("sh", command(how), {
      stdio: ["ignore", how === "pipes" ? "inherit" : "ignore", how === "pipes" ? "inherit" : "ignore", "pipe"],
      detached: how === "session"
    })
    const written = child.stdio[3] as NodeJS.ReadableStream
    const exited = once(child, "exit")
    const pid = Number(await firstLine(written))
    if (how === "launcher") await exited
    // Known by now; from here on it must not keep its parent alive.
    child.unref()
    return pid
  })
