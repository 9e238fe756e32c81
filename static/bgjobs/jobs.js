// What is ticked in the list of jobs: how many, a range with the shift key, and what the buttons ask about it.
(() => {
  "use strict";

  const $ = (selector) => document.querySelector(selector);
  const boxes = () => [...document.querySelectorAll("[name=job]")];
  const bar = $("#bulk"), all = bar.elements.all;
  let last; // ticked or cleared

  function show() {
    const shown = boxes(), ticked = shown.filter((box) => box.checked).length;
    const every = $("#tick-all"), { value, dataset } = $("#bulk-number");
    const isWhole = ticked > 0 && ticked === shown.length;
    all.checked &&= isWhole;
    const number = all.checked ? Number(value) : ticked, words = number.toLocaleString("en");
    $("[data-selected]").textContent = `${words} selected`;
    $("[data-matching]").textContent = dataset.words;
    all.parentNode.hidden = !all.checked && value <= ticked;
    for (const { dataset: its, textContent } of bar.querySelectorAll("button")) {
      its.goOn = `${textContent.trim()} ${words} job${number === 1 ? "" : "s"}`;
      its.typed = number > 100 ? number : "";
      its.confirm = its.typed || !its.easy ? `${its.goOn}? ${its.ask}` : "";
    }
    if (every) {
      every.checked = isWhole;
      every.indeterminate = ticked > 0 && !isWhole;
    }
  }

  addEventListener("click", ({ target, shiftKey }) => {
    if (target.name !== "job") return;
    const shown = boxes(), ends = [shown.indexOf(last), shown.indexOf(target)].sort((a, b) => a - b);
    if (shiftKey && ends[0] >= 0) for (const box of shown.slice(ends[0], ends[1] + 1)) box.checked = target.checked;
    last = target;
  });

  addEventListener("change", ({ target }) => {
    if (target.id === "tick-all" || (target === all && all.checked)) for (const box of boxes()) box.checked = target.checked;
    show();
  });

  // Pressed twice, it is meant once.
  bar.addEventListener("submit", (event) => setTimeout(() => { bar.inert = !event.defaultPrevented; }));
  addEventListener("pageshow", () => { bar.inert = false; show(); });
  document.addEventListener("htmx:after:swap", show);
})();
