// The page's script: boxes, edges and labels as SVG; panning, zooming and what is highlighted.

extension Page {
  static let drawingScript = #"""
    // ---- Drawing
    const picture = element("picture"), scene = element("scene");
    function shape(name, attributes, parent, text) {
      const made = document.createElementNS("http://www.w3.org/2000/svg", name);
      for (const key in attributes) made.setAttribute(key, attributes[key]);
      if (text !== undefined) made.textContent = text;
      if (parent) parent.appendChild(made);
      return made;
    }
    let drawn = {boxes: new Map(), edges: []};
    /// Whether so many boxes are open that the picture is left empty.
    let isTooLarge = false;

    function draw() {
      const boxes = [], open = [];
      const collect = item => {
        if (!isOpen(item)) { boxes.push(item); return; }
        if (item.id !== "") open.push(item);
        item.children.forEach(collect);
      };
      collect(tree.root);
      scene.textContent = "";
      drawn = {boxes: new Map(), edges: []};
      const wasTooLarge = isTooLarge;
      isTooLarge = boxes.length > limits.boxes;
      showSize(boxes.length, open.length > 0);
      element("legend").textContent = "";
      if (isTooLarge) return;
      layOut(tree.root, liftEdges());
      setPlaces(tree.root, 0, 0);
      const layers = ["groups", "edges", "labels", "boxes"].map(() => shape("g", {}, scene));
      open.forEach(group => drawGroup(group, layers[0]));
      drawEdges(layers[1], layers[2]);
      const isHeat = view.colour !== "phase";
      const most = isHeat ? largest(boxes, item => total(item, view.colour), 1e-12) : 0;
      scene.setAttribute("class", (isHeat ? "heat" : "") + (view.search !== "" ? " searching" : ""));
      boxes.forEach(item => drawBox(item, layers[3], most));
      drawLegend(most);
      mark();
      if (wasTooLarge) fit(); else move();
    }

    /// Says, in the place of the picture, that so many boxes are too many.
    function showSize(count, canClose) {
      const words = count + " boxes are too many to draw (" + limits.boxes + " at most)." +
        (canClose ? " Close some: c closes all." : "") + " Search and details still work.";
      element("too-large").hidden = !isTooLarge;
      element("too-large").textContent = isTooLarge ? words : "";
    }

    function drawGroup(group, layer) {
      const frame = shape("g", {class: "group " + group.phase}, layer);
      const {left: x, top: y, width, height} = group;
      shape("rect", {x, y, width, height, rx: 8}, frame);
      const bar = shape("rect", {x, y, width, height: gaps.bar, rx: 8, class: "bar"}, frame);
      shape("title", {}, bar, "Click to close");
      shape("text", {x: x + 10, y: y + 17}, frame, "▾ " + group.name + " — " + group.phase);
      makePressable(frame, bar, group, group.name + ", " + group.phase + ", open");
      drawn.boxes.set(group.id, frame);
    }

    function drawBox(item, layer, most) {
      const kind = item.kind === "group" ? " closed" : "";
      const box = shape("g", {class: "box " + item.phase + kind}, layer);
      const {left: x, top: y, width, height} = item;
      const round = item.kind === "node" ? 5 : item.kind === "group" ? 9 : height / 2;
      shape("rect", {x, y, width, height, rx: round, class: "back"}, box);
      const face = shape("rect", {x, y, width, height, rx: round, class: "face"}, box);
      if (most > 0) {
        // Roots, so that what is small can still be told from nothing.
        face.style.setProperty("--share", 0.04 + 0.86 * Math.sqrt(total(item, view.colour) / most));
      }
      item.lines.forEach((line, row) => shape("text",
        {x: x + width / 2, y: y + 19 + 16 * row, "text-anchor": "middle",
          class: row === 0 ? "name" : "more"}, box, line));
      const words = linesOf(item).concat(item.node && item.node.line > 0 ?
        ["line " + item.node.line, item.node.path] : []).join(", ");
      shape("title", {}, box, words);
      makePressable(box, box, item, words + ", " + item.phase);
      drawn.boxes.set(item.id, box);
    }

