/** Which inherited variables of the environment hold secrets. */
import type { InheritEnv } from "../ServerConfig.ts"

/** `PWD` and `SSH_AUTH_SOCK` only sound like secrets. */
const secretName =
  /token|secret|passw|passphrase|credential|cookie|bearer|authorization|api_?key|(?:^|_)(?:key|pass|pwd|pat|dsn|jwt|auth)(?:$|_(?!sock))/i

const plainNames = new Set(["PWD", "OLDPWD"])

/** The password of an address such as `postgres://user:password@host`. */
const passwordIn = (value: string): string | undefined => {
  if (!value.includes("://") || !URL.canParse(value)) return undefined
  const { password } = new URL(value)
  return password === "" ? undefined : password
}

/**
 * Whoever names a variable for a server declares it, and declared ones are secrets all. Under `all` the whole environment
 * would be: every path and every word in it, which would leave no error readable. There the name tells, or a password in
 * an address.
 */
export const inheritedSecrets = (policy: InheritEnv, added: Readonly<Record<string, string>>): ReadonlyArray<string> =>
  Object.entries(added).flatMap(([name, value]) => {
    const password = passwordIn(value)
    if (password !== undefined) return [value, password]
    return policy !== "all" || (secretName.test(name) && !plainNames.has(name)) ? [value] : []
  })
