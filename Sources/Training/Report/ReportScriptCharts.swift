// A report's script, second part: the plots. Lines over steps with raw and smoothed values, a
// linear or logarithmic scale, marks of events, sessions and the picture that is shown.

extension ReportPage {
  static let chartScript = #"""
    // ---- Plots
    /// A moving average that weighs the past by `weight` a point, the bias of its beginning taken out.
    function smoothed(values, weight) {
      let mean = 0, total = 0;
      return values.map(value => {
        mean = weight * mean + (1 - weight) * value;
        total = weight * total + (1 - weight);
        return mean / total;
      });
    }
    function niceTicks(low, high, count) {
      const rough = (high - low) / count, power = 10 ** Math.floor(Math.log10(rough));
      const step = [1, 2, 5, 10].map(k => k * power).find(k => k >= rough * 0.999) || power * 10;
      const ticks = [];
      for (let k = Math.ceil(low / step - 1e-9); k * step <= high + step * 1e-9; k += 1) ticks.push(k * step);
      return ticks;
    }
    function logTicks(low, high) {
      const ticks = [], decades = Math.log10(high / low);
      const parts = decades < 1.5 ? [1, 2, 3, 5, 7] : decades < 4 ? [1, 2, 5] : [1];
      for (let power = Math.floor(Math.log10(low)); power <= Math.log10(high); power += 1) {
        for (const part of parts) {
          const tick = part * 10 ** power;
          if (tick >= low && tick <= high) ticks.push(tick);
        }
      }
      return ticks;
    }
    const tickText = value => value === 0 ? "0"
      : Math.abs(value) >= 1e6 || Math.abs(value) < 1e-3 ? value.toExponential(0)
      : String(Number(value.toPrecision(6)));
    const stepText = value => value >= 1e6 ? Number((value / 1e6).toPrecision(6)) + " M"
      : value >= 1e4 ? Number((value / 1e3).toPrecision(6)) + " k" : String(value);

    const lastStep = Math.max(1, run.step, ...curves.map(curve => curve.x[curve.x.length - 1]));
    const stepRange = () => view.from === null ? [0, lastStep] : [view.from, view.to];
    /// The place of the first point at or after a step.
    function indexAt(xs, step) {
      let low = 0, high = xs.length;
      while (low < high) { const middle = (low + high) >> 1; if (xs[middle] < step) low = middle + 1; else high = middle; }
      return low;
    }
    function nearest(xs, step) {
      const after = indexAt(xs, step);
      if (after === 0) return 0;
      if (after === xs.length) return xs.length - 1;
      return step - xs[after - 1] <= xs[after] - step ? after - 1 : after;
    }
    /// The values that the scale must show: all smoothed ones, and of the raw ones all but the outermost
    /// hundredth, so that one spike does not flatten everything.
    function valueRange(lines, from, to, log) {
      const means = [], raws = [];
      for (const line of lines) {
        const first = indexAt(line.x, from), end = indexAt(line.x, to + 1e-9);
        for (let i = first; i < Math.min(end + 1, line.x.length); i += 1) {
          if (!log || line.mean[i] > 0) means.push(line.mean[i]);
          if (!log || line.y[i] > 0) raws.push(line.y[i]);
        }
      }
      if (raws.length === 0) return log ? [0.1, 1] : [0, 1];
      raws.sort((a, b) => a - b);
      const cut = Math.floor(raws.length / 100);
      let low = raws[cut], high = raws[raws.length - 1 - cut];
      for (const value of means) { low = Math.min(low, value); high = Math.max(high, value); }
      if (low === high) { low -= Math.abs(low) / 10 || 0.5; high += Math.abs(high) / 10 || 0.5; }
      if (log) { low = Math.max(low, high * 1e-12); const room = (high / low) ** 0.04; return [low / room, high * room]; }
      const room = (high - low) * 0.05;
      return [low >= 0 && low < (high - low) * 0.4 ? 0 : low - room, high + room];
    }

