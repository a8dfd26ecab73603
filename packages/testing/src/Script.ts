/**
 * A session written down step by step: what the client must send next, and the exact text that it gets back. For the
 * cases in which a server with handlers is too well behaved.
 *
 * @since 0.1.0
 */
import * as Duration from "effect/Duration"
import type { Frame } from "./internal/frames.ts"

/**
 * What the next frame must contain; everything that is not named is free.
 *
 * @since 0.1.0
 */
export interface Pattern {
  readonly method?: string | undefined
  readonly params?: Frame | undefined
}

/**
 * One step of a script; made with the functions of this module.
 *
 * @since 0.1.0
 */
export type Step =
  | { readonly _tag: "Expect"; readonly pattern: Pattern }
  | { readonly _tag: "Serve"; readonly until: string | undefined }
  | { readonly _tag: "Reply"; readonly body: Frame }
  | { readonly _tag: "Send"; readonly text: string }
  | { readonly _tag: "Wait"; readonly delay: Duration.Duration }
  | { readonly _tag: "HangUp" }

/**
 * The steps of each session of a server, in order. Once they are done the definition serves on.
 *
 * @since 0.1.0
 */
export type Script = ReadonlyArray<Step>

/**
 * The next frame must be this one. Another is a `ScriptFailed` in the journal, and the end of the session.
 *
 * @since 0.1.0
 */
export const expect = (method: string, params?: Frame): Step => ({
  _tag: "Expect",
  pattern: params === undefined ? { method } : { method, params }
})

/**
 * Answers the request expected last with a result.
 *
 * @since 0.1.0
 */
export const reply = (result: Frame): Step => ({ _tag: "Reply", body: { result } })

/**
 * Answers the request expected last with an error.
 *
 * @since 0.1.0
 */
export const replyError = (code: number, message: string, data?: unknown): Step => ({
  _tag: "Reply",
  body: { error: data === undefined ? { code, message } : { code, message, data } }
})

/**
 * Sends a frame as it is, whatever the client asked for.
 *
 * @since 0.1.0
 */
export const send = (frame: Frame): Step => ({ _tag: "Send", text: JSON.stringify(frame) })

/**
 * Sends a text as it is: on stdio a line, over HTTP an event. In memory only JSON can cross, so any other text is lost.
 *
 * @since 0.1.0
 */
export const sendText = (text: string): Step => ({ _tag: "Send", text })

/**
 * Lets the definition answer the handshake, of either era.
 *
 * @since 0.1.0
 */
export const handshake: Step = { _tag: "Serve", until: undefined }

/**
 * Lets the definition serve until a frame of this method has been served.
 *
 * @since 0.1.0
 */
export const serveUntil = (method: string): Step => ({ _tag: "Serve", until: method })

/**
 * Lets time pass before the next step, on the clock of the server.
 *
 * @since 0.1.0
 */
export const wait = (delay: Duration.Input): Step => ({ _tag: "Wait", delay: Duration.fromInputUnsafe(delay) })

/**
 * Ends the line without a word.
 *
 * @since 0.1.0
 */
export const hangUp: Step = { _tag: "HangUp" }
