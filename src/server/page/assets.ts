// The page's script, style and icon: read once, and sent with a tag of their content, compressed for clients that take gzip.
import { createHash } from "node:crypto";
import { readFileSync } from "node:fs";
import { join } from "node:path";
import { gzipSync } from "node:zlib";
import type { FastifyInstance, FastifyReply, FastifyRequest } from "fastify";

const FILES = [
  { name: "app.js", type: "text/javascript; charset=utf-8" },
  { name: "style.css", type: "text/css; charset=utf-8" },
  { name: "icon.svg", type: "image/svg+xml" },
];

/** Whether the client takes gzip. */
export function acceptsGzip(request: FastifyRequest): boolean {
  const accepted = String(request.headers["accept-encoding"] ?? "").split(",");
  return accepted.some((coding) => /^\s*gzip\s*(?:;\s*q=(?!0(?:\.0*)?\s*$).*)?$/i.test(coding));
}

// The build puts them beside the program.
const FOLDER = join(import.meta.dirname, "page");

export function routeAssets(app: FastifyInstance): void {
  for (const { name, type } of FILES) {
    const content = readFileSync(join(FOLDER, name));
    const compressed = gzipSync(content, { level: 9 });
    const tag = `"${createHash("sha256").update(content).digest("base64url").slice(0, 22)}"`;
    app.get(`/page/${name}`, {
      // They hold nothing secret, and the sign-in form needs them.
      config: { isForAnybody: true },
      schema: {
        operationId: `page-${name}`,
        summary: `A part of the page: ${name}`,
        tags: ["page"],
        response: { 200: fileOf(type), 304: { description: "it has not changed" } },
      },
      async handler(request, reply): Promise<FastifyReply> {
        void reply.headers({
          ETag: tag,
          "Cache-Control": "no-cache",
          Vary: "Accept-Encoding",
          "X-Content-Type-Options": "nosniff",
        });
        if (request.headers["if-none-match"] === tag) return reply.code(304).send();
        void reply.type(type);
        return acceptsGzip(request) ? reply.header("Content-Encoding", "gzip").send(compressed) : reply.send(content);
      },
    });
  }
}

function fileOf(type: string): object {
  const [mediaType = type] = type.split(";");
  return { description: "the file", content: { [mediaType]: { schema: { type: "string" } } } };
}
