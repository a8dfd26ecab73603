/** Looks at the system for sockets: those we hold, and any that still has to do with the ports of our servers. */
import { readdirSync, readFileSync, readlinkSync } from "node:fs"

export interface SocketWatch {
  /** A server of ours listens there; at the end nobody should have to do with it any more. */
  readonly mind: (port: number) => void
  readonly minded: ReadonlyArray<number>
  /** Descriptions of the sockets that were not there before. */
  readonly left: () => ReadonlyArray<string>
}

// A descriptor may be closed between the listing and the reading; the one that lists always is.
const linkOrNothing = (path: string): string | undefined => {
  try {
    return readlinkSync(path)
  } catch {
    return undefined
  }
}

const held = (): ReadonlyArray<string> =>
  readdirSync("/proc/self/fd").flatMap((fd) => {
    const link = linkOrNothing(`/proc/self/fd/${fd}`)
    return link?.startsWith("socket:") === true ? [link] : []
  })

const states: Readonly<Record<string, string>> = { "01": "connected", "0A": "listening" }

const portOf = (address: string | undefined): number => Number.parseInt(address?.split(":")[1] ?? "0", 16)

/** Rows of the system's tables of TCP sockets, those of other processes included; one without an inode has no owner. */
const onPorts = (ports: ReadonlyArray<number>): ReadonlyArray<string> =>
  ["/proc/self/net/tcp", "/proc/self/net/tcp6"].flatMap((file) =>
    readFileSync(file, "utf8")
      .split("\n")
      .slice(1)
      .flatMap((row) => {
        const fields = row.trim().split(/\s+/)
        const [, local, remote, state = ""] = fields
        const concerned = ports.find((port) => port === portOf(local) || port === portOf(remote))
        if (concerned === undefined || fields[9] === "0") return []
        return [`a socket ${states[state] ?? "closing"} on port ${concerned}`]
      })
  )

/** What is there now counts as not ours. */
export const make = (): SocketWatch => {
  const before = new Set(held())
  const minded: Array<number> = []
  return {
    mind: (port) => {
      minded.push(port)
    },
    minded,
    left: () => [...held().filter((socket) => !before.has(socket)), ...onPorts(minded)]
  }
}
