// Finding the primary: among the servers that the URL names, by what its Sentinels say, or where a cluster has moved the keys to.
import { HoldlineError, messageOf } from "../../locks/errors.js";
import { ReplyLostError } from "../../queue/store.js";
import { checkFacts, type ServerFacts } from "./facts.js";
import { Link, type LinkOptions } from "./link.js";
import { nameOf, type RedisUrl, type ServerAddress } from "./url.js";
import { codeOf } from "./words.js";

export interface Primary {
  readonly link: Link;
  readonly facts: ServerFacts;
}

type Giving = Omit<LinkOptions, "isNamed">;

/**
 * Opens a connection to the primary.
 * @param moved where the keys are said to be
 * @throws ReplyLostError where there is none at the moment, HoldlineError where none will be by itself
 */
export async function openPrimary(url: RedisUrl, moved: ServerAddress | null, giving: Giving): Promise<Primary> {
  if (moved !== null) return openServer(moved, url, giving);
  return firstOf(url.servers, async (server) => {
    const primary = url.sentinelName === null ? server : await primaryBy(server, url.sentinelName, url, giving);
    return openServer(primary, url, giving);
  });
}

/** What the first that succeeds gives. What no repetition mends is told only where all the others fail as well. */
async function firstOf<T>(servers: readonly ServerAddress[], attempt: (server: ServerAddress) => Promise<T>): Promise<T> {
  const errors: Error[] = [];
  for (const server of servers) {
    try {
      return await attempt(server);
    } catch (error) {
      errors.push(error as Error);
    }
  }
  throw (
    errors.find((error) => error instanceof HoldlineError) ??
    new ReplyLostError([...new Set(errors.map(messageOf))].join("; "), { cause: errors[0] })
  );
}

async function openServer(address: ServerAddress, url: RedisUrl, giving: Giving): Promise<Primary> {
  const link = await Link.open(address, url, url.database, { ...giving, isNamed: true });
  try {
    const facts = await link.facts();
    if (!facts.isPrimary) throw new ReplyLostError(`the server ${link.server} is a replica of ${facts.follows}`);
    checkFacts(facts, link.server);
    return { link, facts };
  } catch (error) {
    link.drop(messageOf(error));
    throw error;
  }
}

/** The primary as a Sentinel knows it. */
async function primaryBy(sentinel: ServerAddress, name: string, url: RedisUrl, giving: Giving): Promise<ServerAddress> {
  const link = await openSentinel(sentinel, url, giving);
  try {
    const reply = (await link.send(["SENTINEL", "GET-MASTER-ADDR-BY-NAME", name])) as readonly [string, string] | null;
    if (reply === null) {
      throw new HoldlineError("configuration", `the Sentinel ${nameOf(sentinel)} knows no primary of this name`, {
        hint: "look at the path of the URL, and at `sentinel monitor` in the Sentinel's configuration",
      });
    }
    return { host: reply[0], port: Number(reply[1]) };
  } finally {
    link.drop("it has been asked");
  }
}

/** Sentinels mostly have no users: only one that asks for a password gets that of the URL. */
async function openSentinel(sentinel: ServerAddress, url: RedisUrl, giving: Giving): Promise<Link> {
  try {
    return await Link.open(sentinel, url, 0, { ...giving, isNamed: false });
  } catch (error) {
    if (codeOf((error as Error).cause) !== "NOAUTH") throw error;
    return Link.open(sentinel, url, 0, { ...giving, isNamed: true });
  }
}
