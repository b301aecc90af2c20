// Keeps the visible ages ticking, once a second.
import { ageText } from "../ages.js";
import type { AgeKind } from "../ages.js";

export interface AgeTicker {
  /** Keeps the ages inside an element ticking while it is in sight. */
  watch(element: Element): void;
  forget(element: Element): void;
}

const EVERY_MS = 1_000;
// What is just out of sight may soon be in sight.
const MARGIN = "200px";

/** @param now the time that the page shows, in milliseconds since 1970 by the store's clock */
export function ageTicker(now: () => number): AgeTicker {
  const inSight = new Set<Element>();
  const observer = new IntersectionObserver(
    (entries) => {
      for (const { target, isIntersecting } of entries) {
        if (!isIntersecting) inSight.delete(target);
        else {
          inSight.add(target);
          tick(target, now());
        }
      }
    },
    { rootMargin: MARGIN },
  );
  setInterval(() => {
    const at = now();
    for (const element of inSight) tick(element, at);
  }, EVERY_MS);
  return {
    watch: (element) => observer.observe(element),
    forget(element) {
      observer.unobserve(element);
      inSight.delete(element);
    },
  };
}

function tick(element: Element, now: number): void {
  for (const time of element.querySelectorAll<HTMLTimeElement>("time[data-age]")) {
    const text = ageText(time.dataset["age"] as AgeKind, Date.parse(time.dateTime), now);
    if (time.textContent !== text) time.textContent = text;
  }
}
