// What `holdline check --live` says of the way in: what the connection is protected by, as whom the servers know this client, and until
// when the certificates are valid.
import type { Finding } from "../../locks/store-report.js";
import type { Access, Validity } from "./wire/access.js";
import { WireError, ZK } from "./wire/protocol.js";
import type { Identity } from "./wire/messages.js";
import type { Wire } from "./wire/wire.js";

export interface IdentityReport {
  readonly facts: Readonly<Record<string, string>>;
  readonly findings: readonly Finding[];
}

// Time to renew a certificate before it fails on every node at once. Those that live for days only are renewed in the last third.
const EXPIRES_SOON_MS = 14 * 86_400_000;
const EXPIRES_SOON = 1 / 3;

/** The schemes by which ZooKeeper knows this client, as the URL has it: `digest`, `sasl`, `x509`. */
export function schemesOf({ tls, login }: Access): readonly string[] {
  return [...(login === null ? [] : [login.mechanism]), ...(tls?.cert === undefined ? [] : ["x509"])];
}

/** Asks the server as whom it knows this client. A server before 3.7 does not know the question and hangs up: ask nothing behind it. */
export async function examineIdentity(wire: Wire, access: Access, now = Date.now()): Promise<IdentityReport> {
  const { security } = wire;
  const identities = schemesOf(access).length === 0 ? null : await askIdentities(wire);
  const shown = (identities ?? []).filter(({ scheme }) => scheme !== "ip").map(({ scheme, user }) => `${scheme}:${user}`);
  const { server = null, client = null } = security ?? {};
  return {
    facts: {
      connection: security === null ? "in the clear" : security.protocol,
      ...(server === null ? {} : { serverCertificate: `until ${dayOf(server.until)}` }),
      ...(client === null ? {} : { clientCertificate: `until ${dayOf(client.until)}` }),
      ...(identities === null ? {} : { knownAs: shown.length === 0 ? "nobody" : shown.join(", ") }),
    },
    findings: [
      ...expiryFindings("the server's certificate", server, now),
      ...expiryFindings("the client's certificate", client, now),
      ...unaskedFindings(access, identities),
    ],
  };
}

async function askIdentities(wire: Wire): Promise<readonly Identity[] | null> {
  try {
    return await wire.whoAmI();
  } catch (error) {
    if (error instanceof WireError && error.zk === ZK.unimplemented) return null;
    throw error;
  }
}

function expiryFindings(what: string, validity: Validity | null, now: number): Finding[] {
  if (validity === null) return [];
  const { since, until } = validity;
  if (until - now > Math.min(EXPIRES_SOON_MS, (until - since) * EXPIRES_SOON)) return [];
  const message = `${what} is valid until ${dayOf(until)} only`;
  return [{ severity: "warning", code: "configuration", message, hint: "renew it: every new connection reads the files anew" }];
}

function unaskedFindings({ tls }: Access, identities: readonly Identity[] | null): Finding[] {
  if (tls?.cert === undefined || identities === null || identities.some(({ scheme }) => scheme === "x509")) return [];
  return [
    {
      severity: "error",
      code: "configuration",
      message: "the server did not ask for the client's certificate, so nothing can belong to it",
      hint: "the servers need ssl.clientAuth=need and authProvider.x509; or leave ?cert= and ?key= out of the coordinator URL",
    },
  ];
}

function dayOf(ms: number): string {
  return new Date(ms).toISOString().slice(0, 10);
}
