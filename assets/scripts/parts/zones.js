// Times within other words, such as those of a chart: the server writes them in UTC.
import { all } from "./page.js";
import { exact, isUtc, utc } from "./times.js";

const forms = { // each from a whole one, such as "24 Nov 2026, 12:04:31 UTC"
  minute: (whole) => whole.split(", ")[1].slice(0, 5),
  second: (whole) => whole.split(", ")[1].slice(0, 8),
  clock: (whole) => whole.split(", ")[1],
  zone: (whole) => whole.split(" ").at(-1),
  day: (whole) => whole.replace(/ \d{4}(, ..:..).*/, "$1"),
  millisecond: (whole, iso) => whole.replace(/ [^ ]+$/, iso.slice(19, 23)),
};

export function translateTimes() {
  for (const place of all("[data-at]")) {
    const { at, form } = place.dataset, text = place.textContent;
    if (isNaN(Date.parse(at))) continue;
    const [inUtc, words] = [utc, undefined].map((its) => forms[form](exact(new Date(at), its), at));
    const shown = [inUtc, place.said].find((it) => it && text.includes(it));
    if (shown && shown !== words) place.textContent = text.replace(shown, words);
    place.said = words;
  }
  // Midnight is somewhere else in another zone.
  const ahead = isUtc() ? 0 : -new Date().getTimezoneOffset() / 1440;
  for (const tick of all("[data-midnight]")) {
    const { midnight, day } = tick.dataset, at = midnight - ahead * day;
    tick.setAttribute("x", `${at}%`);
    tick.toggleAttribute("hidden", at < 5 || at > 95);
  }
}
