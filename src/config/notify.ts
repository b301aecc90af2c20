// Parses `notify`: who is told of what. No message quotes a receiver's URL: chat services put the secret into its path.
import { readArgv } from "./command.js";
import { complete, readChoice, readIfThere, readItems, readKnownMap, readTexts } from "./field.js";
import type { Field } from "./field.js";
import { keysOf, NOTIFY_KEYS } from "./keys.js";
import { NOTIFY_EVENTS, type NotifyEvent, type NotifySettings } from "./settings.js";
import { readHttpUrl } from "./urls.js";

/** Parses `notify`; an empty list tells nobody. */
export function readNotify(field: Field): readonly NotifySettings[] | undefined {
  return readItems(field, readReceiver, "write for example [{ on: [failed], command: [tell-ops] }], or [] for none");
}

function readReceiver(field: Field): NotifySettings | undefined {
  if (typeof field.value === "string") return field.refuse("must be a map of keys and values, such as { on: [failed], url: … }");
  const keys = readKnownMap(field, keysOf(NOTIFY_KEYS));
  return keys && complete({ on: readIfThere(keys.get("on"), readEvents, NOTIFY_EVENTS), to: readTo(field, keys) });
}

function readTo(field: Field, keys: ReadonlyMap<string, Field>): NotifySettings["to"] | undefined {
  const url = keys.get("url");
  if (url === undefined) {
    if (!keys.has("command") && !keys.has("shell")) return field.refuse("needs a `url`, a `command` or a `shell`: who is told");
    const argv = readArgv(field, keys);
    return argv && { argv };
  }
  if (keys.has("command") || keys.has("shell")) return url.refuse("is given beside a command: write two items");
  const read = readHttpUrl(url);
  return read === undefined ? undefined : { url: read };
}

function readEvents(field: Field): readonly NotifyEvent[] | undefined {
  const named = readTexts(field, (item) => readChoice(item, NOTIFY_EVENTS), "leave it out for all events");
  return named && NOTIFY_EVENTS.filter((event) => named.includes(event));
}
