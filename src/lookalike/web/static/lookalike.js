/* What every page shares: requests that change something, and the state of the search page.
 *
 * The address bar holds what is asked for. Links and controls change it, and the server is told
 * over the page's own connection, so that nothing is loaded anew; without a connection the
 * address is simply opened.
 */
"use strict";

window.lookalike = (() => {
  const PATIENCE_MS = 35_000; // longer than any request may take

  /* Send bytes; what the server answers, or an error in words. */
  async function send(path, body, type) {
    let response;
    try {
      response = await fetch(path, {
        method: "POST",
        body,
        headers: { "Content-Type": type, "X-Lookalike-Request": "1" },
      });
    } catch {
      throw new Error("The server does not answer. Is it still running?");
    }
    const answer = await response.json().catch(() => ({}));
    if (!response.ok) throw new Error(answer.detail || `The server refused this (${response.status}).`);
    return answer;
  }

  /* Keep a picture on the server; its id. */
  const upload = async (blob) =>
    (await send("/api/v1/uploads", blob, "application/octet-stream")).id;

  /* Tell readers what went wrong, or nothing. */
  function say(text) {
    const place = document.querySelector("[data-lk-said]");
    if (place) place.textContent = text;
  }

  let waiting;
  function busy(is) {
    document.body.classList.toggle("lk-busy", is);
    clearTimeout(waiting);
    if (is) waiting = setTimeout(() => location.reload(), PATIENCE_MS);
  }

  const state = () => {
    const place = document.querySelector("[data-lk-state]");
    return place ? JSON.parse(place.dataset.lkState) : null;
  };

  function ask() {
    busy(true);
    say("");
    emitEvent("asked", location.search.slice(1));
  }

  /* Go to an address of the search page. */
  function go(address, { replace = false } = {}) {
    if (!window.did_handshake || !state()) {
      location.assign(address);
      return;
    }
    history[replace ? "replaceState" : "pushState"](null, "", address);
    ask();
  }

  /* The address of what is asked for now, with some changes. */
  function changed(changes) {
    const values = new URLSearchParams(location.search);
    for (const [name, value] of Object.entries(changes)) {
      if (value === null || value === "") values.delete(name);
      else values.set(name, value);
    }
    const line = values.toString();
    return line ? `/?${line}` : "/";
  }

  return { busy, changed, go, say, send, state, upload, ask };
})();

(() => {
  const { ask, busy, changed, go, say, state, upload } = window.lookalike;
  const arrived = [];
  window.lookalike.arrived = (listener) => arrived.push(listener);

  /* ---- links and controls */

  document.addEventListener("click", (event) => {
    const link = event.target.closest?.("a[data-lk-go]");
    if (!link || event.button || event.ctrlKey || event.metaKey || event.shiftKey) return;
    event.preventDefault();
    go(link.getAttribute("href"));
  });

  document.addEventListener("change", (event) => {
    const name = event.target.dataset?.lkParam;
    if (!name) return;
    const box = event.target.type === "checkbox";
    go(changed({ [name]: box ? (event.target.checked ? "1" : null) : event.target.value }));
  });

  window.addEventListener("popstate", () => {
    if (state()) ask();
  });

  /* ---- pictures that are dropped, pasted or picked */

  async function search(file) {
    if (!document.querySelector("[data-lk-drop]")) return;
    busy(true);
    say("");
    try {
      go(changed({ upload: await upload(file), id: null, first: null }));
    } catch (error) {
      busy(false);
      say(error.message);
    }
  }

  const pictureOf = (files) =>
    [...files].find((file) => file.type.startsWith("image/")) || files[0];
  const over = (is) => document.body.classList.toggle("lk-over", is);

  document.addEventListener("dragover", (event) => {
    if (!document.querySelector("[data-lk-drop]")) return;
    event.preventDefault();
    over(true);
  });
  document.addEventListener("dragleave", (event) => {
    if (!event.relatedTarget) over(false);
  });
  document.addEventListener("drop", (event) => {
    if (!document.querySelector("[data-lk-drop]")) return;
    event.preventDefault();
    over(false);
    const file = pictureOf(event.dataTransfer.files);
    if (file) search(file);
    else say("That was not a file. Save the picture first, then drop the file here.");
  });
  document.addEventListener("paste", (event) => {
    const file = pictureOf(event.clipboardData?.files ?? []);
    if (file) search(file);
  });
  document.addEventListener("change", (event) => {
    if (!event.target.matches?.("input[type=file][data-lk-pick]")) return;
    const file = event.target.files[0];
    event.target.value = ""; // so that the same one can be picked again
    if (file) search(file);
  });

  /* ---- when the server has answered */

  let seen;
  function look() {
    const place = document.querySelector("[data-lk-state]");
    if (!place || place.dataset.lkState === seen) return;
    const first = seen === undefined;
    seen = place.dataset.lkState;
    const now = state();
    busy(false);
    for (const control of document.querySelectorAll("[data-lk-param]")) {
      const value = now.values[control.dataset.lkParam];
      if (control.type === "checkbox") control.checked = value === "1";
      else control.value = value;
      const words = document.querySelector(`[data-lk-words="${control.dataset.lkParam}"]`);
      if (words) words.textContent = control.selectedOptions?.[0]?.dataset.lkMeans ?? "";
    }
    for (const place of document.querySelectorAll("a[data-lk-place='/how']")) {
      place.href = now.line ? `/how?${now.line}` : "/how";
    }
    if (!first && document.activeElement === document.body) {
      document.querySelector("[data-lk-arrive]")?.focus();
    }
    for (const listener of arrived) listener(now);
  }
  new MutationObserver(look).observe(document.documentElement, {
    attributes: true,
    attributeFilter: ["data-lk-state"],
    childList: true,
    subtree: true,
  });
})();
