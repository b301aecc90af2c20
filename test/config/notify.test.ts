import { describe, expect, test } from "vitest";
import { NOTIFY_EVENTS } from "../../src/config/settings.js";
import { load, problemsOf } from "./loading.js";

const HOOK = "https://hooks.example.com/services/T0/B0/s3cret";

describe("notify", () => {
  test("is a list of commands and of URLs", async () => {
    const { notify } = await load(
      `notify: [{ on: [stale, failed], url: "${HOOK}" }, { command: [tell] }, { on: frozen, shell: x }]`,
    );
    expect(notify).toEqual([
      { on: ["failed", "stale"], to: { url: HOOK } },
      { on: NOTIFY_EVENTS, to: { argv: ["tell"] } },
      { on: ["frozen"], to: { argv: ["/bin/sh", "-c", "x"] } },
    ]);
    expect((await load("notify: []")).notify).toEqual([]);
  });

  test("may be in a variable, as YAML", async () => {
    const env = { HOLDLINE_NOTIFY: `[{ url: "${HOOK}" }]` };
    expect((await load("notify: [{ command: [x] }]", { env })).notify).toEqual([{ on: NOTIFY_EVENTS, to: { url: HOOK } }]);
    expect(await problemsOf(null, { env: { HOLDLINE_NOTIFY: "[{ on: [faild], shell: x }]" } })).toEqual([
      'HOLDLINE_NOTIFY: notify.0.on.0: must be failed, stale, recovered, cleared or frozen, not "faild"',
    ]);
  });

  test.each([
    ["notify:", "notify: must be a list, but is empty"],
    ["notify: { command: [x] }", "notify: must be a list, not a map; write for example"],
    ["notify: [[x]]", "notify.0: must be a map of keys and values, not a list"],
    ["notify: [{}]", "notify.0: needs a `url`, a `command` or a `shell`: who is told"],
    ["notify: [{ on: [], shell: x }]", "notify.0.on: must not be an empty list; leave it out for all events"],
    [
      "notify: [{ on: [frozen, thawed], shell: x }]",
      'notify.0.on.1: must be failed, stale, recovered, cleared or frozen, not "thawed"',
    ],
    ["notify: [{ on: 5, shell: x }]", "notify.0.on: must be a list, not 5"],
    ["notify: [{ command: [] }]", "notify.0.command: must not be empty"],
    ["notify: [{ shell: x, command: [y] }]", "notify.0.shell: both `command` and `shell` are given"],
    ["notify: [{ shell: x, urll: y }]", 'notify.0.urll: is an unknown key; did you mean "url"?'],
    ["notify: [{ shell: x }, { url: file:///x }]", "notify.1.url: must be a URL that begins with http:// or https://"],
    [`notify: [{ shell: x, url: "${HOOK}" }]`, "notify.0.url: is given beside a command"],
  ])("is refused: %s", async (text, words) => {
    const problems = await problemsOf(text);
    expect(problems).toHaveLength(1);
    expect(problems[0]).toContain(words);
  });

  test("is refused without a word of a secret", async () => {
    const url = HOOK.replace("https://", "https://bob:pw-s3cret@");
    const texts = [
      `notify: ${url}`,
      `notify: [${url}]`,
      `notify: [{ url: ["${url}"] }]`,
      `notify: [{ url: "${url}:x y" }]`,
      `notify: [{ url: "ftp${url.slice(5)}" }]`,
      `notify: [{ url: "${url.replace("example.com", "example.com:99999")}" }]`,
      `notify: [{ urll: "${url}", shell: x }]`,
      `actions: { a: { shell: x, blockers: [{ prometheus: "${url} x" }] } }`,
    ];
    for (const text of texts) {
      expect((await problemsOf(text)).join()).not.toContain("s3cret");
      const inVariable = text.startsWith("notify: ") ? text.slice("notify: ".length) : "[";
      expect((await problemsOf(null, { env: { HOLDLINE_NOTIFY: inVariable } })).join()).not.toContain("s3cret");
    }
  });
});
