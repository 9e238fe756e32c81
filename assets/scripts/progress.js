// Keeps what bgjobs_progress() put into a page current. Where the page has htmx, that does it instead.
let pause = 1000;

async function ask(box) {
  const answer = await fetch(box.dataset.bgjobsProgress, { headers: { Accept: "application/json" } });
  const job = await answer.json();
  box.dataset.status = job.status;
  for (const place of box.querySelectorAll("[data-words]")) {
    const text = job.words[place.dataset.words];
    if (place.textContent !== text) place.textContent = text;
  }
  const bar = box.querySelector("progress");
  if (job.percent === null) bar.removeAttribute("value"); else bar.value = job.percent;
  if (job.is_over) delete box.dataset.bgjobsProgress;
  if (answer.status > 499) throw answer;
}

async function look() {
  if (!document.hidden && !window.htmx) {
    const boxes = [...document.querySelectorAll("[data-bgjobs-progress]")];
    const answers = await Promise.allSettled(boxes.map(ask));
    pause = answers.some((it) => it.reason) ? Math.min(pause * 2, 30000) : 1000;
  }
  setTimeout(look, pause);
}

if (!window.bgjobsProgress) { // one is enough for all boxes
  window.bgjobsProgress = true;
  look();
}
