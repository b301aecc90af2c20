// Tells a URL: posts the event to it. The URL of a webhook is a secret as a whole, so only its scheme and host are ever named.
import { request as requestHttp } from "node:http";
import { request as requestHttps } from "node:https";
import { messageOf } from "../locks/errors.js";
import type { Channel } from "./outbox.js";

export function webhookChannel(address: string): Channel {
  const url = new URL(address);
  return { name: `${url.protocol}//${url.host}`, deliver: (message, signal) => post(url, message, signal) };
}

function post(url: URL, message: string, signal: AbortSignal): Promise<string | null> {
  const headers = { "Content-Type": "application/json; charset=utf-8", "Content-Length": Buffer.byteLength(message) };
  return new Promise((resolve) => {
    const request = (url.protocol === "https:" ? requestHttps : requestHttp)(
      url,
      { method: "POST", agent: false, headers, signal },
      (response) => {
        // Its body is of no interest, and may have no end.
        response.on("error", () => undefined);
        resolve(problemOf(response.statusCode ?? 0));
        request.destroy();
      },
    );
    request.on("error", (error: NodeJS.ErrnoException) => resolve(messageOf(error) || (error.code ?? "no connection")));
    request.end(message);
  });
}

function problemOf(status: number): string | null {
  if (status >= 200 && status < 300) return null;
  return status >= 300 && status < 400 ? `it answered ${status}, and redirects are not followed` : `it answered ${status}`;
}
