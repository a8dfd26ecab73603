/** Addresses of skills and of their files. A file has one key, however its address is spelled (`Q&A.md`, `Q%26A.md`). */

/** The key of the file that a skill begins with. */
export const manifest = "SKILL.md"

const decoded = (segment: string): string => {
  try {
    return decodeURIComponent(segment)
  } catch {
    return segment // its percent sign stands for itself
  }
}

/** A name that cannot lead out of its folder, wherever it is written to later. */
const isFileName = (name: string): boolean => name !== "" && name !== "." && name !== ".." && !/[/\0]/.test(name)

const canonical = (uri: string): string | undefined => (URL.canParse(uri) ? new URL(uri).href : undefined)

/** The folder of a skill, without a slash at its end; nothing where the address is not that of a `SKILL.md` in a folder. */
export const rootOf = (skillUri: string): string | undefined => {
  const uri = canonical(skillUri)
  if (uri === undefined || !uri.endsWith(`/${manifest}`)) return undefined
  const root = uri.slice(0, -`/${manifest}`.length)
  return root.endsWith("/") ? undefined : root
}

/** The last name in the address of the folder. */
export const nameOf = (root: string): string => decoded(root.slice(root.lastIndexOf("/") + 1))

/** The key of a file below the folder; nothing where the address leads elsewhere, or has a query or fragment. */
export const keyOf = (root: string, uri: string): string | undefined => {
  const href = canonical(uri)
  if (href === undefined || !href.startsWith(`${root}/`) || /[?#]/.test(href)) return undefined
  const names = href
    .slice(root.length + 1)
    .split("/")
    .map(decoded)
  return names.every(isFileName) ? names.map(encodeURIComponent).join("/") : undefined
}

/** Where a reference inside a skill leads, as a browser follows a link; its fragment is dropped. */
export const resolve = (root: string, reference: string): string | undefined =>
  URL.canParse(reference, `${root}/`) ? new URL(reference, `${root}/`).href.replace(/#.*$/s, "") : undefined
