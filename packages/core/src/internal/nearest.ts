/** The names most like the one that was asked for, for "did you mean". */
import { distance } from "fastest-levenshtein"

export const nearest = (name: string, known: Iterable<string>): ReadonlyArray<string> =>
  [...known]
    .map((candidate) => ({ candidate, distance: distance(name.toLowerCase(), candidate.toLowerCase()) }))
    .filter(({ candidate, distance }) => distance <= Math.max(2, Math.min(name.length, candidate.length) / 3))
    .sort((a, b) => a.distance - b.distance || (a.candidate < b.candidate ? -1 : 1))
    .slice(0, 3)
    .map(({ candidate }) => candidate)
