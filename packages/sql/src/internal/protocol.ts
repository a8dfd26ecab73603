/**
 * What the server and a query process say to each other: one JSON value per
 * line. The process itself imports only the types, so that it starts in the
 * time Node needs.
 */
import * as Schema from "effect/Schema"
import { QueryResult, type Parameter } from "../SqlDatabase.ts"
import { Reason } from "../SqlError.ts"

/** What a process is started with, as its only argument. */
export interface Settings {
  readonly file: string
  /** Resident memory, in bytes, at which the process ends itself. */
  readonly maxMemory: number
}

export interface Request {
  readonly sql: string
  readonly parameters: ReadonlyArray<Parameter> | { readonly [name: string]: Parameter }
  readonly maxRows: number
  readonly maxBytes: number
  /** Whether this is one of our own statements about the schema, which read PRAGMAs. */
  readonly catalog: boolean
}

export const Rows = Schema.TaggedStruct("Rows", QueryResult.fields)
export type Rows = typeof Rows.Type

/** The database is open. */
const Ready = Schema.TaggedStruct("Ready", {})

/** The process holds too much memory and ends. */
const OverMemory = Schema.TaggedStruct("OverMemory", {})

export const Response = Schema.Union([Ready, OverMemory, Rows, Reason])
export type Response = typeof Response.Type

/** What the process writes, a line each. */
export type EncodedResponse = typeof Response.Encoded
