// What is ticked in the list of jobs: how many, a range with the shift key, and what the buttons ask about it.
(() => {
  "use strict";

  const $ = (selector) => document.querySelector(selector);
  const bar = $("#bulk"), all = bar.elements.all;
  const boxes = () => [...document.querySelectorAll("[name=job]")];
  let last = null; // ticked or cleared

  function show() {
    const shown = boxes(), ticked = shown.filter((box) => box.checked).length;
    const matching = $("#bulk-number"), every = $("#tick-all");
    if (ticked < shown.length || !ticked) all.checked = false;
    const number = all.checked ? Number(matching.value) : ticked;
    const words = number.toLocaleString("en");
    const jobs = `${all.checked && matching.dataset.words.startsWith("up") ? "up to " : ""}${words} ${number === 1 ? "job" : "jobs"}`;
    bar.querySelector("[data-selected]").textContent = `${words} selected`;
    bar.querySelector("[data-matching]").textContent = `Select ${matching.dataset.words}`;
    all.closest("label").hidden = !all.checked && matching.value <= ticked;
    for (const button of bar.querySelectorAll("[data-ask]")) {
      const isMany = number > 100, data = button.dataset;
      data.typed = isMany ? number : "";
      data.goOn = `${button.textContent.trim()} ${jobs}`;
      if (isMany || !("easy" in data)) data.confirm = data.ask.replace("#", jobs); else delete data.confirm;
    }
    if (every) {
      every.checked = ticked > 0 && ticked === shown.length;
      every.indeterminate = ticked > 0 && !every.checked;
    }
  }

  document.addEventListener("click", ({ target, shiftKey }) => {
    if (target.name !== "job") return;
    const shown = boxes(), [from, to] = [shown.indexOf(last), shown.indexOf(target)].sort((a, b) => a - b);
    if (shiftKey && from >= 0) for (const box of shown.slice(from, to)) box.checked = target.checked;
    if (shiftKey && last?.isConnected) last.checked = target.checked;
    last = target;
  });

  document.addEventListener("change", ({ target }) => {
    if (target.id === "tick-all" || (target === all && all.checked)) for (const box of boxes()) box.checked = target.checked;
    show();
  });

  // Pressed twice, it is meant once.
  bar.addEventListener("submit", (event) => setTimeout(() => { bar.inert = !event.defaultPrevented; }));
  addEventListener("pageshow", () => { bar.inert = false; show(); });
  document.addEventListener("htmx:after:swap", show);
})();
