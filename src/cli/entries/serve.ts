// The command that serves others.
import type { CommandEntry } from "../entry.js";

export const SERVE: readonly CommandEntry[] = [
  {
    name: "serve",
    summary: "a lock server over HTTP for pipelines, and a page for people",
    arguments: [],
    options: [
      { form: "--listen <ADDRESS>", doc: "the address to listen on, instead of serve.listen; ADDRESS:PORT sets the port as well" },
      { form: "--insecure", doc: "let everybody lock and clear who can reach an address beyond this machine" },
      { form: "--hash", doc: "print the hash of a password or a token that is read from standard input, and end" },
    ],
    examples: ["holdline serve --listen 127.0.0.1:3000", "holdline serve --hash < password.txt"],
    makesStore: true,
    load: async () => (await import("../commands/serve.js")).serve,
  },
];
