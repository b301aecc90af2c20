// HTML from templates. Every value in a template is escaped, unless this module has made it. Pure.
import { sanitize } from "../locks/text.js";

/** Markup with its texts escaped. Only this module makes it. */
export class Html {
  readonly text: string;

  /** @internal */
  constructor(text: string) {
    this.text = text;
  }
}

export type Piece = Html | readonly Html[] | string | number | null;

/** `html\`<b>${text}</b>\``: a string becomes text, `null` becomes nothing. Attributes must be quoted. */
export function html(markup: TemplateStringsArray, ...pieces: readonly Piece[]): Html {
  let text = markup[0] ?? "";
  for (const [index, piece] of pieces.entries()) text += textOf(piece) + (markup[index + 1] ?? "");
  return new Html(text);
}

function textOf(piece: Piece): string {
  if (piece === null) return "";
  if (piece instanceof Html) return piece.text;
  if (typeof piece === "object") return piece.map(({ text }) => text).join("");
  return escapeHtml(String(piece));
}

const ESCAPED: Readonly<Record<string, string>> = { "&": "&amp;", "<": "&lt;", ">": "&gt;", '"': "&quot;", "'": "&#39;" };

function escapeHtml(text: string): string {
  return text.replace(/[&<>"']/g, (character) => ESCAPED[character] ?? character);
}

/** A text of somebody's own, isolated so that its direction of writing does not change that of the text around it. */
export function said(text: string): Html {
  return html`<bdi>${sanitize(text)}</bdi>`;
}

/** A text with its line breaks, for `<pre>`. */
export function saidInLines(text: string): string {
  return text.split("\n").map(sanitize).join("\n");
}

/** Pieces with something between them. */
export function joined(pieces: readonly Html[], between: string): Html {
  return html`${pieces.map((piece, index) => (index === 0 ? piece : html`${between}${piece}`))}`;
}
