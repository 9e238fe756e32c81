// Times: the same words as the server's (formats.py), kept current, in the zone that the reader chose.
import { all, on, SECOND } from "./page.js";

const UNITS = [[86400, "day"], [3600, "hour"], [60, "minute"], [1, "second"]];

const clockOf = (timeZone) => new Intl.DateTimeFormat("en-GB", { dateStyle: "medium", timeStyle: "long", timeZone });
export const utc = clockOf("UTC");

let clock; // knows the zone, with its summer time and its short name
let skew = 0; // how much the clock of the server is ahead of ours

export const exact = (date, its = clock) => its.format(date).replace("Sept", "Sep"); // as the server writes it
export const isUtc = () => clock.resolvedOptions().timeZone === "UTC";
export const timeOfDay = (date) => exact(date).split(", ")[1];

export function showTimesIn(zone) {
  clock = clockOf(zone || undefined);
  refreshTimes();
}

export function refreshTimes() {
  for (const time of all("time[data-ago], time[data-since], time[data-exact]")) {
    const date = Date.parse(time.dateTime), seconds = (Date.now() + skew - date) / SECOND, { dataset } = time;
    if (isNaN(date)) continue;
    const whole = exact(date), words = "ago" in dataset ? relative(seconds) : "since" in dataset ? elapsed(seconds) : whole;
    if (time.textContent !== words) time.textContent = words;
    if (words !== whole && time.title !== whole) time.title = whole;
  }
}

function relative(seconds) {
  const distance = Math.abs(Math.trunc(seconds));
  if (distance < 5) return "just now";
  const [size, unit] = UNITS.find(([it]) => distance >= it);
  const number = size > 1 ? Math.trunc(distance / size) : Math.trunc(distance / 5) * 5;
  const words = `${number.toLocaleString("en")} ${unit}${number === 1 ? "" : "s"}`;
  return seconds > 0 ? `${words} ago` : `in ${words}`;
}

function elapsed(seconds) {
  const whole = Math.max(0, Math.trunc(seconds)), two = (number) => String(number).padStart(2, "0");
  const hours = Math.trunc(whole / 3600), minutes = Math.trunc(whole / 60) % 60;
  return hours ? `${hours}:${two(minutes)}:${two(whole % 60)}` : `${minutes}:${two(whole % 60)}`;
}

on("htmx:after:request", ({ detail: { ctx } }) => {
  const ahead = Date.parse(ctx.response?.headers?.get("Date")) - Date.now();
  if (Math.abs(ahead) > 2 * SECOND) skew = ahead;
});
setInterval(() => { if (!document.hidden) refreshTimes(); }, SECOND);
