// The page's script, first parts: the graph as linked leaves, and the tree of boxes that they are in.

extension Page {
  static let dataScript = #"""
    // ---- Data: leaves are operations, inputs and outputs; edges run from leaf to leaf.
    const data = JSON.parse(document.getElementById("graph").textContent);
    const element = name => document.getElementById(name);
    const view = {
      open: new Set(), selected: null, colour: "phase", search: "", constants: false, inputs: false,
      x: 0, y: 0, scale: 1
    };

    /// The leaves that are to be seen, in topological order, and the edges between them. States, seeds and
    /// constants have a host, the first operation that reads them, and stand in the same box as it; the new value
    /// of a state stands beside what makes it. An output is never a host: it may be what an input itself goes to.
    function makeLeaves() {
      const leaves = [], makers = new Map(), edges = [];
      const add = leaf => {
        leaf.order = leaves.length;
        leaf.sources = [];
        leaves.push(leaf);
        return leaf;
      };
      data.inputs.forEach((input, index) => {
        const isHosted = /^(state|seed|step|epoch)/.test(input.role);
        if (!view.inputs && isHosted) return;
        const leaf = add({id: "i" + index, kind: "input", name: input.role, phase: "plain", path: [],
          types: [data.types[input.value]], values: [input.value], isHosted});
        makers.set(input.value, leaf);
      });
      const connect = (value, leaf) => {
        const maker = makers.get(value);
        if (!maker) return;
        leaf.sources.push(maker);
        if (maker.isHosted && !maker.host && leaf.kind === "node") maker.host = leaf;
        edges.push({from: maker, to: leaf, value});
      };
      for (const node of data.nodes) {
        if (node.constant && !view.constants) continue;
        const path = node.path === "" ? [] : node.path.split("/");
        // The path of an optimiser's rule ends with the parameter's own name.
        if (node.phase === "update") path.pop();
        const leaf = add({id: "n" + node.id, kind: "node", node, name: node.name, phase: node.phase,
          path, types: node.results.map(value => data.types[value]), values: node.results,
          isHosted: node.constant});
        node.operands.forEach(value => connect(value, leaf));
        node.results.forEach(value => makers.set(value, leaf));
      }
      data.outputs.forEach((output, index) => {
        if (!view.inputs && output.role.startsWith("state")) return;
        const leaf = add({id: "o" + index, kind: "output", name: output.role, phase: "plain",
          path: [], types: [data.types[output.value]], values: []});
        connect(output.value, leaf);
        if (output.role.startsWith("state")) leaf.host = leaf.sources[0];
      });
      return {leaves, edges};
    }

    const measures = {
      flops: {of: node => node.flops, text: flopText, name: "FLOPs"},
      bytes: {of: node => node.bytes, text: byteText, name: "bytes moved"},
      time: {of: node => node.ms || 0, text: value => digits(value) + " ms", name: "measured time"}
    };
    function digits(value) {
      return value >= 100 ? value.toFixed(0) : String(Number(value.toPrecision(3)));
    }
    function scaled(value, units, base) {
      let place = 0;
      while (value >= base && place < units.length - 1) { value /= base; place += 1; }
      return digits(value) + " " + units[place];
    }
    function flopText(value) {
      return scaled(value, ["FLOP", "kFLOP", "MFLOP", "GFLOP", "TFLOP"], 1000);
    }
    function byteText(value) { return scaled(value, ["B", "kB", "MB", "GB", "TB"], 1000); }

    /// The largest and the smallest of what a list's items have, or `start`. A spread into `Math.max` fails for
    /// lists as long as those of large graphs.
    function largest(list, of, start) {
      return list.reduce((most, item) => Math.max(most, of(item)), start);
    }
    function smallest(list, of, start) {
      return list.reduce((least, item) => Math.min(least, of(item)), start);
    }

    /// The operations in an item.
    function operationsOf(item) {
      const leaves = item.kind === "group" ? item.leaves : [item];
      return leaves.filter(leaf => leaf.node && !leaf.node.constant).map(leaf => leaf.node);
    }
    function total(item, measure) {
      return operationsOf(item).reduce((sum, node) => sum + measures[measure].of(node), 0);
    }
    """#

  static let groupScript = #"""
    // ---- Groups: networks by phase of the step, in them layers, by call path.

    /// Divides leaves by key so that no leaf outside of a group stands between two of its members: where one
    /// does, the later members make another group. Leaves without a key stay by themselves.
    function divide(leaves, keyOf) {
      const seen = new Map(), parts = new Map(), members = new Set(leaves), counts = new Map();
      for (const leaf of leaves) counts.set(keyOf(leaf), (counts.get(keyOf(leaf)) || 0) + 1);
      for (const leaf of leaves) {
        const key = keyOf(leaf), latest = new Map();
        let turn = 0;
        for (const source of leaf.sources) {
          if (!members.has(source)) continue;
          for (const [name, value] of seen.get(source)) {
            if ((latest.has(name) ? latest.get(name) : -1) < value) latest.set(name, value);
          }
          if (key === null) continue;
          const before = seen.get(source);
          const own = before.has(key) ? before.get(key) : -1;
          turn = Math.max(turn, keyOf(source) === key ? own : own + 1);
        }
        if (key !== null) {
          // What is alone with its key makes one part, whatever is behind it.
          if (counts.get(key) > 1) latest.set(key, turn);
          const name = JSON.stringify([key, turn]);
          if (!parts.has(name)) parts.set(name, {key, turn, leaves: []});
          parts.get(name).leaves.push(leaf);
        } else {
          parts.set(leaf.id, {key: null, leaves: [leaf]});
        }
        seen.set(leaf, latest);
      }
      return [...parts.values()];
    }

