// What is ticked in the list of jobs: how many, a range with the shift key, and what the buttons ask.
(() => {
  const $ = (selector) => document.querySelector(selector);
  const boxes = () => [...document.querySelectorAll("[name=job]")];
  const bar = $("#bulk"), all = bar.elements.all;
  const say = (it, words) => { if (it.textContent !== words) it.textContent = words; }; // no news, no change
  let last;

  function show() {
    const shown = boxes(), ticked = shown.filter((box) => box.checked).length;
    const every = $("#tick-all"), { value, dataset } = $("#bulk-number");
    const isWhole = ticked > 0 && ticked === shown.length;
    all.checked &&= isWhole;
    const number = all.checked ? Number(value) : ticked, words = number.toLocaleString("en");
    say($("[data-selected]"), `${words} selected`);
    say($("[data-matching]"), dataset.words);
    const isIdle = !all.checked && value <= ticked;
    if (all.parentNode.hidden !== isIdle) all.parentNode.hidden = isIdle;
    if (bar.said !== number) for (const { dataset: its, textContent } of bar.querySelectorAll("button")) {
      its.goOn = `${textContent.trim()} ${words} job${number > 1 ? "s" : ""}`;
      its.typed = number > 100 ? number : "";
      its.confirm = its.typed || !its.easy ? `${its.goOn}? ${its.ask}` : "";
    }
    bar.said = number;
    if (every) {
      every.checked = isWhole;
      every.indeterminate = ticked > 0 && !isWhole;
    }
  }

  addEventListener("click", ({ target, shiftKey }) => {
    if (target.name !== "job") return;
    const shown = boxes(), [from, to] = [shown.indexOf(last), shown.indexOf(target)].sort((a, b) => a - b);
    if (shiftKey && from >= 0) for (const box of shown.slice(from, to + 1)) box.checked = target.checked;
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
