// Documents of nodes and freezes as a fleet leaves them, written to a store without the fleet.
import { randomUUID } from "node:crypto";
import { documentOfNode, encodeNode } from "../../src/fleet/node.js";
import type { NodeAction, NodeDocument } from "../../src/fleet/node.js";
import { encodeFreezes, FREEZES_DOCUMENT } from "../../src/locks/freezes.js";
import type { Freeze } from "../../src/locks/freezes.js";
import type { Fleet } from "../e2e/fleet.js";

type Planted = Partial<Omit<NodeDocument, "actions">> & {
  readonly node: string;
  readonly actions?: Readonly<Record<string, Partial<NodeAction>>>;
};

/** A node that has done everything, seen just now, where nothing else is said. */
export function nodeWith({ actions = {}, ...said }: Planted): NodeDocument {
  const now = Date.now();
  const named = Object.entries(actions).map(([name, action]): [string, NodeAction] => [
    name,
    { lock: name, outcome: "ran", at: now, ranMs: 1_000, message: "", wishedAt: now - 2_000, pendingSince: null, ...action },
  ]);
  return { group: "default", machine: null, seenAt: now, version: "0.2.0", ...said, actions: Object.fromEntries(named) };
}

export async function plantNode(fleet: Fleet, node: Planted): Promise<void> {
  await plant(fleet, documentOfNode(node.node), encodeNode(nodeWith(node)));
}

/** Freezes in place of those that were there: of everything, until thawed, where nothing else is said. */
export async function plantFreezes(fleet: Fleet, freezes: readonly Partial<Freeze>[]): Promise<void> {
  const whole = { locks: ["*"], node: null, group: null, reason: "the sale", by: "ann", since: Date.now(), until: null };
  await plant(fleet, FREEZES_DOCUMENT, encodeFreezes(freezes.map((freeze) => ({ id: randomUUID(), ...whole, ...freeze }))));
}

/** Writes a document whatever is there. */
export async function plant(fleet: Fleet, name: string, value: string | null): Promise<void> {
  const coordinator = await fleet.coordinator();
  for (;;) {
    const present = await coordinator.document(name);
    if ((await coordinator.writeDocument(name, value, present?.revision ?? 0)) === "done") return;
  }
}
