// The theme: that of the system, light or dark. theme.js brings the kept one before anything is painted.
import { all, on, remember } from "./page.js";

const page = document.documentElement.dataset;

export function showTheme() {
  for (const button of all("[data-theme-choice]")) {
    button.setAttribute("aria-pressed", String(button.dataset.themeChoice === (page.theme ?? "system")));
  }
}

on("click", ({ target }) => {
  const choice = target.closest?.("[data-theme-choice]")?.dataset.themeChoice;
  if (!choice) return;
  if (choice === "system") delete page.theme; else page.theme = choice;
  remember("theme", choice);
  showTheme();
});
