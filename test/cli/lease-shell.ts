// Runs the commands for leases as one node's command line does, over a store in memory whose clock a test moves.
import { expect } from "vitest";
import type { Command } from "../../src/cli/command.js";
import type { Context } from "../../src/cli/context.js";
import type { Coordinator } from "../../src/locks/coordinator.js";
import { HoldlineError } from "../../src/locks/errors.js";
import { leasesOn, openStage, type Stage } from "../leases/stage.js";
import { context, invocation, recordedIo } from "./fakes.js";

export interface Ran {
  readonly code: number;
  readonly out: string;
  readonly err: string;
}

export type Options = Readonly<Record<string, unknown>>;

/** One node's command line on a store. */
export function shellOn(coordinator: Coordinator, changes: Partial<Context> = {}) {
  return async (command: Command, args: readonly string[], options: Options = {}, json = false): Promise<Ran> => {
    const io = recordedIo();
    const leases = () => Promise.resolve(leasesOn(coordinator));
    const code = await command.run(context(coordinator, io, { leases, json, ...changes }), invocation(args, options));
    return { code, out: io.out(), err: io.err() };
  };
}

export async function openShell(stage: Stage = openStage()) {
  const coordinator = await stage.open();
  return { stage, coordinator, run: shellOn(coordinator) };
}

/** The code and message of a refusal. */
export async function refusal(attempt: Promise<unknown>): Promise<string> {
  const error: unknown = await attempt.then(
    () => null,
    (reason: unknown) => reason,
  );
  if (!(error instanceof HoldlineError)) throw new Error("a refusal was expected", { cause: error });
  return `${error.code}: ${error.message}`;
}

/** The printed document; fails if anything else was printed. */
export function documentIn({ out }: Ran): unknown {
  expect(out.endsWith("\n") && out.trimEnd().split("\n").length === 1, "one document, and nothing else").toBe(true);
  return JSON.parse(out);
}
