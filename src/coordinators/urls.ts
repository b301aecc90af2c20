// Whether a coordinator's URL can be right, before anything is contacted: scheme, servers, ports and paths. What a URL
// means is its coordinator's business; how each one's looks is said in schemes/, so that a typo is a configuration error.
import { nearestTo, suggestion } from "../locks/nearest.js";
import { quoted } from "../locks/text.js";
import { piecesOf } from "../store-url.js";
import { findPlugIn, packageFor, whereLooked } from "./plug-in-places.js";
import { POSTGRESQL } from "./schemes/postgresql.js";
import { ETCD, ETCD_TLS } from "./schemes/etcd.js";
import { REDIS, REDIS_SENTINEL, REDISS, REDISS_SENTINEL } from "./schemes/redis.js";
import { DYNAMODB } from "./schemes/dynamodb.js";
import type { Scheme } from "./schemes/scheme.js";
import { MARIADB, MYSQL } from "./schemes/mysql.js";
import { SQLITE } from "./schemes/sqlite.js";
import { ZOOKEEPER, ZOOKEEPER_TLS } from "./schemes/zookeeper.js";

const SCHEMES = {
  zookeeper: ZOOKEEPER,
  "zookeeper+tls": ZOOKEEPER_TLS,
  sqlite: SQLITE,
  mariadb: MARIADB,
  mysql: MYSQL,
  postgresql: POSTGRESQL,
  etcd: ETCD,
  "etcd+tls": ETCD_TLS,
  redis: REDIS,
  rediss: REDISS,
  "redis+sentinel": REDIS_SENTINEL,
  "rediss+sentinel": REDISS_SENTINEL,
  dynamodb: DYNAMODB,
} satisfies Readonly<Record<string, Scheme>>;

// Two of the longest paths, one relative to the other, have room in it with each of their bytes percent-encoded.
const LONGEST_URL = 32_768;

// One for a fleet and one for a machine. All that there are would fill a screen.
const EXAMPLES = [SCHEMES.zookeeper, SCHEMES.sqlite].map(({ example }) => example).join(" or ");

/** The schemes that a coordinator's URL may have. */
export const COORDINATOR_SCHEMES = Object.keys(SCHEMES) as readonly (keyof typeof SCHEMES)[];

/** What is wrong with a coordinator's URL and what would be right, in words that follow its key, or `null`. */
export function coordinatorUrlProblem(url: string): string | null {
  if (url.length > LONGEST_URL) return `is longer than ${LONGEST_URL} characters, and no coordinator's URL is`;
  const parts = /^([a-z][a-z0-9+.-]*):\/\/(.*)$/is.exec(url);
  if (parts === null) return `must be a URL such as ${EXAMPLES}`;
  const name = parts[1] as string;
  const known = COORDINATOR_SCHEMES.find((scheme) => scheme === name);
  const rest = parts[2] as string;
  // How it looks beyond that, the plug-in says when it is loaded.
  if (known === undefined) return findPlugIn(name) === null ? unknownScheme(name) : generalProblem(rest);
  const scheme: Scheme = SCHEMES[known];
  const problem = generalProblem(rest) ?? scheme.problem(rest);
  return problem === null ? null : `${problem}; right would be such as ${scheme.example}`;
}

/** The URL of the embedded coordinator whose database is the file at an absolute path. */
export function sqliteUrl(path: string): string {
  return `sqlite://${path.split("/").map(encodeURIComponent).join("/")}`;
}

/** Whether a URL names a store that is a file of this machine. A store that is open says so itself: `isShared`. */
export function isEmbedded(url: string): boolean {
  return COORDINATOR_SCHEMES.some((scheme) => SCHEMES[scheme].isEmbedded && url.startsWith(`${scheme}:`));
}

/** Whether machines besides this one can reach the store, as far as its URL tells. One that listens on the loopback device alone they cannot. */
export function isReachedByOthers(url: string): boolean {
  if (isEmbedded(url)) return false;
  const { servers } = piecesOf(url.replace(/^[^:]*:\/\//, ""));
  return !servers.split(",").every((server) => /^(localhost|127\.\d+\.\d+\.\d+|\[::1\])(:\d+)?$/i.test(server));
}

function unknownScheme(name: string): string {
  const unknown = `has the unknown scheme ${quoted(`${name}://`)}`;
  // A word that is nearly a scheme is a typing mistake, and any other may be somebody else's store.
  const nearest = nearestTo(name, COORDINATOR_SCHEMES);
  if (nearest !== null) return `${unknown}; did you mean ${JSON.stringify(nearest)}?`;
  const sought = `there is no package ${quoted(packageFor(name))} for it ${whereLooked()}`;
  return `${unknown}; ${suggestion(name, COORDINATOR_SCHEMES)}, and ${sought}`;
}

function generalProblem(rest: string): string | null {
  if (/[\s\p{Cc}]/u.test(rest)) return "must not contain blanks or control characters";
  if (rest.includes("#")) return 'must not have a "#"; in a password or a path it is written %23';
  if (!rest.isWellFormed()) return "must be well-formed Unicode";
  try {
    decodeURIComponent(rest);
  } catch {
    return 'has a "%" that is not followed by two hexadecimal digits of UTF-8; a plain "%" is written %25';
  }
  return null;
}
