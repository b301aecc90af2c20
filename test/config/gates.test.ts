import { homedir } from "node:os";
import { join } from "node:path";
import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { WEEKDAYS, type WindowSettings } from "../../src/gates/windows.js";
import { configFile, load, problemsOf, surroundings } from "./loading.js";

async function action(yaml: string, general = "") {
  const [first] = (await load(`${general}\nactions:\n  a: { shell: x, ${yaml} }\n`)).actions;
  if (first === undefined) throw new Error("there is no action");
  return first;
}

/** An action's problems, without line and path. */
async function wrong(yaml: string): Promise<string[]> {
  return (await problemsOf(`actions:\n  a: { shell: x, ${yaml} }\n`)).map((line) => line.replace(/^2: actions\.a/, ""));
}

async function windowOf(yaml: string): Promise<WindowSettings | undefined> {
  return (await action(`windows: [${yaml}]`)).windows[0];
}

describe("needed", () => {
  test("may be a file, changed files, outdated files or a command", async () => {
    const process = "process: { user: u }";
    expect((await action("needed: { file: /run/reboot-required }")).needed).toEqual({
      ...{ file: "/run/reboot-required", changed: [], outdated: false, argv: null },
    });
    expect((await action(`needed: { changed: /etc/x.conf }, ${process}`)).needed?.changed).toEqual(["/etc/x.conf"]);
    expect((await action(`needed: { outdated: true }, ${process}`)).needed?.outdated).toBe(true);
    expect((await action('needed: { shell: "exit 1" }')).needed?.argv).toEqual(["/bin/sh", "-c", "exit 1"]);
  });

  test("has relative paths and patterns taken from where the file is", async () => {
    const text =
      "actions:\n  a: { shell: x, process: { user: u }, needed: { file: sub/flag, changed: [conf/**, ~/x, /etc/**] } }\n";
    const file = configFile(text);
    const around = surroundings({ homedir: homedir() });
    const { needed } = (await load(null, { config: file, surroundings: around } as never)).actions[0] ?? {};
    const folder = join(file, "..");
    expect(needed?.file).toBe(join(folder, "sub/flag"));
    expect(needed?.changed).toEqual([join(folder, "conf/**"), join(homedir(), "x"), "/etc/**"]);
  });

  test.each([
    ["needed: true", ".needed: must be a map of keys and values, not true"],
    ["needed: [/f]", ".needed: must be a map of keys and values, not a list"],
    ["needed: {}", ".needed: says nothing: give `file`, `changed`, `outdated: true`, `command` or `shell`, or leave it out"],
    ["needed:", ".needed: says nothing"],
    ["needed: { outdated: false }", ".needed: says nothing"],
    ["needed: { fil: /f, shell: x }", '.needed.fil: is an unknown key; did you mean "file"?'],
    ["needed: { file: }", ".needed.file: must be text, but is empty"],
    ['needed: { file: "" }', ".needed.file: must not be empty"],
    ["needed: { file: [a] }", ".needed.file: must be text, not a list"],
    [
      "needed: { changed: [] }, process: { user: u }",
      '.needed.changed: must not be an empty list; write for example ["/etc/nginx/**"]',
    ],
    ['needed: { changed: [a, ""] }, process: { user: u }', ".needed.changed.1: must not be empty"],
    ["needed: { changed: [a, [b]] }, process: { user: u }", ".needed.changed.1: must be text, not a list"],
    ["needed: { changed: { a: b } }, process: { user: u }", ".needed.changed: must be a list, not a map"],
    ["needed: { changed: 5 }, process: { user: u }", ".needed.changed: must be a list, not 5"],
    ["needed: { changed: [/etc/**] }", ".needed.changed: needs the action's `process`"],
    ["needed: { outdated: true }", ".needed.outdated: needs the action's `process`"],
    ["needed: { outdated: maybe }", '.needed.outdated: must be true or false, not "maybe"'],
    ["needed: { command: check-it }", ".needed.command: must be a list, because no shell splits the text"],
    ["needed: { command: [x], shell: y }", ".needed.shell: both `command` and `shell` are given"],
  ])("is refused: %s", async (yaml, words) => {
    const problems = await wrong(yaml);
    expect(problems).toHaveLength(1);
    expect(problems[0]).toMatch(new RegExp(`^${escaped(words)}`));
  });
});

