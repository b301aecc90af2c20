// A store as `npm run bench -- stores` measures it: its server, the floor under a lock on it, and what a user would pick instead.
import type { Member } from "../peer.js";
import type { Protocol, Tag } from "../../test/support/framer.js";
import { openFramedProxy, type Target } from "../../test/support/framed-proxy.js";

export interface BenchStore {
  readonly title: string;
  readonly aims: {
    /** Of an ephemeral acquire and release, as a multiple of the floor. */
    readonly alone: number | null;
    /** Of a hand-off between two processes. */
    readonly handOffMs: number;
  };
  /** Starts a server; or says, as a text, why it cannot be had here. */
  readonly start: () => Promise<Started | string>;
  /** No lock at all: `acquire` is one write through the bare client, and the release another. @param at as the server says it */
  readonly floor: (at: string) => Promise<Member>;
  /** Other locks on this store, by their names. One that keeps more than its server's memory must not be the faster. */
  readonly rivals: Readonly<Record<string, { readonly isToBeat: boolean; readonly open: (at: string) => Promise<Member> }>>;
}

export interface Started {
  /** For Holdline. */
  readonly url: string;
  /** Where floor and rivals find it. */
  readonly at: string;
  /** Counts what passes between Holdline and the server; `null` where nothing does. */
  readonly openRoad: (() => Promise<Road>) | null;
  close(): Promise<unknown>;
}

export interface Road {
  readonly url: string;
  /** How many requests have gone to the server. */
  readonly requests: () => number;
  close(): Promise<void>;
}

/**
 * @param urlAt Holdline's URL of servers at such an address, `host:port`
 * @param isRequest tells requests from frames that only keep the connection
 */
export function roadTo<Tagged extends Tag, Session>(
  protocol: Protocol<Tagged, Session>,
  servers: readonly Target[],
  urlAt: (address: string) => string,
  isRequest: (frame: Buffer) => boolean = () => true,
): () => Promise<Road> {
  return async () => {
    let requests = 0;
    const createFramer = () => {
      const framer = protocol.createFramer();
      const read = framer.read.bind(framer);
      framer.read = (frame) => {
        if (isRequest(frame)) requests += 1;
        return read(frame);
      };
      return framer;
    };
    const proxy = await openFramedProxy({ ...protocol, createFramer }, ...servers);
    return { url: urlAt(proxy.address), requests: () => requests, close: () => proxy.close() };
  };
}
