export * as Cli from "./Cli.ts"
export * as CliFailure from "./CliFailure.ts"
