/**
 * The faces that a wire shows to clients of the SDK. A client whose handshake failed is thrown away with its face; the
 * newest one is told what comes.
 */
import type { JSONRPCMessage, MessageExtraInfo, Transport } from "@modelcontextprotocol/client"

export interface SdkFaces {
  /** A fresh face for a fresh client. */
  readonly next: () => Transport
  readonly deliver: (message: JSONRPCMessage, extra?: MessageExtraInfo) => void
  readonly failed: (error: Error) => void
  /** The line has ended. */
  readonly closed: () => void
}

/** `make` brings what a face does; a client that closes it ends only what `onClosed` ends, the wire is not its own. */
export const make = <Face extends Omit<Transport, "close">>(
  make: () => Face,
  onClosed: (face: Face) => void = () => {}
): SdkFaces => {
  let newest: (Transport & Face) | undefined
  const close = (face: Transport & Face) => {
    onClosed(face)
    const { onclose } = face
    // Once, whoever closes it first; without it the client would hold on to what it waits for.
    face.onclose = undefined
    onclose?.()
  }
  return {
    next: () => {
      const face: Transport & Face = Object.assign(make(), {
        close: () => {
          close(face)
          return Promise.resolve()
        }
      })
      newest = face
      return face
    },
    deliver: (message, extra) => newest?.onmessage?.(message, extra),
    failed: (error) => newest?.onerror?.(error),
    closed: () => {
      if (newest !== undefined) close(newest)
    }
  }
}
