// Virtual time, and all that waits to go on: all work is parked here, and one by one the choices say
// what goes on next. There are no real timers: time moves when nothing else can, or when messages are chosen to be slow.
import type { Choices } from "./choices.js";

/**
 * What may be late: a message, as long as it likes. What happens on a node itself may not: a node that is slow beyond
 * measure could not keep any promise about time.
 */
export type StepKind = "message" | "local";

interface Step {
  readonly kind: StepKind;
  readonly owner: string;
  readonly what: string;
  readonly go: () => void;
}

interface Timer {
  readonly at: number;
  readonly owner: string;
  readonly what: string;
  readonly fire: () => void;
  isOff: boolean;
}

// How often messages are slow: time goes on to the next timer although some are on their way.
const SLOW_PERCENT = 8;

export class Scheduler {
  /** Milliseconds since the run began. */
  now = 0;
  /** Steps taken. */
  count = 0;
  /** What was done, for the trace; `null` when nobody reads it. */
  readonly trace: string[] | null;
  readonly #choices: Choices;
  #steps: Step[] = [];
  #timers: Timer[] = [];

  constructor(choices: Choices, traced: boolean) {
    this.#choices = choices;
    this.trace = traced ? [] : null;
  }

  /** Parks something that can go on at any time. */
  park(kind: StepKind, owner: string, what: string, go: () => void): void {
    this.#steps.push({ kind, owner, what, go });
  }

  /** Has `fire` parked as a local step in `ms`; gives what calls it off. */
  after(ms: number, owner: string, what: string, fire: () => void): () => void {
    const timer: Timer = { at: this.now + Math.max(0, Math.ceil(ms)), owner, what, fire, isOff: false };
    let place = this.#timers.length;
    while (place > 0 && (this.#timers[place - 1] as Timer).at > timer.at) place -= 1;
    this.#timers.splice(place, 0, timer);
    return () => {
      timer.isOff = true;
    };
  }

  /** Drops all that an owner has parked: it is no more. */
  drop(owner: string): void {
    this.#steps = this.#steps.filter((step) => step.owner !== owner);
    this.#timers = this.#timers.filter((timer) => timer.owner !== owner);
  }

  /** Whether nothing can go on unless time does. */
  get isAtRest(): boolean {
    return this.#steps.length === 0;
  }

  /** Takes one step, or moves time to the next timer. False when there is neither. */
  step(): boolean {
    this.count += 1;
    const mayWait = this.#steps.every(({ kind }) => kind === "message");
    if (this.#steps.length === 0 || (mayWait && this.#hasTimer() && this.#choices.percent(SLOW_PERCENT))) return this.#advance();
    // A local step is never behind a message that may be late.
    const index = this.#choices.below(this.#steps.length);
    const [step] = this.#steps.splice(index, 1) as [Step];
    this.say(step.owner, step.what);
    step.go();
    return true;
  }

  /** Notes something for the trace. */
  say(owner: string, what: string): void {
    if (this.trace !== null && what !== "") this.trace.push(`${String(this.now).padStart(7)} ms  ${owner.padEnd(6)} ${what}`);
  }

  #hasTimer(): boolean {
    while (this.#timers[0]?.isOff === true) this.#timers.shift();
    return this.#timers.length > 0;
  }

  #advance(): boolean {
    if (!this.#hasTimer()) return false;
    this.now = Math.max(this.now, (this.#timers[0] as Timer).at);
    while (this.#hasTimer() && (this.#timers[0] as Timer).at <= this.now) {
      const timer = this.#timers.shift() as Timer;
      this.park("local", timer.owner, timer.what, () => {
        if (!timer.isOff) timer.fire();
      });
    }
    return true;
  }
}

/** Resolves when all that could go on has done so: every microtask, however deep. */
export function settled(): Promise<void> {
  return new Promise((resolve) => process.nextTick(resolve));
}
