/** The parts of the Chat Completions protocol that are read, as hosted and local servers send them: most of it optional. */
import * as Schema from "effect/Schema"

const optional = <S extends Schema.Top>(schema: S) => Schema.optional(Schema.NullOr(schema))

const FunctionCall = Schema.Struct({
  name: optional(Schema.String),
  /** A JSON text, in pieces when streamed; a few servers send the object itself. */
  arguments: optional(Schema.Unknown)
})

const ToolCall = Schema.Struct({
  index: optional(Schema.Finite),
  id: optional(Schema.String),
  function: optional(FunctionCall)
})

/** A whole message, or the next piece of one. */
const Message = Schema.Struct({
  content: optional(Schema.String),
  reasoning_content: optional(Schema.String),
  reasoning: optional(Schema.String),
  refusal: optional(Schema.String),
  tool_calls: optional(Schema.Array(ToolCall))
})

const Usage = Schema.Struct({
  prompt_tokens: optional(Schema.Finite),
  completion_tokens: optional(Schema.Finite),
  prompt_tokens_details: optional(Schema.Struct({ cached_tokens: optional(Schema.Finite) })),
  completion_tokens_details: optional(Schema.Struct({ reasoning_tokens: optional(Schema.Finite) }))
})

const Failure = Schema.Union([
  Schema.String,
  Schema.Struct({
    message: optional(Schema.String),
    type: optional(Schema.String),
    code: optional(Schema.Union([Schema.String, Schema.Finite]))
  })
])

export const Body = Schema.Struct({
  id: optional(Schema.String),
  model: optional(Schema.String),
  choices: optional(
    Schema.Array(
      Schema.Struct({
        message: optional(Message),
        delta: optional(Message),
        finish_reason: optional(Schema.String)
      })
    )
  ),
  usage: optional(Usage),
  error: optional(Failure)
})

export type Body = typeof Body.Type
export type ToolCall = typeof ToolCall.Type
export type Usage = typeof Usage.Type
export type Failure = typeof Failure.Type

export const decode = Schema.decodeUnknownEffect(Schema.fromJsonString(Body))
