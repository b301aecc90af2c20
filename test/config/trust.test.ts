// A configuration that nobody named is used only if nobody else can have written it.
import { chmodSync, chownSync, mkdirSync, symlinkSync, writeFileSync } from "node:fs";
import { dirname, join } from "node:path";
import { expect, test } from "vitest";
import { loadSettings } from "../../src/config/load.js";
import { surroundings, temporaryFolder } from "./loading.js";

const own = process.geteuid?.() ?? 0;
const OTHER = 54_321;
/** The files of a test belong to its user; as root, it gives them to another user, who is then the caller. */
const CALLER = own === 0 ? OTHER : own;
const STRANGER = own === 0 ? OTHER + 1 : own;
const around = () => surroundings({ uid: CALLER });

function give(path: string, uid: number): void {
  if (own === 0) chownSync(path, uid, uid);
}

interface Made {
  readonly file?: number;
  readonly folder?: number;
  readonly fileOf?: number;
  readonly folderOf?: number;
}

function write(path: string, node: string, { file = 0o644, folder = 0o755, fileOf = CALLER, folderOf = CALLER }: Made = {}): void {
  mkdirSync(dirname(path), { recursive: true });
  writeFileSync(path, `node: ${node}\n`);
  chmodSync(path, file);
  chmodSync(dirname(path), folder);
  give(path, fileOf);
  give(dirname(path), folderOf);
}

async function loaded(place: ReturnType<typeof around>, config: string | null = null) {
  const { node, passedOver } = await loadSettings({ config, flags: new Map(), surroundings: place });
  return [node, passedOver];
}

const isRoot = own === 0;

test.each<[what: string, made: Made, why: RegExp, needsRoot?: boolean]>([
  ["a file that everybody may write to", { file: 0o666 }, /it may be written to by other users/],
  ["a file that a group may write to", { file: 0o664 }, /it may be written to by other users/],
  ["a folder that everybody may write to", { folder: 0o777 }, /its folder may be written to by other users/],
  ["a folder such as /tmp", { folder: 0o1777 }, /its folder may be written to by other users/],
  ["a folder that a group may write to", { folder: 0o775 }, /its folder may be written to by other users/],
  ["another user's file", { fileOf: STRANGER }, /it belongs to another user \(\d+\)/, true],
  ["another user's folder", { folderOf: STRANGER }, /its folder belongs to another user \(\d+\)/, true],
])("in the working directory %s is passed over", async (_what, made, why, needsRoot = false) => {
  if (needsRoot && !isRoot) return;
  const place = around();
  write(join(place.cwd, "holdline.yaml"), "planted", made);
  write(join(place.homedir, ".config/holdline/holdline.yaml"), "home");
  expect(await loaded(place)).toEqual(["home", [expect.stringMatching(why)]]);
  expect(await loaded(place, "holdline.yaml"), "named, it counts").toEqual(["planted", []]);
});

test.each([
  ["the caller's own", {}],
  ["root's", isRoot ? { fileOf: 0, folderOf: 0 } : {}],
])("in the working directory %s counts", async (_what, made) => {
  const place = around();
  write(join(place.cwd, "holdline.yaml"), "here", made);
  expect(await loaded(place)).toEqual(["here", []]);
});

test("of a link both ends count, and the folders of both", async () => {
  const place = around();
  const elsewhere = join(temporaryFolder(), "a", "real.yaml");
  chmodSync(place.cwd, 0o755);
  give(place.cwd, CALLER);
  symlinkSync(elsewhere, join(place.cwd, "holdline.yaml"));
  write(elsewhere, "real");
  expect(await loaded(place)).toEqual(["real", []]);
  chmodSync(dirname(elsewhere), 0o777);
  expect(await loaded(place)).toEqual([
    place.hostname,
    [expect.stringMatching(/the folder that it is a link into may be written/)],
  ]);
  chmodSync(dirname(elsewhere), 0o755);
  chmodSync(elsewhere, 0o666);
  expect(await loaded(place)).toEqual([place.hostname, [expect.stringMatching(/: it may be written to by other users/)]]);
});

test.runIf(isRoot)("another user's home, kept by sudo, gives no configuration", async () => {
  const place = { ...around(), uid: 0 };
  write(join(place.homedir, ".config/holdline/holdline.yaml"), "home", { folderOf: STRANGER });
  write(join(place.etc, "holdline/holdline.yaml"), "etc");
  expect(await loaded(place)).toEqual(["etc", [expect.stringMatching(/its folder belongs to another user/)]]);
});

test("in one's own home a group may write, as it does by default where each user has one", async () => {
  const place = around();
  const path = join(place.homedir, ".config/holdline/holdline.yaml");
  write(path, "home", { file: 0o664, folder: 0o775 });
  expect(await loaded(place)).toEqual(["home", []]);
  chmodSync(path, 0o666);
  expect(await loaded(place)).toEqual([place.hostname, [expect.stringMatching(/it may be written to by other users/)]]);
});
