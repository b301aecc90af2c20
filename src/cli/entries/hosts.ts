// The commands for locks on hosts, and what depends on them.
import type { CommandEntry, CommandOption } from "../entry.js";

const HOST = { form: "<HOST>", doc: "a host's name; it need not be reachable" } as const;
const DEPENDENCIES: CommandOption = {
  form: "--dependencies <FILE>",
  doc: "a map of hosts in YAML or JSON, by host those that depend on it, instead of the configuration's",
};

const TYPES = ["host", "generic", "file"] as const;

export const HOSTS: readonly CommandEntry[] = [
  {
    name: "lock",
    summary: "lock a host, or a file of it, along with the hosts that it depends on; prints the id",
    arguments: [{ form: "[HOST]", doc: "a host's name, which need not be reachable; with --file its path says it" }],
    options: [
      { form: "--type <TYPE>", doc: "host: nobody else may; generic (the default) and file may overlap", choices: TYPES },
      { form: "--file <PATH>", doc: "\\\\server\\share\\path, smb://server/path, server:/path or /local/path" },
      { form: "--caller <TEXT>", doc: "on whose behalf: a program, a ticket, a name" },
      { form: "--description <TEXT>", doc: "why, for those who wait and for the history" },
      { form: "--data <YAML|@FILE>", doc: "shown with the lock" },
      DEPENDENCIES,
      { form: "--no-dependencies", doc: "only this host" },
      {
        form: "--wait <D>",
        doc: "how long to stand in line; 0: do not wait, none: for ever (default: as --retry and --sleep say)",
      },
      { form: "--retry <N>", doc: "instead of --wait: as long as N attempts would take, in line meanwhile (default: 3)" },
      { form: "--sleep <D>", doc: "with --retry: the time between two attempts (default: 10 s)" },
      { form: "-t, --ttl <D>", doc: "how long the lock lasts, none: until it is unlocked (default: the configuration's, or none)" },
      { form: "--ensure-unlock", doc: "only if nobody has or wants it: exit code 2 otherwise, without waiting" },
    ],
    examples: [
      "holdline lock dc01 --caller 'OPS-123' --description 'new disks' --wait '5 min'",
      "holdline lock --file smb://fs01/share/report.xlsx --ensure-unlock",
    ],
    makesStore: true,
    load: async () => (await import("../commands/lock.js")).lock,
  },
  {
    name: "unlock",
    summary: "end all that was locked under an id; exit code 0 also when that is gone already",
    arguments: [{ form: "<ID>", doc: "what `holdline lock` has printed" }],
    options: [
      { form: "--ensure-lock", doc: "exit code 1 unless it was locked" },
      { form: "--force", doc: "also what another principal has locked; the history shows who did it" },
    ],
    examples: [
      "holdline unlock 4b0c3f52-7a35-4c7e-9a53-0d6c1b8e2f11",
      "holdline unlock 4b0c3f52-7a35-4c7e-9a53-0d6c1b8e2f11 --ensure-lock",
    ],
    load: async () => (await import("../commands/unlock.js")).unlock,
  },
  {
    name: "status",
    summary: "is a host locked, or a lock of that name: by what types, and by whom",
    arguments: [{ form: "<NAME>", doc: "a host's name, or a lock's" }],
    options: [
      {
        form: "--format <FORMAT>",
        doc: "text, json, or yaml: the holder's data at the top level (default: text)",
        choices: ["text", "json", "yaml"],
      },
    ],
    examples: ["holdline status dc01", "holdline status db --format yaml"],
    load: async () => (await import("../commands/status.js")).status,
  },
  {
    name: "test",
    summary: "is a host locked: exit code 0 if it is, 1 if not; a lease on a lock of that name does not count",
    arguments: [HOST],
    options: [{ form: "--type <TYPE>", doc: "only such a lock counts: host, generic or file", choices: TYPES, repeatable: true }],
    examples: ["holdline test dc01", "holdline test dc01 --type host --type file"],
    load: async () => (await import("../commands/test.js")).test,
  },
  {
    name: "deps",
    summary: "the hosts that would be locked with a host, in order",
    arguments: [HOST],
    options: [DEPENDENCIES],
    examples: ["holdline deps dc01", "holdline deps dc01 --dependencies ./map.yaml"],
    load: async () => (await import("../commands/deps.js")).deps,
  },
];
