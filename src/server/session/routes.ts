// Signing in to the page and out of it, by plain forms that work without scripts. One request has the password or token in its
// body; after that the browser sends a cookie.
import type { FastifyInstance, FastifyReply, FastifyRequest } from "fastify";
import { HoldlineError } from "../../locks/errors.js";
import { signInDocument } from "../../page/sign-in.js";
import type { Credentials } from "../access.js";
import { networkOf } from "../limits.js";
import { sendDocument } from "../page/send.js";
import type { Service } from "../service.js";
import { sessionCookie, sessionIdsIn, speaksHttps } from "./cookie.js";
import { LONGEST_SESSION_MS } from "./sessions.js";

// A name, a secret, and the address to go on to.
const LARGEST_FORM_BYTES = 16 * 1_024;
const FORM = "application/x-www-form-urlencoded";

const HTML = { "text/html": { schema: { type: "string" } } };
const RESPONSES = {
  200: { description: "the form", content: HTML },
  303: { description: "done; back to where the person was" },
  "4xx": { description: "the form, and what is wrong", content: HTML },
};

/** @param isTls whether this server itself speaks HTTPS */
export function routeSession(app: FastifyInstance, { access }: Service, isTls: boolean): void {
  app.addContentTypeParser(FORM, { parseAs: "string", bodyLimit: LARGEST_FORM_BYTES }, (_request, body, done) => {
    done(null, new URLSearchParams(body as string));
  });
  const config = { isForAnybody: true, errors: "page" } as const;

  const isSecure = ({ headers }: FastifyRequest): boolean => speaksHttps(headers, isTls) ?? false;
  /** Ends all sessions in the request's cookies, under either name: none may live on in the browser. */
  const endSent = ({ headers }: FastifyRequest): void => {
    for (const { id } of sessionIdsIn(headers)) access.sessions.end(id);
  };

  app.get<{ Querystring: { readonly to?: string | readonly string[] } }>("/sign-in", {
    config,
    schema: {
      operationId: "pageSignIn",
      summary: "The page: the sign-in form",
      tags: ["page"],
      querystring: { type: "object", properties: { to: { type: "string", description: "the address to go to afterwards" } } },
      response: RESPONSES,
    },
    async handler(request, reply) {
      const { to } = request.query;
      return sendDocument(reply, signInDocument(access.takes, { to: pathOf(to), name: "", problem: null }));
    },
  });

  app.post("/sign-in", {
    config,
    schema: {
      operationId: "signIn",
      summary: "Begins a session of the page, with a form that has name and password, or a token",
      tags: ["page"],
      consumes: [FORM],
      response: RESPONSES,
    },
    async handler(request, reply) {
      const form = formOf(request);
      const credentials = credentialsIn(form);
      const to = pathOf(form.get("to"));
      const identified = await access.identifyBy(credentials, networkOf(request.raw.socket.remoteAddress));
      if (identified.outcome === "known") {
        // A new id with each sign-in: an id that an attacker planted in the browser is worthless.
        endSent(request);
        const id = access.sessions.begin(identified.caller.name, isSecure(request));
        const cookie = sessionCookie(request.headers, id, { isSecure: isSecure(request), maxAgeMs: LONGEST_SESSION_MS });
        return goOn(reply.header("Set-Cookie", cookie), to);
      }
      const name = "user" in credentials ? credentials.user : "";
      if (identified.outcome === "unknown") {
        const problem = "user" in credentials ? "The name or the password is wrong." : "The token is wrong.";
        return sendDocument(reply.code(401), signInDocument(access.takes, { to, name, problem }));
      }
      const waitS = Math.ceil(identified.retryAfterS);
      const problem = `There were too many attempts from this address. Try again in ${waitS} s.`;
      void reply.code(429).header("Retry-After", String(waitS));
      return sendDocument(reply, signInDocument(access.takes, { to, name, problem }));
    },
  });

  app.post("/sign-out", {
    config,
    schema: {
      operationId: "signOut",
      summary: "Ends a session of the page",
      tags: ["page"],
      consumes: [FORM],
      response: RESPONSES,
    },
    async handler(request, reply) {
      endSent(request);
      return goOn(
        reply.header("Set-Cookie", sessionCookie(request.headers, "", { isSecure: isSecure(request), maxAgeMs: 0 })),
        "/",
      );
    },
  });
}

function goOn(reply: FastifyReply, to: string): FastifyReply {
  return reply.code(303).header("Location", to).header("Cache-Control", "no-store").send();
}

function formOf({ body }: FastifyRequest): URLSearchParams {
  if (body instanceof URLSearchParams) return body;
  throw new HoldlineError("usage", `the body is no form; send it as ${FORM}`);
}

/** @throws HoldlineError `usage` when the form has neither of the two */
function credentialsIn(form: URLSearchParams): Credentials {
  const [token, user, password] = [form.get("token"), form.get("user"), form.get("password")];
  if (token !== null) return { token: token.trim() };
  if (user !== null && password !== null) return { user: user.trim(), password };
  throw new HoldlineError("usage", "the form has neither user and password nor token");
}

/** The address in a form if it is one of this server; else the first page. */
function pathOf(given: unknown): string {
  const here = "http://here";
  if (typeof given !== "string" || !given.startsWith("/") || !URL.canParse(given, here)) return "/";
  const { origin, pathname, search } = new URL(given, here);
  // Two slashes would lead to another host.
  return origin === here && !pathname.startsWith("//") ? `${pathname}${search}` : "/";
}
