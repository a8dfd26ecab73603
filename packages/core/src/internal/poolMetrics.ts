/**
 * The metrics of a pool and its servers; `docs/events.md` lists them. They are read from the figures that are kept anyway
 * when somebody looks, so that a call costs nothing for them.
 */
import * as Context from "effect/Context"
import * as Metric from "effect/Metric"
import type { PoolStats, ServerStats } from "../PoolStats.ts"
import type { LatencyHistogram } from "./LatencyHistogram.ts"

/** Milliseconds. */
const boundaries = [1, 2.5, 5, 10, 25, 50, 100, 250, 500, 1_000, 2_500, 5_000, 10_000, 30_000, 60_000, 300_000]

const gauge = (name: string, description: string) => Metric.gauge(name, { description })
const counter = (name: string, description: string) => Metric.counter(name, { description, incremental: true })

export const metrics = {
  connectionsActive: gauge("mcp_connections_active", "Connections that are open, those that only end included"),
  serverReady: gauge("mcp_server_ready", "1 for a server that is ready, 0 for any other"),
  callsRunning: gauge("mcp_calls_running", "Calls and leases that run"),
  callsWaiting: gauge("mcp_calls_waiting", "Calls that wait for a place"),
  leases: gauge("mcp_leases", "Connections on loan"),
  opened: counter("mcp_connections_opened_total", "Connections opened"),
  lost: counter("mcp_connections_lost_total", "Connections that were lost"),
  recycled: counter("mcp_connections_recycled_total", "Connections replaced for their health"),
  connectFailures: counter("mcp_connect_failures_total", "Attempts to open one that failed"),
  restarts: counter("mcp_restarts_total", "Connections opened in place of one that failed"),
  calls: Metric.frequency("mcp_calls_total", { description: "Calls by how they ended" }),
  latency: Metric.histogram("mcp_call_latency_ms", {
    description: "Time of answered calls, in milliseconds",
    boundaries
  }),
  poolRunning: gauge("mcp_pool_calls_running", "Calls that run, over all servers"),
  poolWaiting: gauge("mcp_pool_calls_waiting", "Calls that wait for a place in the pool")
} as const

const nothing = () => {}

const registrar = (context: Context.Context<never>, attributes: Readonly<Record<string, string>>) => {
  const within = Context.add(context, Metric.CurrentMetricAttributes, {
    ...Context.get(context, Metric.CurrentMetricAttributes),
    ...attributes
  })
  const registrations: Array<Metric.Registration> = []
  const register = <Input, State>(metric: Metric.Metric<Input, State>, get: () => State) => {
    registrations.push(Metric.registerUnsafe(metric, within, { get, update: nothing, modify: nothing }))
  }
  return {
    register,
    gauge: (metric: Metric.Gauge<number>, value: () => number) => register(metric, () => ({ value: value() })),
    counter: (metric: Metric.Counter<number>, count: () => number) =>
      register(metric, () => ({ count: count(), incremental: true })),
    remove: () => {
      for (const registration of registrations.splice(0)) registration.remove()
    }
  }
}

/** Shows the figures of a server for as long as it is known; returns what takes them away. */
export const ofServer = (
  context: Context.Context<never>,
  attributes: { readonly namespace: string; readonly server: string },
  figures: () => ServerFigures,
  latency: LatencyHistogram
): (() => void) => {
  const { counter, gauge, register, remove } = registrar(context, attributes)
  gauge(metrics.connectionsActive, () => figures().connections)
  gauge(metrics.serverReady, () => (figures().status === "Ready" ? 1 : 0))
  gauge(metrics.callsRunning, () => figures().running)
  gauge(metrics.callsWaiting, () => figures().waiting)
  gauge(metrics.leases, () => figures().leases)
  counter(metrics.opened, () => figures().opened)
  counter(metrics.lost, () => figures().lost)
  counter(metrics.recycled, () => figures().recycled)
  counter(metrics.connectFailures, () => figures().connectFailures)
  counter(metrics.restarts, () => figures().restarts)
  register(metrics.calls, () => ({ occurrences: new Map(Object.entries(figures().calls)) }))
  register(metrics.latency, () => {
    const { count, maxMillis } = latency.stats()
    return {
      buckets: boundaries.map((boundary): [number, number] => [boundary, latency.atMost(boundary)]),
      count,
      min: 0,
      max: maxMillis,
      sum: latency.sum()
    }
  })
  return remove
}

/** Shows how many connections there are without a pool. */
export const ofBare = (context: Context.Context<never>, count: () => number): (() => void) => {
  const { gauge, remove } = registrar(context, { pool: "none" })
  gauge(metrics.connectionsActive, count)
  return remove
}

/** The figures of a server that are counted, not asked. */
export type ServerFigures = Pick<
  ServerStats,
  | "status"
  | "connections"
  | "opened"
  | "lost"
  | "recycled"
  | "connectFailures"
  | "restarts"
  | "calls"
  | "latency"
  | "running"
  | "waiting"
  | "leases"
>

/** The same for the pool. */
export const ofPool = (
  context: Context.Context<never>,
  namespace: string,
  figures: () => Pick<PoolStats, "running" | "waiting">
): (() => void) => {
  const { gauge, remove } = registrar(context, { namespace })
  gauge(metrics.poolRunning, () => figures().running)
  gauge(metrics.poolWaiting, () => figures().waiting)
  return remove
}
