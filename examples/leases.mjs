// Locks that outlive the program that takes them: a lease with a time limit, and a host with everything that it depends on.
//
//   node examples/leases.mjs zookeeper://zk1:2181,zk2:2181/holdline
//   node examples/leases.mjs sqlite:///tmp/holdline-example.db
//
// "Held by somebody else" and "the lease is over" are answers, not exceptions.
import { hostLock, openHoldline } from "holdline";

const holdline = await openHoldline(process.argv[2] ?? "sqlite:///tmp/holdline-example.db", {
  // By host, the hosts that depend on it.
  dependencies: { hv01: ["dc01", "vmm01"], dc01: ["dc02"], dc02: ["dc01"] },
});
try {
  const acquired = await holdline.acquire("db-migrate", { ttlMs: 60_000, reason: "schema 42", data: { ticket: "OPS-123" } });
  if (acquired.outcome === "acquired") {
    const { id } = acquired.lease;
    console.log(`leased: ${(await holdline.isHeld("db-migrate", id)) ? "held" : "over"}`);
    // The work takes longer than expected: it has another minute from now on.
    if ((await holdline.renew("db-migrate", id, { ttlMs: 60_000 })).outcome === "expired") console.log("too late: it is over");
    await holdline.release("db-migrate", id, { reason: "done" });
  } else {
    const [holder] = acquired.holders;
    console.log(`held by ${holder?.owner.principal}: ${holder?.reason}`);
  }

  const locked = await holdline.lockHosts("dc01", { type: "host", caller: "OPS-124", description: "new disks", timeoutMs: 10_000 });
  if (locked.outcome === "acquired") {
    console.log(`locked: ${locked.hosts.join(", ")}`);
    const { types, holders } = await holdline.status(hostLock("hv01"));
    console.log(`hv01: ${types.join(", ")} for ${holders[0]?.lease?.caller}`);
    console.log(`unlocked: ${(await holdline.unlock(locked.lease.id)).outcome}`);
  }
  for (const { lock, event, description } of await holdline.history({ limit: 4 })) console.log(`${lock} ${event}: ${description}`);
} finally {
  await holdline.close();
}
