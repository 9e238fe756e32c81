// What htmx puts into a page leaves the reader where he is, and is told to whoever does not see it.
import { announce } from "./announcer.js";
import { closeMenu } from "./menus.js";
import { $, all, isPoll, isSidePoll, live, on } from "./page.js";
import { refreshTimes } from "./times.js";
import { translateTimes } from "./zones.js";

const rows = () => all("[data-rows] tbody tr");

let before = null;
on("htmx:before:swap", ({ detail: { ctx } }) => {
  if (isSidePoll(ctx.sourceElement)) return;
  const focused = live()?.contains(document.activeElement) ? document.activeElement : null;
  if (!isPoll(ctx.sourceElement)) { // an answer to a button; what was said and opened before is over
    if (ctx.response?.status < 400) $("#answer")?.replaceChildren();
    closeMenu();
  }
  before = {
    top: Number($("[data-rows]")?.dataset.top ?? 0),
    state: $("[data-state]")?.dataset.state,
    focused,
    index: rows().indexOf(focused?.closest("tr")),
  };
});

on("htmx:after:swap", ({ detail: { ctx } }) => {
  if (ctx.response?.status === 304) return;
  refreshTimes();
  translateTimes();
  if (isSidePoll(ctx.sourceElement) || !before) return;
  const acted = !isPoll(ctx.sourceElement); // a button that is disabled meanwhile loses the focus by itself
  if (document.activeElement === document.body && (before.focused || acted)) focusNear(before.index);
  if (acted) {
    if (live()?.getBoundingClientRect().top < 0) live().scrollIntoView();
    announce($("[data-summary]")?.textContent, true);
  } else {
    markArrivals(before.top);
  }
  const state = $("[data-state]")?.dataset.state;
  if (state && state !== before.state) announce(state, true);
  before = null;
});

function focusNear(index) {
  const row = index < 0 ? null : rows()[index] ?? rows().at(-1);
  (row?.querySelector("a") ?? $("#title") ?? $("#main")).focus({ preventScroll: true });
}

function markArrivals(top) {
  if (!top || !$("[data-follows]")) return;
  const arrived = rows().filter((row) => Number(row.id.slice(4)) > top);
  for (const row of arrived) row.classList.add("arrived");
  const failed = arrived.filter((row) => row.querySelector(".cell-type")?.textContent.includes("Failure")).length;
  const several = (number, noun) => `${number} ${noun}${number === 1 ? "" : "s"}`;
  const failures = failed ? `, ${several(failed, "failure")}` : "";
  if (arrived.length) announce(`${several(arrived.length, `new ${$("[data-rows]").dataset.rows}`)}${failures}.`);
}
