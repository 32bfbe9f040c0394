/* Draw a digit: with mouse, finger or pen. A search begins as soon as a stroke ends. */
"use strict";

(() => {
  const { arrived, busy, changed, go, say, upload } = window.lookalike;
  const WIDTH = 0.085; // of a stroke, in sides of the canvas
  const drawing = { at: null, number: 0, upload: null };

  const canvas = () => document.querySelector("canvas[data-lk-draw]");
  const place = (own, event) => {
    const box = own.getBoundingClientRect();
    return [
      ((event.clientX - box.left) * own.width) / box.width,
      ((event.clientY - box.top) * own.height) / box.height,
    ];
  };

  function pen(own) {
    const context = own.getContext("2d");
    if (!own.dataset.lkReady) {
      clear(own);
      own.dataset.lkReady = "1";
    }
    context.strokeStyle = "#111";
    context.lineWidth = WIDTH * own.width;
    context.lineCap = context.lineJoin = "round";
    return context;
  }

  function clear(own) {
    const context = own.getContext("2d");
    context.fillStyle = "#fff";
    context.fillRect(0, 0, own.width, own.height);
  }

  function stroke(own, event) {
    const context = pen(own);
    const to = place(own, event);
    context.beginPath();
    context.moveTo(...drawing.at);
    context.lineTo(...to);
    context.stroke();
    drawing.at = to;
  }

  /* Search for what is drawn, unless more has been drawn by then. */
  async function search(own) {
    const number = ++drawing.number;
    const again = drawing.upload !== null && location.search.includes(drawing.upload);
    busy(true);
    try {
      const blob = await new Promise((done) => own.toBlob(done, "image/png"));
      const id = await upload(blob);
      if (number !== drawing.number) return;
      drawing.upload = id;
      go(changed({ upload: id, id: null, first: null }), { replace: again });
    } catch (error) {
      busy(false);
      say(error.message);
    }
  }

  document.addEventListener("pointerdown", (event) => {
    const own = event.target.closest?.("canvas[data-lk-draw]");
    if (!own || event.button) return;
    event.preventDefault();
    own.setPointerCapture(event.pointerId);
    drawing.number += 1; // what is under way is not it yet
    drawing.at = place(own, event);
    stroke(own, event);
  });
  document.addEventListener("pointermove", (event) => {
    if (!drawing.at || !event.target.closest?.("canvas[data-lk-draw]")) return;
    for (const part of event.getCoalescedEvents?.() ?? []) stroke(event.target, part);
    stroke(event.target, event);
  });
  for (const end of ["pointerup", "pointercancel"]) {
    document.addEventListener(end, () => {
      if (!drawing.at) return;
      drawing.at = null;
      search(canvas());
    });
  }
  document.addEventListener("click", (event) => {
    if (!event.target.closest?.("[data-lk-clear]")) return;
    drawing.number += 1;
    clear(canvas());
    busy(false);
    if (location.search.includes("upload=")) go(changed({ upload: null }));
  });

  /* A link or the back button: the canvas shows what is searched for, and one can go on. */
  arrived((now) => {
    const own = canvas();
    if (!own || drawing.at) return;
    pen(own);
    const id = now.values.upload || null;
    if (id === drawing.upload) return;
    drawing.upload = id;
    clear(own);
    if (!id) return;
    const image = new Image();
    image.onload = () => {
      if (drawing.upload !== id || drawing.at) return;
      const scale = Math.min(own.width / image.width, own.height / image.height);
      const [width, height] = [image.width * scale, image.height * scale];
      pen(own).drawImage(image, (own.width - width) / 2, (own.height - height) / 2, width, height);
    };
    image.src = `/api/v1/uploads/${id}`;
  });
})();
