/** Which server needs which: what `dependsOn` says, as an order of opening and, turned round, of closing. */
import * as Deferred from "effect/Deferred"
import * as Effect from "effect/Effect"

export interface Dependent {
  readonly name: string
  readonly dependsOn: ReadonlyArray<string>
}

/** Throws for a server that nobody knows, and for servers that wait for each other. */
export const assertOrdered = (servers: ReadonlyArray<Dependent>): void => {
  const known = new Map(servers.map((server) => [server.name, server]))
  const visit = (name: string, path: ReadonlyArray<string>): void => {
    if (path.includes(name)) throw new TypeError(`dependsOn goes round in a circle: ${[...path, name].join(" > ")}`)
    const server = known.get(name)
    if (server === undefined)
      throw new TypeError(`"${path.at(-1)}" depends on "${name}", which is no server of the pool`)
    for (const other of server.dependsOn) visit(other, [...path, name])
  }
  for (const { name } of servers) visit(name, [])
}

/** How many servers wait for each other in the longest chain, one at least. */
export const depth = (servers: ReadonlyArray<Dependent>): number => {
  const known = new Map(servers.map((server) => [server.name, server]))
  const of = (name: string, path: ReadonlyArray<string>): number =>
    path.includes(name)
      ? 0
      : 1 + Math.max(0, ...(known.get(name)?.dependsOn ?? []).map((other) => of(other, [...path, name])))
  return Math.max(1, ...servers.map(({ name }) => of(name, [])))
}

/** Does it to all at the same time, except that each waits for those who depend on it. */
export const dependentsFirst = <S extends Dependent, A>(
  servers: ReadonlyArray<S>,
  f: (server: S) => Effect.Effect<A>
): Effect.Effect<ReadonlyArray<A>> =>
  Effect.suspend(() => {
    const done = new Map(servers.map((server) => [server, Deferred.makeUnsafe<void>()]))
    return Effect.forEach(
      servers,
      (server) => {
        const before = servers.filter((other) => other !== server && other.dependsOn.includes(server.name))
        return Effect.forEach(before, (other) => Deferred.await(done.get(other)!), { discard: true }).pipe(
          Effect.andThen(f(server)),
          Effect.ensuring(Deferred.succeed(done.get(server)!, undefined))
        )
      },
      { concurrency: "unbounded" }
    )
  })