    function makePressable(holder, target, item, words) {
      for (const [key, value] of [["role", "button"], ["tabindex", "-1"], ["aria-label", words]]) {
        holder.setAttribute(key, value);
      }
      target.addEventListener("click", event => {
        if (wasDragged) return;
        event.stopPropagation();
        if (item.kind === "group") toggle(item); else select(item.id);
      });
    }

    /// One line for all values between the same two boxes, through the places that the layout kept free.
    function drawEdges(layer, labelLayer) {
      const bundles = new Map();
      for (const edge of tree.edges) {
        const from = visible(edge.from), to = visible(edge.to);
        if (from === to) continue;
        const key = from.id + "|" + to.id;
        if (!bundles.has(key)) bundles.set(key, {from, to, edge, values: new Set()});
        bundles.get(key).values.add(edge.value);
      }
      const list = [...bundles.values()];
      list.forEach(bundle => { bundle.way = wayOf(bundle); });
      spreadEnds(list);
      const taken = new Map();
      for (const bundle of list) drawEdge(bundle, layer, labelLayer, taken);
    }

    /// The dummies between the two boxes: out of the groups around the one, through the innermost group that
    /// holds both, into those around the other.
    function wayOf({from, to}) {
      const up = [from, ...ancestors(from)];
      let target = to;
      while (!up.includes(target.parent)) target = target.parent;
      const group = target.parent, source = up[up.indexOf(group) - 1];
      const points = (around, key) => (around.routes.get(key) || []).map(cell => ({
        x: around.left + cell.x, top: around.top + cell.top, bottom: around.top + cell.bottom}));
      const out = [], into = [];
      for (let item = from; item !== source; item = item.parent) {
        out.push(...points(item.parent, item.id + "|exit"));
      }
      for (let item = to; item !== target; item = item.parent) {
        into.unshift(...points(item.parent, "entry|" + item.id));
      }
      return [...out, ...points(group, source.id + "|" + target.id), ...into];
    }

    /// Where edges leave and reach their boxes: beside each other, in the order of where they come from.
    function spreadEnds(list) {
      const spread = (side, other, end, along) => {
        const byBox = new Map();
        for (const bundle of list) {
          if (!byBox.has(bundle[side])) byBox.set(bundle[side], []);
          byBox.get(bundle[side]).push(bundle);
        }
        for (const [box, bundles] of byBox) {
          const from = bundle => bundle.way.length > 0 ? along(bundle.way).x :
            bundle[other].left + bundle[other].width / 2;
          bundles.sort((a, b) => from(a) - from(b));
          const step = Math.min(16, box.width * 0.8 / bundles.length);
          bundles.forEach((bundle, index) => {
            bundle[end] = box.left + box.width / 2 + (index - (bundles.length - 1) / 2) * step;
          });
        }
      };
      spread("from", "to", "startX", way => way[0]);
      spread("to", "from", "endX", way => way[way.length - 1]);
    }

    function drawEdge(bundle, layer, labelLayer, taken) {
      const {from, to, way, startX, endX} = bundle;
      const isBack = to.top < from.top + from.height - 1;
      const bend = (x1, y1, x2, y2) => {
        const half = isBack ? 70 : Math.min((y2 - y1) / 2, 300);
        return `C${x1} ${y1 + half} ${x2} ${y2 - half} ${x2} ${y2}`;
      };
      let x = startX, y = from.top + from.height, path = `M${x} ${y}`;
      for (const point of way) {
        path += bend(x, y, point.x, point.top) + `V${point.bottom}`;
        [x, y] = [point.x, point.bottom];
      }
      const endY = to.top - 2;
      path += bend(x, y, endX, endY);
      const values = [...bundle.values];
      const bytes = values.reduce((sum, value) => sum + data.bytes[value], 0);
      const width = Math.min(4.5, 0.8 + Math.log10(1 + bytes / 1e4) * 0.8);
      const line = shape("path", {class: "edge" + (isBack ? " back" : ""), d: path,
        "stroke-width": width.toFixed(2) + "px"}, layer);
      const text = values.length === 1 ? data.types[values[0]] :
        values.length + " tensors, " + byteText(bytes);
      shape("title", {}, line, from.name + " → " + to.name + ": " +
        values.map(value => data.types[value]).join(", "));
      const label = shape("text", {class: "label"}, labelLayer, text);
      placeLabel(label, text, [x, y, endX, endY], taken);
      drawn.edges.push({from: from.id, to: to.id, line, label});
    }

