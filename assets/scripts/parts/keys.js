// The keyboard: each key does what a click somewhere does. The help lists them, and turns them off.
import { $, all, on } from "./page.js";

const click = (element, shiftKey) => element?.dispatchEvent(new MouseEvent("click", { bubbles: true, cancelable: true, shiftKey }));
const row = () => document.activeElement.closest("[data-live] tbody tr");
const link = (it) => it?.querySelector("a");
const tell = (element, event) => element.dispatchEvent(new Event(event, { bubbles: true }));

function step(by) {
  const rows = all("[data-live] tbody tr").filter(link);
  link(rows[Math.max(rows.indexOf(row()) + by, 0)])?.focus();
}

let running = "2", wentAt = 0; // the interval to come back to; when "g" was pressed
function pause() {
  const choice = $("[data-keep=interval]"), last = choice.value;
  choice.value = last === "0" ? running : "0";
  if (last !== "0") running = last;
  tell(choice, "change");
}

const help = () => $("#help").showModal();
const open = () => click(link(row()));
const keys = {
  "?": help,
  "/": () => $("[type=search]")?.select(),
  g: () => { wentAt = Date.now(); },
  j: () => step(1),
  k: () => step(-1),
  o: open,
  enter: open,
  e: () => row()?.querySelectorAll("details").forEach((it) => it.toggleAttribute("open")),
  x: (event) => click(row()?.querySelector("[type=checkbox]"), event.shiftKey),
  n: () => click($(".pill")),
  r: pause,
  t: () => click($("[data-theme-choice][aria-pressed=true] + *") ?? $("[data-theme-choice]")),
  "[": () => click($("[rel=prev]")),
  "]": () => click($("[rel=next]")),
  escape: () => { if (row()) document.activeElement.blur(); }, // who leaves the rows gets the new ones
};

on("keydown", (event) => {
  const { target } = event, key = event.key.toLowerCase(), isTick = target.type === "checkbox";
  if (event.ctrlKey || event.altKey || event.metaKey || event.isComposing
    || $("[data-keep=keys]")?.value !== "on" || $("dialog[open]")) return;
  if (key === "escape" && target.matches("[type=search]")) {
    if (!target.value) target.blur();
    target.value = "";
    tell(target, "input");
  } else if (!isTick && target.closest("input, textarea, select, [contenteditable]")) {
    return;
  } else if (Date.now() - wentAt < 1500) {
    wentAt = 0;
    click($(`[data-go="${CSS.escape(key)}"]`));
  } else if (Object.hasOwn(keys, key) && (isTick || key !== "enter")) { // a link knows Enter by itself
    keys[key](event);
  } else {
    return;
  }
  event.preventDefault();
});

on("click", ({ target }) => { if (target.closest("[data-help]")) help(); });
