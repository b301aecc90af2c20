// The fault proxy in front of ZooKeeper servers, as most tests use it.
import { type FramedProxy, openFramedProxy, type RequestMatch as FramedMatch } from "./framed-proxy.js";
import { ZOOKEEPER } from "./zookeeper-framer.js";
import type { SessionCredentials } from "./zookeeper-frames.js";
import type { ServerAddress } from "./zookeeper-server.js";

export { mentions } from "./framed-proxy.js";

export type FaultProxy = FramedProxy<number, SessionCredentials>;

/** Which request is meant, by one of `Opcode`. */
export type RequestMatch = FramedMatch<number>;

/** Opens a proxy in front of one or several servers, each on a port of its own. */
export function openFaultProxy(...targets: readonly ServerAddress[]): Promise<FaultProxy> {
  return openFramedProxy(ZOOKEEPER, ...targets);
}
