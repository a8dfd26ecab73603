/** What the server under test answers. Texts are put together by hand: a floor is only as low as its server. */

export interface Options {
  /** Milliseconds before the server begins to read. */
  readonly delay: number
  /** A file that gets one byte for each server started. */
  readonly count: string | undefined
}

export const options: Options = {
  delay: Number(process.argv.find((arg) => arg.startsWith("--delay="))?.slice(8) ?? 0),
  count: process.argv.find((arg) => arg.startsWith("--count="))?.slice(8)
}

interface Request {
  readonly id?: number | string
  readonly method: string
  readonly params?: {
    readonly protocolVersion?: string
    readonly name?: string
    readonly arguments?: { readonly text?: string; readonly bytes?: number; readonly millis?: number }
  }
}

const schema = (properties: object) => ({ type: "object", properties })

const tools = JSON.stringify({
  tools: [
    {
      name: "echo",
      description: "Answers its text.",
      inputSchema: schema({ text: { type: "string" } })
    },
    {
      name: "blob",
      description: "Answers so many bytes of text.",
      inputSchema: schema({ bytes: { type: "number" } })
    },
    {
      name: "slow",
      description: "Answers after so many milliseconds.",
      inputSchema: schema({ millis: { type: "number" } })
    }
  ]
})

const blobs = new Map<number, Buffer>()

/** The tail of a frame whose text has so many bytes, line ends and quotes among them as texts have them. */
const blob = (bytes: number): Buffer => {
  const known = blobs.get(bytes)
  if (known !== undefined) return known
  const line = 'The quick brown fox says "jump" to the lazy dog, over and over again, as in all texts.\n'
  const text = line.repeat(Math.ceil(bytes / line.length)).slice(0, bytes)
  const tail = Buffer.from(`{"content":[{"type":"text","text":${JSON.stringify(text)}}]}}`)
  blobs.set(bytes, tail)
  return tail
}

/** Told the frame as a text, or as its head and the bytes of its tail. */
export type Reply = (head: string, tail?: Buffer) => void

const textResult = (head: string, text: string) =>
  `${head}{"content":[{"type":"text","text":${JSON.stringify(text)}}]}}`

/** Answers one message; false when it asks for no answer. */
export const answer = (message: Request, reply: Reply): boolean => {
  const { id, method, params } = message
  if (id === undefined) return false
  const head = `{"jsonrpc":"2.0","id":${typeof id === "number" ? id : JSON.stringify(id)},"result":`
  switch (method) {
    case "tools/call": {
      const args = params?.arguments ?? {}
      if (params?.name === "echo") reply(textResult(head, args.text ?? ""))
      else if (params?.name === "blob") reply(head, blob(args.bytes ?? 0))
      else setTimeout(() => reply(textResult(head, "done")), args.millis ?? 0)
      return true
    }
    case "initialize": {
      const wanted = params?.protocolVersion ?? "2025-11-25"
      const version = wanted > "2025-11-25" ? "2025-11-25" : wanted
      reply(
        `${head}{"protocolVersion":"${version}","capabilities":{"tools":{}},"serverInfo":{"name":"bench","version":"1.0.0"}}}`
      )
      return true
    }
    case "tools/list":
      reply(`${head}${tools}}`)
      return true
    case "ping":
      reply(`${head}{}}`)
      return true
    default:
      reply(
        `{"jsonrpc":"2.0","id":${JSON.stringify(id)},"error":{"code":-32601,"message":"Method not found: ${method}"}}`
      )
      return true
  }
}
