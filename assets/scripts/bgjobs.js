// What the attributes of htmx cannot say: when to ask for news, and how not to disturb a reader by it.
// Every page works without it.
import { bringChoices } from "./parts/choices.js";
import "./parts/keys.js";
import "./parts/menus.js";
import "./parts/polls.js";
import "./parts/questions.js";
import "./parts/search.js";
import "./parts/swaps.js";
import { showTheme } from "./parts/themes.js";
import { showSwitch, start } from "./parts/ticker.js";
import "./parts/waiting.js";

// Also after going back, when htmx puts a whole page in the place of this one.
function begin() {
  bringChoices();
  showTheme();
  showSwitch();
}
document.addEventListener("htmx:after:process", ({ target }) => { if (target === document.body) begin(); });
begin();
start();
