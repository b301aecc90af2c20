// Whatever steps are committed, a store holds what the model of a store holds, refusals and numbers included.
import fc from "fast-check";
import { expect, test } from "vitest";
import type { QueueStore, SessionRef, Step } from "../../../src/queue/store.js";
import { createMemoryStore } from "../../../src/stores/memory/index.js";
import { MemoryServer } from "../../../src/stores/memory/server.js";

const LOCKS = ["a", "A", "a ", "é", "e", "ß/ss"];
const CLAIMS = ["one", "ONE", "two "];

/** A step without what a store has given out: refs and revisions count commits, and sessions stand for themselves. */
type Plan = (known: { readonly base: number; readonly sessions: readonly string[] }) => Step;

const lock = fc.constantFrom(...LOCKS);
const claim = fc.constantFrom(...CLAIMS);
const nth = fc.nat({ max: 12 });
const record = fc.string({ maxLength: 20 }).map((text) => JSON.stringify({ text }));
const session = fc.record({ at: fc.nat({ max: 1 }), epoch: fc.constantFrom(0, 0, 0, 1) });

const plan: fc.Arbitrary<Plan> = fc.oneof(
  {
    weight: 6,
    arbitrary: fc
      .record({ lock, claim, record, session, slots: fc.constantFrom(1, 3, Infinity), key: fc.constantFrom(null, "", "k") })
      .map(({ session: its, ...rest }): Plan => ({ sessions }) => ({ do: "append", session: refOf(sessions, its), ...rest })),
  },
  {
    weight: 6,
    arbitrary: fc
      .record({
        lock,
        claim,
        record,
        at: nth,
        read: nth,
        settles: fc.boolean(),
        isNewHolder: fc.boolean(),
        to: fc.constantFrom(undefined, null, 0, 1),
      })
      .map(({ at, read, to, ...rest }): Plan => ({ base, sessions }) => {
        const its = to === undefined ? {} : { session: to === null ? null : (sessions[to] as string) };
        return { do: "put", ref: String(base + at), revision: base + read, ...its, ...rest };
      }),
  },
  fc
    .record({ lock, at: nth, token: nth, to: fc.nat({ max: 1 }) })
    .map(({ lock: name, at, token, to }): Plan => ({ base, sessions }) => ({
      do: "own",
      lock: name,
      ref: String(base + at),
      token: base + token,
      session: sessions[to] as string,
    })),
  fc
    .record({ lock, claim, at: nth, read: nth })
    .map(({ at, read, ...rest }): Plan => ({ base }) => ({ do: "remove", ref: String(base + at), revision: base + read, ...rest })),
  fc
    .record({ lock, at: nth })
    .map(({ lock: name, at }): Plan => ({ base }) => ({ do: "withdraw", lock: name, ref: String(base + at) })),
  fc
    .record({ lock, record, endedAt: fc.constantFrom(null, 5), room: fc.nat({ max: 3 }) })
    .map((step): Plan => () => ({ do: "archive", ...step })),
  session.map((its): Plan => ({ sessions }) => ({ do: "check", session: refOf(sessions, its) })),
  fc
    .record({ name: lock, value: fc.constantFrom("", "x", null), read: nth })
    .map(({ read, ...rest }): Plan => ({ base }) => ({ do: "document", revision: read === 0 ? 0 : base + read, ...rest })),
  fc
    .record({ name: lock, read: nth })
    .map(({ name, read }): Plan => ({ base }) => ({ do: "check-document", name, revision: read === 0 ? 0 : base + read })),
  {
    weight: 1,
    arbitrary: fc
      .record({ at: fc.nat({ max: 1 }), isEnded: fc.boolean() })
      .map(({ at, isEnded }): Plan => ({ sessions }) => ({ do: "end", session: sessions[at] as string, isEnded })),
  },
);

function refOf(sessions: readonly string[], { at, epoch }: { readonly at: number; readonly epoch: number }): SessionRef {
  return { id: sessions[at] as string, epoch };
}

/** One store, with what its numbers count from. */
interface Side {
  readonly store: QueueStore;
  readonly base: number;
  readonly sessions: readonly string[];
}

