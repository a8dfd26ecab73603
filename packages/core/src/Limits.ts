/**
 * The limits of a server's connection and of a pool, with their defaults. Every wait and every buffer has one.
 *
 * @since 0.1.0
 */
import * as ByteSize from "effect/ByteSize"
import * as Duration from "effect/Duration"
import * as Option from "effect/Option"

/**
 * A length of time, written with its unit (`"20 seconds"`). A bare number is refused: its unit would be a guess.
 *
 * @since 0.1.0
 */
export type Span = Exclude<Duration.Input, number | bigint>

/**
 * What a caller meets when every place is taken: `suspend` waits in the queue (backpressure) and fails with `Overloaded`
 * only when that is full too; `reject` fails at once.
 *
 * @since 0.1.0
 */
export type Overload = "suspend" | "reject"

/**
 * What becomes of a server that fails: its connection is lost, or cannot be opened. Until it has failed `intensity` times
 * within `period`, every call may open it again. Then its circuit opens: calls fail at once with `CircuitOpen`, and one
 * attempt after each pause, of `backoff` at first and of up to `maxBackoff` in the end, decides whether it closes. It is
 * never given up.
 *
 * @since 0.1.0
 */
export interface RestartLimits {
  /** Failures within `period` that open the circuit. Default 3. */
  readonly intensity?: number | undefined
  /** The time that `intensity` is counted in; what failed attempts take is left out. Default 10 seconds. */
  readonly period?: Span | undefined
  /** The first pause; each further one is twice as long, less up to a fifth by chance. Default 1 second. */
  readonly backoff?: Span | undefined
  /** The longest pause. Default 60 seconds. */
  readonly maxBackoff?: Span | undefined
  /** A connection that has lasted this long makes earlier failures forgotten. Default 60 seconds. */
  readonly resetAfter?: Span | undefined
}

/**
 * How the connection of a server is looked after: a check every so often, and one at once when a call got no answer in
 * time. When checks in a row and calls without an answer come to `failures`, it takes no new calls, and another is opened;
 * calls that run end on it.
 *
 * @since 0.1.0
 */
export interface HealthLimits {
  /** What is asked: `ping` the server, have it `list` its tools, whether its `process` runs, or nothing. Default `ping`. */
  readonly check?: "ping" | "list" | "process" | "off" | undefined
  /** From the end of a check to the next. Default 30 seconds. */
  readonly every?: Span | undefined
  /** Longest time of a check. Default 5 seconds. */
  readonly timeout?: Span | undefined
  /** Failures after which the connection is replaced. Default 3. */
  readonly failures?: number | undefined
}

/**
 * Whose the connection of a server is: `shared`, one for all callers of a pool at the same time; `exclusive`, several,
 * each lent to one caller at a time, for servers that keep a state of their own between calls.
 *
 * @since 0.1.0
 */
export type Sharing = "shared" | "exclusive"

/**
 * The connections of an exclusive server.
 *
 * @since 0.1.0
 */
export interface ExclusiveLimits {
  /** Connections that are kept open once the server is in use, lent or not. Default 0. */
  readonly min?: number | undefined
  /** Connections at the same time, and so calls and leases. Default 10. */
  readonly max?: number | undefined
  /** Unused for this long, one that is more than `min` is closed. Default 60 seconds. */
  readonly idleTimeToLive?: Span | undefined
  /** None is lent again that is older, less up to a tenth by chance. Default 30 minutes. */
  readonly maxLifetime?: Span | undefined
  /** One that has been on loan for longer is told of in the log, with the span of who borrowed it. Default 60 seconds. */
  readonly leakWarning?: Span | undefined
}

/**
 * The limits of one server. All are optional; {@link defaults} has the values that hold otherwise.
 *
 * @since 0.1.0
 */
