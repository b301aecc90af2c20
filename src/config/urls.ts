// Reads the URLs of web servers that a configuration names. No message quotes one: each may carry a secret.
import { readText } from "./field.js";
import type { Field } from "./field.js";

// Longer than any server takes.
const LONGEST_BYTES = 4_096;

/** The URL of a web server, as it was written. */
export function readHttpUrl(field: Field): string | undefined {
  const form = "must be a URL that begins with http:// or https://";
  if (typeof field.value !== "string") return field.refuse(form);
  const text = readText(field)?.trim();
  if (text === undefined) return undefined;
  if (Buffer.byteLength(text) > LONGEST_BYTES) return field.refuse(`has more than ${LONGEST_BYTES} bytes`);
  if (!/^https?:\/\/[^/?#]/i.test(text)) return field.refuse(form);
  if (/[\s\p{Cc}]/u.test(text)) return field.refuse("must be a URL without blanks and control characters");
  if (!URL.canParse(text)) return field.refuse("is not a proper URL: its host or its port is wrong");
  return text;
}