    class Chart {
      constructor(svg, lines, isLow) {
        this.svg = svg;
        this.lines = lines;
        this.isLow = isLow;
        this.drag = null;
        svg.addEventListener("pointermove", event => this.move(event));
        svg.addEventListener("pointerleave", () => { if (!this.drag) hover(null); });
        svg.addEventListener("pointerdown", event => {
          if (event.button !== 0) return;
          this.drag = {from: this.stepOf(event), x: event.clientX, isMoved: false};
          svg.setPointerCapture(event.pointerId);
        });
        svg.addEventListener("pointerup", event => this.drop(event));
        svg.addEventListener("pointercancel", () => { this.drag = null; this.mark(); });
        svg.addEventListener("dblclick", () => zoom(null, null));
      }
      stepOf(event) {
        const box = this.svg.getBoundingClientRect();
        const [from, to] = stepRange();
        const part = (event.clientX - box.left - this.left) / (this.right - this.left);
        return Math.round(from + Math.min(1, Math.max(0, part)) * (to - from));
      }
      move(event) {
        const step = this.stepOf(event);
        if (this.drag && Math.abs(event.clientX - this.drag.x) > 4) this.drag.isMoved = true;
        hover(step, event);
      }
      drop(event) {
        const drag = this.drag;
        this.drag = null;
        if (!drag) return;
        const step = this.stepOf(event);
        if (!drag.isMoved) showPictureAt(step);
        else if (Math.abs(step - drag.from) >= 2) zoom(Math.min(step, drag.from), Math.max(step, drag.from));
        this.mark();
      }
      draw() {
        const {width, height} = this.svg.getBoundingClientRect();
        this.svg.replaceChildren();
        this.svg.setAttribute("viewBox", `0 0 ${width} ${height}`);
        this.left = 52; this.right = width - 12; this.top = 10; this.bottom = height - 22;
        const shown = this.lines.filter(line => this.isLow || !view.hidden.has(line.name));
        for (const line of this.lines) line.mean = smoothed(line.y, view.smooth);
        const [from, to] = stepRange(), log = view.log && !this.isLow;
        let [low, high] = valueRange(shown, from, to, log);
        if (this.isLow) low = 0;
        this.x = step => this.left + (step - from) / Math.max(1e-9, to - from) * (this.right - this.left);
        const part = log ? value => Math.log(Math.max(value, 1e-300) / low) / Math.log(high / low)
          : value => (value - low) / (high - low);
        // Far outside is as good as outside, and path data stay short.
        this.y = value => Math.min(1e4, Math.max(-1e4, this.bottom - part(value) * (this.bottom - this.top)));
        this.axes(from, to, low, high, log);
        const clip = this.svg.id + "-clip";
        const area = shape("clipPath", {id: clip}, this.svg);
        shape("rect", {x: this.left, y: this.top, width: Math.max(0, this.right - this.left), height: Math.max(0, this.bottom - this.top)}, area);
        this.marks = shape("g", {}, this.svg);
        const group = shape("g", {"clip-path": `url(#${clip})`}, this.svg);
        const first = line => Math.max(0, indexAt(line.x, from) - 1);
        const end = line => Math.min(line.x.length, indexAt(line.x, to) + 1);
        for (const line of shown) this.path(group, line, line.y, "raw", first(line), end(line));
        for (const line of shown) this.path(group, line, line.mean, "line", first(line), end(line));
        this.top_ = shape("g", {}, this.svg);
        this.shown = shown;
        this.mark();
      }
      axes(from, to, low, high, log) {
        const ticks = log ? logTicks(low, high) : niceTicks(low, high, this.isLow ? 3 : 6);
        for (const tick of ticks) {
          const y = this.y(tick);
          shape("line", {class: "rule", x1: this.left, x2: this.right, y1: y, y2: y}, this.svg);
          shape("text", {x: this.left - 8, y: y + 4, "text-anchor": "end"}, this.svg, tickText(tick));
        }
        const room = Math.max(2, Math.floor((this.right - this.left) / 90));
        for (const tick of niceTicks(from, to, room).filter(Number.isInteger)) {
          const x = this.x(tick);
          shape("line", {class: "rule", x1: x, x2: x, y1: this.top, y2: this.bottom}, this.svg);
          if (x < this.right - 14) shape("text", {x, y: this.bottom + 16, "text-anchor": "middle"}, this.svg, stepText(tick));
        }
        shape("text", {x: this.right, y: this.bottom + 16, "text-anchor": "end"}, this.svg, "step");
      }
      path(group, line, values, kind, first, end) {
        let text = "";
        for (let i = first; i < end; i += 1) {
          text += (i === first ? "M" : "L") + this.x(line.x[i]).toFixed(1) + " " + this.y(values[i]).toFixed(1);
        }
        const path = shape("path", {class: kind, d: text}, group);
        path.style.setProperty("--c", line.colour);
        // A line through one point is none.
        if (end - first === 1 && kind === "line") this.dot(group, line, first);
      }
      dot(group, line, index) {
        const dot = shape("circle", {class: "dot", cx: this.x(line.x[index]), cy: this.y(line.mean[index]), r: 4}, group);
        dot.style.setProperty("--c", line.colour);
      }
      rule(step, kind, parent) {
        const [from, to] = stepRange();
        if (step < from || step > to) return;
        const x = this.x(step);
        shape("line", {class: kind, x1: x, x2: x, y1: this.top, y2: this.bottom}, parent);
      }
      /// What moves while the lines stay: marks, the cursor, the range that is being chosen.
      mark() {
        if (!this.marks) return;
        this.marks.replaceChildren();
        this.top_.replaceChildren();
        for (const one of run.sessions.slice(1)) this.rule(one.first_step, "session", this.marks);
        for (const event of run.health) this.rule(event.step, event.kind === "nonFinite" ? "event fatal" : "event", this.marks);
        const picture = shownPicture();
        if (picture) this.rule(picture.step, "picture", this.marks);
        if (this.drag && this.drag.isMoved && view.at !== null) {
          const a = this.x(this.drag.from), b = this.x(view.at);
          shape("rect", {class: "range", x: Math.min(a, b), y: this.top, width: Math.abs(a - b), height: this.bottom - this.top}, this.marks);
        }
        if (view.at === null) return;
        this.rule(view.at, "cursor", this.marks);
        for (const line of this.shown) {
          const index = nearest(line.x, view.at);
          if (line.x[index] >= stepRange()[0] && line.x[index] <= stepRange()[1]) this.dot(this.top_, line, index);
        }
      }
    }
    """#

  static let controlScript = #"""
    // ---- Pointer, keys, address
    const colour = index => `var(--c${index % 8})`;
    const losses = new Chart(at("losses"), curves.map((curve, index) => ({...curve, colour: colour(index)})), false);
    const speed = new Chart(at("speed"), run.speed && firstPoint(run.speed)
      ? [{...run.speed, colour: colour(7)}] : [], true);
    const charts = [losses, speed];
    const draw = () => charts.forEach(chart => chart.draw());
    function tipRow(table, line, index) {
      const mark = element("i", {style: "--c:" + line.colour});
      row(table, [element("td", {}, mark, line.name === "ms" ? "ms a step" : line.name),
        short(line.y[index]), line.name === "ms" ? "" : short(line.mean[index])]);
    }
    function tipContents(step) {
      const table = element("table");
      row(table, ["", element("td", {class: "muted"}, losses.lines.some(line => line.steps_per_point > 1) ? "mean" : "value"),
        element("td", {class: "muted"}, "smoothed")]);
      for (const line of losses.shown) tipRow(table, line, nearest(line.x, step));
      for (const line of speed.lines) tipRow(table, line, nearest(line.x, step));
      const parts = [element("b", {}, `step ${whole(step)}` + (hasEpochs ? `, epoch ${epochOf(step)}` : "")), table];
      const near = (stepRange()[1] - stepRange()[0]) / 120;
      for (const event of run.health.filter(event => Math.abs(event.step - step) <= near).slice(0, 3)) {
        parts.push(element("p", {}, event.message));
      }
      return parts;
    }
    /// Shows the values at a step in both plots and beside the pointer.
    function hover(step, event) {
      const line = losses.shown[0] || speed.lines[0];
      view.at = step === null || !line ? null : line.x[nearest(line.x, step)];
      charts.forEach(chart => chart.mark());
      const tip = at("tip");
      tip.hidden = view.at === null;
      if (tip.hidden) return;
      tip.replaceChildren(...tipContents(view.at));
      const box = (event ? event.currentTarget : at("losses")).getBoundingClientRect();
      const x = box.left + losses.x(view.at);
      const y = event ? event.clientY : box.top + 40;
      const left = x + 16 + tip.offsetWidth < root.clientWidth ? x + 16 : Math.max(4, x - 16 - tip.offsetWidth);
      tip.style.left = left + scrollX + "px";
      tip.style.top = Math.max(4, y - 20) + scrollY + "px";
    }
    function zoom(from, to) {
      view.from = from;
      view.to = to;
      at("all").hidden = from === null;
      draw();
      save();
    }
    function showLegend() {
      losses.lines.forEach(line => {
        const button = element("button", {"aria-pressed": !view.hidden.has(line.name), style: "--c:" + line.colour,
          title: "Show or hide"}, element("i"), line.name);
        button.addEventListener("click", () => {
          if (!view.hidden.delete(line.name)) view.hidden.add(line.name);
          button.setAttribute("aria-pressed", !view.hidden.has(line.name));
          draw();
          save();
        });
        at("legend").append(button);
      });
    }
    function setTheme() {
      const isDark = view.theme ? view.theme === "dark" : matchMedia("(prefers-color-scheme: dark)").matches;
      root.dataset.theme = isDark ? "dark" : "light";
    }
    /// Loads a newer page where nobody is in the middle of something.
    function followRun() {
      if (!running) return;
      at("follow-label").hidden = false;
      at("follow").checked = view.follow;
      at("follow").addEventListener("change", () => { view.follow = at("follow").checked; save(); });
      const loadedAt = Date.now();
      setInterval(() => {
        showNotice();
        const isBusy = playing || charts.some(chart => chart.drag) || !at("tip").hidden
          || (getSelection() && !getSelection().isCollapsed);
        const isNew = Date.now() - loadedAt > 1000 * Math.max(5, run.pause);
        if (view.follow && isNew && !isBusy && document.visibilityState === "visible") location.reload();
      }, 1000);
    }

