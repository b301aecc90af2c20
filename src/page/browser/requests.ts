// What the page's dialogs have in common: how long they wait for the server, and what its refusals say.

// A store that works has answered long before, and the page must tell within five seconds of one that does not.
export const SLOWEST_ANSWER_MS = 3_000;

/** What a refusal says: its kind, one word, and its words. */
export async function problemOf(response: Response): Promise<{ readonly kind: string; readonly words: string }> {
  const text = await response.text();
  if (!/\bjson\b/.test(response.headers.get("Content-Type") ?? ""))
    return { kind: "", words: `the server said ${response.status}` };
  const {
    title = "",
    detail = `the server said ${response.status}`,
    hint,
  } = JSON.parse(text) as Record<string, string | undefined>;
  // For a living owner the dialog has its own words instead of the hint.
  return { kind: title, words: hint === undefined || title === "alive" ? detail : `${detail} (${hint})` };
}

export function write(id: string, text: string): void {
  const element = document.getElementById(id);
  if (element !== null) element.textContent = text;
}
