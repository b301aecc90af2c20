// The dialogs of the page, which its script opens: ending a claim, and freezing and thawing. Pure.
import { html } from "./html.js";

export const ACT_DIALOG = html`<dialog id="act" aria-labelledby="act-title" aria-describedby="act-words">
  <form method="dialog">
    <h2 id="act-title"></h2>
    <p id="act-words"></p>
    <label>Reason, for the history <textarea name="reason" rows="3" maxlength="255" required></textarea></label>
    <label id="act-force"
      ><input type="checkbox" name="force" /> Its owner or command is running and goes on, and another may begin beside it. End the
      claim all the same.</label
    >
    <p id="act-problem" class="warning" role="alert" hidden></p>
    <p class="buttons"><button type="button" value="cancel">Cancel</button> <button type="submit" class="danger"></button></p>
  </form>
</dialog>`;

/** Put on the page when it is opened, and away when it is closed. */
export const FREEZE_DIALOG = html`<template id="freeze-dialog"
  ><dialog id="freeze" aria-labelledby="freeze-title" aria-describedby="freeze-words">
    <form method="dialog">
      <h2 id="freeze-title"></h2>
      <p id="freeze-words"></p>
      <fieldset id="freeze-fields">
        <legend class="unseen">What to freeze, and why</legend>
        <label
          >Locks, one pattern a line (* stands for any text)
          <textarea name="locks" rows="3" spellcheck="false" required></textarea>
        </label>
        <label>Only nodes like <input name="node" autocomplete="off" spellcheck="false" placeholder="all" /></label>
        <label>Only the group <input name="group" autocomplete="off" spellcheck="false" placeholder="all" /></label>
        <label>For how long <input name="for" autocomplete="off" placeholder="until it is thawed" /></label>
        <label>Reason, for the history <textarea name="reason" rows="3" maxlength="255" required></textarea></label>
      </fieldset>
      <p id="freeze-problem" class="warning" role="alert" hidden></p>
      <p class="buttons"><button type="button" value="cancel">Cancel</button> <button type="submit" class="danger"></button></p>
    </form></dialog
></template>`;
