// What is ticked in the list of jobs: how many, a range with the shift key, and what the buttons ask.
import { $, all, on } from "./parts/page.js";

const boxes = () => all("[name=job]");
const bar = $("#bulk"), whole = bar.elements.all; // all that match, beyond this page
const say = (it, words) => { if (it.textContent !== words) it.textContent = words; }; // no news, no change
let last;

function show() {
  const shown = boxes(), ticked = shown.filter((box) => box.checked).length;
  const head = $("#tick-all"), { value, dataset } = $("#bulk-number");
  const isFull = ticked > 0 && ticked === shown.length;
  whole.checked &&= isFull;
  const number = whole.checked ? Number(value) : ticked, words = number.toLocaleString("en");
  say($("[data-selected]"), `${words} selected`);
  say($("[data-matching]"), dataset.words);
  const isIdle = !whole.checked && value <= ticked;
  if (whole.parentNode.hidden !== isIdle) whole.parentNode.hidden = isIdle;
  if (bar.said !== number) for (const { dataset: its, textContent } of bar.querySelectorAll("button")) {
    its.goOn = `${textContent.trim()} ${words} job${number > 1 ? "s" : ""}`;
    its.typed = number > 100 ? number : "";
    its.confirm = its.typed || !its.easy ? `${its.goOn}? ${its.ask}` : "";
  }
  bar.said = number;
  if (head) {
    head.checked = isFull;
    head.indeterminate = ticked > 0 && !isFull;
  }
}

addEventListener("click", ({ target, shiftKey }) => {
  if (target.name !== "job") return;
  const shown = boxes(), [from, to] = [shown.indexOf(last), shown.indexOf(target)].sort((a, b) => a - b);
  if (shiftKey && from >= 0) for (const box of shown.slice(from, to + 1)) box.checked = target.checked;
  last = target;
});

addEventListener("change", ({ target }) => {
  if (target.id === "tick-all" || (target === whole && whole.checked)) for (const box of boxes()) box.checked = target.checked;
  show();
});

// Pressed twice, it is meant once.
bar.addEventListener("submit", (event) => setTimeout(() => { bar.inert = !event.defaultPrevented; }));
addEventListener("pageshow", () => { bar.inert = false; show(); });
on("htmx:after:swap", show);