describe("windows", () => {
  const general = 'windows: [{ start: "01:00", for: 2 h }]';

  test("of an action count instead of the general ones", async () => {
    expect((await action("", general)).windows).toEqual([{ days: WEEKDAYS, startMinute: 60, forMs: 7_200_000, zone: null }]);
    expect((await action('windows: [{ start: "02:00", for: 1 h }]', general)).windows.map((each) => each.startMinute)).toEqual([
      120,
    ]);
    expect((await action("windows: []", general)).windows).toEqual([]);
  });

  test.each([
    ["[sat, sun]", ["sat", "sun"]],
    ["[sun, mon]", ["mon", "sun"]],
    ["[Saturday, SUN]", ["sat", "sun"]],
    ["mon-fri", ["mon", "tue", "wed", "thu", "fri"]],
    ["[fri-mon]", ["mon", "fri", "sat", "sun"]],
    ["[monday - wednesday, wed, sun]", ["mon", "tue", "wed", "sun"]],
    ["[tue-tue]", ["tue"]],
  ])("may be on the days %s", async (days, expected) => {
    expect((await windowOf(`{ days: ${days}, start: "02:00", for: 1 h }`))?.days).toEqual(expected);
  });

  test("a range of days is what somebody counts from the first to the last", async () => {
    const day = fc.nat({ max: 6 });
    await fc.assert(
      fc.asyncProperty(day, day, async (first, last) => {
        const counted = new Set<number>([first]);
        for (let at = first; at !== last; at = (at + 1) % 7) counted.add((at + 1) % 7);
        const range = `${WEEKDAYS[first] ?? ""}-${WEEKDAYS[last] ?? ""}`;
        const window = await windowOf(`{ days: [${range}], start: "02:00", for: 1 h }`);
        expect(window?.days).toEqual(WEEKDAYS.filter((_, index) => counted.has(index)));
      }),
      { numRuns: 20 },
    );
  });

  test("start at any minute of the day, with and without quotes", async () => {
    await fc.assert(
      fc.asyncProperty(fc.nat({ max: 1_439 }), fc.boolean(), async (minute, quotes) => {
        const start = `${String(Math.floor(minute / 60)).padStart(2, "0")}:${String(minute % 60).padStart(2, "0")}`;
        expect(await windowOf(`{ start: ${quotes ? `"${start}"` : start}, for: 1 h }`)).toMatchObject({ startMinute: minute });
      }),
      { numRuns: 30 },
    );
  });

  test.each(["Europe/Berlin", "UTC", "America/Argentina/Buenos_Aires", "Asia/Kolkata"])("may be in the zone %s", async (zone) => {
    expect(await windowOf(`{ start: "02:00", for: 7 days, zone: ${zone} }`)).toMatchObject({ zone, forMs: 604_800_000 });
  });

  const FORM = 'must be a time of day from "00:00" to "23:59", as text in quotes such as "02:00", not';
  test.each([
    ["windows:", "windows: must be a list, but is empty; write for example"],
    ["windows: sat", "windows: must be a list, not a text; write for example"],
    ['windows: { start: "02:00", for: 1 h }', "windows: must be a list, not a map; write for example"],
    ["windows: [sat]", 'windows.0: must be a map of keys and values, not "sat"'],
    ["windows: [{ for: 1 h }]", 'windows.0: needs a `start`, such as "02:00"'],
    ['windows: [{ start: "02:00" }]', "windows.0: needs a `for`: how long it is open, such as 4 h"],
    ['windows: [{ start: "02:00", for: 1 h, until: "04:00" }]', "windows.0.until: is an unknown key"],
    ["windows: [{ start: 2, for: 1 h }]", `windows.0.start: ${FORM} 2`],
    ["windows: [{ start: 120, for: 1 h }]", `windows.0.start: ${FORM} 120`],
    ['windows: [{ start: "25:00", for: 1 h }]', `windows.0.start: ${FORM} "25:00"`],
    ['windows: [{ start: "24:00", for: 1 h }]', `windows.0.start: ${FORM} "24:00"`],
    ['windows: [{ start: "02:60", for: 1 h }]', `windows.0.start: ${FORM} "02:60"`],
    ['windows: [{ start: "02:00:00", for: 1 h }]', `windows.0.start: ${FORM} "02:00:00"`],
    ["windows: [{ start: , for: 1 h }]", `windows.0.start: ${FORM} empty`],
    ['windows: [{ start: "02:00", for: 0 h }]', "windows.0.for: must be more than 0"],
    ['windows: [{ start: "02:00", for: -1 h }]', "windows.0.for: must be a number of seconds"],
    ['windows: [{ start: "02:00", for: 8 days }]', 'windows.0.for: must be at most 7 days, not "8 days"'],
    ['windows: [{ start: "02:00", for: none }]', "windows.0.for: must be a number of seconds"],
    [
      'windows: [{ start: "02:00", for: 1 h }, { start: "02:00", for: 1 h, days: [] }]',
      "windows.1.days: must not be an empty list",
    ],
    [
      'windows: [{ start: "02:00", for: 1 h, days: [sat, son] }]',
      'windows.0.days.1: must be a day (mon, tue, wed, thu, fri, sat, sun) or days such as mon-fri, not "son"',
    ],
    ['windows: [{ start: "02:00", for: 1 h, days: [mon-wed-fri] }]', "windows.0.days.0: must be a day"],
    ['windows: [{ start: "02:00", for: 1 h, days: ["-"] }]', "windows.0.days.0: must be a day"],
    ['windows: [{ start: "02:00", for: 1 h, days: [6] }]', "windows.0.days.0: must be a day"],
    [
      'windows: [{ start: "02:00", for: 1 h, zone: Europe/Berln }]',
      'windows.0.zone: must be a time zone of the IANA database, not "Europe/Berln"; did you mean Europe/Berlin?',
    ],
    ['windows: [{ start: "02:00", for: 1 h, zone: New York }]', 'not "New York"; did you mean America/New_York?'],
    ['windows: [{ start: "02:00", for: 1 h, zone: "+02:00" }]', 'not "+02:00"; write for example Europe/Berlin'],
    ['windows: [{ start: "02:00", for: 1 h, zone: }]', "windows.0.zone: must be text, but is empty"],
  ])("are refused, general ones as well: %s", async (yaml, words) => {
    for (const problems of [await wrong(yaml), await problemsOf(`${yaml}\n`)]) {
      expect(problems).toHaveLength(1);
      expect(problems[0]).toContain(words);
    }
  });

  test("may be in a variable, as YAML", async () => {
    const env = { HOLDLINE_WINDOWS: '[{ days: [sat], start: "02:00", for: 4 h }]' };
    const settings = await load(`${general}\nactions: { a: { shell: x } }\n`, { env });
    expect(settings.windows).toEqual([{ days: ["sat"], startMinute: 120, forMs: 14_400_000, zone: null }]);
    expect(settings.actions[0]?.windows).toEqual(settings.windows);
    expect((await load(general, { env: { HOLDLINE_WINDOWS: "[]" } })).windows).toEqual([]);
    expect((await load(null, { env: { HOLDLINE_WINDOWS: '- start: "02:00"\n  for: 4 h\n' } })).windows).toHaveLength(1);
  });

  test.each([
    ["", "HOLDLINE_WINDOWS: windows: must be a list, but is empty"],
    ["sat", "HOLDLINE_WINDOWS: windows: must be a list, not a text"],
    ["[{ start: 2, for: 1 h }]", "HOLDLINE_WINDOWS: windows.0.start: must be a time of day"],
    ["[{ start", "HOLDLINE_WINDOWS:1: is not proper YAML"],
  ])("are refused in a variable, which the message names: %s", async (text, words) => {
    expect((await problemsOf(null, { env: { HOLDLINE_WINDOWS: text } })).join("\n")).toContain(words);
  });

  test("that are wrong in a variable are told of beside what else is wrong", async () => {
    const env = { HOLDLINE_NOTIFY: "[{", HOLDLINE_WINDOWS: "[{ start: 2, for: 1 h }]" };
    const problems = await problemsOf("nodee: x", { env });
    expect(problems.filter((line) => line.startsWith("HOLDLINE_WINDOWS: windows.0.start: "))).toHaveLength(1);
    expect(problems.filter((line) => line.startsWith("HOLDLINE_NOTIFY:1: is not proper YAML"))).not.toHaveLength(0);
    expect(problems.filter((line) => line.includes("nodee"))).toHaveLength(1);
  });
});