async function begin(store: QueueStore): Promise<Side> {
  const sessions = [await store.openSession(600_000), await store.openSession(600_000)];
  return { store, base: (await store.line("nobody's")).revision, sessions };
}

/** The same in the words of all stores: numbers from 0, sessions by their place, and no times. */
function plain(value: unknown, { base, sessions }: Side): unknown {
  return JSON.parse(
    JSON.stringify(value, (name, one: unknown) => {
      if (name === "at" || name === "since" || name === "endedAt") return undefined;
      if (name === "ref") return Number(one) - base;
      if (["revision", "token"].includes(name) && typeof one === "number" && one > 0) return one - base;
      if (name === "session" && typeof one === "string") return sessions.indexOf(one);
      return one === Number.POSITIVE_INFINITY ? "unlimited" : one;
    }),
  );
}

async function contentsOf(side: Side): Promise<unknown> {
  const { store } = side;
  const locks = await store.locks();
  return plain(
    {
      queues: await Promise.all(locks.map(async (name) => [name, await store.read(name), await store.line(name)])),
      claims: await Promise.all(CLAIMS.map((id) => store.readClaim(id))),
      archive: await store.archived({ lock: null, limit: 100, before: null, among: 5 }),
      documents: await store.documents(""),
      some: [await store.documents("a"), await store.document("A"), await store.document("e")],
    },
    side,
  );
}

/** One step for each entry, document and session: what two do to one is no store's promise. */
function unique(steps: readonly Step[]): readonly Step[] {
  const seen = new Set<string>();
  // The end of a session takes entries along, and sees those ahead go.
  const isEnding = steps.some((step) => step.do === "end");
  return steps.filter((step) => {
    if (isEnding && (step.do === "append" || step.do === "put" || step.do === "remove")) return false;
    const names = [
      ...("lock" in step && step.do !== "archive" ? [`queue ${step.lock}`] : []),
      ...("name" in step ? [`document ${step.name}`] : []),
      ...(step.do === "end" ? ["end"] : []),
    ];
    const isNew = names.every((name) => !seen.has(name));
    for (const name of names) seen.add(name);
    return isNew;
  });
}

/** The same steps on another store. */
function stepsFor(real: Side, steps: readonly Step[], model: Side): readonly Step[] {
  const numberAs = (number: number): number => (number === 0 ? 0 : number - model.base + real.base);
  const sessionAs = (id: string): string => real.sessions[model.sessions.indexOf(id)] as string;
  return JSON.parse(
    JSON.stringify(steps, (_, one: unknown) => (one === Number.POSITIVE_INFINITY ? "unlimited" : one)),
    (name, one: unknown) => {
      if (one === "unlimited") return Number.POSITIVE_INFINITY;
      if (name === "ref") return String(numberAs(Number(one)));
      if (name === "revision" || name === "token") return numberAs(Number(one));
      if ((name === "session" || name === "id") && typeof one === "string") return sessionAs(one);
      return one;
    },
  ) as readonly Step[];
}

/** @param openStore opens a store at a place of its own */
export function describeSteps(openStore: () => Promise<QueueStore>): void {
  test("of any steps have the same outcome as in the model, and leave the same behind", async () => {
    let refused = 0;
    let done = 0;
    await fc.assert(
      fc.asyncProperty(
        fc.array(fc.array(plan, { minLength: 1, maxLength: 4 }), { minLength: 6, maxLength: 12 }),
        async (commits) => {
          const server = new MemoryServer({ now: () => 0, after: () => () => undefined, putsAway: false });
          const store = await openStore();
          try {
            const [model, real] = [await begin(createMemoryStore(server)), await begin(store)];
            for (const plans of commits) {
              const steps = unique(plans.map((one) => one(model)));
              const expected = await model.store.commit(steps);
              const outcome = await real.store.commit(stepsFor(real, steps, model));
              expect(plain(outcome, real)).toEqual(plain(expected, model));
              if (expected.isDone) done += 1;
              else refused += 1;
            }
            expect(await contentsOf(real)).toEqual(await contentsOf(model));
          } finally {
            await store.close();
          }
        },
      ),
      { numRuns: 40 },
    );
    expect(refused).toBeGreaterThan(20);
    expect(done).toBeGreaterThan(20);
  });
}