    /// Where on the way no label is yet. `taken` has the labels by bands of height, twice that of a label.
    function placeLabel(label, text, [x1, y1, x2, y2], taken) {
      const band = 22;
      const half = textWidth(text, 10.5, false) / 2 + 3;
      for (const part of [0.5, 0.32, 0.68]) {
        const x = x1 + (x2 - x1) * (3 * part * part - 2 * part * part * part);
        const y = y1 + (y2 - y1) * part + 4;
        label.setAttribute("x", x);
        label.setAttribute("y", y);
        const row = Math.floor(y / band);
        const near = [row - 1, row, row + 1].flatMap(row => taken.get(row) || []);
        const isFree = near.every(other =>
          Math.abs(other.x - x) > other.half + half || Math.abs(other.y - y) > band / 2);
        if (!isFree) continue;
        taken.set(row, (taken.get(row) || []).concat({x, y, half}));
        return;
      }
      label.setAttribute("class", "label crowded");
    }

    function drawLegend(most) {
      const legend = element("legend");
      const entry = (name, colour, kind) => {
        const span = document.createElement("span"), swatch = document.createElement("i");
        swatch.className = kind;
        if (colour) { swatch.style.background = colour; swatch.style.borderColor = colour; }
        span.append(swatch, name);
        legend.append(span);
      };
      if (view.colour === "phase") {
        for (const phase of ["forward", "backward", "update"]) entry(phase, `var(--${phase})`, "");
      } else {
        entry(measures[view.colour].name + ", up to " + measures[view.colour].text(most), "", "scale");
      }
    }

    // ---- What is highlighted
    function mark() {
      if (isTooLarge) return;
      const hits = new Set(matches().map(leaf => visible(leaf).id));
      for (const [id, box] of drawn.boxes) {
        box.classList.toggle("hit", hits.has(id));
        box.classList.toggle("selected", id === view.selected);
        box.setAttribute("tabindex", id === view.selected ? "0" : "-1");
      }
      for (const edge of drawn.edges) {
        const isNear = view.selected !== null &&
          (edge.from === view.selected || edge.to === view.selected);
        edge.line.classList.toggle("near", isNear);
        edge.label.classList.toggle("near", isNear);
      }
    }

    // ---- Panning and zooming
    function move() {
      scene.setAttribute("transform", `translate(${view.x} ${view.y}) scale(${view.scale})`);
      picture.classList.toggle("far", view.scale < 0.55);
    }
    /// Whether the picture still stands as `fit` left it, and so is to fit another size of the window.
    let isFitted = false;
    function zoom(factor, x, y) {
      isFitted = false;
      const box = picture.getBoundingClientRect();
      const atX = x === undefined ? box.width / 2 : x, atY = y === undefined ? box.height / 2 : y;
      const scale = Math.min(4, Math.max(0.03, view.scale * factor));
      view.x = atX - (atX - view.x) * scale / view.scale;
      view.y = atY - (atY - view.y) * scale / view.scale;
      view.scale = scale;
      move();
    }
    function fit() {
      if (isTooLarge) return;
      const box = picture.getBoundingClientRect(), root = tree.root;
      // The root has no bar, so what it would take is free.
      const height = root.height - gaps.bar;
      view.scale = Math.min(1.25, (box.width - 24) / root.width, (box.height - 24) / height);
      view.x = (box.width - root.width * view.scale) / 2;
      view.y = (box.height - height * view.scale) / 2 - gaps.bar * view.scale;
      isFitted = true;
      move();
    }
    function centre(item) {
      if (isTooLarge) return;
      isFitted = false;
      const box = picture.getBoundingClientRect();
      view.scale = Math.max(view.scale, 0.75);
      view.x = box.width / 2 - (item.left + item.width / 2) * view.scale;
      view.y = box.height / 2 - (item.top + Math.min(item.height, 400) / 2) * view.scale;
      move();
    }
    """#
}
