// What a run knows of the fleet that its node belongs to, and what the node remembers of what it has told it. Types, and a name.
import type { Noted } from "../fleet/noting.js";
import type { BootMoment } from "../locks/claim.js";
import type { Coordinator } from "../locks/coordinator.js";

/** What a node has in mind of the fleet that it belongs to. */
export interface FleetContext {
  /** Holdline's. */
  readonly version: string;
  /** How long a node counts in its group's percentages after it was last seen. */
  readonly membershipMs: number;
  /** The names of all actions that the configuration declares. */
  readonly declared: ReadonlySet<string>;
  readonly memory: NodeMemory;
}

/** What was noted last of an action, and when, by this node's running time. */
export interface Remembered extends Noted {
  readonly moment: BootMoment;
}

/** What a node remembers of its documents, so that one that would say the same again costs the store nothing. */
export interface NodeMemory {
  /** @param about the store, the node and the action, as one text */
  latest(about: string): Remembered | null;
  save(about: string, remembered: Remembered): void;
  forget(about: string): void;
}

/** What a {@link NodeMemory} has an entry about. */
export function aboutOf({ store }: Pick<Coordinator, "store">, node: string, action: string): string {
  return [store ?? "", node, action].join("\0");
}
