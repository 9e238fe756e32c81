// The page of a job: outputs grow while they are read, and texts can be copied.
import { $, all, on } from "./parts/page.js";

const toEnd = (it) => { it.scrollTop = it.scrollHeight; };

async function pull(box) {
  const shown = box.dataset, pre = box.lastElementChild;
  if (box.wait-- > 0) return;
  box.wait = 9; // looks, should no answer come
  const answer = await fetch(`${shown.output}?offset=${shown.following}&seen=${shown.end}`);
  const more = answer.headers.get("Output-More"), places = answer.headers.get("Output-Places");
  if (places) { // only what is new is put in, so that a selection stays; the last line may have gone on
    const [start, following, end] = places.split("-"), text = await answer.text();
    const node = pre.firstChild ?? pre.appendChild(new Text());
    node.replaceData(start === shown.following ? node.data.lastIndexOf("\n") + 1 : 0, node.length, text);
    if (node.length > 5e5) node.deleteData(0, 25e4);
    Object.assign(shown, { following, end });
    if (box.querySelector("input").checked) toEnd(pre);
  }
  if (answer.ok && !answer.redirected) box.wait = 0;
  if (more === "now") pull(box);
  if (!more && !box.wait) shown.done = "";
}

setInterval(() => {
  if (document.hidden || "ended" in document.body.dataset || !Number($("[data-keep=interval]")?.value)) return;
  for (const box of all("[data-output]:not([data-done])")) if (box.closest("details").open) pull(box).catch(() => {});
}, 1000);

on("scroll", ({ target: it }) => {
  if (it.matches?.(".output")) it.parentNode.querySelector("input").checked = it.scrollHeight - it.scrollTop - it.clientHeight < 8;
}, true);

on("click", async ({ target: it }) => {
  const source = document.getElementById(it.dataset.copy);
  if (!source) return;
  const area = document.createElement("textarea");
  area.value = source.textContent;
  try {
    await navigator.clipboard.writeText(area.value);
  } catch { // on plain HTTP there is none
    it.after(area);
    area.select();
    document.execCommand("copy");
    area.remove();
    it.focus();
  }
  $("#announcer").textContent = it.textContent = "Copied";
});

all(".output").forEach(toEnd);
