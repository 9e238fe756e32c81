// What a screen reader is told: not too often, unless somebody asked for it.
import { $, SECOND } from "./page.js";

const QUIET = 10 * SECOND; // between two announcements

let last = 0;

export function announce(text, atOnce = false) {
  if (!text || (!atOnce && Date.now() - last < QUIET)) return;
  last = Date.now();
  $("#announcer").textContent = text;
}
