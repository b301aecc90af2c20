// `holdline current`: shows who holds a lock now, in the form that a person or a script wants.
import { isoTime } from "../../locks/durations.js";
import { readChoice } from "../../config/field.js";
import type { Claim } from "../../locks/claim.js";
import { HoldlineError } from "../../locks/errors.js";
import { readPresentHolders } from "../../line/holders.js";
import { claimAsJson } from "../../views/json.js";
import { viewHolder } from "../../views/lock.js";
import type { Command, Invocation } from "../command.js";
import { EXIT_NOTHING_THERE } from "../exit-codes.js";
import { readLock } from "../leases.js";
import { readOption } from "../options.js";
import { printDocument, printLines } from "../output.js";
import { renderColumns, sanitize } from "../render.js";

const FORMATS = ["id", "json", "lines", "oneline", "cols", "rows"] as const;
type Format = (typeof FORMATS)[number];

export const current: Command = {
  async run(context, invocation) {
    const { lock } = readLock(context, invocation);
    const format = readFormat(invocation.options, context.json);
    const { signal } = context.stop;
    const holders = await readPresentHolders(await context.coordinator(lock), lock, signal);
    if (context.json)
      printDocument(context.io, { holders: holders.map((claim) => claimAsJson(viewHolder(claim, context.perspective))) });
    else printLines(context.io, renderHolders(holders, format));
    if (holders.length > 0) return 0;
    context.io.stderr.write("no lock held\n");
    return EXIT_NOTHING_THERE;
  },
};

/** @throws HoldlineError `usage` */
function readFormat(options: Invocation["options"], json: boolean): Format {
  const format = readOption(options, "format", (field) => readChoice(field, FORMATS), null);
  const isIdOnly = options["idOnly"] === true;
  const said = [
    ...(json ? ["--json"] : []),
    ...(isIdOnly ? ["--id-only"] : []),
    ...(format === null || (isIdOnly && format === "id") ? [] : ["--format"]),
  ];
  if (said.length > 1) throw new HoldlineError("usage", `${said.join(" and ")} exclude each other`);
  return isIdOnly ? "id" : (format ?? "rows");
}

/** Holders as lines of text, the earliest first. */
export function renderHolders(holders: readonly Claim[], format: Format): string[] {
  const values = holders.map(({ owner, since, id }) => [owner.principal, isoTime(since), id] as const);
  if (values.length === 0) return [];
  switch (format) {
    case "id":
      return values.map(([, , id]) => sanitize(id));
    case "json":
      return values.map(([principal, created, id]) => JSON.stringify({ id, created, principal }));
    case "lines":
      return values.flat().map(sanitize);
    case "oneline":
      return values.map((row) => row.map(sanitize).join("\t"));
    case "cols":
      return renderColumns([["PRINCIPAL", "CREATED", "ID"], ...values]);
    case "rows":
      return values.flatMap(([principal, created, id], index) => [
        ...(index === 0 ? [] : [""]),
        ...renderColumns([
          ["Principal:", principal],
          ["Created:", created],
          ["Id:", id],
        ]),
      ]);
  }
}
