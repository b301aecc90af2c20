// Ending a claim from the page: a dialog asks for a reason and a confirmation, and sends the request. The server decides who may.
import { sanitize } from "../../locks/text.js";
import type { LockJson } from "../../views/json.js";
import { focusNear } from "./list.js";
import { focusOn } from "./markup.js";
import { problemOf, SLOWEST_ANSWER_MS, write } from "./requests.js";

export interface ClaimDialog {
  /** Tells people when the claim in the dialog has ended meanwhile. */
  onLockChanged(lock: LockJson): void;
}

interface Act {
  readonly kind: "clear" | "release";
  readonly claim: string;
  readonly lock: string;
  readonly whose: string;
  /** The claim's own reason; "" for none. */
  readonly why: string;
  readonly isHeld: boolean;
  readonly isAlive: boolean;
  /** For a stale claim the node where its command may still run; else "". */
  readonly staleOn: string;
}

const NOT_YET =
  "the server or its store has not answered yet. Your request still stands: the claim ends when they answer, unless you cancel";

export function createClaimDialog(): ClaimDialog {
  const dialog = document.getElementById("act") as HTMLDialogElement;
  const form = dialog.querySelector("form") as HTMLFormElement;
  const reason = form.elements.namedItem("reason") as HTMLTextAreaElement;
  const force = form.elements.namedItem("force") as HTMLInputElement;
  const submit = form.querySelector("button[type=submit]") as HTMLButtonElement;
  const problem = document.getElementById("act-problem") as HTMLElement;
  let act: Act | null = null;
  /** Ends the request under way. */
  let pending: AbortController | null = null;

  const complain = (text: string | null): void => {
    problem.textContent = text === null ? "" : `⚠\ufe0e ${text}`;
    problem.hidden = text === null;
  };
  const askForce = (isAsked: boolean): void => {
    (document.getElementById("act-force") as HTMLElement).hidden = !isAsked;
    force.required = isAsked;
  };
  /** Cancels the request, if it is not too late: the server gives up a request whose client has left. */
  const abandon = (): void => {
    if (pending === null || act === null) return;
    pending.abort();
    pending = null;
    write(
      "said",
      `You cancelled before the server answered, so the claim of ${sanitize(act.whose)} on ${sanitize(act.lock)} may have ended or not. See the history.`,
    );
  };
  const ask = async (asked: Act): Promise<void> => {
    const asking = new AbortController();
    pending = asking;
    submit.disabled = true;
    complain(null);
    const late = setTimeout(() => complain(NOT_YET), SLOWEST_ANSWER_MS);
    // A reason has one line in the history.
    const words = reason.value.trim().replace(/\s+/g, " ");
    const ended = await end(asked, words, force.checked, asking.signal).catch(() => UNREACHABLE);
    clearTimeout(late);
    // abandon() has told people, and the dialog may be about another claim by now.
    if (asking.signal.aborted) return;
    pending = null;
    submit.disabled = false;
    if (ended.outcome === "done") {
      dialog.close();
      const done = asked.kind === "clear" ? "Cleared" : "Released";
      write("said", `${done} the claim of ${sanitize(asked.whose)} on ${sanitize(asked.lock)}.`);
      return;
    }
    complain(ended.words);
    if (ended.outcome === "alive") askForce(true);
  };
  const open = (asked: Act): void => {
    abandon();
    act = asked;
    form.reset();
    complain(null);
    askForce(asked.isAlive);
    submit.disabled = false;
    const verb = asked.kind === "clear" ? "Clear" : "Release";
    submit.textContent = verb;
    write("act-title", `${verb} the claim of ${sanitize(asked.whose)}?`);
    const look =
      asked.staleOn === ""
        ? ""
        : ` Its agent is gone, but its command may still run: check on ${sanitize(asked.staleOn)} that it has ended before you clear the claim.`;
    write("act-words", `${wordsOf(asked, asked.isHeld)}${look}`);
    dialog.showModal();
    reason.focus();
  };

  document.addEventListener("click", ({ target }) => {
    const button = target instanceof Element ? target.closest<HTMLElement>("button[data-act]") : null;
    if (button !== null) open(actOf(button.dataset));
  });
  dialog.querySelector("button[value=cancel]")?.addEventListener("click", () => dialog.close());
  form.addEventListener("submit", (event) => {
    event.preventDefault();
    if (act !== null && !submit.disabled) void ask(act);
  });
  dialog.addEventListener("close", () => {
    // The event comes later, and the dialog may be open again by then.
    if (dialog.open) return;
    abandon();
    const closed = act;
    act = null;
    // The button that opened it may be gone, or another may stand in its place.
    if (closed === null || (document.activeElement !== null && document.activeElement !== document.body)) return;
    const item = document.querySelector(`li[data-lock="${CSS.escape(closed.lock)}"]`);
    if (item === null || !focusOn(item, `act-${closed.claim}`)) focusNear(item);
  });

  return {
    onLockChanged({ lock, holders, waiting }) {
      if (act === null || act.lock !== lock || submit.disabled) return;
      const { claim } = act;
      const isHeld = holders.some(({ id }) => id === claim);
      if (isHeld || waiting.some(({ id }) => id === claim)) {
        write("act-words", wordsOf(act, isHeld));
        return;
      }
      submit.disabled = true;
      complain("it has ended meanwhile");
    },
  };
}

/** What the claim is, and what its end means for others. */
function wordsOf({ lock, why }: Act, isHeld: boolean): string {
  const reason = why === "" ? "" : ` Its reason: ${sanitize(why)}.`;
  return isHeld
    ? `It holds ${sanitize(lock)}.${reason} When it ends, the next in line goes on.`
    : `It waits for ${sanitize(lock)}.${reason} When it ends, those behind it move up.`;
}

function actOf(data: DOMStringMap): Act {
  return {
    kind: data["act"] === "release" ? "release" : "clear",
    claim: data["claim"] ?? "",
    lock: data["on"] ?? "",
    whose: data["whose"] ?? "",
    why: data["why"] ?? "",
    isHeld: data["place"] !== "waits",
    isAlive: data["alive"] === "yes",
    staleOn: data["staleOn"] ?? "",
  };
}

type Ended = { readonly outcome: "done" } | { readonly outcome: "alive" | "refused"; readonly words: string };

const UNREACHABLE: Ended = {
  outcome: "refused",
  words: "the server cannot be reached, so the claim may have ended or not",
};

async function end({ kind, claim, lock }: Act, reason: string, force: boolean, signal: AbortSignal): Promise<Ended> {
  const id = encodeURIComponent(claim);
  const response =
    kind === "release"
      ? await fetch(`/v1/leases/${id}?${new URLSearchParams({ reason }).toString()}`, { method: "DELETE", signal })
      : await fetch(`/v1/claims/${id}/clear`, {
          method: "POST",
          signal,
          headers: { "Content-Type": "application/json" },
          body: JSON.stringify({ lock, reason, force }),
        });
  if (response.ok) return { outcome: "done" };
  const { kind: said, words } = await problemOf(response);
  return { outcome: said === "alive" ? "alive" : "refused", words };
}
