// Menus: closed by Escape, and by a click beside them.
import { $, on } from "./page.js";

const openMenu = () => $("[data-menu][open]");
export const closeMenu = () => openMenu()?.removeAttribute("open");

on("click", ({ target }) => { if (!openMenu()?.contains(target) && !$("dialog[open]")) closeMenu(); });
on("keydown", ({ key }) => {
  if (key !== "Escape" || !openMenu() || $("dialog[open]")) return;
  openMenu().querySelector("summary").focus();
  closeMenu();
});
