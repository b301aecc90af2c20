// `holdline serve`: runs the server until it is told to stop.
import { text as readAll } from "node:stream/consumers";
import { openServer } from "../../server/listen.js";
import { serveOptionsOf } from "../../server/options.js";
import { hashSecret } from "../../server/passwords.js";
import { HoldlineError } from "../../locks/errors.js";
import type { Command } from "../command.js";
import type { Context } from "../context.js";
import { printDocument, printLines } from "../output.js";

export const serve: Command = {
  async run(context, { options }) {
    if (options["hash"] === true) return printHash(context);
    const listen = options["listen"];
    const flags = { listen: typeof listen === "string" ? listen : null, insecure: options["insecure"] === true };
    const running = await openServer(serveOptionsOf(context.settings, flags, process.env, process.pid), {
      stores: context,
      leases: (lock) => context.leases(lock),
      log: context.log,
      notifier: context.notifier,
    });
    context.log.info({ url: running.url }, `serving on ${running.url}`);
    if (context.json) printDocument(context.io, { url: running.url });
    const { signal } = context.stop;
    await new Promise<void>((resolve) => {
      if (signal.aborted) resolve();
      signal.addEventListener("abort", () => resolve(), { once: true });
    });
    await running.close();
    context.log.info({}, "the server has shut down");
    return 0;
  },
};

async function printHash({ io, json }: Context): Promise<number> {
  // The last line break comes from an editor or echo; everything else is the secret.
  const secret = (await readAll(process.stdin)).replace(/\r?\n$/, "");
  if (secret === "") throw new HoldlineError("usage", "--hash: standard input is empty");
  const hash = await hashSecret(secret);
  if (json) printDocument(io, { hash });
  else printLines(io, [hash]);
  return 0;
}
