// Parses the request that Concourse hands a resource on standard input. An error says what is wrong with each key, and never
// quotes a password, nor a text that may have one in it.
import { X509Certificate } from "node:crypto";
import type { Field } from "../config/field.js";
import { createField, readBoolean, readChoice, readDurationOrNoneMs, readKnownMap } from "../config/field.js";
import { readLockName, readMap, readText } from "../config/field.js";
import { createProblems, plainOrigin } from "../config/problems.js";
import { HoldlineError } from "../locks/errors.js";

/** A server, without its secrets. */
export interface Endpoint {
  /** Without credentials, and without a slash at its end. */
  readonly uri: string;
  /** Certificates in PEM; `null`: those that node trusts. */
  readonly ca: string | null;
  readonly skipsValidation: boolean;
}

export interface Credentials {
  readonly user: string;
  readonly password: string;
}

/** The resource's `source`. */
export interface Source {
  readonly locker: Endpoint;
  readonly credentials: Credentials | null;
  /** The lock's name, or the BOSH director whose name it is. */
  readonly lock: string | Endpoint;
  /** `null`: without an end. */
  readonly timeoutMs: number | null;
}

/** The `params` of a put step. */
export interface PutParams {
  readonly operation: "lock" | "unlock";
  readonly key: string;
  /** `null`: the server uses the key. */
  readonly lockedBy: string | null;
  /** Overrides the source's; `undefined` when missing. */
  readonly timeoutMs: number | null | undefined;
}

export interface CheckRequest {
  readonly source: Source;
  /** The version that Concourse knows, or wants; `null` for none yet. */
  readonly ref: string | null;
}

export interface PutRequest {
  readonly source: Source;
  readonly params: PutParams;
}

/** The request of `check` and of `in`. @throws HoldlineError `usage` for text that is no JSON, `configuration` for wrong keys */
export function parseCheckRequest(text: string): CheckRequest {
  return parse(text, (root) => {
    const source = readSource(part(root, "source"));
    const ref = readOptional(part(root, "version"), readRef, null);
    return source === undefined || ref === undefined ? undefined : { source, ref };
  });
}

/** The request of `out`. @throws HoldlineError as {@link parseCheckRequest} */
export function parsePutRequest(text: string): PutRequest {
  return parse(text, (root) => {
    const [source, params] = [readSource(part(root, "source")), readParams(part(root, "params"))];
    return source === undefined || params === undefined ? undefined : { source, params };
  });
}

function parse<T>(text: string, read: (root: Parts) => T | undefined): T {
  const problems = createProblems();
  const field = createField(parseJson(text), [], plainOrigin("the request"), problems);
  // Further keys of Concourse's own are fine: it may add some one day.
  const fields = readMap(field);
  const request = fields && read({ field, fields });
  problems.throwIfAny();
  if (request === undefined) throw new HoldlineError("bug", "the request was refused without a word");
  return request;
}

function parseJson(text: string): unknown {
  try {
    return JSON.parse(text) as unknown;
  } catch {
    // The parser's own message would quote the text, which may have the password.
    throw new HoldlineError("usage", "standard input has no request: it is no JSON", {
      hint: 'right would be such as {"source": {"locker_uri": "https://locker:3000", "lock_name": "db"}}',
    });
  }
}

/** A map's members, and the field of the map itself. */
interface Parts {
  readonly field: Field;
  readonly fields: ReadonlyMap<string, Field>;
}

function part({ field, fields }: Parts, key: string): Field {
  return fields.get(key) ?? field.child(key, undefined);
}

function knownParts(field: Field, known: readonly string[]): Parts | undefined {
  if (isAbsent(field)) return field.refuse("is missing");
  const fields = readKnownMap(field, known);
  return fields && { field, fields };
}

/** An unset variable of a pipeline comes as `null` or as an empty text. */
function isAbsent({ value }: Field): boolean {
  return value === undefined || value === null || value === "";
}

function readOptional<T, D>(field: Field, read: (field: Field) => T | undefined, fallback: D): T | D | undefined {
  return isAbsent(field) ? fallback : read(field);
}

function readRequired<T>(field: Field, read: (field: Field) => T | undefined): T | undefined {
  return isAbsent(field) ? field.refuse("is missing") : read(field);
}

const SOURCE_KEYS = [
  ...["locker_uri", "lock_name", "bosh_lock", "bosh_ca_cert", "username", "password"],
  ...["ca_cert", "skip_ssl_validation", "timeout"],
];

