// sqlite:///path
import type { Scheme } from "./scheme.js";

export const SQLITE: Scheme = {
  example: "sqlite:///var/lib/holdline/holdline.db",
  isEmbedded: true,
  problem(rest) {
    if (rest.includes("?")) return 'must not have a "?", which is written %3F in a path';
    if (!rest.startsWith("/")) return "needs the absolute path of a file, and so three slashes";
    const path = decodeURIComponent(rest);
    if (path.includes("\0")) return "has a NUL in its path";
    return path.endsWith("/") ? "must name a file, not a directory" : null;
  },
};
