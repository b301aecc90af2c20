// Records of claims as Holdline writes them, for the doors at which they come back.
import fc from "fast-check";
import type { ClaimRecord } from "../../src/locks/claim.js";
import { encodeRecord, LEASE_TYPES } from "../../src/locks/claim.js";

const orNull = <T>(arbitrary: fc.Arbitrary<T>) => fc.option(arbitrary, { nil: null });

/** What is known of a process. */
export const identities = fc.record({
  bootId: orNull(fc.uuid()),
  pidNamespace: orNull(fc.string({ maxLength: 8 })),
  pid: fc.integer({ min: 1, max: 4_194_304 }),
  startTicks: orNull(fc.nat()),
});

/** Moments of a node's running time. */
export const moments = fc.record({ bootId: orNull(fc.uuid()), ticks: orNull(fc.nat()), wallMs: fc.nat() });

const text = fc.string({ maxLength: 8 });

export const records: fc.Arbitrary<ClaimRecord> = fc.record({
  owner: fc.record({ node: text, principal: text, action: orNull(text), process: orNull(identities) }),
  key: orNull(text),
  slots: fc.oneof(fc.integer({ min: 1 }), fc.constant(Number.POSITIVE_INFINITY)),
  made: orNull(moments),
  lease: orNull(
    fc.record({
      type: fc.constantFrom(...LEASE_TYPES),
      caller: orNull(text),
      path: orNull(text),
      locks: fc.array(fc.constantFrom("db", "host/dc01", "host/hv 02"), { maxLength: 3 }),
    }),
  ),
  expiresAt: orNull(fc.nat()),
  reason: orNull(text),
  data: fc.jsonValue({ maxDepth: 2 }).map((value) => JSON.parse(JSON.stringify(value)) as unknown),
  failure: orNull(fc.record({ exitCode: orNull(fc.nat(255)), signal: orNull(text), message: text, output: text, at: fc.nat() })),
});

/** The same as a store has them. */
export const recordText: fc.Arbitrary<string> = records.map(encodeRecord);

/** One record, the same in each run. */
export const someRecord: ClaimRecord = {
  owner: {
    node: "web-07",
    principal: "deploy",
    action: "restart",
    process: { bootId: "b", pidNamespace: null, pid: 7, startTicks: 1 },
  },
  key: null,
  slots: 1,
  made: { bootId: "b", ticks: 1, wallMs: 1 },
  lease: null,
  expiresAt: null,
  reason: null,
  data: null,
  failure: null,
};
