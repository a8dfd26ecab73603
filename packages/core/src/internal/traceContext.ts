/**
 * The caller's span as the request's metadata, in the format of W3C.
 *
 * https://www.w3.org/TR/trace-context/#traceparent-header
 */
import { TRACEPARENT_META_KEY, TRACESTATE_META_KEY } from "@modelcontextprotocol/client"
import * as Context from "effect/Context"
import * as Fiber from "effect/Fiber"
import * as Option from "effect/Option"

/**
 * What other tracing systems want to have passed on with a trace, as the header `tracestate` has it. Read from the span's
 * annotations, or else from the caller's context; only where there is a span.
 *
 * @since 0.1.0
 */
export const TraceState: Context.Reference<string | undefined> = Context.Reference<string | undefined>(
  "@scoped-mcp/core/McpConnection/TraceState",
  { defaultValue: () => undefined }
)

const isTraceId = /^(?!0+$)[0-9a-f]{32}$/
const isSpanId = /^(?!0+$)[0-9a-f]{16}$/
const isTraceState = /^[\x20-\x7e]{1,512}$/

/** Nothing without a span, and for a span whose ids W3C does not allow. Called in the turn of the caller's fibre. */
export const current = (): Readonly<Record<string, string>> | undefined => {
  const fiber = Fiber.getCurrent()
  const span = fiber?.cache.span
  if (fiber === undefined || span === undefined) return undefined
  if (!isTraceId.test(span.traceId) || !isSpanId.test(span.spanId)) return undefined
  const annotated = Option.getOrUndefined(Context.getOption(span.annotations, TraceState))
  const state = annotated ?? Context.get(fiber.context, TraceState)
  return {
    [TRACEPARENT_META_KEY]: `00-${span.traceId}-${span.spanId}-${span.sampled ? "01" : "00"}`,
    ...(state !== undefined && isTraceState.test(state) ? { [TRACESTATE_META_KEY]: state } : {})
  }
}
