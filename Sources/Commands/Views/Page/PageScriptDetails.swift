// The page's script: the details of what is selected, with its place and the program's lines around it.

extension Page {
  static let detailScript = #"""
    // ---- Details
    const details = element("details");
    function add(parent, name, text, kind) {
      const made = document.createElement(name);
      if (text !== undefined) made.textContent = text;
      if (kind) made.className = kind;
      parent.append(made);
      return made;
    }
    function rows(pairs) {
      const table = add(details, "table");
      for (const [name, value] of pairs) {
        const row = add(table, "tr");
        add(row, "td", name, "muted");
        add(row, "td", value);
      }
    }
    function costRows(item) {
      const nodes = operationsOf(item);
      const flops = total(item, "flops"), bytes = total(item, "bytes");
      const direct = nodes.reduce((sum, node) => sum + node.direct_flops, 0);
      const pairs = [["arithmetic", flopText(flops)]];
      if (direct !== flops) pairs.push(["direct", flopText(direct)]);
      pairs.push(["bytes moved", byteText(bytes)]);
      if (bytes > 0) pairs.push(["FLOP/byte", digits(flops / bytes)]);
      if (data.timed) pairs.push(["measured", measures.time.text(total(item, "time"))]);
      return pairs;
    }
    function linkTo(leaf, text) {
      const button = add(details, "button", text, "link");
      button.addEventListener("click", () => reveal(leaf.id));
    }
    function wordsOf(leaf) {
      const line = leaf.node && leaf.node.line > 0 ? ", line " + leaf.node.line : "";
      return leaf.name + line + (leaf.node && leaf.node.path !== "" ? ", " + leaf.node.path : "");
    }

    function showDetails() {
      details.textContent = "";
      const item = view.selected === null ? null : tree.byId.get(view.selected);
      if (!item) showGraph();
      else if (item.kind === "group") showGroup(item);
      else showLeaf(item);
    }
    function heading(name, phase) {
      add(details, "h2", name);
      if (phase !== "plain") add(details, "span", phase, "badge " + phase);
    }

    function showGraph() {
      heading("graph " + data.graph, "plain");
      add(details, "p", (data.file ? data.file + ", " : "") + "stage " + data.stage, "muted");
      if (data.nodes.some(node => node.operation === "gradient")) {
        add(details, "p", "What gradients cost is known, and counted, when they are expanded.", "muted");
      }
      rows([["operations", String(operationsOf(tree.root).length)], ...costRows(tree.root)]);
      for (const phase of ["forward", "backward", "update"]) {
        const inPhase = {kind: "group", leaves: tree.leaves.filter(leaf => leaf.phase === phase)};
        if (operationsOf(inPhase).length === 0) continue;
        add(details, "h3", phase);
        rows([["operations", String(operationsOf(inPhase).length)], ...costRows(inPhase)]);
      }
      add(details, "h3", "Keys");
      const table = add(details, "table", undefined, "keys");
      for (const [keys, what] of [
        ["↑ ↓", "what it reads, what reads it"], ["← →", "the one before, the one after"],
        ["Enter", "open or close a box"], ["Esc", "to the box around it, then to the graph"],
        ["/ n", "search, next found"], ["1 2 3 4", "colour by phase, FLOPs, bytes, time"],
        ["o c", "open all, close all"], ["f + −", "fit, zoom"], ["k i", "constants, states"],
        ["t ?", "light or dark, this page"]
      ]) {
        const row = add(table, "tr"), cell = add(row, "td");
        keys.split(" ").forEach(key => { add(cell, "kbd", key); cell.append(" "); });
        add(row, "td", what);
      }
    }

    function showGroup(group) {
      heading(group.name, group.phase);
      rows([["operations", String(operationsOf(group).length)], ...costRows(group)]);
      const measure = view.colour === "phase" ? "flops" : view.colour;
      add(details, "h3", "Most " + measures[measure].name);
      group.leaves.filter(leaf => leaf.node)
        .sort((a, b) => measures[measure].of(b.node) - measures[measure].of(a.node)).slice(0, 10)
        .forEach(leaf => linkTo(leaf, measures[measure].text(measures[measure].of(leaf.node)) + "  " +
          wordsOf(leaf)));
    }

    function showLeaf(leaf) {
      heading(leaf.name, leaf.phase);
      const node = leaf.node;
      if (node) {
        if (node.name !== node.operation) add(details, "p", node.operation, "muted");
        showPlace(node);
        add(details, "h3", "Cost");
        rows(costRows(leaf));
      }
      showNeighbours(leaf);
      if (!node) return;
      if (node.parts.length > 0) {
        add(details, "h3", "Made of");
        node.parts.forEach(part => add(details, "p",
          part.labels.join(", ") + " at " + part.line + ":" + part.column + " " + part.path));
      }
      if (node.notes.length > 0) {
        add(details, "h3", "What was done to it");
        node.notes.forEach(note => add(details, "p", note));
      }
      if (node.attributes.trim() !== "") {
        add(details, "h3", "Attributes");
        const text = node.attributes.trim();
        const block = add(details, "pre");
        const lines = text.replace(/; /g, ";\n").replace("region: ", "\nregion: ").split("\n");
        lines.forEach(line => add(block, "div", line.length > 400 ? line.slice(0, 400) + "…" : line));
      }
    }

    function showPlace(node) {
      if (node.line === 0 && node.path === "") return;
      add(details, "h3", "Place");
      if (node.path !== "") add(details, "p", node.path);
      if (node.line === 0) return;
      add(details, "p", (data.file || "line") + ":" + node.line + ":" + node.column, "muted");
      if (node.line > data.source.length) return;
      const block = add(details, "pre");
      const last = Math.min(data.source.length, node.line + 2);
      for (let line = Math.max(1, node.line - 2); line <= last; line += 1) {
        const row = add(block, "div", undefined, line === node.line ? "here" : "");
        add(row, "span", String(line), "number");
        row.append(data.source[line - 1]);
      }
    }

    function showNeighbours(leaf) {
      const edges = tree.edges;
      const roles = new Map(data.inputs.map(input => [input.value, input.role]));
      if (leaf.node && leaf.node.operands.length > 0) {
        add(details, "h3", "Reads");
        for (const value of leaf.node.operands) {
          const edge = edges.find(edge => edge.to === leaf && edge.value === value);
          const name = "%" + value + " " + data.types[value];
          if (edge) linkTo(edge.from, name + " ← " + wordsOf(edge.from));
          else add(details, "p", name + " ← " + (roles.get(value) || "constant"));
        }
      }
      if (leaf.kind === "output") {
        add(details, "h3", "Made by");
        edges.filter(edge => edge.to === leaf)
          .forEach(edge => linkTo(edge.from, "%" + edge.value + " ← " + wordsOf(edge.from)));
      }
      for (const [index, value] of leaf.values.entries()) {
        add(details, "h3", "%" + value + " " + leaf.types[index] + ", " + byteText(data.bytes[value]));
        const readers = edges.filter(edge => edge.from === leaf && edge.value === value);
        readers.forEach(edge => linkTo(edge.to, "→ " + wordsOf(edge.to)));
        data.outputs.filter(output => output.value === value && output.role.startsWith("state"))
          .forEach(output => add(details, "p", "→ " + output.role));
        if (leaf.node && leaf.node.constant && readers.length === 0) add(details, "p", "not drawn");
      }
    }
    """#
}
