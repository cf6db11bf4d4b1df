"use strict";
// Replaces the parts of the page that have changed, and leaves all else, so that focus and scroll stay.
const every = Number(document.body.dataset.refresh);
const shown = new Map();
const parts = (root) => [...root.querySelectorAll("[data-part]")];
for (const part of parts(document)) shown.set(part.dataset.part, part.outerHTML);
let seen = document.getElementById("as-of").textContent;

function openAsBefore(now, before) {
  for (const each of now.querySelectorAll("details[id]")) {
    const old = before.querySelector("#" + each.id);
    if (old) each.open = old.open;
  }
}

function take(text) {
  const fresh = new DOMParser().parseFromString("<main>" + text + "</main>", "text/html");
  const main = document.querySelector("main");
  const names = new Set(parts(fresh).map((part) => part.dataset.part));
  for (const part of parts(document)) if (!names.has(part.dataset.part)) part.remove();
  let last = null;
  for (const part of parts(fresh)) {
    const name = part.dataset.part, html = part.outerHTML;
    const old = main.querySelector(`[data-part="${name}"]`);
    if (old && shown.get(name) === html) { last = old; continue; }
    shown.set(name, html);
    const now = document.adoptNode(part);
    if (old) {
      openAsBefore(now, old);
      const focused = old.contains(document.activeElement) && document.activeElement;
      const scrolls = [...old.querySelectorAll(".wide")].map((each) => each.scrollLeft);
      const place = focused ? [...old.querySelectorAll("summary, [tabindex]")].indexOf(focused) : -1;
      old.replaceWith(now);
      now.querySelectorAll(".wide").forEach((each, n) => { each.scrollLeft = scrolls[n] || 0; });
      if (place >= 0) now.querySelectorAll("summary, [tabindex]")[place]?.focus({ preventScroll: true });
    } else if (last) last.after(now);
    else main.prepend(now);
    last = now;
  }
  const head = main.querySelector('[data-part="head"]').dataset;
  const headline = document.getElementById("headline");
  if (headline.textContent !== head.headline) headline.textContent = head.headline;
  headline.className = head.state;
  document.title = head.title;
  seen = document.getElementById("as-of").textContent;
}

let busy = false;
async function refresh() {
  if (busy || document.visibilityState !== "visible") return;
  busy = true;
  const connection = document.getElementById("connection");
  try {
    const answer = await fetch("parts", { cache: "no-store" });
    if (!answer.ok) throw new Error(answer.status);
    take(await answer.text());
    connection.hidden = true;
  } catch {
    connection.querySelector("span").textContent = seen;
    connection.hidden = false;
  }
  busy = false;
}
setInterval(refresh, every);
document.addEventListener("visibilitychange", refresh);
