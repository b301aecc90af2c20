// What `check --live` says of a Redis or Valkey server beside what every store says: how it keeps what it is told, and what this user may
// not do there.
import type { Examined, Finding } from "../../locks/store-report.js";
import type { Begun, Reply } from "./connection.js";
import { durabilityOf, type ServerFacts } from "./facts.js";
import { FORBIDDEN } from "./lua.js";
import { nameOf, type RedisUrl } from "./url.js";

export async function examineServer({ link, home, facts, waitsFor }: Begun, metaKey: string, url: RedisUrl): Promise<Examined> {
  const [, forbidden] = (await link.run(FORBIDDEN, metaKey, [home])) as Reply;
  return {
    kind: facts.kind,
    version: facts.version,
    servers: url.servers.map(nameOf),
    facts: {
      primary: link.server,
      root: `database ${url.database}, prefix ${url.prefix}`,
      log: facts.keepsLog ? `appendfsync ${facts.syncs ?? "unknown"}` : "none",
      replicas: facts.replicas,
      replicasWaitedFor: waitsFor,
      maxmemoryPolicy: facts.evicts ?? "unknown",
      encrypted: url.isSecure ? "TLS" : "no",
    },
    findings: [
      ...forbiddenFindings(forbidden as readonly string[], link.server),
      ...durabilityFindings(facts, waitsFor, link.server, url),
      ...unknownFindings(facts, link.server),
    ],
  };
}

/** What makes a server keep claims. */
export const DURABILITY_HINT =
  "give it a replica, or `appendonly yes` with `appendfsync always`; or say that this may be, with ?durability=may-lose";

function forbiddenFindings(commands: readonly string[], server: string): Finding[] {
  return commands.map((command) => ({
    severity: "error",
    code: "not-allowed",
    message: `the server ${server} does not let this user call ${command} for this root`,
    hint: "docs/stores.md has the ACL of a user with the least rights",
  }));
}

function durabilityFindings(facts: ServerFacts, waitsFor: number, server: string, { mayLose }: RedisUrl): Finding[] {
  if (durabilityOf(facts, waitsFor) !== "may-lose") return [];
  const may = `the server ${server} may lose what it has acknowledged`;
  return mayLose
    ? [{ severity: "warning", code: "configuration", message: `${may}, as ?durability=may-lose allows`, hint: null }]
    : [{ severity: "error", code: "configuration", message: `${may}, so that no claim becomes durable`, hint: DURABILITY_HINT }];
}

function unknownFindings({ evicts, keepsLog, syncs, replicas }: ServerFacts, server: string): Finding[] {
  const findings: Finding[] = [];
  if (evicts === null) {
    const message = `the server ${server} does not say whether it drops keys when its memory is full`;
    findings.push({ severity: "warning", code: "configuration", message, hint: "noeviction is right for maxmemory-policy" });
  }
  if (keepsLog && syncs === null && replicas === 0) {
    const message = `the server ${server} does not tell this user when it brings its log to the disk`;
    findings.push({ severity: "warning", code: "configuration", message, hint: "let the user ask for it: +config|get" });
  }
  return findings;
}
