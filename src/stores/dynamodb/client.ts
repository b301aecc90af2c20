// Requests to DynamoDB over kept connections: signed, sent again where the service stumbles, and called off together. What a request is
// about, table.ts knows.
import { randomInt } from "node:crypto";
import { Agent as PlainAgent, type ClientRequest, request as requestPlain } from "node:http";
import { Agent as SecureAgent, request as requestSecure } from "node:https";
import { setTimeout as pause } from "node:timers/promises";
import { messageOf, UnreachableError } from "../../locks/errors.js";
import { ReplyLostError } from "../../queue/store.js";
import { secureOptions, tlsTroubleOf } from "../../secure-connection.js";
import { uptimeMs } from "../../uptime.js";
import type { StoreClock } from "./clock.js";
import type { CredentialSource } from "./credentials/index.js";
import { errorOf, isExpired, isPassing, isUntimely, type Refusal } from "./errors.js";

// A server that stumbles is asked so often, in about two seconds, before whoever asks is told that there was no answer.
const MOST_TRIES = 6;
const FIRST_PAUSE_MS = 50;

export interface ClientOptions {
  readonly endpoint: URL;
  readonly region: string;
  readonly table: string;
  readonly ca: string | undefined;
  readonly credentials: CredentialSource;
  readonly clock: StoreClock;
}

interface Reply {
  readonly status: number;
  readonly body: string;
}

//   open ⇄ (reconnect) open with other connections → closed
export class DynamoClient {
  readonly #options: ClientOptions;
  readonly #sign = import("aws4").then(({ default: aws4 }) => aws4.sign);
  #agent: PlainAgent | SecureAgent;
  /** Aborted with the reason when all that is under way is called off. */
  #under = new AbortController();
  /** How many requests were sent, for tests and the report. */
  requests = 0;

  constructor(options: ClientOptions) {
    this.#options = options;
    this.#agent = this.#newAgent();
  }

  /**
   * Sends a request that may be sent twice.
   * @throws ReplyLostError where no answer came, or none but that the service has stumbled
   * @throws DynamoError for every other refusal
   */
  async call(action: string, parameters: object): Promise<Readonly<Record<string, unknown>>> {
    const body = JSON.stringify(parameters);
    const { signal } = this.#under;
    let isRenewed = false;
    let isRetimed = false;
    for (let tries = 1; ; tries += 1) {
      const reply = await this.#send(action, body, signal);
      if (reply.status === 200) return JSON.parse(reply.body) as Readonly<Record<string, unknown>>;
      const refusal = refusalIn(reply);
      if (isPassing(refusal)) {
        if (tries === MOST_TRIES) throw new ReplyLostError(`DynamoDB says ${refusal.status} ${refusal.type}`);
        await this.#pause(FIRST_PAUSE_MS * 2 ** (tries - 1), signal);
      } else if (isExpired(refusal) && !isRenewed) {
        isRenewed = true;
        this.#options.credentials.forget();
      } else if (isUntimely(refusal) && !isRetimed) {
        // Its reply has told the clock what time it is there.
        isRetimed = true;
      } else throw errorOf(refusal, action, this.#options.table);
    }
  }

  /** Calls off all that is under way; what is asked from then on has other connections. */
  reconnect(why: string): void {
    this.#under.abort(new ReplyLostError(why));
    this.#agent.destroy();
    this.#under = new AbortController();
    this.#agent = this.#newAgent();
  }

  close(): void {
    this.#under.abort(new ReplyLostError("the store has been closed"));
    this.#agent.destroy();
  }

  #newAgent(): PlainAgent | SecureAgent {
    return this.#options.endpoint.protocol === "https:"
      ? new SecureAgent({ keepAlive: true })
      : new PlainAgent({ keepAlive: true });
  }

  /** Somewhere within the time, so that those who were refused together do not come back together. */
  async #pause(ms: number, signal: AbortSignal): Promise<void> {
    await pause(randomInt(ms) + 1, undefined, { signal }).catch(() => {
      throw signal.reason as ReplyLostError;
    });
  }

  async #send(action: string, body: string, signal: AbortSignal): Promise<Reply> {
    const { endpoint, region, ca, credentials, clock } = this.#options;
    const sign = await this.#sign;
    const identity = await credentials.current();
    signal.throwIfAborted();
    const sentAt = uptimeMs();
    const time = clock.time;
    const signed = sign(
      {
        host: endpoint.host,
        path: endpoint.pathname,
        method: "POST",
        service: "dynamodb",
        region,
        headers: {
          "Content-Type": "application/x-amz-json-1.0",
          "X-Amz-Target": `DynamoDB_20120810.${action}`,
          ...(time === null ? {} : { "X-Amz-Date": amzDate(time.ms) }),
        },
        body,
      },
      identity,
    );
    this.requests += 1;
    const options = {
      host: endpoint.hostname.replace(/^\[|\]$/g, ""),
      port: endpoint.port === "" ? undefined : Number(endpoint.port),
      path: endpoint.pathname,
      method: "POST",
      headers: signed.headers as Record<string, string>,
      agent: this.#agent,
    };
    const request =
      endpoint.protocol === "https:"
        ? requestSecure({ ...options, ...secureOptions({ ca, cert: undefined, key: undefined }, options.host) })
        : requestPlain(options);
    return answerTo(request, body, signal, (date) => clock.heard(date, sentAt));
  }
}

function answerTo(
  request: ClientRequest,
  body: string,
  signal: AbortSignal,
  onDate: (date: string | undefined) => void,
): Promise<Reply> {
  return new Promise((resolve, reject) => {
    const over = (): void => signal.removeEventListener("abort", onAbort);
    const onAbort = (): void => {
      over();
      request.destroy();
      reject(signal.reason as ReplyLostError);
    };
    const onError = (error: Error): void => {
      over();
      reject(lossOf(error));
    };
    signal.addEventListener("abort", onAbort, { once: true });
    request.once("response", (response) => {
      onDate(response.headers.date);
      const chunks: Buffer[] = [];
      response.on("data", (chunk: Buffer) => chunks.push(chunk));
      response.once("error", onError);
      response.once("end", () => {
        over();
        resolve({ status: response.statusCode ?? 0, body: Buffer.concat(chunks).toString("utf8") });
      });
    });
    request.on("error", onError);
    request.end(body);
  });
}

function lossOf(error: Error): Error {
  const trouble = tlsTroubleOf(error);
  if (trouble === null) return new ReplyLostError(messageOf(error), { cause: error });
  return new UnreachableError(`the DynamoDB server ${trouble.message}`, { hint: trouble.hint, cause: error });
}

function refusalIn({ status, body }: Reply): Refusal {
  let said: Readonly<Record<string, unknown>> = {};
  try {
    said = JSON.parse(body) as typeof said;
  } catch {
    // Something else than the service has answered: the status says it all.
  }
  const [type, ...words] = ["__type", "message", "Message"].map((name) => (typeof said[name] === "string" ? said[name] : ""));
  return { status, type: type === "" ? "without a reason" : (type as string).replace(/^.*#/, ""), message: words.join("") };
}

/** As signatures have it: `20261128T120000Z`. */
function amzDate(ms: number): string {
  return new Date(ms).toISOString().replace(/[:-]|\.\d{3}/g, "");
}
