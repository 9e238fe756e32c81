// What a look asks for, and what its answer means for those to come.
import { $, isPoll, isSidePoll, live, on } from "./page.js";
import { end, fail, hasSelection, succeed } from "./ticker.js";

let askedAt = 0;

htmx.registerExtension("bgjobs", {
  // A poll asks for what is shown: what stands in the address, not what is half typed.
  htmx_config_request(element, { ctx }) {
    if (!isPoll(element)) return;
    askedAt = performance.now();
    const url = new URL(location.pathname + location.search, location.origin);
    const table = $("[data-follows]");
    if (table && isBusy()) url.searchParams.set("top", table.dataset.top);
    ctx.request.action = url.pathname + url.search;
  },
  htmx_before_response(element, { ctx }) {
    if (ctx.response.raw.redirected) { judge(ctx); return false; } // a page to sign in is no table
  },
});

on("htmx:after:request", ({ detail: { ctx } }) => judge(ctx));
on("htmx:error", ({ detail: { ctx } }) => { if (ctx && !isSidePoll(ctx.sourceElement)) fail(isPoll(ctx.sourceElement) ? 1 : 3); });

// The reader is at the rows, or has scrolled past the first of them: new ones would move them away.
function isBusy() {
  return live().getBoundingClientRect().top < 0 || hasSelection() || $("[data-rows] :checked") || live().contains(document.activeElement)
    || (matchMedia("(hover: hover)").matches && $("[data-rows]:hover"));
}

function judge({ response: { status, raw }, sourceElement: source }) {
  const polled = isPoll(source);
  if (raw.redirected || status === 401 || (status === 403 && polled)) {
    end("Your session has ended; nothing is updated any more.", "Sign in");
  } else if (isSidePoll(source)) {
    return;
  } else if (status === 404 && polled) {
    end("This job is not there any more.", "Reload");
  } else if (status >= 500) {
    fail(polled ? 1 : 3);
  } else if (status < 400) {
    succeed(status !== 304, polled ? performance.now() - askedAt : 0);
  }
}
