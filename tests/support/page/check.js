// What must hold of a page: an expression whose value lists everything that does not.
(() => {
  const found = { overflow: [], overlap: [], contrast: [] };
  document.querySelectorAll("details").forEach((d) => { d.open = true; });
  const limit = document.documentElement.clientWidth;
  const isScrolled = (e) => e.closest(".wide, pre") !== null;

  if (document.documentElement.scrollWidth > limit) found.overflow.push("the page: " + document.documentElement.scrollWidth);
  for (const e of document.querySelectorAll("body *")) {
    const box = e.getBoundingClientRect();
    if (box.width && box.right > limit + 1 && (!isScrolled(e) || e.matches(".wide, pre"))) {
      found.overflow.push(e.tagName + "." + e.getAttribute("class") + " ends at " + Math.round(box.right));
    }
  }

  // Every line of every text, as it is painted.
  const texts = [];
  const walker = document.createTreeWalker(document.body, NodeFilter.SHOW_TEXT);
  for (let node = walker.nextNode(); node; node = walker.nextNode()) {
    if (!node.data.trim() || node.parentElement.closest("script, style, title, desc")) continue;
    const range = document.createRange();
    range.selectNodeContents(node);
    for (const box of range.getClientRects()) {
      if (box.width > 1 && box.height > 1) texts.push({ node, box });
    }
  }
  texts.sort((a, b) => a.box.top - b.box.top);
  texts.forEach((a, i) => {
    for (let j = i + 1; j < texts.length && texts[j].box.top < a.box.bottom - 2; j += 1) {
      const b = texts[j];
      const wide = Math.min(a.box.right, b.box.right) - Math.max(a.box.left, b.box.left);
      const high = Math.min(a.box.bottom, b.box.bottom) - b.box.top;
      if (a.node !== b.node && wide > 1 && high > 2.5) {
        found.overlap.push(a.node.data.trim().slice(0, 40) + " | " + b.node.data.trim().slice(0, 40));
      }
    }
  });
  for (const cell of document.querySelectorAll("th, td")) {
    if (cell.scrollWidth > cell.clientWidth + 1) found.overlap.push("cell too narrow: " + cell.textContent.slice(0, 40));
  }

  const colour = (text) => {
    const parts = (text.match(/[\d.]+/g) || []).map(Number);
    return text.startsWith("rgb") ? [...parts.slice(0, 3), parts.length > 3 ? parts[3] : 1] : [0, 0, 0, 0];
  };
  const over = (top, below) => [0, 1, 2].map((i) => top[i] * top[3] + below[i] * (1 - top[3]));
  const luminance = (c) => {
    const [r, g, b] = c.map((v) => (v / 255 <= 0.04045 ? v / 255 / 12.92 : ((v / 255 + 0.055) / 1.055) ** 2.4));
    return 0.2126 * r + 0.7152 * g + 0.0722 * b;
  };
  const painted = (e) => {
    const style = getComputedStyle(e);
    if (!(e instanceof SVGElement)) return colour(style.backgroundColor);
    if (!["rect", "path", "circle"].includes(e.tagName)) return [0, 0, 0, 0];
    const fill = colour(style.fill);
    return [...fill.slice(0, 3), fill[3] * Number(style.fillOpacity)];
  };
  for (const { node, box } of texts) {
    const owner = node.parentElement;
    const style = getComputedStyle(owner);
    const ink = colour(owner instanceof SVGElement ? style.fill : style.color);
    const [x, y] = [(box.left + box.right) / 2, (box.top + box.bottom) / 2];
    let stack = document.elementsFromPoint(x, y);
    if (stack.includes(owner)) stack = stack.slice(stack.indexOf(owner));
    else for (stack = [owner]; stack.at(-1).parentElement; stack.push(stack.at(-1).parentElement));
    const layers = [];
    for (const e of stack) {
      layers.push(painted(e));
      if (layers.at(-1)[3] === 1) break;
    }
    const ground = layers.reverse().reduce((below, top) => over(top, below), [255, 255, 255]);
    const [a, b] = [luminance(over(ink, ground)), luminance(ground)];
    const ratio = (Math.max(a, b) + 0.05) / (Math.min(a, b) + 0.05);
    if (!(ratio >= 4.5)) found.contrast.push(ratio.toFixed(2) + ": " + node.data.trim().slice(0, 40));
  }
  found.texts = texts.length;
  return found;
})()
