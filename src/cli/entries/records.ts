// The commands that show what is there and what was, and the admin's.
import type { CommandEntry } from "../entry.js";

export const RECORDS: readonly CommandEntry[] = [
  {
    name: "locks",
    summary: "who holds, who waits, since when, why; a failed or stale holder stands out",
    arguments: [{ form: "[LOCK]", doc: "only this lock; exit code 1 when nobody is there" }],
    options: [
      {
        form: "--watch",
        doc: "show changes as they come: in place on a terminal; elsewhere listing after listing, with --json one document a line",
      },
    ],
    examples: ["holdline locks --watch", "holdline locks restart/nginx --json"],
    load: async () => (await import("../commands/locks.js")).locks,
  },
  {
    name: "clear",
    summary: "an admin ends a durable claim; recorded in the history",
    arguments: [{ form: "<LOCK>", doc: "the lock's name" }],
    options: [
      { form: "--claim <ID>", doc: "which claim, where there are several" },
      { form: "--reason <TEXT>", doc: "why, for the history", required: true },
      { form: "--force", doc: "also a claim whose owner or command is running, or that waits" },
    ],
    examples: [
      "holdline clear restart/nginx --reason 'web-07 is out of service'",
      "holdline clear restart/nginx --claim 4b0c3f52-7a35-4c7e-9a53-0d6c1b8e2f11 --reason 'nginx fixed by hand'",
    ],
    load: async () => (await import("../commands/clear.js")).clear,
  },
  {
    name: "history",
    summary: "durable claims that have ended, and failures that keep their lock; newest first",
    arguments: [{ form: "[LOCK]", doc: "only of this lock" }],
    options: [
      { form: "--since <D>", doc: "only what has ended within this time" },
      { form: "--by <WHO>", doc: "only what this principal or caller has locked or ended" },
      {
        form: "--event <E>",
        doc: "only what has ended in this way: released, cleared, expired, recovered or failed",
        choices: ["released", "cleared", "expired", "recovered", "failed"],
      },
      { form: "--id <ID>", doc: "only this claim" },
      { form: "--limit <N>", doc: "how many of these at most (default: 20)" },
    ],
    examples: ["holdline history restart/nginx --limit 5", "holdline history --since '1 day' --event cleared --json"],
    load: async () => (await import("../commands/history.js")).history,
  },
  {
    name: "check",
    summary: "validate the configuration and print what is in force, secrets hidden",
    arguments: [],
    options: [
      { form: "--live", doc: "ask the stores as well, and run each check once" },
      { form: "--mend", doc: "with --live: give a ZooKeeper tree that everybody may change to the credentials of the URL" },
      {
        form: "--tidy",
        doc: "with --live: remove what earlier versions left empty in ZooKeeper, and records beyond the history's bounds; nothing that holds a claim",
      },
    ],
    examples: ["holdline check --config ./holdline.yaml", "holdline check --live"],
    load: async () => (await import("../commands/check.js")).check,
  },
  {
    name: "completion",
    summary: "print a script that completes commands, options, and the names of actions, locks and claims",
    arguments: [{ form: "<SHELL>", doc: "bash, zsh or fish", choices: ["bash", "zsh", "fish"] }],
    options: [{ form: "--names <KIND>", doc: "what such a script asks for: actions, locks, hosts, names, claims or claims=LOCK" }],
    examples: ['eval "$(holdline completion bash)"', "holdline completion fish | source"],
    load: async () => (await import("../commands/completion.js")).completion,
  },
];
