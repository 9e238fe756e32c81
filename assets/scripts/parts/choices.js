// What a reader chose, kept in this browser.
import { announce } from "./announcer.js";
import { $, all, on, recall, remember, SECOND } from "./page.js";
import { showTimesIn } from "./times.js";
import { translateTimes } from "./zones.js";

export const chosen = (name) => $(`[data-keep=${name}]`)?.value;
export const interval = () => (chosen("interval") ?? 2) * SECOND; // between two looks; 0: paused

export function bringChoices() {
  for (const choice of all("[data-keep]")) {
    choice.value = recall(choice.dataset.keep) ?? choice.value;
    if (!choice.selectedOptions[0]) choice.selectedIndex = 0; // kept by another version
  }
  showTimesIn(chosen("zone"));
  translateTimes();
}

on("change", ({ target }) => {
  if (!target.dataset.keep) return;
  remember(target.dataset.keep, target.value);
  announce(`${target.ariaLabel}: ${target.selectedOptions[0].text}`, true);
  bringChoices();
});
