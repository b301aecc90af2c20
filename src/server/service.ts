// What every route is given to work with. Types only; the runtime and app.ts make the real thing.
import type { Stores } from "../views/stores.js";
import type { LeaseContext } from "../leases/request.js";
import type { Log } from "../locks/coordinator.js";
import type { Mirror } from "./mirror.js";
import type { Pending } from "./pending.js";
import type { Pulse } from "./pulse.js";

export interface Service {
  readonly stores: Stores;
  /** All locks of all stores, as they are. */
  readonly mirror: Mirror;
  /** Whether that is so. */
  readonly pulse: Pulse;
  /** What a lease on this lock is taken with. Its signal is the server's: a request puts its own in place of it. */
  readonly leases: (lock: string) => Promise<LeaseContext>;
  readonly log: Log;
  /** The long polls and the event streams. */
  readonly pending: Pending;
  /** Aborted when the server shuts down: ends long polls and streams. */
  readonly signal: AbortSignal;
}