export interface ServerLimits {
  /** From the start of the process, or the first dial, to the end of the handshake. Default 10 seconds. */
  readonly connectTimeout?: Span | undefined
  /** Longest silence of a running call; progress re-arms it. Default 60 seconds. */
  readonly callIdleTimeout?: Span | undefined
  /** Longest time of a call, whatever its progress. Default 300 seconds. */
  readonly callTimeout?: Span | undefined
  /** Longest time of a close: a process gets 30 % of it after its end of input, 30 % after TERM, then KILL. Default 5 seconds. */
  readonly closeTimeout?: Span | undefined
  /** Unused for this long, the connection is closed; the next call opens it again. Default 10 minutes. */
  readonly idleTimeToLive?: Span | undefined
  /** Never close for idling. Warming a server up sets it too. Default false. */
  readonly keepAlive?: boolean | undefined
  /** Calls that run at the same time. Default 50. */
  readonly maxConcurrency?: number | undefined
  /** Calls that wait for a place. Default 1,000. */
  readonly maxWaiting?: number | undefined
  /** What a call meets when every place is taken. Default `suspend`. */
  readonly overload?: Overload | undefined
  /** Largest message that is sent. Default 1 MiB. */
  readonly maxRequestBytes?: ByteSize.Input | undefined
  /** Largest message that is accepted. Default 16 MiB. */
  readonly maxMessageBytes?: ByteSize.Input | undefined
  /** How often and when it is opened again after it failed. */
  readonly restart?: RestartLimits | undefined
  /** How its connection is looked after. */
  readonly health?: HealthLimits | undefined
  /** The pool starts only when this server is open, and fails with its error when it cannot be. Default false. */
  readonly critical?: boolean | undefined
  /** Servers of the pool that are opened before this one, and closed after it. Default: none. */
  readonly dependsOn?: ReadonlyArray<string> | undefined
  /** Whether callers share a connection. Default `shared`. */
  readonly sharing?: Sharing | undefined
  /** The connections of a server that is `exclusive`; its `maxConcurrency`, `idleTimeToLive` and `keepAlive` are then not used. */
  readonly exclusive?: ExclusiveLimits | undefined
}

/**
 * {@link RestartLimits} with every value present.
 *
 * @since 0.1.0
 */
export interface ResolvedRestart {
  readonly intensity: number
  readonly period: Duration.Duration
  readonly backoff: Duration.Duration
  readonly maxBackoff: Duration.Duration
  readonly resetAfter: Duration.Duration
}

/**
 * {@link HealthLimits} with every value present.
 *
 * @since 0.1.0
 */
export interface ResolvedHealth {
  readonly check: "ping" | "list" | "process" | "off"
  readonly every: Duration.Duration
  readonly timeout: Duration.Duration
  readonly failures: number
}

/**
 * {@link ExclusiveLimits} with every value present.
 *
 * @since 0.1.0
 */
export interface ResolvedExclusive {
  readonly min: number
  readonly max: number
  readonly idleTimeToLive: Duration.Duration
  readonly maxLifetime: Duration.Duration
  readonly leakWarning: Duration.Duration
}

/**
 * {@link ServerLimits} with every value present: milliseconds and bytes.
 *
 * @since 0.1.0
 */
export interface ResolvedLimits {
  readonly connectTimeout: Duration.Duration
  readonly callIdleTimeout: Duration.Duration
  readonly callTimeout: Duration.Duration
  readonly closeTimeout: Duration.Duration
  readonly idleTimeToLive: Duration.Duration
  readonly keepAlive: boolean
  readonly maxConcurrency: number
  readonly maxWaiting: number
  readonly overload: Overload
  readonly maxRequestBytes: number
  readonly maxMessageBytes: number
  readonly restart: ResolvedRestart
  readonly health: ResolvedHealth
  readonly critical: boolean
  readonly dependsOn: ReadonlyArray<string>
  readonly sharing: Sharing
  readonly exclusive: ResolvedExclusive
}

/**
 * The defaults of {@link ServerLimits}.
 *
 * @since 0.1.0
 */
export const defaults: ResolvedLimits = {
  connectTimeout: Duration.seconds(10),
  callIdleTimeout: Duration.seconds(60),
  callTimeout: Duration.seconds(300),
  closeTimeout: Duration.seconds(5),
  idleTimeToLive: Duration.minutes(10),
  keepAlive: false,
  maxConcurrency: 50,
  maxWaiting: 1_000,
  overload: "suspend",
  maxRequestBytes: 1024 * 1024,
  maxMessageBytes: 16 * 1024 * 1024,
  restart: {
    intensity: 3,
    period: Duration.seconds(10),
    backoff: Duration.seconds(1),
    maxBackoff: Duration.seconds(60),
    resetAfter: Duration.seconds(60)
  },
  health: {
    check: "ping",
    every: Duration.seconds(30),
    timeout: Duration.seconds(5),
    failures: 3
  },
  critical: false,
  dependsOn: [],
  sharing: "shared",
  exclusive: {
    min: 0,
    max: 10,
    idleTimeToLive: Duration.seconds(60),
    maxLifetime: Duration.minutes(30),
    leakWarning: Duration.seconds(60)
  }
}

/** Longest wait for the server's answer to the DELETE that ends an HTTP session. */
export const sessionDeleteTimeout: Duration.Duration = Duration.seconds(2)

/** Pages, and items, that one listing may have before it is refused. */
export const listing = { maxPages: 100, maxItems: 10_000 } as const

