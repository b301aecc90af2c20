// What every route works with. Types only; listen.ts makes the real thing.
import type { Log } from "../locks/log.js";
import type { Notifier } from "../locks/notifier.js";
import type { Access } from "./access.js";
import type { ConnectionLimits } from "./connection-limits.js";
import type { Measures, StoreAccess } from "./measures.js";
import type { Mirror } from "./mirror.js";
import type { Pulse } from "./pulse.js";

/** What the runtime hands to the server. It has opened the stores, and closes them. */
export interface ServerParts extends StoreAccess {
  readonly log: Log;
  /** Whom the configuration wants to be told of what happens. */
  readonly notifier: Notifier;
}

export interface Service extends ServerParts {
  readonly access: Access;
  readonly measures: Measures;
  /** All locks of all stores, as they are. */
  readonly mirror: Mirror;
  /** Whether the mirror is up to date. */
  readonly pulse: Pulse;
  readonly limits: ConnectionLimits;
  /** Aborted when the server shuts down: ends long polls and streams. */
  readonly signal: AbortSignal;
}
