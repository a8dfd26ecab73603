/** The processes of one server: its group, its descendants, and whatever carries its mark in the environment. */
import type { Sighting, Snapshot } from "./Survey.ts"

/**
 * Where nothing could be seen, on another system than Linux or for want of files, the group stands for the whole tree.
 */
export interface Tree {
  /** How many of the tree were alive, zombies not counted. Members seen once stay members, wherever they went. */
  readonly alive: (seen: Snapshot | undefined) => number
  /** Signals the group and each member that has left it; tells how many there were. */
  readonly signal: (seen: Snapshot | undefined, signal: NodeJS.Signals) => number
  /** Whether a member has ever been seen outside the group. */
  readonly hasStrays: () => boolean
  /** To be told in the turn in which the leader has been collected: from then on its number may become another's. */
  readonly leaderEnded: () => void
}

// ESRCH and EPERM both mean that there is nothing of ours left under that number.
const kill = (pid: number, signal: NodeJS.Signals | 0): boolean => {
  try {
    return process.kill(pid, signal)
  } catch {
    return false
  }
}

/** `mark` is one entry of the list that `ProcessMark` describes; `now` reads the processes of this very moment. */
export const make = (leader: number, mark: string, now: () => Snapshot | undefined): Tree => {
  const members = new Set<string>()
  let leading = true
  let strays = false

  // A group keeps its number for as long as somebody is in it; after that the number may be anyone's.
  const isOurs = (group: ReadonlyArray<Sighting>): boolean => leading || group.some(({ key }) => members.has(key))

  const aliveIn = (seen: Snapshot): ReadonlyArray<Sighting> => {
    const alive: Array<Sighting> = []
    const visited = new Set<string>()
    const visit = (one: Sighting) => {
      if (visited.has(one.key)) return
      visited.add(one.key)
      members.add(one.key)
      if (!one.zombie) alive.push(one)
      for (const child of seen.childrenOf(one.pid)) visit(child)
    }
    const group = seen.inGroup(leader)
    if (isOurs(group)) group.forEach(visit)
    seen.carrying(mark).forEach(visit)
    for (const key of members) {
      const one = seen.get(key)
      if (one === undefined) members.delete(key)
      else visit(one)
    }
    strays ||= alive.some((one) => one.group !== leader)
    return alive
  }

  const groupExists = () => kill(-leader, 0)

  return {
    alive: (seen) => (seen === undefined ? Number(groupExists()) : aliveIn(seen).length),
    signal: (seen, signal) => {
      if (seen === undefined) return Number(kill(-leader, signal))
      const left = aliveIn(seen)
      if (isOurs(seen.inGroup(leader))) kill(-leader, signal)
      for (const one of left) if (one.group !== leader) kill(one.pid, signal)
      return left.length
    },
    hasStrays: () => strays,
    leaderEnded: () => {
      // An empty group has no helper to be remembered, and this is the end of most servers.
      const seen = groupExists() ? now() : undefined
      if (seen !== undefined) aliveIn(seen)
      leading = false
    }
  }
}
