// `npm test`: installs what is missing, builds, checks layout, rules and types, and runs every test. With arguments, which
// go to vitest, only the tests that they choose run, after what those need. `--unit` runs the tests that need nothing
// (`npm run test:unit`). `--unused` also looks for exports and packages that nobody uses (`npm run check`).
import { spawn } from "node:child_process";
import { join } from "node:path";
import { ensureBuilt, build } from "./build.mjs";
import { NEEDS, needsOf, testFiles } from "./needs.mjs";
import { ensurePackages, root } from "./packages.mjs";
import { ensureRequirements } from "./requirements.mjs";

const tool = (path) => join(root, "node_modules", path);
const CHECKS = [
  { name: "layout", advice: "npm run format", argv: [tool("prettier/bin/prettier.cjs"), "--check", "--log-level", "warn", "."] },
  { name: "rules", advice: "npm run lint", argv: [tool("eslint/bin/eslint.js"), "--max-warnings", "0", "."] },
  { name: "types", advice: "npm run types", argv: [tool("typescript/bin/tsc"), "-p", "."] },
  { name: "types of the page", advice: "npm run types", argv: [tool("typescript/bin/tsc"), "-p", "src/page/browser"] },
];
const UNUSED = { name: "unused code", advice: "npx knip", argv: [tool("knip/bin/knip.js")] };

const given = process.argv.slice(2);
const withUnused = given.includes("--unused");
const isUnit = given.includes("--unit");
const forVitest = given.filter((argument) => !["--unused", "--unit"].includes(argument));

// A tenth of the generated cases: seconds instead of minutes.
const UNIT_EFFORT = "0.1";

try {
  process.exitCode = await (isUnit ? unitTest() : forVitest.length > 0 ? testSome() : testAll());
} catch (error) {
  process.stderr.write(`holdline: ${error.message}\n`);
  process.exitCode = 1;
}

/** Each of these gives the exit code. Vitest goes last and its summary is the last thing that is printed, so everything else may fail only before. */
async function testAll() {
  ensurePackages();
  ensureRequirements(new Set(NEEDS));
  // Its types are made where the package is tried.
  await build({ types: false });
  const failed = await check(withUnused ? [...CHECKS, UNUSED] : CHECKS);
  if (failed.length > 0) {
    process.stderr.write(`holdline: not in order: ${failed.map(({ name, advice }) => `${name} (${advice})`).join(", ")}\n`);
    return 1;
  }
  return vitest();
}

async function testSome() {
  ensurePackages();
  const needs = new Set((await chosenFiles()).flatMap((file) => [...needsOf(file)]));
  ensureRequirements(needs);
  if (needs.has("build")) await ensureBuilt();
  return vitest();
}

function unitTest() {
  ensurePackages();
  process.env.HOLDLINE_TEST_EFFORT ||= UNIT_EFFORT;
  return vitest("--project", "unit");
}

function vitest(...more) {
  return run([tool("vitest/vitest.mjs"), "run", ...more, ...forVitest], "inherit");
}

/** The test files that vitest will choose by its arguments, or more: it takes a word for a part of a file's path. */
async function chosenFiles() {
  const { parseCLI } = await import("vitest/node");
  const { filter } = parseCLI(["vitest", "run", ...forVitest]);
  const words = filter.map((word) => word.replace(/:\d+$/, "").replace(/^\.\//, "").replace(`${root}`, ""));
  return testFiles().filter((file) => words.length === 0 || words.some((word) => file.includes(word)));
}

/** Runs checks two at a time, each one's output in one piece; gives those that failed. */
async function check(checks) {
  const failed = [];
  const waiting = [...checks];
  const worker = async () => {
    for (let next = waiting.shift(); next !== undefined; next = waiting.shift()) {
      const output = [];
      const code = await run(next.argv, output);
      process.stdout.write(`${next.name}: ${code === 0 ? "in order" : "NOT in order"}\n${Buffer.concat(output).toString()}`);
      if (code !== 0) failed.push(next);
    }
  };
  await Promise.all([worker(), worker()]);
  return failed;
}

/** Runs one of the tools; its output is inherited or collected. Gives its exit code, 1 where a signal ended it. */
function run(argv, output) {
  return new Promise((resolve, reject) => {
    const collect = Array.isArray(output);
    const child = spawn(process.execPath, argv, {
      cwd: root,
      stdio: ["ignore", ...(collect ? ["pipe", "pipe"] : ["inherit", "inherit"])],
    });
    if (collect) {
      child.stdout.on("data", (chunk) => output.push(chunk));
      child.stderr.on("data", (chunk) => output.push(chunk));
    }
    child.once("error", reject).once("close", (code) => resolve(code ?? 1));
  });
}
