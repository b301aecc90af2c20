// What a commit goes by: the entries, sessions and documents that its steps are about, as they were at one moment. Which of them that
// are, how they are asked for, and what a step is refused for.
import type { Refusal, SessionRef, Step } from "../../queue/store.js";
import type { Layout } from "./layout.js";
import { type FoundPlace, parseRef, placesIn } from "./places.js";
import type { Operation, RangeResponse } from "./wire/messages.js";

/** `null` for what is not there. */
export interface Known {
  /** By the key of their place. */
  readonly entries: ReadonlyMap<string, FoundPlace | null>;
  /** By their id: the epoch. */
  readonly sessions: ReadonlyMap<string, number | null>;
  /** By their name: the revision; 0 for one that is not there. */
  readonly documents: ReadonlyMap<string, number>;
}

/** What steps are about. */
export interface Subjects {
  /** By the key of their place. */
  readonly entries: ReadonlyMap<string, { readonly lock: string; readonly claim: string }>;
  readonly sessions: ReadonlySet<string>;
  readonly documents: ReadonlySet<string>;
}

// Wide enough that epochs compare as text in the order of their numbers.
const EPOCH_DIGITS = 12;

export function encodeEpoch(epoch: number): string {
  return String(epoch).padStart(EPOCH_DIGITS, "0");
}

export function subjectsOf(layout: Layout, steps: readonly Step[]): Subjects {
  const entries = new Map<string, { lock: string; claim: string }>();
  const sessions = new Set<string>();
  const documents = new Set<string>();
  const add = (lock: string, claim: string): void => void entries.set(layout.place(lock, claim), { lock, claim });
  for (const step of steps) {
    switch (step.do) {
      case "append":
        add(step.lock, step.claim);
        sessions.add(step.session.id);
        break;
      case "put":
        add(step.lock, parseRef(step.ref).claim);
        if (typeof step.session === "string") sessions.add(step.session);
        break;
      case "own":
        add(step.lock, parseRef(step.ref).claim);
        sessions.add(step.session);
        break;
      case "remove":
      case "withdraw":
        add(step.lock, parseRef(step.ref).claim);
        break;
      case "check":
        sessions.add(step.session.id);
        break;
      case "end":
        sessions.add(step.session);
        break;
      case "document":
      case "check-document":
        documents.add(step.name);
        break;
      case "archive":
        break;
    }
  }
  return { entries, sessions, documents };
}

/** What reads the subjects: `knownFrom` takes the answers. */
export function looksAt(layout: Layout, { entries, sessions, documents }: Subjects): readonly Operation[] {
  return [
    ...[...entries.values()].map(({ lock, claim }): Operation => ({ range: layout.entry(lock, claim) })),
    ...[...sessions].map((id): Operation => ({ range: { key: layout.session(id) } })),
    ...[...documents].map((name): Operation => ({ range: { key: layout.document(name), only: "keys" } })),
  ];
}

export function knownFrom(layout: Layout, subjects: Subjects, responses: readonly RangeResponse[]): Known {
  const answers = [...responses];
  const next = (): RangeResponse["pairs"] => answers.shift()?.pairs ?? [];
  const entries = new Map([...subjects.entries.keys()].map((place) => [place, placesIn(layout, next())[0] ?? null]));
  const sessions = new Map([...subjects.sessions].map((id) => [id, epochIn(next()[0]?.value)]));
  const documents = new Map([...subjects.documents].map((name) => [name, next()[0]?.modified ?? 0]));
  return { entries, sessions, documents };
}

function epochIn(value: string | undefined): number | null {
  return value === undefined ? null : Number(value);
}

/** The entry that a step names, where it is that very one. */
export function entryOf(
  layout: Layout,
  { entries }: Pick<Known, "entries">,
  { lock, ref }: { readonly lock: string; readonly ref: string },
): FoundPlace | null {
  const { claim, created } = parseRef(ref);
  const found = entries.get(layout.place(lock, claim)) ?? null;
  return found?.created === created ? found : null;
}

/** Which step cannot be carried out, and why; `null` where all can. */
export function refusalOf(
  layout: Layout,
  known: Known,
  steps: readonly Step[],
): { readonly step: number; readonly why: Refusal } | null {
  for (const [step, one] of steps.entries()) {
    const why = refusalOfStep(layout, known, one);
    if (why !== null) return { step, why };
  }
  return null;
}

function refusalOfStep(layout: Layout, known: Known, step: Step): Refusal | null {
  switch (step.do) {
    case "append":
      if (!isOf(known, step.session)) return "no-session";
      return known.entries.get(layout.place(step.lock, step.claim)) == null ? null : "exists";
    case "put":
    case "remove": {
      const entry = entryOf(layout, known, step);
      if (entry?.claim !== step.claim) return "gone";
      if (step.do === "put" && step.settles) return entry.durable ? "changed" : null;
      return entry.durable && entry.modified === step.revision ? null : "changed";
    }
    case "check":
      return isOf(known, step.session) ? null : "no-session";
    case "end":
      return step.isEnded && known.sessions.get(step.session) != null ? "changed" : null;
    case "document":
    case "check-document":
      return known.documents.get(step.name) === step.revision ? null : "changed";
    case "archive":
    case "own":
    case "withdraw":
      return null;
  }
}

function isOf({ sessions }: Known, { id, epoch }: SessionRef): boolean {
  return sessions.get(id) === epoch;
}
