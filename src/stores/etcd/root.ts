// What a prefix is: a root of Holdline's in this layout, nothing yet, or somebody else's, which is left alone.
import { randomUUID } from "node:crypto";
import { HoldlineError } from "../../locks/errors.js";
import type { Layout } from "./layout.js";
import type { Wire } from "./wire/wire.js";

const KIND = "holdline";
const LAYOUT_VERSION = 1;

interface RootValue {
  readonly kind: string;
  readonly layout: number;
  /** A random name of the root, which a backup brings back with it. */
  readonly id: string;
}

/**
 * Finds the root, or makes it.
 * @param isAsFound makes none
 * @returns its name; `null` where there is none
 * @throws HoldlineError `configuration` for a prefix that is used otherwise
 */
export async function openRoot(wire: Wire, layout: Layout, isAsFound: boolean): Promise<string | null> {
  for (;;) {
    const found = await findRoot(wire, layout);
    if (found !== null) return found;
    if (isAsFound) return null;
    const value: RootValue = { kind: KIND, layout: LAYOUT_VERSION, id: randomUUID() };
    // Only where there is nothing at all below the prefix: others may make it at the same moment.
    const compares = [{ ...layout.whole, is: "version", at: 0 } as const];
    const put = { key: layout.root, value: JSON.stringify(value) };
    if ((await wire.transact({ compares, success: [{ put }] })).isDone) return value.id;
  }
}

async function findRoot(wire: Wire, layout: Layout): Promise<string | null> {
  const success = [{ range: { key: layout.root } }, { range: { ...layout.whole, only: "keys", limit: 1 } as const }];
  const [root, whole] = (await wire.transact({ compares: [], success })).responses;
  const text = root?.pairs[0]?.value;
  if (text !== undefined) return checked(text, layout);
  const other = whole?.pairs[0]?.key;
  if (other === undefined) return null;
  throw new HoldlineError(
    "configuration",
    `the prefix ${layout.prefix} of the etcd cluster is used by another program: it has the key ${other}`,
    {
      hint: "name a prefix of Holdline's own in the URL, such as etcd://…/holdline",
    },
  );
}

function checked(text: string, { prefix }: Layout): string {
  const { kind, layout, id } = decode(text);
  if (kind !== KIND || typeof id !== "string") {
    throw new HoldlineError(
      "configuration",
      `the prefix ${prefix} of the etcd cluster is used by another program: its key ${prefix}/root is not Holdline's`,
      {
        hint: "name a prefix of Holdline's own in the URL, such as etcd://…/holdline",
      },
    );
  }
  if (layout === LAYOUT_VERSION) return id;
  throw new HoldlineError(
    "configuration",
    `the prefix ${prefix} of the etcd cluster has the layout ${String(layout)} of another version of Holdline; this one knows ${LAYOUT_VERSION}`,
    { hint: "let all agents of a prefix run versions with one layout" },
  );
}

function decode(text: string): Partial<RootValue> {
  try {
    const value: unknown = JSON.parse(text);
    return typeof value === "object" && value !== null ? value : {};
  } catch {
    return {};
  }
}
