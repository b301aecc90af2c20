// dynamodb://TABLE[?region=…][&endpoint=…][&prefix=…][&ca=…]
import { piecesOf } from "../../store-url.js";
import { filePath, type ParamCheck, paramsProblem, type Scheme } from "./scheme.js";

export const DYNAMODB: Scheme = {
  example: "dynamodb://holdline?region=eu-central-1",
  isEmbedded: false,
  problem(rest) {
    const { userInfo, servers, path, query } = piecesOf(rest);
    if (userInfo !== null) return "must have no user: credentials come from where the AWS tools have them";
    if (servers === "") return "names no table";
    if (!/^[A-Za-z0-9_.-]{3,255}$/.test(servers))
      return "must name a table of 3 to 255 letters, digits, dots, hyphens and underscores";
    if (path !== "" && path !== "/") return "must have no path: name the table alone, and what is beside it as ?prefix=";
    return paramsProblem(query, { region, endpoint, prefix, ca: filePath });
  },
};

const region: ParamCheck = (value) => (/^[a-z0-9-]{1,40}$/.test(value) ? null : "must be a region's name, such as eu-central-1");

const endpoint: ParamCheck = (value) => {
  const must = "must be the address of a server, such as http://127.0.0.1:8000";
  if (!URL.canParse(value)) return must;
  const { protocol, username, password, pathname, search } = new URL(value);
  const isPlain = username === "" && password === "" && pathname === "/" && search === "";
  return (protocol === "http:" || protocol === "https:") && isPlain ? null : must;
};

// Longer ones would leave no room in a key.
const prefix: ParamCheck = (value) => (/^[!-~]{1,200}$/.test(value) ? null : "must be 1 to 200 characters of ASCII without blanks");
