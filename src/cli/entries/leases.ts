// The commands for leases, and for the data of claims.
import type { CommandArgument, CommandEntry, CommandOption } from "../entry.js";

const LOCK: CommandArgument = { form: "<LOCK>", doc: "the lock's name" };
const LEASE_ID: CommandArgument = { form: "<LEASE_ID>", doc: "what acquire has printed" };
const TTL: CommandOption = {
  form: "-t, --ttl <D>",
  doc: "how long it lasts, from now (default: the configuration's for this lock, or 30 min)",
};

const FORCE: CommandOption = { form: "--force", doc: "also another principal's lease; the history shows who did it" };

export const LEASES: readonly CommandEntry[] = [
  {
    name: "acquire",
    summary: "take a lease on a lock and print its id; held: 2, and the holder's id",
    arguments: [LOCK],
    options: [
      TTL,
      { form: "--wait <D>", doc: "how long to wait for it (default: not at all); none: for ever" },
      { form: "--slots <N>", doc: "how many may hold it at once (default: 1, or unlimited with a key)" },
      { form: "--key <K>", doc: "claims with the same key may be held together" },
      { form: "--reason <TEXT>", doc: "why, for those who find it held" },
      { form: "--data <YAML|@FILE>", doc: "shown with the claim" },
    ],
    examples: [
      "holdline acquire db-migrate --ttl '1 day' --reason 'schema 42, OPS-123'",
      "ID=$(holdline acquire deploy -t '10 min' --wait '2 min') || exit; ./deploy.sh; holdline release deploy \"$ID\"",
    ],
    makesStore: true,
    load: async () => (await import("../commands/acquire.js")).acquire,
  },
  {
    name: "release",
    summary: "end a lease; one that is gone already is no error",
    arguments: [LOCK, LEASE_ID],
    options: [FORCE],
    examples: ["holdline release db-migrate 4b0c3f52-7a35-4c7e-9a53-0d6c1b8e2f11", 'holdline release deploy "$ID"'],
    load: async () => (await import("../commands/release.js")).release,
  },
  {
    name: "renew",
    summary: "give a lease a new time, counted from now; 3 when it has expired or was released",
    arguments: [LOCK, LEASE_ID],
    options: [TTL, FORCE],
    examples: [
      "holdline renew db-migrate 4b0c3f52-7a35-4c7e-9a53-0d6c1b8e2f11",
      "holdline renew deploy \"$ID\" --ttl '30 minutes' || exit 1",
    ],
    load: async () => (await import("../commands/renew.js")).renew,
  },
  {
    name: "current",
    summary: "who holds a lock now; 1 when it is free",
    arguments: [LOCK],
    options: [
      {
        form: "-f, --format <FORM>",
        doc: "id, json, lines, oneline, cols or rows (default: rows)",
        choices: ["id", "json", "lines", "oneline", "cols", "rows"],
      },
      { form: "--id-only", doc: "the same as --format id" },
    ],
    examples: ["holdline current db-migrate", "holdline current db-migrate -f oneline | cut -f1"],
    load: async () => (await import("../commands/current.js")).current,
  },
  {
    name: "is-held",
    summary: "does this lease hold the lock: 0 or 1, and nothing is printed",
    arguments: [LOCK, LEASE_ID],
    options: [],
    examples: [
      "holdline is-held db-migrate 4b0c3f52-7a35-4c7e-9a53-0d6c1b8e2f11",
      'holdline is-held deploy "$ID" || { echo "the lease is over" >&2; exit 1; }',
    ],
    load: async () => (await import("../commands/is-held.js")).isHeld,
  },
  {
    name: "data",
    summary: "show the data of a claim as YAML, or change it in place",
    arguments: [LOCK, { form: "<ID>", doc: "the id of a claim that holds the lock: a lease, or that of a running action" }],
    options: [
      { form: "--replace <YAML|@FILE>", doc: "put this in the place of all of it; done first" },
      { form: "--merge <YAML|@FILE>", doc: "put the keys of this map into it, map by map" },
      { form: "--set <PATH=VALUE>", doc: "set one key, such as deploy.version='\"1.10\"'; done last", repeatable: true },
    ],
    examples: [
      "holdline data db-migrate 4b0c3f52-7a35-4c7e-9a53-0d6c1b8e2f11 --set status=READY --set progress.tables=12",
      'holdline data restart/nginx "$HOLDLINE_CLAIM" --merge @/srv/deploy/facts.yaml',
    ],
    load: async () => (await import("../commands/data.js")).data,
  },
];
