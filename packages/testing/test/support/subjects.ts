/** The same server in memory, as a process and over HTTP. */
import { FaultyServer, Journal, PoolContract } from "@scoped-mcp/testing"
import { Effect } from "effect"

export const inMemory: PoolContract.Subject = {
  serve: (server) =>
    Effect.sync(() => {
      const { source, ...handle } = FaultyServer.inMemory(server)
      return { server: source, handle }
    })
}

export const stdio: PoolContract.Subject = {
  serve: ({ faults }) =>
    Effect.map(Journal.temporary, ({ journal, path }) => ({
      server: FaultyServer.stdio({ module: PoolContract.module, journal: path }, faults),
      handle: { journal, notify: () => Effect.die(new Error("nobody notifies a process")) }
    }))
}

export const http = (answers: "json" | "sse" | "auto"): PoolContract.Subject => ({
  serve: (server) =>
    Effect.map(FaultyServer.http(server, { answers, connectTimeout: "1 second" }), ({ config, ...handle }) => ({
      server: config,
      handle
    }))
})
