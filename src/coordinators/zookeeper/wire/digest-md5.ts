// SASL's DIGEST-MD5 as RFC 2831 has it, the client's side: the answer to a server's challenge, and the check of the server's proof that it
// knows the password as well. Authentication only: what follows on the connection is neither signed nor encrypted by it. npm has no
// library of it that is kept up and that checks the proof.
import { createHash, randomBytes } from "node:crypto";

export interface DigestLogin {
  readonly user: string;
  readonly password: string;
}

export interface DigestAnswer {
  readonly response: Buffer;
  /** Whether this, the server's last word, proves that it knows the password. */
  isProof(word: Buffer): boolean;
}

/** What a server says that is not DIGEST-MD5, or not a form of it that this client speaks. */
export class DigestError extends Error {
  override readonly name = "DigestError";
}

// The connection logs in once, so the nonce is used for the first time (section 2.1.2, nonce-count).
const FIRST_USE = "00000001";
const CNONCE_BYTES = 24;

/**
 * Answers a challenge.
 * @param uri `service/host`, as the server knows itself
 * @param cnonce unguessable; given by tests alone
 * @throws DigestError
 */
export function answerChallenge(
  challenge: Buffer,
  { user, password }: DigestLogin,
  uri: string,
  cnonce = randomBytes(CNONCE_BYTES).toString("base64"),
): DigestAnswer {
  const directives = parseDirectives(challenge.toString("utf8"));
  const nonce = directives.get("nonce");
  if (nonce === undefined) throw new DigestError("its challenge has no nonce");
  if (directives.get("algorithm")?.toLowerCase() !== "md5-sess") throw new DigestError("its challenge is not for md5-sess");
  const offers = (directives.get("qop") ?? "auth").split(/[\s,]+/);
  if (!offers.includes("auth")) throw new DigestError(`it offers ${offers.join(", ")}, and no authentication alone`);
  const realm = directives.get("realm") ?? "";
  const isUtf8 = directives.get("charset")?.toLowerCase() === "utf-8";
  const encode = (text: string): Buffer => encoded(text, isUtf8);
  const colon = Buffer.from(":");
  // A1 (section 2.1.2.1). The hash of the secret goes into it in binary.
  const secret = md5(Buffer.concat([encode(user), colon, Buffer.from(realm), colon, encode(password)]));
  const a1 = Buffer.concat([secret, Buffer.from(`:${nonce}:${cnonce}`)]);
  const signed = (a2: string): string =>
    hex(Buffer.from(`${hex(a1)}:${nonce}:${FIRST_USE}:${cnonce}:auth:${hex(Buffer.from(a2))}`));
  const proof = signed(`:${uri}`);
  const parts = [
    ...(isUtf8 ? ["charset=utf-8"] : []),
    `username=${quote(user)}`,
    ...(directives.has("realm") ? [`realm=${quote(realm)}`] : []),
    `nonce=${quote(nonce)}`,
    `nc=${FIRST_USE}`,
    `cnonce=${quote(cnonce)}`,
    `digest-uri=${quote(uri)}`,
    `response=${signed(`AUTHENTICATE:${uri}`)}`,
    "qop=auth",
  ];
  return {
    response: Buffer.from(parts.join(","), isUtf8 ? "utf8" : "latin1"),
    isProof: (word) => parseDirectives(word.toString("utf8")).get("rspauth") === proof,
  };
}

/** A text whose characters are all in ISO 8859-1 is hashed in it, whatever it is sent in. */
function encoded(text: string, isUtf8: boolean): Buffer {
  const isLatin = [...text].every((character) => (character.codePointAt(0) as number) <= 0xff);
  if (!isLatin && !isUtf8) throw new DigestError("it takes no names and passwords beyond ISO 8859-1");
  return Buffer.from(text, isLatin ? "latin1" : "utf8");
}

/** `name=value,name="value"`. Of several realms the first is kept: they are the server's offers. */
function parseDirectives(text: string): ReadonlyMap<string, string> {
  const directives = new Map<string, string>();
  const said = text.trim();
  const pattern = /[\s,]*([^\s,="]+)\s*=\s*(?:"((?:[^"\\]|\\.)*)"|([^\s,"]*))\s*(?:,|$)/suy;
  while (pattern.lastIndex < said.length) {
    const [, name, quoted, plain = ""] = pattern.exec(said) ?? [];
    if (name === undefined) throw new DigestError("it said what is not DIGEST-MD5");
    const value = quoted === undefined ? plain : quoted.replace(/\\(.)/gsu, "$1");
    if (!directives.has(name.toLowerCase())) directives.set(name.toLowerCase(), value);
  }
  return directives;
}

function quote(text: string): string {
  return `"${text.replace(/["\\]/g, "\\$&")}"`;
}

function hex(bytes: Buffer): string {
  return md5(bytes).toString("hex");
}

function md5(bytes: Buffer): Buffer {
  return createHash("md5").update(bytes).digest();
}