describe("blockers", () => {
  test.each([
    ["{ command: [/usr/bin/es-green, -q] }", "/usr/bin/es-green"],
    ['{ shell: "curl http://u:s3cret@x |\\n  grep -q ok" }', "curl http://u:***@x | grep -q ok"],
    ['{ prometheus: "https://u:s3cret@prom:9090/x" }', "alerts of prom:9090"],
    ["{ command: [x], name: cluster is green }", "cluster is green"],
  ])("have a name: %s", async (yaml, name) => {
    expect((await action(`blockers: [${yaml}]`)).blockers[0]?.name).toBe(name);
  });

  test.each([
    ["blockers: es-green", ".blockers: must be a list, not a text; write for example [{ name: cluster is green"],
    ["blockers:", ".blockers: must be a list, but is empty"],
    ["blockers: [es-green]", '.blockers.0: must be a map of keys and values, not "es-green"'],
    ["blockers: [{}]", ".blockers.0: needs a `command`, a `shell` or a `prometheus`"],
    ["blockers: [{ name: x }]", ".blockers.0: needs a `command`, a `shell` or a `prometheus`"],
    ['blockers: [{ command: [x], name: "" }]', ".blockers.0.name: must not be empty"],
    ["blockers: [{ command: [] }]", ".blockers.0.command: must not be empty"],
    ["blockers: [{ command: [x], timeout: 0 }]", ".blockers.0.timeout: must be more than 0"],
    ["blockers: [{ command: [x], timeout: none }]", ".blockers.0.timeout: must be a number of seconds"],
    ["blockers: [{ command: [x], alerts: y }]", ".blockers.0.alerts: needs `prometheus`"],
    ["blockers: [{ command: [x], promethus: y }]", '.blockers.0.promethus: is an unknown key; did you mean "prometheus"?'],
    ['blockers: [{ command: [x], prometheus: "http://p" }]', ".blockers.0.prometheus: is given beside a command"],
    ["blockers: [{ prometheus: prom:9090 }]", ".blockers.0.prometheus: must be a URL that begins with http:// or https://"],
    ['blockers: [{ prometheus: "ftp://prom" }]', ".blockers.0.prometheus: must be a URL that begins with http:// or https://"],
    ['blockers: [{ prometheus: "http://" }]', ".blockers.0.prometheus: must be a URL that begins with http:// or https://"],
    [
      'blockers: [{ prometheus: "http://prom:99999" }]',
      ".blockers.0.prometheus: is not a proper URL: its host or its port is wrong",
    ],
    ['blockers: [{ prometheus: "http://prom/a b" }]', ".blockers.0.prometheus: must be a URL without blanks"],
    ["blockers: [{ prometheus: [a] }]", ".blockers.0.prometheus: must be a URL that begins with http:// or https://"],
    [
      'blockers: [{ prometheus: "http://p", alerts: "a(b" }]',
      ".blockers.0.alerts: is not a regular expression in RE2 syntax: missing closing )",
    ],
    ['blockers: [{ prometheus: "http://p", ignore: "" }]', ".blockers.0.ignore: must not be empty: it would match every alert"],
  ])("are refused: %s", async (yaml, words) => {
    const problems = await wrong(yaml);
    expect(problems).toHaveLength(1);
    expect(problems[0]).toMatch(new RegExp(`^${escaped(words)}`));
  });
});

function escaped(text: string): string {
  return text.replace(/[.*+?^${}()|[\]\\]/g, "\\$&");
}
