// The form above a list: half a composed character is no search; and it follows the address.
import { $, on } from "./page.js";

on("input", (event) => { if (event.isComposing) event.stopPropagation(); }, true);

on("htmx:after:history:update", ({ detail }) => {
  const form = $("#filters");
  if (!form || detail.sourceElement === form) return;
  const shown = new URLSearchParams(location.search);
  for (const field of form.elements) {
    const value = shown.get(field.name) ?? field.dataset.default ?? "";
    if (field.type === "radio") field.checked = field.value === value; else if (field.name) field.value = value;
  }
});
