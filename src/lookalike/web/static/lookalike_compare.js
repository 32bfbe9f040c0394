/* Two pictures side by side, and where they differ. */
"use strict";

(() => {
  const MOST = 900; // pixels of the longer side that are compared
  const TURNS = { // mirrored or not, then quarters to the left
    "mirrored": [true, 0],
    "mirrored top to bottom": [true, 2],
    "rotated left": [false, 1],
    "rotated by half": [false, 2],
    "rotated right": [false, 3],
    "mirrored and rotated left": [true, 1],
    "mirrored and rotated right": [true, 3],
  };

  const load = async (source) => {
    const image = new Image();
    image.src = source;
    await image.decode();
    return image;
  };

  const make = (name, classes = "", text = "") => {
    const own = document.createElement(name);
    if (classes) own.className = classes;
    own.textContent = text; // never HTML: names of files are anybody's
    return own;
  };

  function drawn(image, [width, height], [mirrored, quarters], smooth) {
    const own = make("canvas");
    [own.width, own.height] = [width, height];
    const context = own.getContext("2d", { willReadFrequently: true });
    context.imageSmoothingEnabled = smooth;
    context.fillStyle = "#fff";
    context.fillRect(0, 0, width, height);
    context.translate(width / 2, height / 2);
    context.rotate((-quarters * Math.PI) / 2);
    if (mirrored) context.scale(-1, 1);
    const [w, h] = quarters % 2 ? [height, width] : [width, height];
    context.drawImage(image, -w / 2, -h / 2, w, h);
    return own;
  }

  /* A picture of how much they differ, and the mean in percent. */
  function difference(one, other) {
    const own = make("canvas");
    [own.width, own.height] = [one.width, one.height];
    const pixels = (canvas) =>
      canvas.getContext("2d").getImageData(0, 0, one.width, one.height).data;
    const [a, b] = [pixels(one), pixels(other)];
    const context = own.getContext("2d");
    const result = context.createImageData(one.width, one.height);
    let sum = 0;
    for (let at = 0; at < a.length; at += 4) {
      for (let channel = 0; channel < 3; channel += 1) {
        const differs = Math.abs(a[at + channel] - b[at + channel]);
        result.data[at + channel] = differs;
        sum += differs;
      }
      result.data[at + 3] = 255;
    }
    context.putImageData(result, 0, 0);
    return [own, (sum / ((a.length / 4) * 3 * 255)) * 100];
  }

  function figure(canvas, name, words, small) {
    const own = make("figure");
    canvas.setAttribute("role", "img");
    canvas.setAttribute("aria-label", name);
    if (small) canvas.classList.add("lk-pixels");
    const caption = make("figcaption");
    caption.append(make("strong", "", name), make("br"), make("span", "lk-muted", words));
    own.append(canvas, caption);
    return own;
  }

  function dialog() {
    const own = make("dialog", "lk-compare");
    own.setAttribute("aria-labelledby", "lk-compare-title");
    const inside = make("div", "lk-compare-inside");
    const head = make("div", "lk-compare-head");
    const title = make("h2", "", "Side by side");
    title.id = "lk-compare-title";
    const close = make("button", "lk-button", "Close");
    close.type = "button";
    close.addEventListener("click", () => own.close());
    head.append(title, close);
    inside.append(head);
    own.append(inside);
    own.addEventListener("close", () => own.remove());
    own.addEventListener("click", (event) => event.target === own && own.close());
    own.addEventListener("keydown", (event) => event.stopPropagation()); // not for what is behind
    document.body.append(own);
    return [own, inside];
  }

  /* A picture beside the one that is searched for, or beside another that is named. */
  async function compare({ lkCompare, lkTitle, lkWords, lkTurn, lkSmall, lkWith, lkWithTitle }) {
    const query = lkWith
      ? { source: lkWith, title: lkWithTitle }
      : window.lookalike.state().picture;
    const names = lkWith ? ["Stays", "Its duplicate"] : ["Searched for", "Found"];
    const [own, inside] = dialog();
    own.showModal();
    try {
      const [mine, other] = await Promise.all([load(query.source), load(lkCompare)]);
      const scale = Math.min(1, MOST / Math.max(other.width, other.height));
      const size = [other.width, other.height].map((side) => Math.max(1, Math.round(side * scale)));
      const small = lkSmall === "1";
      const first = drawn(mine, size, TURNS[lkTurn] ?? [false, 0], !small);
      const second = drawn(other, size, [false, 0], !small);
      const [third, mean] = difference(first, second);
      const row = make("div", "lk-compare-row");
      const turned = TURNS[lkTurn] ? `, ${lkTurn}` : "";
      row.append(
        figure(first, names[0] + turned, query.title, small),
        figure(second, names[1], `${lkTitle}: ${lkWords}`, small),
        figure(third, "Difference", `Black where they are the same; ${mean.toFixed(1)} % on average.`, small),
      );
      inside.append(row);
    } catch {
      const wrong = make("p", "lk-notice lk-bad", "One of the two cannot be shown here: the browser does not read its format, or the file has changed. Sync the album, or convert the picture to JPEG.");
      wrong.setAttribute("role", "alert");
      inside.append(wrong);
    }
    own.dataset.lkDone = "1";
  }

  document.addEventListener("click", (event) => {
    const button = event.target.closest?.("[data-lk-compare]");
    if (button) compare(button.dataset);
  });
})();
