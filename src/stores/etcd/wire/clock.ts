// A member's clock. etcd's gRPC tells no time, but each member answers HTTP/1 at the same port with its `Date`, to the second. Each
// answer says between which bounds the clock is; together they say it better than any one of them. Between the bounds this machine's
// own clock is taken: machines whose clocks are kept in time agree then, and one whose clock is not cannot go beyond the bounds.
import { Agent as HttpAgent, type ClientRequest, get as getHttp, type IncomingMessage } from "node:http";
import { Agent as HttpsAgent, get as getHttps } from "node:https";
import { HoldlineError, messageOf } from "../../../locks/errors.js";
import type { StoreTime } from "../../../locks/coordinator.js";
import { ReplyLostError } from "../../../queue/store.js";
import { uptimeMs } from "../../../uptime.js";
import type { Endpoint } from "./endpoint.js";

// A `Date` is cut to the second.
const GRAIN_MS = 1_000;

// Two clocks that are both kept in time drift apart by less than this part.
const DRIFT = 200 / 1_000_000;

// What was measured is used for so long before the member is asked again: by then somebody may have set its clock.
const FRESH_MS = 5_000;

// A member that answers gRPC and leaves this unanswered for so long is one to leave.
const PATIENCE_MS = 2_000;

/** Between which bounds the member's clock is ahead of this machine's time since boot. */
export interface Ahead {
  readonly least: number;
  readonly most: number;
  readonly measuredAt: number;
}

/** What two measurements say together; the later one alone where they contradict each other, for then the clock was set between them. */
export function combined(earlier: Ahead | null, later: Ahead): Ahead {
  if (earlier === null) return later;
  const driftMs = (later.measuredAt - earlier.measuredAt) * DRIFT;
  const least = Math.max(earlier.least - driftMs, later.least);
  const most = Math.min(earlier.most + driftMs, later.most);
  return least <= most ? { least, most, measuredAt: later.measuredAt } : later;
}

export class MemberClock {
  readonly #endpoint: Endpoint;
  readonly #agent: HttpAgent;
  #ahead: Ahead | null = null;
  #measuring: Promise<void> | null = null;
  #latest = 0;

  constructor(endpoint: Endpoint) {
    this.#endpoint = endpoint;
    const options = { keepAlive: true, maxSockets: 1 };
    this.#agent = endpoint.isSecure ? new HttpsAgent({ ...options, ...endpoint.tls() }) : new HttpAgent(options);
  }

  close(): void {
    this.#agent.destroy();
  }

  /** The member's time by what was measured last. */
  now(): StoreTime {
    if (this.#ahead === null) throw new Error("the member's clock has not been measured");
    const { least, most, measuredAt } = this.#ahead;
    const now = uptimeMs();
    const driftMs = (now - measuredAt) * DRIFT;
    const [earliest, latest] = [Math.ceil(now + least - driftMs), Math.floor(now + most + driftMs)];
    const ms = Math.min(Math.max(Date.now(), earliest), latest);
    // A better estimate makes no step back; a clock that was set does.
    this.#latest = this.#latest > ms && this.#latest - ms <= GRAIN_MS ? this.#latest : ms;
    return { ms: this.#latest, errorMs: Math.max(this.#latest - earliest, latest - this.#latest) };
  }

  /** The same, measured lately. */
  async current(): Promise<StoreTime> {
    if (this.#ahead === null || uptimeMs() - this.#ahead.measuredAt > FRESH_MS) await this.measure();
    return this.now();
  }

  measure(): Promise<void> {
    this.#measuring ??= this.#measure().finally(() => (this.#measuring = null));
    return this.#measuring;
  }

  async #measure(): Promise<void> {
    const sentAt = uptimeMs();
    const date = Date.parse((await this.#ask()) ?? "");
    const answeredAt = uptimeMs();
    if (Number.isNaN(date))
      throw new HoldlineError("configuration", `the server ${this.#endpoint.name} does not say what time it is`, {
        hint: "name etcd's client URLs that serve HTTP as well as gRPC: without --listen-client-http-urls they all do",
      });
    const later = { least: date - answeredAt, most: date + GRAIN_MS - sentAt, measuredAt: answeredAt };
    this.#ahead = combined(this.#ahead, later);
  }

  #ask(): Promise<string | undefined> {
    return new Promise((resolve, reject) => {
      const answered = (response: IncomingMessage): void => {
        response.resume();
        resolve(response.headers.date);
      };
      const options = { agent: this.#agent, timeout: PATIENCE_MS };
      const url = `${this.#endpoint.origin}/version`;
      const request: ClientRequest = this.#endpoint.isSecure ? getHttps(url, options, answered) : getHttp(url, options, answered);
      request.once("timeout", () => request.destroy(new Error(`it has not said its time within ${PATIENCE_MS} ms`)));
      request.once("error", (error) => reject(new ReplyLostError(`${this.#endpoint.name}: ${messageOf(error)}`)));
    });
  }
}
