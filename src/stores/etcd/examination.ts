// What `check --live` says of a cluster: its members' versions and leader, alarms, and whether this user may do what runs need.
import type { Examined, Finding } from "../../locks/store-report.js";
import { HoldlineError } from "../../locks/errors.js";
import type { Layout } from "./layout.js";
import type { EtcdAddress } from "./url.js";
import { NoSpaceError } from "./wire/errors.js";
import type { Operation } from "./wire/messages.js";
import type { Wire } from "./wire/wire.js";

export async function examineCluster(
  wire: Wire,
  layout: Layout,
  { endpoints, prefix, credentials }: EtcdAddress,
): Promise<Examined> {
  const { version, bytes, leader, header } = await wire.status();
  const link = await wire.links.current();
  const alarms = await wire.alarms();
  const findings: Finding[] = [];
  if (alarms.has("NOSPACE")) {
    const { code, message, hint } = new NoSpaceError(undefined);
    findings.push({ severity: "error", code, message, hint });
  }
  if (alarms.has("CORRUPT")) {
    const message = "the etcd cluster has raised the alarm CORRUPT: a member's data differ from the others'";
    findings.push({ severity: "error", code: "conflict", message, hint: "replace the member that etcdctl alarm list names" });
  }
  if (credentials !== null && !link.hasUsers) {
    const message = "the URL names a user, and the etcd cluster has none: everybody may write everything";
    findings.push({ severity: "warning", code: "configuration", message, hint: "etcdctl auth enable" });
  }
  if (isOld(version)) {
    const message = `etcd ${version} has a fault: a leader that was frozen may end leases of others when it goes on`;
    const hint = "use etcd 3.4.31, 3.5.13 or a later one";
    findings.push({ severity: "warning", code: "configuration", message, hint });
  }
  findings.push(...(await refusedRights(wire, layout)));
  return {
    kind: "etcd",
    version,
    servers: endpoints.map(({ name }) => name),
    facts: {
      prefix,
      user: credentials?.user ?? (link.endpoint.isSecure ? "by certificate, if at all" : "nobody"),
      encrypted: link.endpoint.isSecure ? "yes" : "no",
      member: `${link.endpoint.name}${leader === header.member ? " (leads)" : ""}`,
      databaseBytes: bytes,
    },
    findings,
  };
}

/** Asks for each right in a transaction that can never be carried out: permissions are looked at before. */
async function refusedRights(wire: Wire, layout: Layout): Promise<readonly Finding[]> {
  const { key } = layout.locks;
  const rights: readonly (readonly [right: string, operation: Operation])[] = [
    ["read", { range: { ...layout.whole, only: "count" } }],
    ["write", { put: { key, value: "" } }],
    ["remove from", { remove: layout.whole }],
  ];
  const findings: Finding[] = [];
  for (const [right, operation] of rights) {
    try {
      await wire.transact({ compares: [never(layout)], success: [operation] });
    } catch (error) {
      // That is another matter, which the alarm tells of.
      if (error instanceof NoSpaceError) continue;
      if (!(error instanceof HoldlineError) || error.code !== "not-allowed") throw error;
      const message = `this user may not ${right} the prefix ${layout.prefix}/: permission denied`;
      findings.push({ severity: "error", code: error.code, message, hint: error.hint });
    }
  }
  return findings;
}

/** A key whose value is smaller than nothing. */
function never(layout: Layout) {
  return { key: layout.root, is: "less", value: "" } as const;
}

/** Whether a version may have a leader that was frozen end leases: fixed in 3.4.31 and 3.5.13. */
function isOld(version: string): boolean {
  const [major = 0, minor = 0, patch = 0] = version.split(".").map(Number);
  if (major !== 3) return major < 3;
  return minor < 4 || (minor === 4 && patch < 31) || (minor === 5 && patch < 13);
}
