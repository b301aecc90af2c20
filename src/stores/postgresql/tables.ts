// The schema that a root lives in: its tables, its layout's version, and the SQL that makes all of it in one transaction. What the
// functions do is in commit-function.ts and functions.ts.
import { createHash } from "node:crypto";
import { commitFunctions } from "./commit-function.js";
import { readFunctions, sessionFunctions } from "./functions.js";

/** The version of the tables and functions. Another one belongs to another Holdline. */
export const LAYOUT = 1;

/** A name as SQL has it, whatever it consists of. */
export function quoteName(name: string): string {
  return `"${name.replaceAll('"', '""')}"`;
}

/** The channel on which a root tells of its changes. Schemas of any name have one, within 63 bytes. */
export function channelOf(schema: string): string {
  return `holdline_${createHash("sha256").update(schema).digest("hex").slice(0, 32)}`;
}

// holdline     what the schema is for, in which layout, and the id of the root, which tokens come from
// counter      one row, which every commit takes first: so revisions become visible in their order. From a sequence, a later number
//              can be seen before an earlier one. `timeline` is the server's at the last commit: see draw()
// promotions   what a promotion may have lost: commits above `base` and below `start` are not there
// sessions     a row for each. It has ended when it says so, and not before: see expire()
// entries      the queues, each in the order of `position`. Ephemeral ones go with their session
// archive, documents   see store.ts of the queue
const TABLES = `
CREATE TABLE holdline (layout integer NOT NULL, id uuid NOT NULL DEFAULT gen_random_uuid());
INSERT INTO holdline (layout) VALUES (${LAYOUT});
CREATE TABLE counter (
  one boolean PRIMARY KEY DEFAULT true CHECK (one), revision bigint NOT NULL, timeline bigint NOT NULL, archived bigint NOT NULL
) WITH (fillfactor = 10);
CREATE TABLE promotions (start bigint PRIMARY KEY, base bigint NOT NULL);
CREATE TABLE sessions (
  id text COLLATE "C" PRIMARY KEY, timeout_ms bigint NOT NULL, epoch bigint NOT NULL, expires_at bigint NOT NULL,
  has_ended boolean NOT NULL DEFAULT false
) WITH (fillfactor = 50);
CREATE INDEX sessions_by_expiry ON sessions (expires_at) WHERE NOT has_ended;
CREATE TABLE entries (
  lock text COLLATE "C" NOT NULL, position bigint NOT NULL, claim text COLLATE "C" NOT NULL, key text, slots bigint,
  durable boolean NOT NULL, session text COLLATE "C", revision bigint NOT NULL, token bigint, since bigint NOT NULL, record text NOT NULL,
  PRIMARY KEY (lock, position), UNIQUE (lock, claim)
);
CREATE INDEX entries_by_claim ON entries (claim);
CREATE INDEX entries_by_session ON entries (session);
CREATE TABLE archive (
  sequence bigint PRIMARY KEY, lock text COLLATE "C" NOT NULL, ended_at bigint NOT NULL, record text NOT NULL
);
CREATE INDEX archive_by_lock ON archive (lock, sequence);
CREATE TABLE documents (name text COLLATE "C" PRIMARY KEY, value text NOT NULL, revision bigint NOT NULL);
`;

/** What makes a root, as one request. @param makesSchema whether the schema is not there yet */
export function rootSql(schema: string, makesSchema: boolean): string {
  const name = quoteName(schema);
  // Of a function's own, so that nobody's search_path has another table found. pg_temp comes last, where it hides nothing.
  const pinned = `SET search_path = ${name}, pg_temp`;
  return `BEGIN;
${makesSchema ? `CREATE SCHEMA ${name};` : ""}
SET LOCAL search_path = ${name}, pg_temp;
${TABLES}
${sessionFunctions(pinned, channelOf(schema))}
${commitFunctions(pinned, channelOf(schema))}
${readFunctions(pinned)}
INSERT INTO counter (revision, timeline, archived) VALUES (0, timeline(), 0);
COMMIT;`;
}
