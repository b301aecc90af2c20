// Freezing and thawing from the page: a dialog asks what and why, and sends the request. The server decides who may.
import { sanitize, shortened } from "../../locks/text.js";
import { focusOn } from "./markup.js";
import { problemOf, SLOWEST_ANSWER_MS, write } from "./requests.js";

interface Thaw {
  readonly id: string;
  /** What it freezes, in words. */
  readonly what: string;
}

const NOT_YET = "the server or its store has not answered yet. Your request still stands, unless you cancel";
const UNREACHABLE = "the server cannot be reached, so nobody knows what became of the request: see what is frozen";
const LONGEST_WHAT = 200;

export function createFreezeDialog(): void {
  document.addEventListener("click", ({ target }) => {
    const button = target instanceof Element ? target.closest<HTMLElement>("button[data-freeze], button[data-thaw]") : null;
    if (button === null) return;
    const { thaw: id, what = "", freeze: patterns = "", key = "" } = button.dataset;
    const words = sanitize(shortened(what.replaceAll("\n", ", "), LONGEST_WHAT));
    open(id === undefined ? null : { id, what: words }, patterns, key);
  });
}

/**
 * @param thaw `null`: it freezes
 * @param patterns the locks to begin with, one a line
 * @param opener the key of what opened it
 */
function open(thaw: Thaw | null, patterns: string, opener: string): void {
  const template = document.getElementById("freeze-dialog") as HTMLTemplateElement;
  const dialog = template.content.firstElementChild?.cloneNode(true) as HTMLDialogElement;
  document.body.append(dialog);
  const form = dialog.querySelector("form") as HTMLFormElement;
  const submit = form.querySelector("button[type=submit]") as HTMLButtonElement;
  const problem = document.getElementById("freeze-problem") as HTMLElement;
  /** Ends the request under way. */
  let pending: AbortController | null = null;

  const field: FieldNamed = (name) => form.elements.namedItem(name) as HTMLInputElement | HTMLTextAreaElement;
  const complain = (text: string | null): void => {
    problem.textContent = text === null ? "" : `⚠\ufe0e ${text}`;
    problem.hidden = text === null;
  };
  const ask = async (): Promise<void> => {
    const asking = new AbortController();
    pending = asking;
    submit.disabled = true;
    complain(null);
    const late = setTimeout(() => complain(NOT_YET), SLOWEST_ANSWER_MS);
    // A reason has one line in the history.
    const reason = field("reason").value.trim().replace(/\s+/g, " ");
    const request = thaw === null ? freeze(bodyOf(field, reason), asking.signal) : end(thaw, asking.signal);
    const refusal = await request.catch(() => UNREACHABLE);
    clearTimeout(late);
    if (asking.signal.aborted) return;
    pending = null;
    submit.disabled = false;
    if (refusal !== null) {
      complain(refusal);
      return;
    }
    write("said", thaw === null ? "Frozen." : `Thawed ${thaw.what}.`);
    dialog.close();
  };

  const fields = document.getElementById("freeze-fields") as HTMLFieldSetElement;
  fields.hidden = thaw !== null;
  // What is hidden must not be asked for either.
  fields.disabled = thaw !== null;
  submit.textContent = thaw === null ? "Freeze" : "Thaw";
  write("freeze-title", thaw === null ? "Freeze?" : `Thaw ${thaw.what}?`);
  write("freeze-words", thaw === null ? WHAT_FREEZING_DOES : WHAT_THAWING_DOES);
  field("locks").value = patterns;
  dialog.querySelector("button[value=cancel]")?.addEventListener("click", () => dialog.close());
  form.addEventListener("submit", (event) => {
    event.preventDefault();
    if (!submit.disabled) void ask();
  });
  dialog.addEventListener("close", () => {
    dialog.remove();
    if (pending !== null) {
      pending.abort();
      write("said", "You cancelled before the server answered: see what is frozen.");
    }
    // The button that opened it may be gone with the freeze.
    if (!focusOn(document.body, opener)) document.getElementById("main")?.focus({ preventScroll: true });
  });
  dialog.showModal();
  (thaw === null ? field("locks") : submit).focus();
}

type FieldNamed = (name: string) => HTMLInputElement | HTMLTextAreaElement;

const WHAT_FREEZING_DOES = "Nothing that this names begins until it is thawed, or its time is over. What has begun goes on.";
const WHAT_THAWING_DOES = "Whoever waits goes on, and what was put off is made up for.";

function bodyOf(field: FieldNamed, reason: string): object {
  const locks = field("locks")
    .value.split("\n")
    .map((line) => line.trim())
    .filter((line) => line !== "");
  const said = ["node", "group", "for"].flatMap((name) => {
    const value = field(name).value.trim();
    return value === "" ? [] : [[name, value] as const];
  });
  return { locks, reason, ...Object.fromEntries(said) };
}

/** @returns what is wrong; `null` where it is done */
async function freeze(body: object, signal: AbortSignal): Promise<string | null> {
  const headers = { "Content-Type": "application/json" };
  return refusalIn(await fetch("/v1/freezes", { method: "POST", signal, headers, body: JSON.stringify(body) }));
}

async function end({ id }: Thaw, signal: AbortSignal): Promise<string | null> {
  return refusalIn(await fetch(`/v1/freezes/${encodeURIComponent(id)}`, { method: "DELETE", signal }));
}

async function refusalIn(response: Response): Promise<string | null> {
  return response.ok ? null : (await problemOf(response)).words;
}