    /// The parts of a group that have no edge between them, as two calls of a network; those of less
    /// than three leaves stay with the first.
    function components(leaves) {
      const parent = new Map(leaves.map(leaf => [leaf, leaf]));
      const root = leaf => {
        while (parent.get(leaf) !== leaf) {
          parent.set(leaf, parent.get(parent.get(leaf)));
          leaf = parent.get(leaf);
        }
        return leaf;
      };
      for (const leaf of leaves) {
        for (const source of leaf.sources) {
          if (parent.has(source)) parent.set(root(source), root(leaf));
        }
      }
      const sets = new Map();
      for (const leaf of leaves) {
        const key = root(leaf);
        if (!sets.has(key)) sets.set(key, []);
        sets.get(key).push(leaf);
      }
      const large = [...sets.values()].filter(set => set.length > 2);
      if (large.length < 2 || large.length > 6) return [leaves];
      // Ways back are numbered as the calls that they go back through.
      const first = set => smallest(set.flatMap(leaf => leaf.sources.filter(source =>
        source.phase === "forward" && source.path[0] === leaf.path[0])), source => source.order,
        set[0].order);
      large.sort((a, b) => first(a) - first(b) || a[0].order - b[0].order);
      const small = [...sets.values()].filter(set => set.length <= 2).flat();
      large[0] = large[0].concat(small).sort((a, b) => a.order - b.order);
      return large;
    }

    function makeGroup(name, id, phase, leaves, parent, depth) {
      const group = {kind: "group", name, id, phase, leaves, parent, order: leaves[0].order};
      const key = leaf => leaf.path.length > depth ?
        (depth === 0 ? leaf.phase + ":" : "") + leaf.path[depth] : null;
      const children = [];
      for (const part of divide(leaves, key)) {
        if (part.key === null) { children.push(part.leaves[0]); continue; }
        const sets = depth === 0 && part.leaves[0].phase !== "update" ?
          components(part.leaves) : [part.leaves];
        sets.forEach((set, index) => children.push({part, set, index, several: sets.length > 1}));
      }
      group.children = children.map(child => {
        if (!child.set) { child.parent = group; return child; }
        if (child.set.length === 1) { child.set[0].parent = group; return child.set[0]; }
        const {part: {key, turn}, set, index, several} = child;
        const suffix = (turn > 0 ? "~" + (turn + 1) : "") + (several ? "." + (index + 1) : "");
        const path = (id === "" ? "" : id + "/") + key + suffix;
        const label = (depth === 0 ? set[0].path[0] : key) + (turn > 0 ? ", again" : "") +
          (several ? " (" + (index + 1) + ")" : "");
        return makeGroup(label, path, set[0].phase, set, group, depth + 1);
      });
      // A box around one box alone says nothing.
      if (depth > 0 && group.children.length === 1 && group.children[0].kind === "group") {
        group.children = group.children[0].children;
        group.children.forEach(child => { child.parent = group; });
      }
      group.children.sort((a, b) => a.order - b.order);
      return group;
    }

    /// Puts a leaf into the box of its host; the box's children are sorted later.
    function stay(leaf, host) {
      leaf.order = host.order + (leaf.kind === "output" ? 0.5 : -0.5);
      leaf.parent = host.parent;
      host.parent.children.push(leaf);
      for (let group = host.parent; group; group = group.parent) group.leaves.push(leaf);
    }

    let tree = null;
    function makeTree() {
      const {leaves, edges} = makeLeaves();
      const free = leaves.filter(leaf => !leaf.host);
      const root = free.length > 0 ? makeGroup("", "", "plain", free, null, 0) :
        {kind: "group", name: "", id: "", phase: "plain", leaves: [], parent: null, children: []};
      // Outputs last: what makes one may be hosted itself.
      const hosted = leaves.filter(leaf => leaf.host);
      for (const leaf of hosted) if (leaf.kind !== "output") stay(leaf, leaf.host);
      for (const leaf of hosted) if (leaf.kind === "output") stay(leaf, leaf.host);
      for (const group of new Set(hosted.map(leaf => leaf.parent))) {
        group.children.sort((a, b) => a.order - b.order);
      }
      const byId = new Map();
      const note = item => {
        if (item.id !== "") byId.set(item.id, item);
        if (item.kind === "group") item.children.forEach(note);
      };
      note(root);
      tree = {root, edges, byId, leaves};
    }
    const isOpen = item => item.kind === "group" && (item.id === "" || view.open.has(item.id));

    /// What stands for a leaf in the picture: itself, or the outermost closed group around it.
    function visible(leaf) {
      let shown = leaf;
      for (let group = leaf.parent; group; group = group.parent) if (!isOpen(group)) shown = group;
      return shown;
    }
    function ancestors(item) {
      const list = [];
      for (let group = item.parent; group; group = group.parent) list.push(group);
      return list;
    }
    """#
}
