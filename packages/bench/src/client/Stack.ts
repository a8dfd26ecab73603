/** What every stack under test can do, so that one set of workloads measures all of them. */

export type Target =
  | { readonly kind: "stdio"; readonly command: string; readonly args: ReadonlyArray<string> }
  | { readonly kind: "http"; readonly url: string }

/** A tool call and what its answer must be. */
export interface Call {
  readonly tool: "echo" | "blob" | "slow"
  readonly args: Readonly<Record<string, unknown>>
  readonly length: number
}

/** Workers that each make calls one after the other, `width` of them on each server. */
export interface Load {
  readonly call: Call
  readonly width: number
  /** Calls of each worker. */
  readonly calls: number
  /** Told how long each call took, in milliseconds, where that is wanted. */
  readonly onCall?: ((millis: number) => void) | undefined
}

/** Servers opened together. */
export interface Group {
  readonly run: (load: Load) => Promise<void>
  readonly close: () => Promise<void>
}

export interface Stack {
  readonly open: (targets: ReadonlyArray<Target>) => Promise<Group>
  /** Gives back what outlives a group, if there is anything. */
  readonly stop: () => Promise<void>
}

/** The module of a stack exports this as `make`. */
export type MakeStack = () => Stack

/** One server of a stack made of promises; `call` answers the text of the result. */
export interface Session {
  readonly call: (tool: string, args: Readonly<Record<string, unknown>>) => Promise<string>
  readonly close: () => Promise<void>
}

export const check = (call: Call, text: string): void => {
  if (text.length !== call.length) throw new Error(`${call.tool} answered ${text.length} characters of ${call.length}`)
}

interface TextBlock {
  readonly type: string
  readonly text?: string
}

/** The text of a result's first block. */
export const textOf = (result: unknown): string => {
  const text = (result as { readonly content?: ReadonlyArray<TextBlock> }).content?.[0]?.text
  if (text === undefined) throw new Error(`a result without text: ${JSON.stringify(result).slice(0, 200)}`)
  return text
}

const worker = async (session: Session, load: Load) => {
  const { call, onCall } = load
  for (let made = 0; made < load.calls; made++) {
    const startedAt = onCall === undefined ? 0 : performance.now()
    check(call, await session.call(call.tool, call.args))
    onCall?.(performance.now() - startedAt)
  }
}

/** A group of sessions; `closeAll` where they are closed together. */
export const groupOf = (sessions: ReadonlyArray<Session>, closeAll?: () => Promise<void>): Group => ({
  run: async (load) => {
    await Promise.all(sessions.flatMap((session) => Array.from({ length: load.width }, () => worker(session, load))))
  },
  close:
    closeAll ??
    (async () => {
      await Promise.all(sessions.map((session) => session.close()))
    })
})

/** A stack whose servers are opened each by itself. */
export const stackOf = (open: (target: Target) => Promise<Session>): Stack => ({
  open: async (targets) => groupOf(await Promise.all(targets.map(open))),
  stop: () => Promise.resolve()
})
