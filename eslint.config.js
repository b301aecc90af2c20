// The rules of the code beyond its types: no promise left alone, no case forgotten, and the layers of the house.
// Layout is prettier's.
import js from "@eslint/js";
import { defineConfig, globalIgnores } from "eslint/config";
import tseslint from "typescript-eslint";

/**
 * The layers under src/, as main → cli → { actions, leases, server } → line → locks ← coordinators ← queue ← stores: each with what else of src/ it may
 * import (folders, or files without their ending) and which npm packages. Imports within a layer are free, and so are
 * node's own modules unless `node` is false. What a row does not name is forbidden, and test/layers.test.ts fails for a folder
 * or a file of src/ without a row. `deepest: 0` means the folder's own files.
 */
const LAYERS = [
  { layer: "locks", may: [], packages: [], node: false },
  // May an action begin now? Facts and time are handed in.
  { layer: "gates", may: ["locks"], packages: ["temporal-polyfill"], node: false },
  // Nodes, groups and rollouts, as documents beside the queues.
  { layer: "fleet", may: ["locks"], packages: [], node: false },
  // Tells people what happens.
  { layer: "notify", may: ["locks", "working-directory"], packages: [], deepest: 0 },
  // What actions, leases, exec, the server and the library share.
  { layer: "line", may: ["locks", "proc"], packages: [] },
  { layer: "queue", may: ["locks", "uptime"], packages: [] },
  { layer: "stores/memory", may: ["locks", "queue"], packages: [] },
  // The suite that stores are held to, somebody else's as well; all of it is tests, and none of it is in the program.
  { layer: "conformance", may: ["locks", "line", "moving", "queue", "stores/memory", "uptime"], packages: ["vitest"] },
  { layer: "coordinators", may: ["config/trust", "locks", "queue", "stores", "store-url"], packages: [], deepest: 0 },
  // How the URL of each store looks, so that a configuration can be judged without it.
  { layer: "coordinators/schemes", may: ["locks", "store-url"], packages: [] },
  { layer: "coordinators/zookeeper", may: ["locks", "uptime", "store-url", "secure-connection"], packages: [], deepest: 0 },
  // The protocol and the connection, which know nothing of locks and queues.
  {
    layer: "coordinators/zookeeper/wire",
    may: ["locks/errors", "uptime", "secure-connection"],
    packages: ["node-zookeeper-client"],
    deepest: 0,
  },
  { layer: "stores/mysql", may: ["locks", "queue", "store-url", "secure-connection"], packages: ["mysql2"] },
  { layer: "stores/etcd", may: ["locks", "queue", "uptime", "store-url", "secure-connection"], packages: [] },
  {
    layer: "stores/redis",
    may: ["locks", "queue", "store-url", "secure-connection"],
    packages: ["@redis/client"],
  },
  { layer: "stores/sqlite", may: ["locks", "queue", "uptime"], packages: ["libsql"] },
  { layer: "stores/postgresql", may: ["locks", "queue", "store-url", "secure-connection"], packages: ["pg"] },
  {
    layer: "stores/dynamodb",
    may: ["locks", "queue", "uptime", "store-url", "secure-connection"],
    packages: ["aws4"],
    deepest: 0,
  },
  // Who a process is for AWS, which knows nothing of tables.
  { layer: "stores/dynamodb/credentials", may: ["locks/errors"], packages: [], deepest: 0 },
  {
    layer: "actions",
    may: ["locks", "line", "gates", "fleet", "proc", "uptime", "handed-down", "working-directory"],
    packages: ["execa", "picomatch", "ps-list", "re2js"],
  },
  {
    layer: "config",
    may: [
      "locks",
      "line/waiting",
      "actions/action",
      "actions/machine",
      "gates/windows",
      "coordinators/urls",
      "leases/dependencies",
      "leases/hosts",
      "working-directory",
    ],
    packages: ["convict", "re2js", "yaml"],
  },
  // Takes everything from one store to another.
  { layer: "moving", may: ["locks"], packages: [] },
  { layer: "leases", may: ["locks", "line", "views/lock"], packages: [] },
  // The library's parts, behind holdline.ts.
  { layer: "library", may: ["locks", "line", "leases", "views/lock"], packages: [] },
  // What the command line, the server, the page and the library show.
  { layer: "views", may: ["locks", "line", "fleet", "config"], packages: [] },
  // What the server and browsers both make the page with; and in its browser/ what only they run, whose types alone keep
  // the rest from importing it.
  {
    layer: "page",
    may: ["locks/claim", "locks/durations", "locks/exec-actions", "locks/patterns", "locks/text", "views/json", "views/fleet"],
    packages: [],
    node: false,
    deepest: 1,
  },
  {
    layer: "server",
    may: ["locks", "line", "fleet", "leases", "views", "config", "page", "version", "working-directory"],
    packages: ["fastify", "@fastify/swagger", "prom-client"],
  },
  // A client of servers like this one, which has no store.
  { layer: "concourse", may: ["locks", "config"], packages: [] },
  {
    layer: "cli",
    may: [
      "locks",
      "line",
      "gates",
      "fleet",
      "leases",
      "actions",
      "views",
      "concourse",
      "config",
      "coordinators/urls",
      "moving",
      "server",
      "version",
      "working-directory",
    ],
    packages: ["commander", "pino", "yaml"],
  },
];

