// A report's script, first parts: the data, numbers as text, the state in the address; the facts
// around the plots.

extension ReportPage {
  static let dataScript = #"""
    // ---- Data and state
    const run = JSON.parse(document.getElementById("run").textContent);
    const at = id => document.getElementById(id);
    const root = document.documentElement;
    const running = run.state === "running";
    const session = run.sessions[run.sessions.length - 1];
    const firstPoint = series => series.x.length > 0;
    const curves = run.curves.filter(firstPoint);
    const pictures = [...document.querySelectorAll("#pictures img")].map(img => ({
      sample: img.dataset.sample || "", step: Number(img.dataset.step), label: img.alt, img}));
    /// What the reader has chosen: it stands in the address, so that it outlives loading again.
    const view = {smooth: 0.9, log: false, from: null, to: null, hidden: new Set(), sample: null,
      picture: null, at: null, theme: null, follow: true};
    function load() {
      for (const part of location.hash.slice(1).split("&")) {
        const [name, text] = part.split("=").map(decodeURIComponent);
        const number = Number(text);
        if (name === "smooth" && number >= 0 && number <= 0.99) view.smooth = number;
        if (name === "log") view.log = text === "1";
        if (name === "from" && Number.isFinite(number)) view.from = number;
        if (name === "to" && Number.isFinite(number)) view.to = number;
        if (name === "hidden" && text) view.hidden = new Set(text.split(","));
        if (name === "sample") view.sample = text;
        if (name === "picture" && Number.isFinite(number)) view.picture = number;
        if (name === "at" && Number.isFinite(number)) view.at = number;
        if (name === "theme") view.theme = text;
        if (name === "follow") view.follow = text !== "0";
      }
      if (view.from === null || view.to === null || view.from >= view.to) view.from = view.to = null;
    }
    function save() {
      const parts = [];
      const put = (name, value) => parts.push(name + "=" + encodeURIComponent(value));
      if (view.smooth !== 0.9) put("smooth", view.smooth);
      if (view.log) put("log", 1);
      if (view.from !== null) { put("from", view.from); put("to", view.to); }
      if (view.hidden.size > 0) put("hidden", [...view.hidden].join(","));
      if (view.sample) put("sample", view.sample);
      if (view.picture !== null) put("picture", view.picture);
      if (view.theme) put("theme", view.theme);
      if (!view.follow) put("follow", 0);
      try { history.replaceState(null, "", "#" + parts.join("&")); } catch { /* as in a frame */ }
    }

    // ---- Text
    function element(name, attributes, ...children) {
      const made = document.createElement(name);
      for (const [key, value] of Object.entries(attributes || {})) {
        if (key === "style") made.style.cssText = value; else made.setAttribute(key, value);
      }
      made.append(...children);
      return made;
    }
    function shape(name, attributes, parent, text) {
      const made = document.createElementNS("http://www.w3.org/2000/svg", name);
      for (const [key, value] of Object.entries(attributes)) made.setAttribute(key, value);
      if (text !== undefined) made.textContent = text;
      parent.append(made);
      return made;
    }
    /// Four digits that count.
    function short(value) {
      if (!Number.isFinite(value)) return String(value);
      const size = Math.abs(value);
      if (size !== 0 && (size < 1e-3 || size >= 1e6)) return value.toExponential(2);
      if (size >= 1000) return Math.round(value).toLocaleString("en");
      return value.toFixed(size >= 100 ? 1 : size >= 10 ? 2 : size >= 1 ? 3 : 4);
    }
    const whole = value => Math.round(value).toLocaleString("en");
    function duration(seconds) {
      if (!Number.isFinite(seconds)) return "–";
      const two = value => String(value).padStart(2, "0");
      const total = Math.round(seconds);
      if (total < 60) return seconds < 10 ? seconds.toFixed(1) + " s" : total + " s";
      if (total < 3600) return Math.floor(total / 60) + ":" + two(total % 60) + " min";
      if (total < 360000) return Math.floor(total / 3600) + ":" + two(Math.floor(total / 60) % 60) + " h";
      return Math.floor(total / 86400) + " days";
    }
    const date = seconds => new Date(seconds * 1000).toLocaleString("sv").slice(0, 16);
    const epochOf = step => Math.floor((Math.max(1, step) - 1) / run.steps_per_epoch) + 1;
    const hasEpochs = run.steps_per_epoch > 1;
    """#

  static let factScript = #"""
    // ---- Facts
    function row(table, cells, className) {
      const made = element("tr", className ? {class: className} : {});
      for (const cell of cells) made.append(cell instanceof Node ? cell : element("td", {}, cell));
      table.append(made);
    }
    function figure(name, value) {
      at("figures").append(element("div", {}, element("b", {}, value), element("span", {}, name)));
    }
    const number = text => element("td", {class: "number"}, text);
    const share = (part, all) => all > 0 ? (100 * part / all).toFixed(part / all < 0.1 ? 2 : 1) + " %" : "–";
    function recentPace() {
      const ys = run.speed ? run.speed.y.slice(-20) : [];
      return ys.length > 0 ? ys.reduce((a, b) => a + b) / ys.length : NaN;
    }
    const states = {running: "running", finished: "finished", interrupted: "interrupted",
      died: "died", failed: "failed", stopped: "stopped"};

