/** Waits until the servers in memory and their clients have nothing left to do but wait for time. */
import * as Effect from "effect/Effect"

let frames = 0

/** Told of every frame and every connection in memory. */
export const noticed = (): void => {
  frames++
}

/** Turns of the event loop without a frame after which nothing more is expected: promises and fibres take a few. */
const quietTurns = 12

export const settle: Effect.Effect<void> = Effect.promise(async () => {
  for (let quiet = 0, seen = frames; quiet < quietTurns; quiet++) {
    await new Promise<void>((resolve) => setImmediate(resolve))
    if (frames === seen) continue
    seen = frames
    quiet = 0
  }
})
