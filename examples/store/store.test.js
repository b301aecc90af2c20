// Holds this store to what Holdline's own ones promise.
import { existsSync } from "node:fs";
import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { describeCoordinator, startContender, TEST_OPTIONS } from "holdline/conformance";
import { openStore } from "./index.js";
import { openFiles } from "./opener.js";

// In memory, where there is such a place: a disk would have to bring every commit to safety, which the suite has thousands of.
const PLACE = existsSync("/dev/shm") ? "/dev/shm" : tmpdir();

async function openTestStore() {
  const directory = await mkdtemp(join(PLACE, "holdline-files-"));
  const url = `files://${directory}/state`;
  const commit = async (stepsIn) => {
    const store = await openStore(url, TEST_OPTIONS);
    await store.commit(stepsIn(await store.openSession(1_000_000)));
    await store.close();
  };
  return {
    open: async (options) => ({ coordinator: await openFiles(url, { ...TEST_OPTIONS, ...options }), faults: null }),
    startContender: (task) => startContender({ module: import.meta.resolve("./opener.js"), opener: "openFiles", url, task }),
    plantGarbageClaim: (lock) =>
      commit((id) => [
        { do: "append", lock, claim: `garbage-${id}`, session: { id, epoch: 0 }, key: null, slots: 1, record: "{not json" },
      ]),
    plantGarbageHistory: (lock) => commit(() => [{ do: "archive", lock, record: "garbage{", endedAt: null, room: 1_000 }]),
    unreachable: async () => ({}),
    // A request that was called off may still be under way.
    close: () => rm(directory, { recursive: true, force: true, maxRetries: 10, retryDelay: 20 }),
  };
}

// A session lasts 4 s without its process.
describeCoordinator("files", { hasFaults: false, goneWithinMs: 15_000, open: openTestStore });
