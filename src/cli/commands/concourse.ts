// `holdline concourse`: the programs that Concourse calls as /opt/resource/check, in and out. Reads no configuration and opens no
// store.
import { text as readAll } from "node:stream/consumers";
import { check, get, put } from "../../concourse/resource.js";
import type { Surroundings } from "../../concourse/resource.js";
import { HoldlineError } from "../../locks/errors.js";
import { suggestion } from "../../locks/nearest.js";
import type { Command } from "../command.js";
import { printDocument } from "../output.js";
import { RESOURCE_PROGRAMS } from "../resource-programs.js";

export const concourse: Command = {
  // A build's container has neither configuration nor store.
  async runAlone(io, { args: [action = "", directory] }, { signal }) {
    const surroundings = { signal, say: (line: string) => io.stderr.write(`holdline: ${line}\n`) };
    printDocument(io, await answerTo(action, directory, surroundings));
    return 0;
  },

  run() {
    throw new HoldlineError("bug", "the resource needs no context");
  },
};

async function answerTo(action: string, directory: string | undefined, surroundings: Surroundings): Promise<object> {
  const known = RESOURCE_PROGRAMS.find((name) => name === action);
  if (known === undefined)
    throw new HoldlineError("usage", `a resource has no ${JSON.stringify(action)}`, {
      hint: suggestion(action, RESOURCE_PROGRAMS),
    });
  if (known === "in" && directory === undefined) throw new HoldlineError("usage", "in: the directory for the lock is missing");
  const request = await readAll(process.stdin);
  switch (known) {
    case "check":
      return check(request, surroundings);
    case "in":
      return get(request, directory ?? "", surroundings);
    case "out":
      return put(request, surroundings);
  }
}
