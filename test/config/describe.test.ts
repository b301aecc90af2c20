import fc from "fast-check";
import { expect, test } from "vitest";
import { stringify } from "yaml";
import { describeSettings, exactDuration } from "../../src/config/describe.js";
import { parseDurationMs } from "../../src/locks/durations.js";
import { load } from "./loading.js";

const TEXT = `
node: web-07
coordinator: zookeeper://bob:s3cret@zk1:2181/holdline
state_dir: /srv/holdline
acquire: { timeout: 0, sleep_time: 33.5 ms }
log: { level: warn, format: json }
group: web
membership: 3 days
windows: [{ start: "00:05", for: 90 min }]
notify:
  - { on: [failed], url: "https://u:s3cret@chat.example.com/s3cret?s3cret#s3cret" }
  - { url: "https://s3cret@chat.example.com/s3cret" }
  - { url: "http://chat.example.com" }
  - { command: [ls, "http://u:s3cret@x"] }
actions:
  a: { command: [ls, "-l", "http://u:s3cret@proxy"], env: { TOKEN: s3cret, A: b }, timeout: 90 s, key: k, data: { x: [1, null] } }
  b: { shell: "exit 1", slots: 3, process: { user: "0" }, mode: serialize_process, verify: { shell: x, interval: 0 }, cwd: /srv }
  d:
    process: { user: "0" }
    mode: reboot
    slots: 10%
    needed: { file: /f, changed: [/etc/x], outdated: true, command: [ls, "http://u:s3cret@x"] }
    windows: [{ days: [sat, sun], start: "02:00", for: 4 h, zone: Europe/Berlin }]
    blockers:
      - { name: b, command: [ls, "http://u:s3cret@x"], timeout: 5 s }
      - { name: p, prometheus: "https://u:s3cret@prom/x?token=s3cret", alerts: ^Node, ignore: x }
      - { name: t, prometheus: "https://s3cret@prom:9090" }
    before: { command: [ls, "http://u:s3cret@x"], timeout: 5 s }
    after: { shell: "ls http://u:s3cret@x", when: always }
    verify: { shell: x, passes: 2 }
    soak: 5 min
    not_now: [75]
    acquire: { behind_failed: leave }
  e: { windows: [] }
  f: { before: { shell: x }, after: { shell: x }, needed: { outdated: true }, process: { user: "0" } }
  c: { shell: x, process: { command_string: "a.*b", full_cmd: true }, acquire: { timeout: none }, on_failure: release }
locks: { l: { ttl: 36 h, principal: p }, m: {}, n: { coordinator: "zookeeper://bob:s3cret@zk1:2181/other" } }
dependencies: { hv01: [dc01, vmm01], DC01: dc02 }
`;

test("a description has no secrets", async () => {
  const text = JSON.stringify(describeSettings(await load(TEXT)));
  expect(text).not.toContain("s3cret");
  expect(text).toContain("zookeeper://bob:***@zk1:2181/holdline");
  expect(text).toContain('"prometheus":"https://u:***@prom/x?token=***","alerts":"^Node"');
  expect(text).toContain('"on":["failed"],"url":"https://***@chat.example.com/***"');
  expect(text).toContain('"url":"http://chat.example.com"');
});

test("a description reads back as the same settings", async () => {
  const shown = TEXT.replace("TOKEN: s3cret", 'TOKEN: "***"').replaceAll("s3cret", "***").replaceAll("bob:***@", "");
  const settings = await load(shown.replace("/***?***#***", "/***").replace("u:***@chat", "***@chat"));
  const again = await load(stringify(describeSettings(settings)));
  expect({ ...again, file: null, origins: null }).toEqual({ ...settings, file: null, origins: null });
});

test("a duration is described exactly", () => {
  expect([null, 0, 250, 1_500, 90_000, 600_000, 86_400_000, 0.5].map(exactDuration)).toEqual([
    "none",
    "0 ms",
    "250 ms",
    "1500 ms",
    "90 s",
    "10 min",
    "1 d",
    "0.5 ms",
  ]);
  fc.assert(fc.property(fc.integer({ min: 0, max: 3_000_000_000_000 }), (ms) => parseDurationMs(exactDuration(ms)) === ms));
});
