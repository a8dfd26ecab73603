/** The version in our package.json, which lies two directories up from the sources and from what is built of them. */
import { createRequire } from "node:module"

export const packageVersion = (createRequire(import.meta.url)("../../package.json") as { readonly version: string })
  .version
