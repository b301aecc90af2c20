// The sign-in page: a form for name and password, and one for a token, as far as the server takes them. Pure.
import { pageDocument } from "./document.js";
import { html } from "./html.js";
import type { Html } from "./html.js";

/** What the sign-in form can ask for. */
export interface Doors {
  readonly password: boolean;
  readonly token: boolean;
}

export interface SignInForm {
  /** The address to go to afterwards. */
  readonly to: string;
  /** The name that was typed before. */
  readonly name: string;
  /** Why the server refused; `null` for a first visit. */
  readonly problem: string | null;
}

export function signInDocument(doors: Doors, { to, name, problem }: SignInForm): string {
  const forms: Html[] = [];
  if (doors.password)
    forms.push(
      html`<form class="door" method="post" action="/sign-in">
        <input type="hidden" name="to" value="${to}" />
        <label
          >Name <input name="user" value="${name}" required autocomplete="username" autocapitalize="none" spellcheck="false"
        /></label>
        <label>Password <input type="password" name="password" required autocomplete="current-password" /></label>
        <button>Sign in</button>
      </form>`,
    );
  if (doors.token)
    forms.push(
      html`<form class="door" method="post" action="/sign-in">
        <input type="hidden" name="to" value="${to}" />
        <label>Token <input type="password" name="token" required autocomplete="off" /></label>
        <button>Sign in with the token</button>
      </form>`,
    );
  const main = html`<h1>Sign in</h1>
    ${forms.length > 0 ? forms : html`<p>This server knows no passwords and no tokens: its callers come with certificates.</p>`}`;
  return pageDocument({ title: "Sign in", current: null, main, warning: problem }, { door: null, here: to }, null);
}
