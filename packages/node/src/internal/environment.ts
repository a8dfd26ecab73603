/** What a server sees of our own environment. */
import type { InheritEnv } from "@scoped-mcp/core/ServerConfig"

/** What programs need to run at all, and nothing that could be a secret. */
const minimal = [
  "HOME",
  "LANG",
  "LC_ALL",
  "LC_CTYPE",
  "LOGNAME",
  "PATH",
  "SHELL",
  "TERM",
  "TMPDIR",
  "TZ",
  "USER",
  // Windows
  "APPDATA",
  "COMSPEC",
  "HOMEDRIVE",
  "HOMEPATH",
  "LOCALAPPDATA",
  "PATHEXT",
  "PROGRAMDATA",
  "PROGRAMFILES",
  "SYSTEMDRIVE",
  "SYSTEMROOT",
  "TEMP",
  "TMP",
  "USERNAME",
  "USERPROFILE"
]

type Variables = Readonly<Record<string, string>>

const pick = (names: ReadonlyArray<string>): Variables =>
  Object.fromEntries(
    names.flatMap((name) => {
      const value = process.env[name]
      return value === undefined ? [] : [[name, value] as const]
    })
  )

/** What the policy adds to the variables that every program needs. */
export const added = (policy: InheritEnv): Variables => {
  if (policy === "minimal" || policy === "none") return {}
  const names = policy === "all" ? Object.keys(process.env) : policy
  return pick(names.filter((name) => !minimal.includes(name)))
}

/** All that the policy lets a server see. */
export const inherited = (policy: InheritEnv): Variables =>
  policy === "none" ? {} : { ...pick(minimal), ...added(policy) }