    function showHead() {
      document.title = run.model + ": " + states[run.state];
      at("title").textContent = run.model;
      at("state").textContent = states[run.state];
      document.querySelector("header").className = document.querySelector("main").className = run.state;
      const epochs = Math.ceil(run.total_steps / run.steps_per_epoch);
      at("where").textContent = (hasEpochs ? `epoch ${epochOf(run.step)} of ${epochs}, ` : "")
        + `step ${whole(run.step)} of ${whole(run.total_steps)}`;
      at("progress").value = run.total_steps > 0 ? run.step / run.total_steps : 0;
    }
    function showFigures() {
      const pace = recentPace();
      curves.slice(0, 4).forEach(curve => {
        const all = smoothed(curve.y, 0.9);
        figure(curve.name + ", smoothed", short(all[all.length - 1]));
      });
      if (Number.isFinite(pace)) {
        figure("a step", short(pace) + " ms");
        if (run.examples_per_step) {
          figure(run.example + " a second", whole(run.examples_per_step / pace * 1000));
        }
      }
      const seconds = run.sessions.reduce((sum, one) => sum + one.seconds, 0);
      figure("trained", duration(seconds));
      const done = session.last_step - session.first_step + 1;
      if (running && done > 0) {
        figure("left, about", duration((run.total_steps - run.step) * session.seconds / done));
      }
      if (run.health.length > 0) figure("health events", whole(run.health.length));
      if (Number.isFinite(pace)) {
        at("speed-now").textContent = `milliseconds a step; the last ${short(pace)}`;
      }
    }
    /// What a reader must know first: how it ended, or that nothing was heard of it for long.
    function showNotice() {
      const lines = [];
      if (run.state === "died") {
        lines.push(`Training died at step ${whole(run.step)}: ${run.message}.`
          + (run.checkpoint ? ` The last good checkpoint is ${run.checkpoint}.` : ""));
      }
      if (run.state === "failed") {
        lines.push(`An error ended the run at step ${whole(run.step)}: ${run.message}.`
          + (run.checkpoint ? ` The last good checkpoint is ${run.checkpoint}.` : ""));
      }
      if (run.state === "interrupted") {
        lines.push(`Interrupted at step ${whole(run.step)}; go on with gan-exec train --resume ${run.folder}`);
      }
      const silent = Date.now() / 1000 - run.written_at;
      if (running && silent > Math.max(60, 6 * run.pause)) {
        lines.push(`Nothing was written for ${duration(silent)}: the process may have been stopped. `
          + `If so, go on with gan-exec train --resume ${run.folder}`);
      }
      lines.push(...run.warnings);
      at("notice").textContent = lines.join("\n");
      at("notice").style.whiteSpace = "pre-line";
      at("notice").hidden = lines.length === 0;
    }
    function showEvents() {
      if (run.health.length === 0) return;
      at("events").hidden = false;
      for (const event of run.health) {
        row(at("events").querySelector("table"),
          ["step " + whole(event.step), event.words + (event.over ? ", over" : ""),
            element("td", {}, event.message, ...placeOf(event), ...diagnosisOf(event))],
          event.kind === "nonFinite" ? "fatal" : event.over ? "over" : "");
      }
    }
    /// The line of the program that an event is about.
    function placeOf(event) {
      if (!(event.line > 0)) return [];
      const text = (run.source.split("\n")[event.line - 1] || "").trim();
      return [element("p", {}, `line ${event.line}: `, element("code", {}, text))];
    }
    /// What is known of the operation that gave the first bad value.
    function diagnosisOf(event) {
      if (!event.operation) return [];
      const table = element("table", {class: "ranges"});
      row(table, ["", "type", "from", "to", "mean", "NaN", "infinite", "computed by"]
        .map(text => element("th", {}, text)));
      const add = (name, range, from) => row(table, [name, range.type,
        ...[range.min, range.max, range.mean].map(value => number(value === null ? "–" : short(value))),
        number(whole(range.nan)), number(whole(range.infinite)), from]);
      event.operands.forEach((operand, index) => add("operand " + (index + 1), operand, operand.from));
      add("result", event.result, event.operation);
      const shown = [element("p", {}, `in ${event.part_words}, step ${whole(event.at_step)}`), table];
      if (event.hint) shown.push(element("p", {}, "help: " + event.hint));
      return shown;
    }
    function showTables() {
      for (const [name, value] of run.settings) row(at("settings"), [name, element("td", {}, element("code", {}, value))]);
      row(at("settings"), ["seed", element("td", {}, element("code", {}, run.seed))]);
      for (const text of run.updates) at("updates").append(element("code", {}, text));
      const grouped = text => text.replace(/\b\d{5,}\b/g, digits => whole(Number(digits)));
      for (const [name, text] of [...run.data, ...run.networks]) row(at("data"), [name, grouped(text)]);
      const time = session.seconds;
      row(at("machine"), ["processor", session.processor]);
      row(at("machine"), ["backend", session.backend]);
      row(at("machine"), ["folder", run.folder]);
      row(at("machine"), ["steps", share(session.step_seconds, time) + " of the time"]);
      row(at("machine"), ["data", share(session.wait_seconds, time) + ", steps waiting for batches"]);
      row(at("machine"), ["samples", share(session.sample_seconds, time) + ", drawing and writing"]);
      row(at("machine"), ["records", share(session.observer_seconds, time) + ": log, plots, this page, TensorBoard"]);
      row(at("machine"), ["written", date(run.written_at)]);
    }
    function showSessions() {
      if (run.sessions.length < 2) return;
      at("sessions").hidden = false;
      const table = at("sessions").querySelector("table");
      const head = ["began", "steps", "took", "on", "ended"].map(text => element("th", {}, text));
      row(table, head);
      for (const one of run.sessions) {
        row(table, [date(one.began_at), `${whole(one.first_step)}–${whole(one.last_step)}`,
          duration(one.seconds), one.processor + ", " + one.backend, states[one.state] || one.state]);
      }
    }
    /// Comments, texts, numbers and the words of the language.
    const tokens = /(\/\/.*|\/\*[^]*?\*\/)|("(?:[^"\\\n]|\\.)*")|\b(model|let|data|from|in|optimizer|network|block|train|sample|update|minimizing|with|report|every|steps|epochs|repeat|average|as|decay|return|checkpoint)\b|\b(\d[\d_]*(?:\.\d+)?(?:e[+-]?\d+)?)\b/g;
    function showProgram() {
      const lines = [element("div", {})];
      const add = (text, kind) => text.split("\n").forEach((part, index) => {
        if (index > 0) lines.push(element("div", {}));
        if (part) lines[lines.length - 1].append(kind ? element("span", {class: kind}, part) : part);
      });
      let last = 0;
      for (const found of run.source.matchAll(tokens)) {
        add(run.source.slice(last, found.index));
        add(found[0], found[1] ? "comment" : found[2] ? "string" : found[3] ? "word" : "value");
        last = found.index + found[0].length;
      }
      add(run.source.slice(last).replace(/\n+$/, ""));
      lines.forEach((line, index) => {
        line.dataset.line = index + 1;
        if (!line.hasChildNodes()) line.append(" ");
      });
      at("source").append(...lines);
      if (run.defaults.length === 0) return;
      at("defaults").hidden = false;
      for (const one of run.defaults) row(at("defaults").querySelector("table"), ["line " + one.line, one.text]);
    }
    """#
}