/** The files of src/ itself, each with its own word, so that a new one has to say what it is. */
const FILES = [
  // The only wiring: what the command line asks for is put together here, out of coordinators and actions.
  {
    file: "runtime",
    may: [
      "locks",
      "line",
      "leases",
      "actions",
      "config",
      "coordinators/registry",
      "coordinators/urls",
      "moves",
      "notify",
      "server",
      "cli",
      "version",
      "handed-down",
    ],
    packages: [],
  },
  { file: "moves", may: ["locks", "moving", "config", "coordinators/registry", "cli/context"], packages: [] },
  // The library, and its face.
  {
    file: "holdline",
    may: ["locks", "line", "library", "views/lock", "config/surroundings", "coordinators/registry"],
    packages: [],
  },
  { file: "index", may: ["locks", "leases", "library", "queue", "views/lock", "holdline"], packages: [] },
  { file: "boot", may: ["title", "version"], packages: [] },
  { file: "title", may: ["config/secrets"], packages: [] },
  { file: "main", may: ["locks", "cli", "runtime", "handed-down"], packages: [] },
  { file: "version", may: [], packages: [] },
  { file: "uptime", may: [], packages: [] },
  { file: "store-url", may: [], packages: [] },
  { file: "secure-connection", may: ["locks/errors"], packages: [] },
  { file: "proc", may: ["locks"], packages: [] },
  { file: "handed-down", may: [], packages: [] },
  { file: "working-directory", may: [], packages: [] },
];

/** The layers' rules, one for each depth of folders, because imports are written relative to their file. */
function layerRules() {
  const folders = LAYERS.flatMap(({ layer, may, deepest = 2, ...rest }) =>
    [0, 1, 2].slice(0, deepest + 1).map((nested) => ({
      files: [`src/${layer}/${"*/".repeat(nested)}*.ts`],
      name: layer,
      // How far up are src/ and the layer's own folder?
      toSource: layer.split("/").length + nested,
      toLayer: nested,
      may: [layer, ...may],
      ...rest,
    })),
  );
  const files = FILES.map(({ file, ...rest }) => ({ files: [`src/${file}.ts`], name: file, toSource: 0, toLayer: -1, ...rest }));
  return [...folders, ...files].map(ruleOfLayer);
}

function ruleOfLayer({ files, name, toSource, toLayer, may, packages, node = true }) {
  const allowed = `${up(toSource)}(?:${may.join("|")})(?:/|\\.js$)`;
  const other = toLayer < 0 ? "\\.{1,2}/" : `(?:\\.\\./){${toLayer + 1}}`;
  const known = packages.length === 0 ? "" : `|(?:${packages.join("|")})(?:/|$)`;
  const forbidden = [
    {
      regex: `^(?!${allowed})${other}`,
      message: `${name} may import of src/ only ${may.join(", ") || "nothing"} (docs/design.md: Layers).`,
    },
    { regex: "^\\./\\.\\./|[^./]/\\.\\./", message: "Write the path without detours." },
    { regex: `^(?!\\.|node:${known})`, message: `${name} may import of npm's packages only ${packages.join(", ") || "none"}.` },
    ...(node ? [] : [{ regex: "^node:", message: `${name} is pure: it does no I/O.` }]),
  ];
  return {
    files,
    rules: {
      "no-restricted-imports": ["error", { patterns: forbidden, paths: EXIT_IMPORTS }],
      "no-restricted-syntax": [
        "error",
        ...forbidden.map(({ regex, message }) => ({
          selector: `ImportExpression[source.value=/${regex.replaceAll("/", "\\u002F")}/]`,
          message,
        })),
        {
          selector: "ImportExpression:not([source.type='Literal'])",
          message: "Name the import as a literal, so that the layers can be checked.",
        },
        ...(name === "locks"
          ? [{ selector: "NewExpression[callee.name='Date'][arguments.length=0]", message: "locks reads no clock." }]
          : []),
      ],
      ...(name === "main" ? { "no-restricted-properties": "off" } : {}),
    },
  };
}

