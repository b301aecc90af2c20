// Holdline as a library: one process at a time does something, across all machines that use the same store.
//
//   node examples/library.mjs zookeeper://zk1:2181,zk2:2181/holdline
//   node examples/library.mjs sqlite:///tmp/holdline-example.db
//
// Start it twice at the same time to see the second wait for the first.
import { setTimeout as pause } from "node:timers/promises";
import { openHoldline, SessionLostError, TimedOutError } from "holdline";

const holdline = await openHoldline(process.argv[2] ?? "sqlite:///tmp/holdline-example.db");
try {
  const rows = await holdline.withLock(
    "nightly/report",
    { timeoutMs: 60_000, reason: "the nightly report", data: { ticket: "OPS-123" } },
    async (claim) => {
      console.log(`holding ${claim.lock}`);
      // A resource that remembers the greatest token it has seen can refuse a holder that is late.
      if (!Number.isSafeInteger(claim.fencingToken)) throw new Error("a fencing token is a whole number");
      for (const { lock, holders, waiting } of await holdline.locks()) {
        console.log(`${lock}: ${holders.length} holding, ${waiting.length} waiting`);
      }
      // `lost` aborts before anybody else can hold the lock, so everything that takes a signal stops in time.
      await pause(100, undefined, { signal: claim.lost });
      return 42;
    },
  );
  console.log(`the report has ${rows} rows`);
} catch (error) {
  if (error instanceof TimedOutError) console.error(`somebody else is at it: ${error.message}`);
  else if (error instanceof SessionLostError) console.error(`stopped, because the lock was lost: ${error.message}`);
  else throw error;
  process.exitCode = 1;
} finally {
  await holdline.close();
}