    load();
    setTheme();
    at("smooth").value = view.smooth;
    at("log").checked = view.log;
    at("all").hidden = view.from === null;
    at("smooth").addEventListener("input", () => { view.smooth = Number(at("smooth").value); draw(); save(); });
    at("log").addEventListener("change", () => { view.log = at("log").checked; draw(); save(); });
    at("all").addEventListener("click", () => zoom(null, null));
    at("theme").addEventListener("click", () => {
      view.theme = root.dataset.theme === "dark" ? "light" : "dark";
      setTheme();
      save();
    });
    matchMedia("(prefers-color-scheme: dark)").addEventListener("change", setTheme);
    document.addEventListener("keydown", event => {
      if (event.target.matches("input,select,button,summary") || event.ctrlKey || event.metaKey || event.altKey) return;
      if (event.key === " " && !at("samples").hidden) { event.preventDefault(); togglePlay(); }
      if (event.key === "ArrowLeft") stepPicture(-1);
      if (event.key === "ArrowRight") stepPicture(1);
      if (event.key === "Escape") zoom(null, null);
    });
    showHead();
    showNotice();
    showFigures();
    showEvents();
    showTables();
    showSessions();
    showProgram();
    showLegend();
    startPictures();
    draw();
    if (view.at !== null) hover(view.at);
    new ResizeObserver(draw).observe(at("losses"));
    followRun();
    """#
}
