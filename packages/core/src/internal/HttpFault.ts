/** Why an exchange over HTTP brought no answer, and what a caller of ours or the SDK is told of it. */
import { SdkError, SdkErrorCode, SdkHttpError, UnauthorizedError } from "@modelcontextprotocol/client"
import { ConnectionLost, MessageTooLarge, type McpError, ProtocolError, type Reason } from "../McpError.ts"
import { type Frame, isRecord, parseFrame } from "./frames.ts"
import * as HttpAuth from "./HttpAuth.ts"
import * as Redaction from "./redaction.ts"

export type HttpFault =
  /** Any status but success; `body` where it was read. */
  | {
      readonly _tag: "Status"
      readonly status: number
      readonly header: (name: string) => string | undefined
      readonly body: string | undefined
    }
  | { readonly _tag: "Unauthorised"; readonly error: McpError }
  | { readonly _tag: "ContentType"; readonly type: string }
  | { readonly _tag: "TooLarge" }
  | { readonly _tag: "Lost"; readonly detail: string; readonly delivery: "NotSent" | "OutcomeUnknown" }

const unfollowed = (status: number): string =>
  status >= 300 && status < 400 ? "; it redirects, and only redirects within its origin are followed" : ""

/** The JSON-RPC error in the body of a refusal. */
export const errorIn = ({ body }: { readonly body: string | undefined }): Frame | undefined => {
  const frame = body === undefined ? undefined : parseFrame(body)
  return frame !== undefined && isRecord(frame["error"]) ? frame : undefined
}

/** A refusal that comes without its body: what it says is known already, or nobody asked for it. */
export const speaksForItself = (status: number, header: (name: string) => string | undefined): boolean =>
  status === 401 || status === 403 || (isBusy(status) && header("retry-after") !== undefined)

const isBusy = (status: number): boolean => status === 429 || status === 503

/** A gateway says that the server did not answer it; what the server did, or still does, nobody knows. */
const withoutAnswer = new Set([502, 504])

export interface Context {
  readonly server: string
  readonly scrub: Redaction.Scrub
  readonly limit: number
}

/** Statuses of servers that refuse a request for what it is, before they do anything about it. */
const unread = new Set([400, 404, 405, 406, 415])

/** Whether the status of a refusal proves that the request was not looked into. */
export const isUnread = ({ status }: ProtocolError): boolean => status !== undefined && unread.has(status)

/** `asked` is the request that it was. */
export const toReason = (
  { limit, scrub, server }: Context,
  asked: { readonly id: number; readonly method: string },
  fault: HttpFault
): Reason => {
  const request = asked.method
  switch (fault._tag) {
    case "Status": {
      const { header, status } = fault
      if (status === 401 || status === 403) return HttpAuth.required(server, scrub, status, header("www-authenticate"))
      const answer = errorIn(fault)
      const said = answer?.["error"]
      const { code, data, message } = isRecord(said) ? said : {}
      const text = typeof message === "string" ? scrub(message) : undefined
      if (answer?.["id"] === asked.id && typeof code === "number") {
        return new ProtocolError({
          server,
          request,
          code,
          status,
          detail: text ?? "no reason given",
          data: Redaction.deep(scrub)(data),
          delivery: "Answered"
        })
      }
      return new ProtocolError({
        server,
        request,
        status,
        detail: `HTTP ${status}${unfollowed(status)}${text === undefined ? "" : `: ${text}`}`,
        delivery:
          isBusy(status) && header("retry-after") !== undefined
            ? "NotSent"
            : withoutAnswer.has(status)
              ? "OutcomeUnknown"
              : "Answered"
      })
    }
    case "Unauthorised":
      return fault.error.reason
    case "ContentType":
      return new ProtocolError({
        server,
        request,
        detail: `the content type of the answer is "${scrub(fault.type)}"`,
        delivery: "Answered"
      })
    case "TooLarge":
      return new MessageTooLarge({ server, request, direction: "Response", limit, delivery: "Answered" })
    case "Lost":
      return new ConnectionLost({
        server,
        detail: scrub(fault.detail),
        stderr: "",
        delivery: fault.delivery
      })
  }
}

/** In the SDK's own terms, by which its negotiation tells a refusal from an old server. */
export const toSdkError = ({ limit, scrub }: Context, fault: HttpFault): Error => {
  switch (fault._tag) {
    case "Status": {
      const { body, status } = fault
      const text = body === undefined ? "" : scrub(body)
      return new SdkHttpError(
        SdkErrorCode.ClientHttpNotImplemented,
        `Error POSTing to endpoint: HTTP ${status}${unfollowed(status)}${text === "" ? "" : `: ${text}`}`,
        { status, statusText: "", text }
      )
    }
    case "Unauthorised":
      return Object.assign(new UnauthorizedError(fault.error.message), { cause: fault.error })
    case "ContentType":
      return new SdkError(SdkErrorCode.ClientHttpUnexpectedContent, `Unexpected content type: ${scrub(fault.type)}`, {
        contentType: scrub(fault.type)
      })
    case "TooLarge":
      return new Error(`the answer is larger than ${limit} bytes (maxMessageBytes)`)
    case "Lost":
      return new Error(scrub(fault.detail))
  }
}
