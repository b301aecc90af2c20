// The page's script: wires the modules of this folder to what is on the page.
import { ageTicker } from "./ages.js";
import { createClaimDialog } from "./claim-dialog.js";
import { wireFilter } from "./filter.js";
import { followFleet } from "./fleet.js";
import { createFreezeDialog } from "./freeze-dialog.js";
import { followHistory } from "./history.js";
import { focusNear, LockList } from "./list.js";
import { follow } from "./live.js";
import { replaceContent } from "./markup.js";
import type { LockJson } from "../../views/json.js";
import { freezesContent } from "../freezes.js";
import type { Viewer } from "../viewer.js";

const { body } = document;
// Ages go by the store's clock, whatever this machine's says.
const aheadMs = Number(body.dataset["now"]) - Date.now();
const now = (): number => Date.now() + aheadMs;
// While the page is not live it shows one moment, and its ages stand still.
const outage = document.querySelector<HTMLTimeElement>("#outage time");
let knownUntil = outage === null ? null : Date.parse(outage.dateTime);
const shownAt = (): number => knownUntil ?? now();
const viewer = JSON.parse(body.dataset["viewer"] ?? "null") as Viewer | null;

if (viewer !== null) {
  document.documentElement.classList.add("scripted");
  const ages = ageTicker(shownAt);
  const list = document.getElementById("locks");
  const history = document.getElementById("history");
  const only = list?.dataset["only"] ?? null;
  const free = document.getElementById("free");
  const locks = list && new LockList(list, { viewer, now: shownAt, only, ages });
  const filter = locks && document.getElementById("filter") && wireFilter(locks);
  const dialog = createClaimDialog();
  createFreezeDialog();
  const part = document.getElementById("fleet");
  const fleet = part && followFleet(part, ages);
  const frozen = document.getElementById("freezes");
  if (frozen !== null) ages.watch(frozen);
  const records = history && followHistory(history, shownAt, ages);

  const changed = (lock: LockJson | null): void => {
    if (lock !== null) dialog.onLockChanged(lock);
    if (lock === null || history?.dataset["only"] === undefined || history.dataset["only"] === lock.lock) records?.refreshSoon();
    filter?.showCounts();
    fleet?.refreshSoon();
    if (free !== null) free.hidden = locks?.isEmpty() === false;
  };
  follow(
    {
      all(all) {
        locks?.replaceAll(all);
        for (const lock of all) dialog.onLockChanged(lock);
        changed(null);
      },
      one(lock) {
        locks?.set(lock);
        changed(lock);
      },
      freezes(shown) {
        fleet?.refreshSoon();
        records?.refreshSoon();
        if (frozen === null) return;
        const content = freezesContent(shown, { viewer, now: shownAt(), only: frozen.dataset["only"] ?? null });
        if (replaceContent(frozen, content)) focusNear(null);
      },
      nodes() {
        fleet?.refreshSoon();
      },
      known(until) {
        knownUntil = until;
      },
    },
    { name: viewer.name, now },
  );
}
