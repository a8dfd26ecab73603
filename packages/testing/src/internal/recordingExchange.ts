/** Which frames of the server belong to which frame of the client. */

export type Message = Readonly<Record<string, unknown>>

interface Follower {
  readonly at: number
  readonly frame: Message
  /** A result, an error or progress of a request; else the server said it of its own accord. */
  readonly isAnswer: boolean
}

/** What the client sent, and what came because of it or after it. The first has no frame: it is the opening. */
export interface Exchange {
  readonly at: number
  readonly frame: Message | undefined
  readonly followers: Array<Follower>
}

export const isRecord = (value: unknown): value is Message =>
  typeof value === "object" && value !== null && !Array.isArray(value)

export const progressTokenOf = (message: Message): unknown => {
  const params = message["params"]
  const meta = isRecord(params) ? params["_meta"] : undefined
  return isRecord(meta) ? meta["progressToken"] : undefined
}

const isReply = ({ frame }: Exchange) => frame !== undefined && frame["method"] === undefined

/** The request that a frame of the server answers or reports on. */
const requestOf = (frame: Message, sent: ReadonlyArray<Exchange>): Exchange | undefined => {
  if (frame["method"] === undefined) {
    return sent.findLast(({ frame: request }) => request?.["method"] !== undefined && request["id"] === frame["id"])
  }
  const params = frame["params"]
  if (frame["method"] !== "notifications/progress" || !isRecord(params)) return undefined
  const token = params["progressToken"]
  return sent.findLast(({ frame: request }) => request !== undefined && progressTokenOf(request) === token)
}

export const exchanges = (
  frames: ReadonlyArray<{ readonly to: "server" | "client"; readonly at: number; readonly frame: Message }>
): ReadonlyArray<Exchange> => {
  const opening: Exchange = { at: 0, frame: undefined, followers: [] }
  const sent: Array<Exchange> = [opening]
  for (const { at, frame, to } of frames) {
    if (to === "server") {
      sent.push({ at, frame, followers: [] })
      continue
    }
    const request = requestOf(frame, sent)
    // What came after an answer of ours to the server may have waited for it.
    const reply = sent.findLast(isReply)
    const isLater = request !== undefined && reply !== undefined && sent.indexOf(reply) > sent.indexOf(request)
    const cause = request === undefined ? (sent.at(-1) ?? opening) : isLater ? reply : request
    cause.followers.push({ at, frame, isAnswer: request !== undefined })
  }
  return sent
}
