"use strict";
// Everything is legible without this: it adds a read-out under the pointer and switches lines on and off.
(() => {
  const prefixes = [[1e12, "T"], [1e9, "G"], [1e6, "M"], [1e3, "k"], [1, ""], [1e-3, "m"], [1e-6, "µ"], [1e-9, "n"]];
  const show = (value, unit) => {
    if (!unit) return String(Number(value.toPrecision(3)));
    const found = prefixes.find(([size]) => Math.abs(value) >= size && !(unit === "s" && size > 1)) || [1, ""];
    return Number((value / found[0]).toPrecision(3)) + "\u00a0" + found[1] + unit;
  };
  const at = (share, low, high, isLog) => isLog ? low * (high / low) ** share : low + share * (high - low);

  for (const drawing of document.querySelectorAll("svg[data-axes]")) {
    const [left, top, width, height, x0, x1, xLog, y0, y1, yLog] = drawing.dataset.axes.split(" ").map(Number);
    const units = drawing.dataset.units.split(",");
    const line = document.createElement("p");
    line.className = "read";
    line.setAttribute("aria-hidden", "true");
    drawing.after(line);
    drawing.addEventListener("pointermove", (event) => {
      const box = drawing.getBoundingClientRect();
      const scale = drawing.viewBox.baseVal.width / box.width;
      const h = ((event.clientX - box.left) * scale - left) / width;
      const v = 1 - ((event.clientY - box.top) * scale - top) / height;
      if (h < 0 || h > 1 || v < 0 || v > 1) { line.textContent = ""; return; }
      const near = [0, -4, 4, -8, 8].map((d) => document.elementFromPoint(event.clientX, event.clientY + d))
        .map((e) => e && e.closest("svg[data-axes] g[data-s]")).find(Boolean);
      const place = show(at(h, x0, x1, xLog), units[0]) + ", " + show(at(v, y0, y1, yLog), units[1]);
      line.textContent = place + (near ? ": " + near.dataset.s : "");
    });
    drawing.addEventListener("pointerleave", () => { line.textContent = ""; });
  }

  for (const item of document.querySelectorAll(".group > .legend > li[data-s]")) {
    const lines = [...item.closest(".group").querySelectorAll("g[data-s]")].filter((g) => g.dataset.s === item.dataset.s);
    if (!lines.length) continue;
    const flip = () => {
      const isOn = item.getAttribute("aria-pressed") !== "true";
      item.setAttribute("aria-pressed", isOn);
      lines.forEach((g) => g.classList.toggle("off", !isOn));
    };
    item.tabIndex = 0;
    item.setAttribute("role", "button");
    item.setAttribute("aria-pressed", "true");
    item.addEventListener("click", flip);
    item.addEventListener("keydown", (event) => {
      if (event.key === "Enter" || event.key === " ") { event.preventDefault(); flip(); }
    });
  }

  addEventListener("beforeprint", () => document.querySelectorAll("details").forEach((d) => { d.open = true; }));
})();
