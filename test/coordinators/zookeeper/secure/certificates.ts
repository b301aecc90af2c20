// The files of a test's own that make connections secure: an authority that the servers trust, one that they do not, and a client's.
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { makeCertificate, type Pem } from "../../../support/certificates.js";

export interface SecureFiles {
  readonly directory: string;
  readonly authority: Pem;
  readonly stranger: Pem;
  readonly server: Pem;
  readonly client: Pem;
  /** Writes a file; gives its path. */
  write(name: string, text: string): string;
  remove(): void;
}

export function makeSecureFiles(): SecureFiles {
  const directory = mkdtempSync(join(tmpdir(), "holdline-secure-"));
  const authority = makeCertificate(directory, "authority");
  return {
    directory,
    authority,
    stranger: makeCertificate(directory, "stranger"),
    server: makeCertificate(directory, "server", authority),
    client: makeCertificate(directory, "agent", authority),
    write: (name, text) => {
      const path = join(directory, name);
      writeFileSync(path, text);
      return path;
    },
    remove: () => rmSync(directory, { recursive: true, force: true }),
  };
}

/** A URL's parameters. */
export function paramsOf(params: Readonly<Record<string, string | undefined>>): string {
  const given = Object.entries(params).filter((pair): pair is [string, string] => pair[1] !== undefined);
  return given.length === 0 ? "" : `?${given.map(([name, value]) => `${name}=${encodeURIComponent(value)}`).join("&")}`;
}
