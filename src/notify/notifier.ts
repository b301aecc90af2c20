// Tells the receivers of the configuration what happens. Deliveries run beside the work, which never waits for one.
import type { Log } from "../locks/log.js";
import type { NotifiedEvent, Notifier } from "../locks/notifier.js";
import { commandChannel } from "./command.js";
import { messageFor, topicOf, type Topic } from "./message.js";
import { Outbox } from "./outbox.js";
import { webhookChannel } from "./webhook.js";

/** Who is told of what. */
export interface Receiver {
  readonly on: readonly Topic[];
  /** A command reads the event on its standard input; to a URL it is posted. */
  readonly to: { readonly argv: readonly string[] } | { readonly url: string };
}

export interface NotifierOptions {
  readonly log: Log;
  /** How long one delivery takes at most. */
  readonly deliveryMs?: number;
  /** For how long closing still waits for deliveries. */
  readonly farewellMs?: number;
}

// A chat answers in a fraction of a second.
const DELIVERY_MS = 5_000;
// People wait for the end of a command.
const FAREWELL_MS = 2_000;

export interface OpenNotifier extends Notifier {
  /** Gives outstanding deliveries a moment, and gives up the rest with a warning. */
  close(): Promise<void>;
}

export function openNotifier(receivers: readonly Receiver[], options: NotifierOptions): OpenNotifier {
  const { log, deliveryMs = DELIVERY_MS, farewellMs = FAREWELL_MS } = options;
  const outboxes = receivers.map(({ on, to }) => {
    const channel = "url" in to ? webhookChannel(to.url) : commandChannel(to.argv);
    return { on, outbox: new Outbox(channel, deliveryMs, log) };
  });
  return {
    tell(event) {
      const told = outboxes.filter(({ on }) => on.includes(topicOf(event)));
      if (told.length === 0) return;
      // Whoever gets the message is a person: their clock is the wall's.
      const letter = { about: aboutOf(event), message: messageFor(event, Date.now()) };
      for (const { outbox } of told) outbox.send(letter);
    },
    async close() {
      let timer: NodeJS.Timeout | undefined;
      const tooLong = new Promise<void>((resolve) => (timer = setTimeout(resolve, farewellMs)));
      await Promise.race([Promise.all(outboxes.map(({ outbox }) => outbox.emptied())), tooLong]);
      clearTimeout(timer);
      await Promise.all(outboxes.map(({ outbox }) => outbox.close()));
    },
  };
}

function aboutOf(told: NotifiedEvent): string {
  return `${told.event}: ${"freeze" in told ? told.freeze.locks.join(", ") : told.lock}`;
}
