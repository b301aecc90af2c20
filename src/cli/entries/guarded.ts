// The commands that run what is guarded.
import type { CommandEntry } from "../entry.js";

export const GUARDED: readonly CommandEntry[] = [
  {
    name: "run",
    summary: "run declared actions, each under its lock",
    arguments: [{ form: "[ACTION...]", doc: "names of actions of the configuration" }],
    options: [{ form: "--all", doc: "all of them, in the file's order" }],
    examples: ["holdline run restart-nginx", "holdline run --all --json"],
    makesStore: true,
    load: async () => (await import("../commands/run.js")).run,
  },
  {
    name: "resume",
    summary: "finish what earlier runs left on this node: pending attempts, stale and failed claims",
    arguments: [],
    options: [],
    examples: ["holdline resume", "holdline resume --quiet"],
    makesStore: true,
    load: async () => (await import("../commands/resume.js")).resume,
  },
  {
    name: "exec",
    summary: "run a command under a lock",
    arguments: [{ form: "<LOCK>", doc: "the lock's name" }],
    options: [
      { form: "--slots <N>", doc: "how many may hold it at once (default: 1, or unlimited with a key)" },
      { form: "--key <K>", doc: "claims with the same key may be held together" },
      { form: "--wait <D>", doc: "how long to wait for the lock; 0: do not wait, none: for ever" },
      { form: "--timeout <D>", doc: "another name of --wait" },
      { form: "--durable", doc: "keep the lock if this process dies or the command fails" },
      { form: "--data <YAML|@FILE>", doc: "shown with the claim" },
    ],
    rest: "COMMAND...",
    examples: [
      "holdline exec backup -- /usr/local/bin/backup --full",
      "holdline exec deploy --slots 3 --wait '5 min' -- ./deploy.sh",
    ],
    makesStore: true,
    load: async () => (await import("../commands/exec.js")).exec,
  },
];
