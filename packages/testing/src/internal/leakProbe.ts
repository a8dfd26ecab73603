/**
 * The witness of the leak check: a process of its own that reads `/proc` and answers one JSON line per question. It is
 * started once per test process, remembers every process that ever belonged to it, and ends with it.
 *
 * Arguments: the number of the test process (0: nothing but the mark tells what is ours), its mark, and the variable that
 * holds marks.
 */
import { readdirSync, readFileSync, readlinkSync, statSync } from "node:fs"
import { uptime } from "node:os"
import { resolve } from "node:path"
import { createInterface } from "node:readline"

const root = Number(process.argv[2])
const mark = process.argv[3] ?? ""
const variable = process.argv[4] ?? ""

/** Between two questions as well, so that what leaves the tree quickly has been seen in it. */
const lookAround = 20

interface Stat {
  readonly parent: number
  readonly group: number
  readonly startTicks: number
  readonly zombie: boolean
}

const attempt = <A>(read: () => A): A | undefined => {
  try {
    return read()
  } catch {
    return undefined // ended meanwhile, or not ours to read
  }
}

const readStat = (pid: number): Stat | undefined => {
  const text = attempt(() => readFileSync(`/proc/${pid}/stat`, "utf8"))
  if (text === undefined) return undefined
  // The name stands in parentheses and may contain any character; the fields after the last one are plain.
  const fields = text.slice(text.lastIndexOf(")") + 2).split(" ")
  return {
    parent: Number(fields[1]),
    group: Number(fields[2]),
    startTicks: Number(fields[19]),
    zombie: fields[0] === "Z" || fields[0] === "X"
  }
}

const ticksPerSecond = 100

/** In milliseconds. */
const ageOf = ({ startTicks }: Stat): number => Math.max(0, Math.round((uptime() - startTicks / ticksPerSecond) * 1000))

const infancy = 1000

const carriesMark = (pid: number): boolean =>
  (attempt(() => readFileSync(`/proc/${pid}/environ`, "utf8")) ?? "")
    .split("\0")
    .some((text) => text.startsWith(`${variable}=`) && text.includes(mark))

/** The group of the test process as well, which holds much that is not below it. */
const commonGroup = readStat(process.pid)?.group
const ours = new Map<number, number>()
const strangers = new Set<number>([process.pid, ...(root === 0 ? [] : [root])])
const groups = new Set<number>()

/** Whoever is new is judged by its parent, its group, or its mark. */
const judge = (pid: number) => {
  const stat = readStat(pid)
  if (stat === undefined) return
  const isOurs =
    (root !== 0 && stat.parent === root) || ours.has(stat.parent) || groups.has(stat.group) || carriesMark(pid)
  if (!isOurs) {
    // One that has just been forked still has the environment of its parent; it is judged again.
    if (ageOf(stat) > infancy) strangers.add(pid)
    return
  }
  ours.set(pid, stat.startTicks)
  if (stat.group !== commonGroup) groups.add(stat.group)
}

const look = () => {
  const listed = new Set(readdirSync("/proc").map(Number).filter(Number.isInteger))
  for (const pid of strangers) if (!listed.has(pid)) strangers.delete(pid)
  for (const pid of ours.keys()) if (!listed.has(pid)) ours.delete(pid)
  // In the order of their numbers a parent mostly comes before its children; the second round finds the others.
  for (const pid of [...listed].sort((a, b) => a - b)) if (!strangers.has(pid) && !ours.has(pid)) judge(pid)
}

const facts = () => {
  look()
  const processes = [...ours].flatMap(([pid, start]) => {
    const stat = readStat(pid)
    return stat === undefined || stat.zombie || stat.startTicks !== start ? [] : [{ pid, start }]
  })
  const names = root === 0 ? [] : (attempt(() => readdirSync(`/proc/${root}/fd`)) ?? [])
  const descriptors = names.flatMap((name) => {
    const target = attempt(() => readlinkSync(`/proc/${root}/fd/${name}`))
    return target === undefined ? [] : [{ fd: Number(name), target }]
  })
  return { processes, descriptors }
}

