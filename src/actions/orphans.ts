// Finds what still runs of a command whose agent is gone, as far as this machine shows it. Ends nothing.
import type { Claim } from "../locks/claim.js";
import { bestEffort } from "../locks/errors.js";
import type { Log } from "../locks/log.js";
import { carriersOf, withoutSpared } from "./commands/carriers.js";
import { readLeader } from "./state/journal.js";
import { pidsLeft } from "./commands/kin.js";
import type { Leader, ProcessPattern } from "./machine.js";
import { createProcesses } from "./processes.js";

/**
 * The pids of a claim's command that live on this machine: those that carry the claim in their environment, and the process
 * group that the journal knows. An empty list is no proof: the command may run where this process cannot see it.
 * @param service what the action restarts; it is meant to outlive the command, with everything that it has started
 */
export async function pidsOfCommand(
  { id, owner }: Pick<Claim, "id" | "owner">,
  { stateDir, service, log }: { readonly stateDir: string; readonly service: ProcessPattern | null; readonly log: Log },
): Promise<readonly number[]> {
  const found: { leader: Leader | null } = { leader: null };
  await bestEffort(log, "the journal could not be read: only the environment of processes tells which belong to the claim", () => {
    found.leader = readLeader(stateDir, owner.node, owner.action ?? "", id);
  });
  const pids = new Set([...carriersOf(id), ...(found.leader === null ? [] : pidsLeft(found.leader))]);
  if (pids.size === 0) return [];
  const spared = service === null ? [] : (await createProcesses().matching(service)).map(({ pid }) => pid);
  return withoutSpared([...pids], spared).sort((one, other) => one - other);
}
