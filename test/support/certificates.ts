// Certificates of a test's own, made with openssl.
import { execFileSync } from "node:child_process";
import { mkdirSync, writeFileSync } from "node:fs";
import { join } from "node:path";

/** Why no certificates can be made here; `null` where they can. */
export const PEM_PROBLEM = (() => {
  try {
    execFileSync("openssl", ["version"], { stdio: "ignore" });
    return null;
  } catch {
    return "openssl is not installed";
  }
})();

/** The files of a certificate and its key. */
export interface Pem {
  readonly cert: string;
  readonly key: string;
}

export interface CertificateOptions {
  /** The names of the files, without their endings; by default the certificate's own. */
  readonly file?: string;
  /** Whom it is for beside its own name: `IP:…`, `DNS:…`. By default 127.0.0.1. */
  readonly names?: readonly string[];
  /** It was valid until yesterday. Needs a signer. */
  readonly isExpired?: boolean;
}

/** Makes a certificate for `name`, signed by `signer` or by itself. Files of the same name are replaced. */
export function makeCertificate(
  directory: string,
  name: string,
  signer: Pem | null = null,
  { file = name, names = ["IP:127.0.0.1"], isExpired = false }: CertificateOptions = {},
): Pem {
  const folder = join(directory, "pem");
  mkdirSync(folder, { recursive: true });
  const pathOf = (ending: string): string => join(folder, `${file}.${ending}`);
  const [cert, key, config, request] = [pathOf("crt"), pathOf("key"), pathOf("cnf"), pathOf("csr")];
  const extensions = [
    `basicConstraints = CA:${signer === null ? "TRUE" : "FALSE"}`,
    ...(names.length === 0 ? [] : [`subjectAltName = ${names.join(",")}`]),
  ];
  writeFileSync(config, `[req]\ndistinguished_name = dn\n[dn]\n[v3]\n${extensions.join("\n")}\n`);
  const curve = ["-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes", "-keyout", key];
  const subject = ["-subj", name === "" ? "/" : `/CN=${name}`, "-config", config];
  if (signer === null) {
    openssl("req", "-x509", ...curve, ...subject, "-extensions", "v3", "-days", "2", "-out", cert);
  } else {
    openssl("req", "-new", ...curve, ...subject, "-out", request);
    const by = ["-CA", signer.cert, "-CAkey", signer.key, "-days", isExpired ? "-1" : "2"];
    openssl("x509", "-req", "-in", request, ...by, "-extfile", config, "-extensions", "v3", "-out", cert);
  }
  return { cert, key };
}

function openssl(...args: readonly string[]): void {
  execFileSync("openssl", args, { stdio: "pipe" });
}
