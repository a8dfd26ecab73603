/** How far a running call is, drawn in so many cells. */
import type { CallEngine } from "@scoped-mcp/core"

export const progressBar = ({ progress, total }: CallEngine.Progress, cells: number): string => {
  if (total === undefined || total <= 0) return `${progress} so far`
  const share = Math.min(1, Math.max(0, progress / total))
  const full = Math.round(share * cells)
  return `${"█".repeat(full)}${"░".repeat(cells - full)} ${String(Math.round(share * 100)).padStart(3)} %`
}
