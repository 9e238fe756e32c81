// A request of the reader that takes its time is seen: its region is busy, and the stylesheet draws a bar for that.
// A look for news is none of his.
import { isPoll, isSidePoll, on } from "./page.js";

const SLOW = 400; // milliseconds; whoever waits for less sees nothing of it

const waits = new WeakMap();

on("htmx:before:request", ({ detail: { ctx } }) => {
  if (isPoll(ctx.sourceElement) || isSidePoll(ctx.sourceElement)) return;
  waits.set(ctx, setTimeout(() => { ctx.target.ariaBusy = "true"; }, SLOW));
});
on("htmx:finally:request", ({ detail: { ctx } }) => {
  if (!waits.has(ctx)) return;
  clearTimeout(waits.get(ctx));
  ctx.target.ariaBusy = null;
});
