// A whole store for Holdline: one file in a directory, for all processes of one Linux machine. It shows how little a store is: contents
// that change as a whole or not at all, sessions that end, and a clock. The queues and all policy are Holdline's.
import { readFileSync } from "node:fs";
import { mkdir, open, readFile, rename, stat, writeFile } from "node:fs/promises";
import { createServer } from "node:net";
import { join } from "node:path";
import { setTimeout as pause } from "node:timers/promises";
import { model, ReplyLostError } from "holdline";

/** The version of Holdline's seam that this was made for. Not Holdline's own SEAM: then it would fit every one. */
export const seam = 1;

export function urlProblem(rest) {
  return rest.startsWith("/") && !rest.includes("?") ? null : "needs the absolute path of a directory: files:///srv/holdline";
}

/** @returns {Promise<import("holdline").QueueStore>} */
export async function openStore(url, options) {
  const directory = decodeURIComponent(url.slice("files://".length));
  await mkdir(directory, { recursive: true, mode: 0o700 });
  return new FileStore(directory, await stat(directory), options);
}

// A session ends by the clock that all processes of this boot share, and that nobody sets. With its boot ends every session.
const BOOT = readFileSync("/proc/sys/kernel/random/boot_id", "utf8").trim();
const uptimeMs = () => Number(process.hrtime.bigint() / 1_000_000n);

// Who waits in this process for a directory's lock: within a process first come is first served, among processes by chance.
const waiting = new Map();

class FileStore {
  isShared = false;
  traits = {
    ...{ sessions: "renewed", wakes: "poll", clockErrorMs: 0, minSessionMs: 0, durability: "disk" },
    ...{ maxLocks: Infinity, maxBytes: Infinity, bytesPerLock: 0 },
  };
  #directory;
  #lockName;
  #options;

  constructor(directory, { dev, ino }, options) {
    this.name = `files://${directory}`;
    this.#directory = directory;
    this.#lockName = `holdline-files-${dev}-${ino}`;
    this.#options = options;
  }

  commit = (steps) =>
    this.#change((contents, at) => {
      const refused = model.refusalOf(contents, steps);
      if (refused !== null) return refused;
      const { appended, kept } = model.carryOut(contents, steps, at);
      return { isDone: true, revision: contents.revision, at, appended, kept };
    });

  openSession = (timeoutMs) =>
    this.#change((contents) => {
      const id = `s${(contents.revision += 1)}`;
      contents.sessions.set(id, { timeoutMs, epoch: 0, hasEnded: false, boot: BOOT, endsAt: uptimeMs() + timeoutMs });
      return id;
    });

  renew = ({ id, epoch }) =>
    this.#change((contents) => {
      const session = contents.sessions.get(id);
      if (session === undefined || session.hasEnded) return false;
      session.epoch = Math.max(session.epoch, epoch);
      session.endsAt = uptimeMs() + session.timeoutMs;
      return true;
    });

  trim = (lock, keep, oldest) =>
    this.#change((contents) => void (contents.archive = model.trimmedArchive(contents, lock, keep, oldest)));

  #look = async (look) => look(await this.#load());
  line = (lock, refs) => this.#look((contents) => model.lineOf(contents, lock, refs));
  read = (lock, first) => this.#look((contents) => model.entriesIn(contents, lock, first));
  readClaim = (claim) => this.#look((contents) => model.entriesOfClaim(contents, claim));
  locks = () => this.#look(model.lockNames);
  endedSessions = () => this.#look(model.endedSessions);
  archived = (query) => this.#look((contents) => model.archivedIn(contents, query));
  document = (name) => this.#look((contents) => contents.documents.get(name) ?? null);
  documents = (prefix) => this.#look((contents) => model.documentsIn(contents, prefix));

  /** Looks every now and then: what it cannot know in detail it tells as "anything may have changed". */
  async watch(_lock, onChange) {
    const seen = () => this.#look((contents) => `${contents.revision} ${model.endedSessions(contents)}`);
    let known = await seen();
    const look = async () => {
      const before = known;
      known = await seen();
      if (known !== before) onChange(null);
    };
    const timer = setInterval(() => look().catch(() => onChange(null)), this.#options.sleepTimeMs);
    return { caughtUp: () => look().then(this.sync), close: () => clearInterval(timer) };
  }

  /** The file system's clock is the store's: that of the machine, whatever a process makes of it. */
  sync = async () => {
    const path = join(this.#directory, "clock");
    await writeFile(path, ".");
    return { ms: Math.floor((await stat(path)).mtimeMs), errorMs: 0 };
  };
  reconnect() {}
  close = async () => void (await waiting.get(this.#lockName));

  async #load() {
    const orNone = (error) => (error.code === "ENOENT" ? "" : Promise.reject(error));
    const text = await readFile(join(this.#directory, "state.json"), "utf8").catch(orNone);
    const contents = text === "" ? model.emptyContents() : model.decodeContents(text);
    for (const session of contents.sessions.values()) session.hasEnded ||= session.boot !== BOOT || session.endsAt <= uptimeMs();
    return contents;
  }

  /** Changes all of it, alone: the file is as before or as after, whenever the power fails. */
  #change(deed) {
    const turn = Promise.resolve(waiting.get(this.#lockName)).then(() => this.#changeAlone(deed));
    waiting.set(this.#lockName, Promise.allSettled([turn]));
    return turn;
  }

  async #changeAlone(deed) {
    const unlock = await this.#lock();
    try {
      const contents = await this.#load();
      const result = deed(contents, (await this.sync()).ms);
      if (result?.isDone === false) return result;
      const path = join(this.#directory, "state.json");
      await writeFile(`${path}.new`, model.encodeContents(contents), { mode: 0o600, flush: true });
      await rename(`${path}.new`, path);
      const directory = await open(this.#directory);
      await directory.sync();
      await directory.close();
      return result;
    } finally {
      await unlock();
    }
  }

  /** The kernel gives a name to one process at a time, and takes it back when that ends, however it ends. */
  async #lock() {
    for (const until = uptimeMs() + this.#options.connectTimeoutMs; uptimeMs() < until; await pause(1 + 4 * Math.random())) {
      const server = createServer().listen(`\0${this.#lockName}`);
      const isMine = await new Promise((is) => server.once("error", () => is(false)).once("listening", () => is(true)));
      if (isMine) return () => new Promise((resolve) => server.close(resolve));
    }
    throw new ReplyLostError(`another process keeps ${this.#directory} locked`);
  }
}
