// What the attributes of htmx cannot say: when to ask for news, and how not to disturb a reader by it.
// Every page works without it. There is no build.
(() => {
  "use strict";

  const SECOND = 1000;
  const CALM_AFTER = 60 * SECOND; // without news; then the looks become rarer
  const CALM_MOST = 10 * SECOND;
  const RETRY_MOST = 30 * SECOND;
  const QUIET = 10 * SECOND; // between two announcements to a screen reader
  const SIDE = 10 * SECOND; // between two looks at what stands beside

  const $ = (selector) => document.querySelector(selector);
  const live = () => $("[data-live]");
  const isPoll = (element) => element?.matches?.("[data-poll]");
  const isSidePoll = (element) => element?.matches?.("[data-side-poll]"); // of a part beside the live one
  const remember = (key, value) => { try { localStorage.setItem(`bgjobs-${key}`, value); } catch { /* forbidden */ } };
  const recall = (key) => { try { return localStorage.getItem(`bgjobs-${key}`); } catch { return null; } };

  // ---- what a reader chose, kept in this browser ----

  const chosen = (name) => $(`[data-keep=${name}]`)?.value;
  const interval = () => (chosen("interval") ?? 2) * SECOND; // between two looks; 0: paused

  let clock; // knows the zone, with its summer time and its short name
  function bringChoices() {
    for (const choice of document.querySelectorAll("[data-keep]")) {
      choice.value = recall(choice.dataset.keep) ?? choice.value;
      if (!choice.selectedOptions[0]) choice.selectedIndex = 0; // kept by another version
    }
    clock = new Intl.DateTimeFormat("en-GB", { dateStyle: "medium", timeStyle: "long", timeZone: chosen("zone") || undefined });
    refreshTimes();
  }

  document.addEventListener("change", ({ target }) => {
    if (!target.dataset.keep) return;
    remember(target.dataset.keep, target.value);
    announce(`${target.ariaLabel}: ${target.selectedOptions[0].text}`, true);
    bringChoices();
    if (ended) return;
    failures = 0;
    pause = interval();
    say("");
    lookNow();
  });

  // ---- when to look: one chain of timers tells the body, and the poll of the page listens ----

  let timer = 0, pause = 0, failures = 0, lastNews = Date.now(), lastAnswer = new Date(), askedAt = 0, ended = false;

  function next(delay) {
    clearTimeout(timer);
    if (interval() && !ended) timer = setTimeout(look, delay);
  }

  // A computer without any network still reaches itself.
  const isOnThisComputer = /^(localhost|127\.[\d.]+|\[::1\])$/.test(location.hostname);
  const isOffline = () => navigator.onLine === false && !isOnThisComputer;

  let besideAt = Date.now();
  function look() {
    next(pause); // should the request be dropped, because the reader is searching
    if (document.hidden || isOffline() || $("dialog[open]") || isSelectingInJob()) return;
    if ($("[data-poll]")) htmx.trigger(document.body, "bgjobs:tick");
    if (Date.now() - besideAt < SIDE) return;
    besideAt = Date.now();
    htmx.trigger(document.body, "bgjobs:slow-tick");
  }

  // A new traceback would take away the selection in the old one.
  const isSelectingInJob = () => $("[data-state]") && hasSelection();
  const hasSelection = () => {
    const selection = getSelection();
    return selection && !selection.isCollapsed && live()?.contains(selection.anchorNode);
  };

  addEventListener("visibilitychange", () => { if (!document.hidden) lookNow(); });
  addEventListener("online", () => lookNow());
  addEventListener("offline", () => { if (isOffline()) fail(0); });
  for (const event of ["input", "click", "keydown"]) addEventListener(event, stir, true);

  const lookNow = () => next(0);

  // Somebody is there: no reason to be slow.
  function stir() {
    lastNews = Date.now();
    if (!failures && pause > interval()) next(pause = interval());
  }

  // ---- how it went ----

  function succeed(hasNews, took) {
    failures = 0;
    lastAnswer = new Date();
    if (hasNews) lastNews = Date.now();
    pause = hasNews || Date.now() - lastNews < CALM_AFTER ? 0 : Math.min(pause * 2, CALM_MOST);
    pause = Math.max(pause, interval(), 2 * took);
    say("");
    next(pause);
  }

  function fail(count) {
    failures += count;
    pause = Math.max(interval(), Math.min(interval() * 2 ** failures, RETRY_MOST)) * (0.8 + 0.4 * Math.random());
    if (!interval()) {
      say("The server does not answer.");
    } else if (failures >= 3 || isOffline()) {
      say(`Not updating since ${lastTime()}. Trying again in ${Math.round(pause / SECOND)} s.`, "Try now", lookNow);
    }
    showSwitch();
    next(pause);
  }

  function end(text, button) {
    ended = true;
    document.body.dataset.ended = ""; // for the others
    clearTimeout(timer);
    say(text, button, () => location.reload());
  }

  function say(text, button, action) {
    const place = $("#connection");
    if (place && (place.dataset.text ?? "") !== text) {
      place.dataset.text = text;
      place.replaceChildren(...(text ? [text] : []));
      if (text && button) {
        const element = Object.assign(document.createElement("button"), { type: "button", textContent: button });
        element.addEventListener("click", action);
        place.append(element);
      }
    }
    showSwitch();
  }

  function judge(ctx) {
    const { status, raw } = ctx.response, polled = isPoll(ctx.sourceElement);
    if (raw.redirected || status === 401 || (status === 403 && polled)) {
      end("Your session has ended; nothing is updated any more.", "Sign in");
    } else if (isSidePoll(ctx.sourceElement)) {
      return;
    } else if (status === 404 && polled) {
      end("This job is not there any more.", "Reload");
    } else if (status >= 500) {
      fail(polled ? 1 : 3);
    } else if (status < 400) {
      succeed(status !== 304, polled ? performance.now() - askedAt : 0);
    }
  }

  // ---- what htmx asks and does ----

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

  // The reader is at the rows, or has scrolled past the first of them: new ones would move them away.
  function isBusy() {
    const table = $("[data-rows]");
    return live().getBoundingClientRect().top < 0 || hasSelection() || $("[data-rows] :checked") || live().contains(document.activeElement)
      || (matchMedia("(hover: hover)").matches && table?.matches(":hover"));
  }

  let skew = 0; // how much the clock of the server is ahead of ours
  document.addEventListener("htmx:after:request", ({ detail: { ctx } }) => {
    const ahead = Date.parse(ctx.response?.headers?.get("Date")) - Date.now();
    if (Math.abs(ahead) > 2 * SECOND) skew = ahead;
    judge(ctx);
  });
  document.addEventListener("htmx:error", ({ detail: { ctx } }) => { if (ctx && !isSidePoll(ctx.sourceElement)) fail(isPoll(ctx.sourceElement) ? 1 : 3); });

  let before = null;
  document.addEventListener("htmx:before:swap", ({ detail: { ctx } }) => {
    if (isSidePoll(ctx.sourceElement)) return;
    const rows = [...document.querySelectorAll("[data-rows] tbody tr")];
    const focused = live()?.contains(document.activeElement) ? document.activeElement : null;
    if (!isPoll(ctx.sourceElement)) { // an answer to a button; what was said and opened before is over
      if (ctx.response?.status < 400) $("#answer")?.replaceChildren();
      closeMenu();
    }
    before = {
      top: Number($("[data-rows]")?.dataset.top ?? 0),
      state: $("[data-state]")?.dataset.state,
      focused,
      index: rows.indexOf(focused?.closest("tr")),
    };
  });

  document.addEventListener("htmx:after:swap", ({ detail: { ctx } }) => {
    if (ctx.response?.status === 304) return;
    refreshTimes();
    if (isSidePoll(ctx.sourceElement) || !before) return;
    const acted = !isPoll(ctx.sourceElement); // a button that is disabled meanwhile loses the focus by itself
    if (document.activeElement === document.body && (before.focused || acted)) focusNear(before.index);
    if (isPoll(ctx.sourceElement)) {
      markArrivals(before.top);
    } else {
      showTop();
      announce($("[data-summary]")?.textContent, true);
    }
    const state = $("[data-state]")?.dataset.state;
    if (state && state !== before.state) announce(state, true);
    before = null;
  });

  // ---- after a swap ----

  function focusNear(index) {
    const rows = document.querySelectorAll("[data-rows] tbody tr");
    const row = index < 0 ? null : rows[Math.min(index, rows.length - 1)];
    (row?.querySelector("a") ?? $("#title") ?? $("#main")).focus({ preventScroll: true });
  }

  function showTop() {
    const region = live();
    if (region && region.getBoundingClientRect().top < 0) region.scrollIntoView();
  }

  function markArrivals(top) {
    if (!top || !$("[data-follows]")) return;
    const rows = [...document.querySelectorAll("[data-rows] tbody tr")].filter((row) => Number(row.id.slice(4)) > top);
    for (const row of rows) row.classList.add("arrived");
    const failed = rows.filter((row) => row.querySelector(".cell-type")?.textContent.includes("Failure")).length;
    const noun = $("[data-rows]").dataset.rows;
    if (rows.length) announce(`${rows.length} new ${rows.length === 1 ? noun : `${noun}s`}${failed ? `, ${failed} ${failed === 1 ? "failure" : "failures"}` : ""}.`);
  }

  let lastAnnouncement = 0;
  function announce(text, atOnce = false) {
    if (!text || (!atOnce && Date.now() - lastAnnouncement < QUIET)) return;
    lastAnnouncement = Date.now();
    $("#announcer").textContent = text;
  }

  // ---- times: the same words as the server's (formats.py), kept current ----

  function relative(seconds) {
    const distance = Math.abs(Math.trunc(seconds));
    if (distance < 5) return "just now";
    const [size, unit] = [[86400, "day"], [3600, "hour"], [60, "minute"], [1, "second"]].find(([it]) => distance >= it);
    const number = size > 1 ? Math.trunc(distance / size) : Math.trunc(distance / 5) * 5;
    const words = `${number.toLocaleString("en")} ${unit}${number === 1 ? "" : "s"}`;
    return seconds > 0 ? `${words} ago` : `in ${words}`;
  }

  function elapsed(seconds) {
    const whole = Math.max(0, Math.trunc(seconds)), two = (number) => String(number).padStart(2, "0");
    const hours = Math.trunc(whole / 3600), minutes = Math.trunc(whole / 60) % 60;
    return hours ? `${hours}:${two(minutes)}:${two(whole % 60)}` : `${minutes}:${two(whole % 60)}`;
  }

  const lastTime = () => clock.format(lastAnswer).split(", ")[1];

  function refreshTimes() {
    for (const time of document.querySelectorAll("time[data-ago], time[data-since], time[data-exact]")) {
      const date = Date.parse(time.dateTime), seconds = (Date.now() + skew - date) / SECOND, { dataset } = time;
      if (isNaN(date)) continue;
      const exact = clock.format(date), words = "ago" in dataset ? relative(seconds) : "since" in dataset ? elapsed(seconds) : exact;
      if (time.textContent !== words) time.textContent = words;
      if (words !== exact && time.title !== exact) time.title = exact;
    }
  }
  setInterval(() => { if (!document.hidden) refreshTimes(); }, SECOND);

  // ---- the form: half a composed character is no search; and it follows the address ----

  document.addEventListener("input", (event) => { if (event.isComposing) event.stopPropagation(); }, true);

  document.addEventListener("htmx:after:history:update", ({ detail }) => {
    const form = $("#filters");
    if (!form || detail.sourceElement === form) return;
    const shown = new URLSearchParams(location.search);
    for (const field of form.elements) {
      const value = shown.get(field.name) ?? field.dataset.default ?? "";
      if (field.type === "radio") field.checked = field.value === value; else if (field.name) field.value = value;
    }
  });

  // ---- the question before something is stopped: a number that has to be typed makes sure that it was read ----

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

  document.addEventListener("htmx:confirm", (event) => {
    const { ctx, issueRequest, dropRequest } = event.detail;
    if (!ctx.confirm) return;
    event.preventDefault();
    ask(ctx.confirm, ctx.sourceElement.dataset.goOn, "", issueRequest, dropRequest);
  });

  // A button of a plain form asks by attributes of its own, and what was typed goes with the form.
  document.addEventListener("submit", (event) => {
    const { target: form, submitter: button } = event, { confirm, goOn, typed = "" } = button?.dataset ?? {};
    if (!confirm) return;
    event.preventDefault();
    ask(confirm, goOn, typed, () => {
      delete button.dataset.confirm;
      form.elements.confirmed.value = typed || "yes";
      form.requestSubmit(button);
    });
  });

  // ---- menus: closed by Escape, and by a click beside them ----

  const openMenu = () => $("[data-menu][open]");
  const closeMenu = () => openMenu()?.removeAttribute("open");
  document.addEventListener("click", ({ target }) => { if (!openMenu()?.contains(target) && !$("dialog[open]")) closeMenu(); });
  document.addEventListener("keydown", ({ key }) => {
    if (key !== "Escape" || !openMenu() || $("dialog[open]")) return;
    openMenu().querySelector("summary").focus();
    closeMenu();
  });

  // ---- the switches at the top ----

  // Touched only when it changes: a page without news stays as it is, to the last attribute.
  function showSwitch() {
    const words = $("[data-live-words]");
    const [state, dot] = ended ? ["Ended", ""] : !interval() ? ["Paused", "dot-off"] : failures || isOffline() ? ["Reconnecting…", "dot-wait"] : ["Live", "dot-on"];
    if (!words || words.textContent === state) return;
    words.textContent = state;
    words.previousElementSibling.className = `dot ${dot}`;
  }

  for (const event of ["pointerover", "focusin"]) {
    document.addEventListener(event, ({ target }) => {
      if (target.closest?.("[data-live-switch]")) $("[data-live-switch]").title = `Updated ${lastTime()}`;
    });
  }

  function showTheme() {
    const theme = document.documentElement.dataset.theme ?? "system";
    for (const button of document.querySelectorAll("[data-theme-choice]")) {
      button.setAttribute("aria-pressed", String(button.dataset.themeChoice === theme));
    }
  }

  document.addEventListener("click", ({ target }) => {
    const choice = target.closest?.("[data-theme-choice]")?.dataset.themeChoice;
    if (choice) {
      if (choice === "system") delete document.documentElement.dataset.theme; else document.documentElement.dataset.theme = choice;
      remember("theme", choice);
      showTheme();
    }
  });

  // Also after going back, when htmx puts a whole page in the place of this one.
  function begin() {
    bringChoices();
    showTheme();
    showSwitch();
  }
  document.addEventListener("htmx:after:process", ({ target }) => { if (target === document.body) begin(); });
  begin();
  next(pause = interval());
})();
