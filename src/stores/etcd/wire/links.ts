// The connection to the cluster: to one member at a time, to the next one when that is lost. A request that was under way then has no
// reply, and those who asked decide what to do about it.
import { ClosedError, messageOf, UnreachableError } from "../../../locks/errors.js";
import type { Log } from "../../../locks/log.js";
import { ReplyLostError } from "../../../queue/store.js";
import { tlsTroubleOf } from "../../../secure-connection.js";
import type { Endpoint } from "./endpoint.js";
import { type Credentials, Link } from "./link.js";

// A member that has not greeted within this time is passed over; when there is but one, it is tried again.
const GREETING_MS = 2_000;

// A renewal goes out after a third of a session's timeout, and after four fifths the session counts as lost: one that a frozen member
// leaves unanswered for this part of the timeout reaches another member in time.
const REPLY_WITHIN = 1 / 4;

export interface LinksOptions {
  readonly endpoints: readonly Endpoint[];
  readonly credentials: Credentials | null;
  readonly connectTimeoutMs: number;
  readonly sessionTimeoutMs: number;
  readonly log: Log;
}

//   none → connecting → connected → (the member is lost) none → … → closed
export class Links {
  readonly #options: LinksOptions;
  #next: number;
  #link: Link | null = null;
  #connecting: Promise<Link> | null = null;
  #isClosed = false;

  constructor(options: LinksOptions) {
    this.#options = options;
    // Clients spread over the members.
    this.#next = Math.floor(Math.random() * options.endpoints.length);
  }

  /**
   * The connection that stands, or a new one.
   * @throws ReplyLostError when no member can be reached now
   * @throws HoldlineError for what will not mend by itself
   */
  current(): Promise<Link> {
    if (this.#isClosed) return Promise.reject(new ClosedError("the coordinator has been closed"));
    if (this.#link !== null && !this.#link.isGone) return Promise.resolve(this.#link);
    this.#connecting ??= this.#connect().finally(() => (this.#connecting = null));
    return this.#connecting;
  }

  /** Leaves the member that is silent. */
  drop(why: string): void {
    this.#link?.retire(why);
  }

  close(): void {
    this.#isClosed = true;
    this.drop("the coordinator was closed");
  }

  /** Asks each member once, beginning with the one after the last. */
  async #connect(): Promise<Link> {
    const { endpoints, credentials, connectTimeoutMs, sessionTimeoutMs, log } = this.#options;
    const patience = {
      greetingMs: Math.max(1, Math.min(GREETING_MS, Math.floor(connectTimeoutMs / endpoints.length))),
      replyMs: endpoints.length === 1 ? Number.POSITIVE_INFINITY : sessionTimeoutMs * REPLY_WITHIN,
    };
    let failure: Error = new ReplyLostError("there is no server");
    for (let tried = 0; tried < endpoints.length; tried += 1) {
      const endpoint = endpoints[this.#next % endpoints.length] as Endpoint;
      this.#next += 1;
      try {
        const link = await Link.open(endpoint, credentials, patience);
        if (this.#isClosed) link.retire("the coordinator was closed");
        this.#link = link;
        return link;
      } catch (error) {
        log.debug({ server: endpoint.name, error: messageOf(error) }, "a member of the etcd cluster cannot be used now");
        failure = failureOf(error as Error, endpoint);
      }
    }
    throw failure;
  }
}

function failureOf(error: Error, { name }: Endpoint): Error {
  const trouble = tlsTroubleOf(error);
  if (trouble !== null) return new UnreachableError(`the server ${name} ${trouble.message}`, { hint: trouble.hint, cause: error });
  const { code } = error as NodeJS.ErrnoException;
  return code === undefined || error.name !== "Error" ? error : new ReplyLostError(`${name}: ${messageOf(error)}`);
}