function readSource(source: Field): Source | undefined {
  const parts = knownParts(source, SOURCE_KEYS);
  if (parts === undefined) return undefined;
  const of = (key: string): Field => part(parts, key);
  const server = readRequired(of("locker_uri"), readServer);
  const ca = readOptional(of("ca_cert"), readCertificates, null);
  const skipsValidation = readOptional(of("skip_ssl_validation"), readBoolean, false);
  const credentials = readCredentials(of("username"), of("password"), server?.credentials ?? null);
  const lock = readLock(of("lock_name"), of("bosh_lock"), of("bosh_ca_cert"));
  const timeoutMs = readOptional(of("timeout"), readTimeout, null);
  if (server === undefined || ca === undefined || skipsValidation === undefined) return undefined;
  if (credentials === undefined || lock === undefined || timeoutMs === undefined) return undefined;
  return { locker: { uri: server.uri, ca, skipsValidation }, credentials, lock, timeoutMs };
}

function readLock(name: Field, director: Field, directorCa: Field): string | Endpoint | undefined {
  if (isAbsent(name) && isAbsent(director)) return name.refuse("is missing, and so is bosh_lock, which could replace it");
  if (isAbsent(director)) return readLockName(name);
  if (!isAbsent(name)) return director.refuse("names the lock, and so does lock_name: leave one out");
  const server = readServer(director);
  const ca = readOptional(directorCa, readCertificates, null);
  if (server === undefined || ca === undefined) return undefined;
  // Directors have self-signed certificates, and locker-resource has never checked them. The request asks only for the name,
  // which the director tells everybody.
  return { uri: server.uri, ca, skipsValidation: ca === null };
}

interface Server {
  readonly uri: string;
  readonly credentials: Credentials | null;
}

function readServer(field: Field): Server | undefined {
  const text = readText(field);
  if (text === undefined) return undefined;
  const url = URL.canParse(text.trim()) ? new URL(text.trim()) : null;
  // The value may have a password anywhere in it, and is not quoted.
  if (url === null || !["http:", "https:"].includes(url.protocol) || url.search !== "" || url.hash !== "")
    return field.refuse('must be the address of a server, such as "https://locker.example.com:3000"');
  const uri = `${url.origin}${url.pathname.replace(/\/+$/, "")}`;
  if (url.username === "" || url.password === "") return { uri, credentials: null };
  try {
    const [user, password] = [decodeURIComponent(url.username), decodeURIComponent(url.password)];
    return { uri, credentials: { user, password } };
  } catch {
    return field.refuse("has credentials with wrong percent-encoding; username and password take them without any");
  }
}

function readCredentials(username: Field, password: Field, inUri: Credentials | null): Credentials | null | undefined {
  const [user, secret] = [readOptional(username, readText, null), readOptional(password, readText, null)];
  if (user === undefined || secret === undefined) return undefined;
  if (user === null && secret === null) return inUri;
  if (secret === null) return password.refuse("is missing, and username is set: set both, or neither");
  if (user === null) return username.refuse("is missing, and password is set: set both, or neither");
  return user.includes(":") ? username.refuse('must be without ":", which ends it in credentials') : { user, password: secret };
}

const CERTIFICATE = /-----BEGIN CERTIFICATE-----[^-]+-----END CERTIFICATE-----/g;

function readCertificates(field: Field): string | undefined {
  const text = readText(field);
  if (text === undefined) return undefined;
  const found = text.match(CERTIFICATE) ?? [];
  try {
    for (const certificate of found) new X509Certificate(certificate);
  } catch {
    return field.refuse("has a certificate that cannot be read");
  }
  // With a text that has no certificate, node would trust nobody, and not say so.
  return found.length > 0 ? found.join("\n") : field.refuse("must be certificates in PEM: -----BEGIN CERTIFICATE-----");
}

function readTimeout(field: Field): number | null | undefined {
  return readDurationOrNoneMs(field, { zero: true });
}

function readParams(params: Field): PutParams | undefined {
  const parts = knownParts(params, ["lock_op", "key", "locked_by", "timeout"]);
  if (parts === undefined) return undefined;
  const of = (key: string): Field => part(parts, key);
  const operation = readRequired(of("lock_op"), (field) => readChoice(field, ["lock", "unlock"] as const));
  const key = readRequired(of("key"), readText);
  const lockedBy = readOptional(of("locked_by"), readText, null);
  const timeoutMs = of("timeout").value === undefined ? undefined : readOptional(of("timeout"), readTimeout, null);
  return operation === undefined || key === undefined || lockedBy === undefined
    ? undefined
    : { operation, key, lockedBy, timeoutMs };
}

function readRef(version: Field): string | null | undefined {
  const fields = readMap(version);
  return fields && readOptional(part({ field: version, fields }, "ref"), readText, null);
}
