// Runs before the page is painted, so that a chosen theme never flashes. The rest is in parts/themes.js.
import { recall } from "./parts/page.js";

const { dataset } = document.documentElement, theme = recall("theme");
if (theme === "light" || theme === "dark") dataset.theme = theme;
dataset.scripted = "";