/** The duration of an option, or its default. Throws for a bare number. */
export const span = (name: string, input: Span | undefined, fallback: Duration.Duration): Duration.Duration => {
  if (input === undefined) return fallback
  if (typeof input === "number" || typeof input === "bigint") {
    throw new TypeError(`${name} needs a unit: write "${String(input)} seconds" or "${String(input)} millis"`)
  }
  const duration = Option.getOrUndefined(Duration.fromInput(input))
  if (duration === undefined) throw new TypeError(`${name} is no length of time: write "20 seconds" or "500 millis"`)
  if (Duration.toMillis(duration) <= 0) throw new TypeError(`${name} must be longer than nothing`)
  return duration
}

/** The count of an option, or its default. Throws below the least value. */
export const count = (name: string, input: number | undefined, fallback: number, least: number): number => {
  if (input === undefined) return fallback
  if (!Number.isInteger(input) || input < least)
    throw new TypeError(`${name} must be a whole number of at least ${least}`)
  return input
}

const bytes = (name: string, input: ByteSize.Input | undefined, fallback: number): number => {
  if (input === undefined) return fallback
  const size = Option.getOrUndefined(ByteSize.fromInput(input))
  if (size === undefined) throw new TypeError(`${name} is no number of bytes: write 1048576 or "1 MiB"`)
  return ByteSize.toNumberUnsafe(size)
}

/** For programs without types, where a misspelt word would quietly be another behaviour. */
const oneOf = <A extends string>(name: string, input: A | undefined, fallback: A, known: ReadonlyArray<A>): A => {
  if (input !== undefined && !known.includes(input)) throw new TypeError(`${name} must be ${known.join(" or ")}`)
  return input ?? fallback
}

const restart = (limits: RestartLimits): ResolvedRestart => {
  const { backoff, intensity, maxBackoff, period, resetAfter } = defaults.restart
  const first = span("restart.backoff", limits.backoff, backoff)
  return {
    intensity: count("restart.intensity", limits.intensity, intensity, 1),
    period: span("restart.period", limits.period, period),
    backoff: first,
    maxBackoff: Duration.max(first, span("restart.maxBackoff", limits.maxBackoff, maxBackoff)),
    resetAfter: span("restart.resetAfter", limits.resetAfter, resetAfter)
  }
}

const health = (limits: HealthLimits): ResolvedHealth => {
  const { check, every, failures, timeout } = defaults.health
  return {
    check: oneOf("health.check", limits.check, check, ["ping", "list", "process", "off"]),
    every: span("health.every", limits.every, every),
    timeout: span("health.timeout", limits.timeout, timeout),
    failures: count("health.failures", limits.failures, failures, 1)
  }
}

const exclusive = (limits: ExclusiveLimits): ResolvedExclusive => {
  const { idleTimeToLive, leakWarning, max, maxLifetime, min } = defaults.exclusive
  const least = count("exclusive.min", limits.min, min, 0)
  return {
    min: least,
    max: count("exclusive.max", limits.max, max, Math.max(1, least)),
    idleTimeToLive: span("exclusive.idleTimeToLive", limits.idleTimeToLive, idleTimeToLive),
    maxLifetime: span("exclusive.maxLifetime", limits.maxLifetime, maxLifetime),
    leakWarning: span("exclusive.leakWarning", limits.leakWarning, leakWarning)
  }
}

/**
 * Fills in the defaults.
 *
 * @throws TypeError for a value that no server could have: a bare number as a duration, a limit below its least
 * value, a word that is none of the known.
 * @since 0.1.0
 */
export const resolve = (limits: ServerLimits): ResolvedLimits => ({
  connectTimeout: span("connectTimeout", limits.connectTimeout, defaults.connectTimeout),
  callIdleTimeout: span("callIdleTimeout", limits.callIdleTimeout, defaults.callIdleTimeout),
  callTimeout: span("callTimeout", limits.callTimeout, defaults.callTimeout),
  closeTimeout: span("closeTimeout", limits.closeTimeout, defaults.closeTimeout),
  idleTimeToLive: span("idleTimeToLive", limits.idleTimeToLive, defaults.idleTimeToLive),
  keepAlive: limits.keepAlive ?? defaults.keepAlive,
  maxConcurrency: count("maxConcurrency", limits.maxConcurrency, defaults.maxConcurrency, 1),
  maxWaiting: count("maxWaiting", limits.maxWaiting, defaults.maxWaiting, 0),
  overload: oneOf("overload", limits.overload, defaults.overload, ["suspend", "reject"]),
  maxRequestBytes: bytes("maxRequestBytes", limits.maxRequestBytes, defaults.maxRequestBytes),
  maxMessageBytes: bytes("maxMessageBytes", limits.maxMessageBytes, defaults.maxMessageBytes),
  restart: restart(limits.restart ?? {}),
  health: health(limits.health ?? {}),
  critical: limits.critical ?? defaults.critical,
  dependsOn: limits.dependsOn ?? defaults.dependsOn,
  sharing: limits.sharing ?? defaults.sharing,
  exclusive: exclusive(limits.exclusive ?? {})
})
