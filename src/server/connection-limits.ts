// How many long polls and event streams the server carries at once: each keeps a connection and some memory for long. A client
// beyond the limit is asked to come back.
import type { FastifyReply } from "fastify";
import { refuse } from "./errors.js";

export class ConnectionLimit {
  readonly #name: string;
  readonly most: number;
  #count = 0;

  constructor(name: string, most: number) {
    this.#name = name;
    this.most = most;
  }

  /** How many there are now. */
  get count(): number {
    return this.#count;
  }

  /** Counts one more. @returns what counts it off again, once however often it is called; `null` where there are too many */
  enter(): (() => void) | null {
    if (this.#count >= this.most) return null;
    this.#count += 1;
    let isIn = true;
    return () => {
      if (isIn) this.#count -= 1;
      isIn = false;
    };
  }

  /** Refuses one beyond the limit. */
  refuse(reply: FastifyReply): FastifyReply {
    const message = `there are ${this.most} ${this.#name} already, which is the most`;
    return refuse(reply, "problem", { status: 503, kind: "too-many", message });
  }
}

// A fleet's worth of each. A stream takes some tens of kilobytes, and a long poll as much and an entry in its lock's queue.
const MOST_STREAMS = 4_000;
const MOST_POLLS = 4_000;

export interface ConnectionLimits {
  readonly streams: ConnectionLimit;
  readonly polls: ConnectionLimit;
}

export function createConnectionLimits(): ConnectionLimits {
  return {
    streams: new ConnectionLimit("event streams", MOST_STREAMS),
    polls: new ConnectionLimit("requests that wait for a lock", MOST_POLLS),
  };
}
