"use strict";
// Comfort only: every page works without this file.

const live = document.getElementById("live");

function say(words) {
  live.textContent = "";
  requestAnimationFrame(() => { live.textContent = words; });
}

async function copy(button) {
  const source = document.getElementById(button.dataset.copies);
  const label = button.querySelector("[data-label]");
  try {
    await navigator.clipboard.writeText(source.textContent.trim());
    label.textContent = "Copied";
    say("Copied");
  } catch {
    getSelection().selectAllChildren(source);
    label.textContent = "Selected";
    say("Could not copy. The text is selected: press Control and C.");
  }
  setTimeout(() => { label.textContent = button.dataset.words; }, 2500);
}

function showCopyButtons(root) {
  for (const button of root.querySelectorAll("button[data-copies]")) {
    button.hidden = false;
    button.dataset.words = button.querySelector("[data-label]").textContent;
    button.addEventListener("click", () => copy(button));
  }
}
showCopyButtons(document);

// A part that waits for something asks for its page again until it waits no more.
function askAgain(part) {
  setTimeout(async () => {
    const answer = await fetch(location.href).catch(() => null);
    const page = answer && answer.ok ? new DOMParser().parseFromString(await answer.text(), "text/html") : null;
    const fresh = page && page.getElementById(part.id);
    if (!fresh) { askAgain(part); return; }
    part.replaceWith(fresh);
    showCopyButtons(fresh);
    if ("waits" in fresh.dataset) askAgain(fresh);
    else say(fresh.dataset.says);
  }, 1500);
}
const waiting = document.querySelector("[data-waits]");
if (waiting) askAgain(waiting);

// A link to a confirming page opens its dialog in place; without the dialog the link just leads there.
for (const link of document.querySelectorAll("a[data-dialog]")) {
  const dialog = document.getElementById(link.dataset.dialog);
  if (!dialog) continue;
  link.addEventListener("click", (event) => {
    event.preventDefault();
    dialog.showModal();
  });
  for (const close of dialog.querySelectorAll("[data-closes]")) {
    close.addEventListener("click", (event) => {
      event.preventDefault();
      dialog.close();
    });
  }
}

// A piece of a page that changes by itself is fetched again while somebody looks at it.
const REFRESH_MS = 5000;
const REFRESHES_AT_MOST = 360;

function refresh(id, left) {
  const part = document.getElementById(id);
  if (!part || !part.dataset.refreshes || !left) return;
  setTimeout(async () => {
    if (!document.hidden) {
      const answer = await fetch(part.dataset.refreshes).catch(() => null);
      if (!answer || !answer.ok || answer.redirected) return;
      part.outerHTML = await answer.text();
    }
    refresh(id, left - 1);
  }, REFRESH_MS);
}

for (const part of document.querySelectorAll("[data-refreshes]")) refresh(part.id, REFRESHES_AT_MOST);

// The menu closes on Escape and on a click elsewhere.
const menu = document.querySelector("details.menu");
if (menu) {
  document.addEventListener("click", (event) => {
    if (!menu.contains(event.target)) menu.open = false;
  });
  menu.addEventListener("keydown", (event) => {
    if (event.key !== "Escape" || !menu.open) return;
    menu.open = false;
    menu.querySelector("summary").focus();
  });
}

// A second click must not send a form again: it could hide the page that shows a new key.
for (const form of document.querySelectorAll("form[method=post]")) {
  let isSent = false;
  form.addEventListener("submit", (event) => {
    if (isSent) event.preventDefault();
    isSent = true;
  });
  addEventListener("pageshow", () => { isSent = false; });
}

const summary = document.querySelector(".error-summary");
if (summary) summary.focus();
