/** The servers of a generation, running, and what they have written down. */
import { mkdtempSync, rmSync } from "node:fs"
import { tmpdir } from "node:os"
import { join } from "node:path"
import type { Limits, ServerSource } from "@scoped-mcp/core"
import { FaultyServer, Journal, type ScriptedServer } from "@scoped-mcp/testing"
import { Effect, Scope } from "effect"
import * as Plan from "./Plan.ts"
import { definition } from "./server.ts"

/** The variable by which `/proc` tells which server a process belongs to. */
export const variable = "SCOPED_MCP_SOAK"

/** The limits of every server: short, so that many of them are met. */
export const limits = {
  connectTimeout: "3 seconds",
  callIdleTimeout: "1 second",
  callTimeout: "2500 millis",
  closeTimeout: "2 seconds",
  idleTimeToLive: "1500 millis",
  maxConcurrency: 8,
  maxWaiting: 50,
  maxMessageBytes: Plan.maxMessageBytes
} as const satisfies Limits.ServerLimits

/** One server as it was registered once; a replacement is another one, with a journal of its own. */
export interface Incarnation {
  readonly tag: string
  readonly plan: Plan.ServerPlan
  readonly journal: Journal.Journal
}

export interface Fleet {
  readonly incarnations: ReadonlyArray<Incarnation>
  /** Starts a server of that name anew, and gives what a pool reaches it by. */
  readonly incarnate: (name: string) => Effect.Effect<ServerSource.Server>
}

const start = (
  plan: Plan.ServerPlan,
  tag: string,
  folder: string
): Effect.Effect<{ readonly source: ServerSource.Server; readonly journal: Journal.Journal }, never, Scope.Scope> => {
  switch (plan.transport) {
    case "stdio":
      return Effect.sync(() => {
        const path = join(folder, `${tag}.jsonl`)
        const options: ScriptedServer.StdioOptions = {
          ...limits,
          module: new URL("./server.ts", import.meta.url),
          journal: path,
          env: { [variable]: tag },
          shell: plan.shell
        }
        return { source: FaultyServer.stdio(options, plan.faults), journal: Journal.fromFile(path) }
      })
    case "http": {
      const server = FaultyServer.make(definition(plan.name, plan.eras), plan.faults)
      return Effect.map(FaultyServer.http(server, { ...limits, answers: plan.answers }), ({ config, journal }) => ({
        source: config,
        journal
      }))
    }
    case "memory": {
      const server = FaultyServer.make(definition(plan.name, plan.eras), plan.faults)
      return Effect.sync(() => FaultyServer.inMemory(server, limits))
    }
  }
}

/** The servers run until the scope closes. */
export const make = Effect.fnUntraced(function* (
  generation: Plan.Generation
): Effect.fn.Return<Fleet, never, Scope.Scope> {
  const scope = yield* Effect.scope
  const folder = yield* Effect.acquireRelease(
    Effect.sync(() => mkdtempSync(join(tmpdir(), "scoped-mcp-soak-"))),
    (folder) => Effect.sync(() => rmSync(folder, { recursive: true, force: true }))
  )
  const incarnations: Array<Incarnation> = []
  const incarnate = Effect.fnUntraced(function* (name: string) {
    const plan = generation.servers.find((server) => server.name === name)
    if (plan === undefined) return yield* Effect.die(new Error(`the plan has no server "${name}"`))
    const count = incarnations.filter((it) => it.plan === plan).length
    const tag = `${generation.number}-${name}-${count + 1}`
    const { journal, source } = yield* Scope.provide(start(plan, tag, folder), scope)
    incarnations.push({ tag, plan, journal })
    return source
  })
  return { incarnations, incarnate }
})