function up(levels) {
  return levels === 0 ? "\\./" : `(?:\\.\\./){${levels}}`;
}

const EXIT_IMPORTS = ["process", "node:process"].map((name) => ({
  name,
  importNames: ["exit"],
  message: "Only main.ts ends the process.",
}));

export default defineConfig(
  globalIgnores(["dist/", "node_modules/", "test/fixtures/**/*.js"]),
  js.configs.recommended,
  {
    files: ["**/*.ts"],
    extends: [tseslint.configs.recommendedTypeChecked],
    languageOptions: { parserOptions: { projectService: true, tsconfigRootDir: import.meta.dirname } },
    rules: {
      "@typescript-eslint/consistent-type-imports": ["error", { fixStyle: "inline-type-imports" }],
      "@typescript-eslint/no-floating-promises": "error",
      "@typescript-eslint/no-misused-promises": "error",
      // Inside `try` a promise that is returned without `await` skips the `catch` and the `finally`.
      "@typescript-eslint/return-await": ["error", "error-handling-correctness-only"],
      "@typescript-eslint/switch-exhaustiveness-check": ["error", { considerDefaultExhaustiveForUnions: true }],
      // A signal's reason is whatever its owner gave it, and must arrive unchanged.
      "@typescript-eslint/only-throw-error": ["error", { allowThrowingAny: true, allowThrowingUnknown: true }],
      "@typescript-eslint/prefer-promise-reject-errors": ["error", { allowThrowingAny: true, allowThrowingUnknown: true }],
      // `async` alone has a meaning: an error that is thrown becomes a rejection, as the interface says.
      "@typescript-eslint/require-await": "off",
      "@typescript-eslint/restrict-template-expressions": ["error", { allowNumber: true, allowNullish: true }],
      eqeqeq: ["error", "always", { null: "ignore" }],
      "no-console": "error",
    },
  },
  {
    files: ["src/**/*.ts"],
    rules: {
      "no-restricted-properties": ["error", { object: "process", property: "exit", message: "Only main.ts ends the process." }],
      "no-restricted-imports": ["error", { paths: EXIT_IMPORTS }],
    },
  },
  layerRules(),
  {
    files: ["src/locks/**/*.ts"],
    rules: {
      "no-restricted-globals": [
        "error",
        ...["process", "performance", "console", "fetch", "setTimeout", "setInterval", "setImmediate"].map((name) => ({
          name,
          message: "locks is pure: no I/O, no clock.",
        })),
      ],
      "no-restricted-properties": [
        "error",
        { object: "Date", property: "now", message: "locks reads no clock." },
        { object: "AbortSignal", property: "timeout", message: "locks reads no clock." },
        { object: "process", property: "exit", message: "Only main.ts ends the process." },
      ],
    },
  },
  {
    // Its types come with node's, because those of what it shows do.
    files: ["src/page/**/*.ts"],
    rules: {
      "no-restricted-globals": [
        "error",
        ...["process", "Buffer", "global", "setImmediate"].map((name) => ({ name, message: "The page runs in browsers too." })),
      ],
    },
  },
  {
    files: ["test/**/*.ts", "bench/**/*.ts"],
    rules: { "no-console": "off" },
  },
  {
    files: ["test/**/*.test.ts"],
    rules: {
      "no-restricted-imports": ["error", { name: "node:timers/promises", message: "Wait for a condition, or move a fake clock." }],
      "no-restricted-syntax": [
        "error",
        {
          selector: "NewExpression[callee.name='Promise'] > ArrowFunctionExpression > CallExpression[callee.name='setTimeout']",
          message: "No sleeps in tests: wait for a condition, or move a fake clock.",
        },
      ],
    },
  },
  {
    files: ["**/*.js", "**/*.mjs", "**/*.cjs"],
    extends: [tseslint.configs.disableTypeChecked],
    languageOptions: {
      globals: Object.fromEntries(
        [
          "process",
          "console",
          "Buffer",
          "URL",
          "setTimeout",
          "setInterval",
          "clearTimeout",
          "clearInterval",
          "fetch",
          "performance",
          "AbortController",
          "AbortSignal",
        ].map((name) => [name, "readonly"]),
      ),
    },
  },
);
