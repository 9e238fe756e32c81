// The question before something is stopped: a number that has to be typed makes sure that it was read.
import { $, on } from "./page.js";

function ask(question, goOn, typed, act, leave) {
  const dialog = $("#confirm"), field = $("#confirm-typed"), yes = $("[data-confirm-words]");
  $("#confirm-question").textContent = question;
  yes.textContent = goOn;
  yes.disabled = Boolean(typed);
  field.closest("label").hidden = !typed;
  field.value = "";
  field.oninput = () => { yes.disabled = field.value.replace(/[\s,]/g, "") !== typed; };
  $("#confirm-number").textContent = typed;
  dialog.returnValue = "";
  dialog.addEventListener("close", () => (dialog.returnValue === "yes" ? act() : leave?.()), { once: true });
  dialog.showModal();
}

on("htmx:confirm", (event) => {
  const { ctx, issueRequest, dropRequest } = event.detail;
  if (!ctx.confirm) return;
  event.preventDefault();
  ask(ctx.confirm, ctx.sourceElement.dataset.goOn, "", issueRequest, dropRequest);
});

// A button of a plain form asks by attributes of its own, and what was typed goes with the form.
on("submit", (event) => {
  const { target: form, submitter: button } = event, { confirm, goOn, typed = "" } = button?.dataset ?? {};
  if (!confirm) return;
  event.preventDefault();
  ask(confirm, goOn, typed, () => {
    delete button.dataset.confirm;
    form.elements.confirmed.value = typed || "yes";
    form.requestSubmit(button);
  });
});