/** What may be shown of an argument: the name of a flag, or a path that exists. Anything else may be a secret. */
const shown = (pid: number, argument: string): string => {
  const flag = /^--?([A-Za-z][\w-]*)?/.exec(argument)?.[0]
  if (flag !== undefined) return argument === flag ? flag : `${flag}=<hidden>`
  const cwd = attempt(() => readlinkSync(`/proc/${pid}/cwd`)) ?? "/"
  const exists = argument !== "" && attempt(() => statSync(resolve(cwd, argument))) !== undefined
  return exists ? argument : "<hidden>"
}

const commandLine = (pid: number): string => {
  const [program = "", ...rest] = (attempt(() => readFileSync(`/proc/${pid}/cmdline`, "utf8")) ?? "")
    .replace(/\0$/, "")
    .split("\0")
  return [program, ...rest.map((argument) => shown(pid, argument))].join(" ")
}

const describeProcess = (pid: number) => {
  const stat = readStat(pid)
  if (stat === undefined || stat.zombie) return []
  return [{ pid, command: commandLine(pid), age: ageOf(stat) }]
}

/** An address as `/proc/net` writes it: 32-bit words in the byte order of the machine, then the port. */
const address = (text: string): string => {
  const [host = "", port = "0"] = text.split(":")
  const words = host.match(/.{8}/g) ?? []
  const bytes = words.flatMap((word) => (word.match(/../g) ?? []).toReversed().map((byte) => Number.parseInt(byte, 16)))
  const tail = bytes.slice(-4).join(".")
  const isMapped = bytes.length === 16 && bytes.slice(0, 10).every((byte) => byte === 0) && bytes[10] === 255
  const isAny = bytes.every((byte) => byte === 0)
  const v6 = Buffer.from(bytes).toString("hex").match(/.{4}/g)?.join(":") ?? ""
  const name = bytes.length === 4 || isMapped ? tail : isAny ? "::" : v6
  return `${name}:${Number.parseInt(port, 16)}`
}

const tcpStates: Readonly<Record<string, string>> = {
  "01": "established",
  "02": "connecting",
  "04": "closing",
  "05": "closing",
  "08": "closed by the other side",
  "0A": "listening"
}

const describeSockets = (inodes: ReadonlyArray<string>) => {
  const wanted = new Set(inodes)
  const lines = (name: string) =>
    (attempt(() => readFileSync(`/proc/${root}/net/${name}`, "utf8")) ?? "")
      .split("\n")
      .slice(1)
      .map((line) => line.trim().split(/\s+/))
  const internet = ["tcp", "tcp6", "udp", "udp6"].flatMap((protocol) =>
    lines(protocol).flatMap((fields) => {
      const [, local = "", remote = "", state = ""] = fields
      const inode = fields[9] ?? ""
      if (!wanted.has(inode)) return []
      const listening = protocol.startsWith("tcp") && state === "0A"
      const peer = remote.endsWith(":0000") ? "" : ` to ${address(remote)}`
      const how = protocol.startsWith("tcp") ? ` (${tcpStates[state] ?? state})` : ""
      return [{ inode, listening, what: `${protocol} ${address(local)}${peer}${how}` }]
    })
  )
  const local = lines("unix").flatMap((fields) => {
    const inode = fields[6] ?? ""
    if (!wanted.has(inode)) return []
    // The flag of a socket that accepts connections, __SO_ACCEPTCON.
    const listening = fields[3] === "00010000"
    return [{ inode, listening, what: `unix ${fields[7] ?? "without a name"}${listening ? " (listening)" : ""}` }]
  })
  return [...internet, ...local]
}

interface Question {
  readonly pids?: ReadonlyArray<number>
  readonly inodes?: ReadonlyArray<string>
}

const answer = (question: Question) =>
  question.pids === undefined
    ? facts()
    : {
        processes: question.pids.flatMap(describeProcess),
        sockets: describeSockets(question.inodes ?? [])
      }

setInterval(look, lookAround)
createInterface({ input: process.stdin })
  .on("line", (line) => process.stdout.write(`${JSON.stringify(answer(JSON.parse(line) as Question))}\n`))
  .on("close", () => process.exit(0))
