/**
 * A connection on which SQLite itself refuses everything but reading: the file
 * is opened read-only, and an authorizer judges each compiled statement. The
 * text of a statement is never looked at.
 */
import { DatabaseSync, constants } from "node:sqlite"

/** The longest string or blob SQLite may hold, in bytes. Node before 24.15 has no such setting and ignores it. */
export const maxValueBytes = 16 * 1024 * 1024

export interface ReadOnly {
  readonly database: DatabaseSync
  /** What the authorizer refused since the last call, if it did. */
  readonly takeRefusal: () => string | undefined
  /** Runs a compiled statement; virtual tables may ask for what they need only meanwhile. */
  readonly whileRunning: <A>(run: () => A) => A
}

/** Opens without an authorizer: for our own statements about the schema. */
export const openCatalog = (file: string): DatabaseSync => {
  const database = new DatabaseSync(file, {
    readOnly: true,
    allowExtension: false,
    timeout: 1000,
    limits: { length: maxValueBytes, attach: 0 }
  })
  // Sorting must not spill to the disk; a schema must not call functions with side effects.
  database.exec("PRAGMA temp_store = MEMORY; PRAGMA trusted_schema = OFF")
  database.enableDefensive(true)
  return database
}

export const openReadOnly = (file: string): ReadOnly => {
  const database = openCatalog(file)
  const functions = safeFunctions(database)
  let refusal: string | undefined
  let running = false
  const allows = (action: number, subject: string | null, detail: string | null, schema: string | null) => {
    switch (action) {
      case constants.SQLITE_SELECT:
      case constants.SQLITE_READ:
      case constants.SQLITE_RECURSIVE:
        return true
      case constants.SQLITE_FUNCTION:
        return functions.has(detail ?? "")
      case constants.SQLITE_PRAGMA:
        // The full-text index asks its own schema for this one before it answers a MATCH.
        return running && subject === "data_version" && detail === null && schema !== null
      default:
        return false
    }
  }
  database.setAuthorizer((action, subject, detail, schema) => {
    if (allows(action, subject, detail, schema)) return constants.SQLITE_OK
    refusal ??= [actionNames.get(action) ?? `action ${action}`, subject, detail].filter(Boolean).join(" ")
    return constants.SQLITE_DENY
  })
  return {
    database,
    takeRefusal: () => {
      const taken = refusal
      refusal = undefined
      return taken
    },
    whileRunning: (run) => {
      running = true
      try {
        return run()
      } finally {
        running = false
      }
    }
  }
}

const actionNames = new Map(
  Object.entries(constants)
    .filter(([name]) => /^SQLITE_(?!CHANGESET_|OK$|DENY$|IGNORE$)/.test(name))
    .map(([name, action]) => [action, name.slice("SQLITE_".length).replaceAll("_", " ")])
)

/** Functions which only read, though SQLite does not mark them so. */
const readingFunctions =
  "bm25 highlight match matchinfo median offsets percentile percentile_cont percentile_disc snippet"

const innocuous = 0x200000

/** Functions that SQLite marks as free of side effects (SQLITE_INNOCUOUS), and the readers above. */
const safeFunctions = (database: DatabaseSync): ReadonlySet<string> => {
  const marked = database
    .prepare("SELECT name FROM pragma_function_list GROUP BY name HAVING min(flags & ?) <> 0")
    .all(innocuous)
  return new Set([...readingFunctions.split(" "), ...marked.map((row) => String(row["name"]))])
}
