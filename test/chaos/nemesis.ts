// The nemesis of a chaos run: inflicts the store's faults, kills and freezes agents, and fills a disk. Whatever it breaks it mends after a
// while, and all of it at the end.
import { appendFileSync } from "node:fs";
import { setTimeout as pause } from "node:timers/promises";
import { type Fault, type NamedFault, type NemesisStore, NOTHING_TO_MEND, pick, yieldTurn } from "./faults.js";
import type { ChaosFleet, Phase } from "./fleet.js";

export interface Battlefield {
  readonly store: NemesisStore;
  readonly fleet: ChaosFleet;
  /** Where it writes down what it does. */
  readonly diary: string;
}

// How long an agent that is doing a certain thing is looked for. A fleet without a store does nothing at all.
const LOOK_FOR_MS = 1_000;

export class Nemesis {
  readonly #field: Battlefield;
  /** How many faults of which kind. */
  readonly injected = new Map<string, number>();
  readonly #mending: Promise<unknown>[] = [];

  constructor(field: Battlefield) {
    this.#field = field;
  }

  /** Attacks until `signal`, and resolves when everything is mended. */
  async rage(signal: AbortSignal): Promise<void> {
    const faults: readonly NamedFault[] = [
      ...this.#field.store.faults,
      ["agent killed waiting", () => this.#killAgent("waiting")],
      ["agent killed running", () => this.#killAgent("running")],
      ["agent killed running", () => this.#killAgent("running")],
      ["agent killed releasing", () => this.#killAgent("releasing")],
      ["agent frozen waiting", () => this.#freezeAgent("waiting")],
      ["agent frozen running", () => this.#freezeAgent("running")],
      ["agent frozen releasing", () => this.#freezeAgent("releasing")],
      ["disk filled", () => this.#fillDisk()],
    ];
    // What cannot be mended ends the campaign: it says nothing about the fleet.
    const broken = new AbortController();
    const ended = AbortSignal.any([signal, broken.signal]);
    // Each comes once before any comes again, so that a short campaign has met most of them.
    let left = faults;
    while (!ended.aborted) {
      const [fault, mend] = await this.#injectOne(left, faults);
      if (mend === null) continue;
      left = left.filter((one) => one !== fault);
      if (left.length === 0) left = faults;
      const [name] = fault;
      this.#note(name);
      this.injected.set(name, (this.injected.get(name) ?? 0) + 1);
      const mended = mend().then(() => this.#note(`${name}: mended`));
      mended.catch(() => broken.abort());
      this.#mending.push(mended);
      await pause(200 + Math.random() * 1_200, undefined, { signal: ended }).catch(() => undefined);
    }
    await Promise.all(this.#mending);
    this.#note("over");
  }

  /** One of those that are left, or where that is not possible now, any. */
  async #injectOne(left: readonly NamedFault[], all: readonly NamedFault[]): Promise<[NamedFault, Awaited<ReturnType<Fault>>]> {
    const wanted = pick(left);
    const mend = await wanted[1]();
    if (mend !== null) return [wanted, mend];
    const other = pick(all);
    return [other, await other[1]()];
  }

  #note(what: string): void {
    appendFileSync(this.#field.diary, `${new Date().toISOString()} ${what}\n`);
  }

  async #killAgent(phase: Phase): ReturnType<Fault> {
    const agent = await this.#field.fleet.find(phase, AbortSignal.timeout(LOOK_FOR_MS));
    return agent?.kill("SIGKILL") === true ? NOTHING_TO_MEND : null;
  }

  async #freezeAgent(phase: Phase): ReturnType<Fault> {
    const agent = await this.#field.fleet.find(phase, AbortSignal.timeout(LOOK_FOR_MS));
    if (agent?.kill("SIGSTOP") !== true) return null;
    return async () => {
      await pause(500 + Math.random() * 9_000);
      agent.kill("SIGCONT");
    };
  }

  async #fillDisk(): ReturnType<Fault> {
    const { fleet } = this.#field;
    if (!fleet.fillDisk()) return yieldTurn();
    return async () => {
      await pause(1_000 + Math.random() * 4_000);
      fleet.emptyDisk();
    };
  }
}
