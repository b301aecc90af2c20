// Roots to be moved: one with everything in it that can be, and what is compared of two.
import { randomUUID } from "node:crypto";
import type { Coordinator } from "../locks/coordinator.js";
import { encodeFreezes, FREEZES_DOCUMENT } from "../locks/freezes.js";
import { readAllClaims, recordOf } from "../moving/claims.js";
import { readAllDocuments, readAllHistory } from "../moving/records.js";
import { draftFor, leaseOn, recordFor, RELEASED, settledOf, takeDurably } from "./drafts.js";

const FAILURE = { exitCode: 3, signal: null, message: "exit code 3", output: "no\n", at: 1_700_000_000_000 };

/**
 * Fills a root with stale, failed and leased claims that share locks and stand on several, a history, nodes, and a freeze over all.
 * @param open opens another session on it
 * @returns the highest fencing token that was given out
 */
export async function fillRoot(open: () => Promise<Coordinator>): Promise<number> {
  const agent = await open();
  const rack = { key: "rack ☃", slots: 3 };
  const settled = [];
  for (const locks of [["b", "c"], ["c", "d"], ["a", "b"], "d"]) settled.push(await takeDurably(agent, locks, rack));
  const failed = await takeDurably(agent, "restart/nginx", { data: { ticket: "OPS-1" } });
  const kept = { event: "failed", by: "deploy@web-01", reason: null } as const;
  settledOf(await agent.update(failed.draft.id, failed.settled, recordFor(failed.draft, { failure: FAILURE }), undefined, kept));
  const lent = draftFor("hosts/db", {
    lease: leaseOn(["hosts/db"], { caller: "OPS-2" }),
    slots: Number.POSITIVE_INFINITY,
    key: "k",
  });
  const expiresAt = (await agent.sync()).ms + 3_600_000;
  await agent.settle(lent, await agent.join(lent), recordFor(lent, { expiresAt }));
  for (let count = 0; count < 20; count += 1) {
    const { draft, settled: mine } = await takeDurably(agent, `gone/${count % 3}`);
    await agent.leave(draft.id, mine.entries, RELEASED);
    settled.push({ settled: mine });
  }
  for (const node of ["web-01", "web-02"]) await agent.writeDocument(`nodes/${node}`, JSON.stringify({ node }), 0);
  const freeze = { id: randomUUID(), locks: ["*"], node: null, group: null, reason: "it moves", by: "ann", since: 1, until: null };
  await agent.writeDocument(FREEZES_DOCUMENT, encodeFreezes([freeze]), 0);
  // What has no agent any more is stale, as everything is once all agents are stopped.
  await agent.close();
  return Math.max(...settled.map(({ settled: { fencingToken } }) => fencingToken));
}

/** All of a root that moves, in a form that compares. */
export async function contentsOf(coordinator: Coordinator) {
  const place = { name: "here", coordinator };
  const claims = await readAllClaims(place);
  const queues = [];
  for (const lock of await coordinator.list()) queues.push([lock, (await coordinator.queue(lock)).map(({ id }) => id)]);
  const history = await readAllHistory(place);
  return {
    queues,
    claims: new Map(claims.map(({ id, entries }) => [id, entries.map((entry) => [entry.lock, entry.durable, recordOf(entry)])])),
    history: history.map((record) => JSON.stringify(record)).sort(),
    documents: await readAllDocuments(place),
  };
}
