// When to look for news: one chain of timers tells the body, and the poll of the page listens.
// What comes of it makes the looks rarer, or a line above the page that says what is wrong.
import { interval } from "./choices.js";
import { $, live, on, SECOND } from "./page.js";
import { timeOfDay } from "./times.js";

const CALM_AFTER = 60 * SECOND; // without news; then the looks become rarer
const CALM_MOST = 10 * SECOND;
const RETRY_MOST = 30 * SECOND;
const SIDE = 10 * SECOND; // between two looks at what stands beside

let timer = 0, pause = 0, failures = 0, lastNews = Date.now(), lastAnswer = new Date(), besideAt = Date.now();

export const start = () => next(pause = interval());
const lookNow = () => next(0);
const lastTime = () => timeOfDay(lastAnswer);
const isOver = () => "ended" in document.body.dataset; // others look there, too

// A computer without any network still reaches itself.
const isOnThisComputer = /^(localhost|127\.[\d.]+|\[::1\])$/.test(location.hostname);
const isOffline = () => navigator.onLine === false && !isOnThisComputer;

export function hasSelection() {
  const selection = getSelection();
  return selection && !selection.isCollapsed && live()?.contains(selection.anchorNode);
}

function next(delay) {
  clearTimeout(timer);
  if (interval() && !isOver()) timer = setTimeout(look, delay);
}

function look() {
  next(pause); // should the request be dropped, because the reader is searching
  const isInTheWay = $("[data-state]") && hasSelection(); // a new traceback would take the selection in the old one away
  if (document.hidden || isOffline() || $("dialog[open]") || isInTheWay) return;
  if ($("[data-poll]")) htmx.trigger(document.body, "bgjobs:tick");
  if (Date.now() - besideAt < SIDE) return;
  besideAt = Date.now();
  htmx.trigger(document.body, "bgjobs:slow-tick");
}

// ---- how it went ----

export function succeed(hasNews, took) {
  failures = 0;
  lastAnswer = new Date();
  if (hasNews) lastNews = Date.now();
  pause = hasNews || Date.now() - lastNews < CALM_AFTER ? 0 : Math.min(pause * 2, CALM_MOST);
  pause = Math.max(pause, interval(), 2 * took);
  say("");
  next(pause);
}

export function fail(count) {
  failures += count;
  pause = Math.max(interval(), Math.min(interval() * 2 ** failures, RETRY_MOST)) * (0.8 + 0.4 * Math.random());
  if (!interval()) {
    say("The server does not answer.");
  } else if (failures >= 3 || isOffline()) {
    say(`Not updating since ${lastTime()}. Trying again in ${Math.round(pause / SECOND)} s.`, "Try now", lookNow);
  }
  showSwitch();
  next(pause);
}

export function end(text, button) {
  document.body.dataset.ended = "";
  clearTimeout(timer);
  say(text, button, () => location.reload());
}

function say(text, button, action) {
  const place = $("#connection");
  if (place && (place.dataset.text ?? "") !== text) {
    place.dataset.text = text;
    place.replaceChildren(...(text ? [text] : []));
    if (text && button) {
      const element = Object.assign(document.createElement("button"), { type: "button", textContent: button });
      element.addEventListener("click", action);
      place.append(element);
    }
  }
  showSwitch();
}

// Touched only when it changes: a page without news stays as it is, to the last attribute.
export function showSwitch() {
  const words = $("[data-live-words]");
  const [state, dot] = isOver() ? ["Ended", ""] : !interval() ? ["Paused", "dot-off"]
    : failures || isOffline() ? ["Reconnecting…", "dot-wait"] : ["Live", "dot-on"];
  if (!words || words.textContent === state) return;
  words.textContent = state;
  words.previousElementSibling.className = `dot ${dot}`;
}

// ---- the reader ----

// Somebody is there: no reason to be slow.
function stir() {
  lastNews = Date.now();
  if (!failures && pause > interval()) next(pause = interval());
}

for (const event of ["input", "click", "keydown"]) addEventListener(event, stir, true);
for (const event of ["pointerover", "focusin"]) on(event, ({ target }) => {
  if (target.closest?.("[data-live-switch]")) $("[data-live-switch]").title = `Updated ${lastTime()}`;
});
addEventListener("visibilitychange", () => { if (!document.hidden) lookNow(); });
addEventListener("online", lookNow);
addEventListener("offline", () => { if (isOffline()) fail(0); });
on("change", ({ target }) => {
  if (!target.dataset.keep || isOver()) return;
  failures = 0;
  pause = interval();
  say("");
  lookNow();
});
