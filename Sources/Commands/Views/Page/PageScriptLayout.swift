// The page's script: the layered layout. Ranks by longest path, long edges through dummies, order by barycentres,
// x by least squares with the order kept; an open group is laid out by itself and is then a box among others.

extension Page {
  static let layoutScript = #"""
    // ---- Layout
    const gaps = {across: 26, down: 46, pad: 16, bar: 26, dummy: 12, perRank: 9};
    /// Boxes that are laid out at most; how many ranks an edge may pass through dummies, and the dummies of one
    /// group that these may add up to.
    const limits = {boxes: 6000, ranks: 50, dummies: 60000};
    const pen = document.createElement("canvas").getContext("2d");
    function textWidth(text, size, isBold) {
      pen.font = (isBold ? "600 " : "") + size + "px system-ui, Helvetica, Arial, sans-serif";
      return pen.measureText(text).width;
    }
    function shortened(text, size, isBold, width) {
      if (textWidth(text, size, isBold) <= width) return text;
      let low = 0, high = text.length;
      while (low < high - 1) {
        const middle = (low + high) >> 1;
        if (textWidth(text.slice(0, middle) + "…", size, isBold) <= width) low = middle;
        else high = middle;
      }
      return text.slice(0, low) + "…";
    }

    /// The lines of a closed box.
    function linesOf(item) {
      const lines = [];
      if (item.kind === "group") {
        const count = operationsOf(item).length;
        lines.push("▸ " + item.name, item.phase + ", " + count + " operations");
      } else {
        lines.push(item.name);
        if (item.types.length > 0) {
          lines.push(item.types[0] + (item.types.length > 1 ? " +" + (item.types.length - 1) : ""));
        }
      }
      if (view.colour !== "phase" && item.kind !== "input" && item.kind !== "output") {
        lines.push(measures[view.colour].text(total(item, view.colour)));
      }
      return lines;
    }
    function measureBox(item) {
      const most = 236;
      item.lines = linesOf(item).map((line, row) =>
        shortened(line, row === 0 ? 12 : 11, row === 0, most - 20));
      const widths = item.lines.map((line, row) => textWidth(line, row === 0 ? 12 : 11, row === 0));
      item.width = Math.max(84, ...widths.map(width => width + 20));
      item.height = 12 + 16 * item.lines.length;
    }

    /// The edges between the children of each group: group -> {edges: [[from, to], …], exits, entries}, with the
    /// children that edges leave the group from, or come into it to.
    function liftEdges() {
      const lifted = new Map(), known = new Set();
      const at = group => {
        if (!lifted.has(group)) lifted.set(group, {edges: [], exits: new Set(), entries: new Set()});
        return lifted.get(group);
      };
      for (const {from, to} of tree.edges) {
        const chain = [from, ...ancestors(from)], places = new Map();
        chain.forEach((item, index) => places.set(item, index));
        let target = to;
        while (!places.has(target.parent)) target = target.parent;
        const group = target.parent, source = chain[places.get(group) - 1];
        for (let item = from; item !== source; item = item.parent) at(item.parent).exits.add(item);
        for (let item = to; item !== target; item = item.parent) at(item.parent).entries.add(item);
        const key = source.id + "|" + target.id + "|" + group.id;
        if (source === target || known.has(key)) continue;
        known.add(key);
        at(group).edges.push([source, target]);
      }
      return lifted;
    }

    /// An order in which edges run forward; where there is a circle the earliest item goes first, and the
    /// edges against the order are left out.
    function sorted(items, edges) {
      const list = [...items].sort((a, b) => a.order - b.order);
      const number = new Map(list.map((item, index) => [item, index]));
      const waiting = list.map(() => 0), next = list.map(() => []), isDone = list.map(() => false);
      for (const [from, to] of edges) {
        waiting[number.get(to)] += 1;
        next[number.get(from)].push(number.get(to));
      }
      const ready = [], order = [];
      list.forEach((_, index) => { if (waiting[index] === 0) insert(ready, index); });
      let earliest = 0;
      while (order.length < list.length) {
        while (isDone[earliest]) earliest += 1;
        const best = ready.length > 0 ? removeLeast(ready) : earliest;
        isDone[best] = true;
        order.push(list[best]);
        for (const to of next[best]) {
          waiting[to] -= 1;
          if (waiting[to] === 0 && !isDone[to]) insert(ready, to);
        }
      }
      const place = new Map(order.map((item, index) => [item, index]));
      return {order, edges: edges.filter(([from, to]) => place.get(from) < place.get(to))};
    }

    // A heap of numbers, the least first: those at 2i + 1 and 2i + 2 are not below that at i.
    function insert(heap, value) {
      let at = heap.length;
      while (at > 0 && heap[(at - 1) >> 1] > value) {
        heap[at] = heap[(at - 1) >> 1];
        at = (at - 1) >> 1;
      }
      heap[at] = value;
    }
    function removeLeast(heap) {
      const least = heap[0], last = heap.pop();
      if (heap.length === 0) return least;
      let at = 0;
      while (2 * at + 1 < heap.length) {
        let below = 2 * at + 1;
        if (below + 1 < heap.length && heap[below + 1] < heap[below]) below += 1;
        if (heap[below] >= last) break;
        heap[at] = heap[below];
        at = below;
      }
      heap[at] = last;
      return least;
    }

    function assignRanks(order, edges) {
      const rank = new Map(order.map(item => [item, 0]));
      const before = new Map(order.map(item => [item, 0])), after = new Map();
      for (const [from, to] of edges) {
        before.set(to, before.get(to) + 1);
        if (!after.has(from)) after.set(from, []);
        after.get(from).push(to);
      }
      for (const item of order) {
        for (const to of after.get(item) || []) {
          rank.set(to, Math.max(rank.get(to), rank.get(item) + 1));
        }
      }
      // What waits for little stands right before its first reader.
      for (const item of [...order].reverse()) {
        const readers = after.get(item);
        if (readers && before.get(item) < readers.length + (before.get(item) === 0 ? 1 : 0)) {
          rank.set(item, smallest(readers, to => rank.get(to), Infinity) - 1);
        }
      }
      // A rank of many items becomes several rows.
      const rows = [];
      for (const item of order) (rows[rank.get(item)] = rows[rank.get(item)] || []).push(item);
      let row = 0;
      for (const items of rows) {
        if (!items) continue;
        const count = Math.ceil(items.length / gaps.perRank);
        const width = Math.ceil(items.length / count);
        items.forEach((item, index) => rank.set(item, row + Math.floor(index / width)));
        row += count;
      }
      return {rank, count: row};
    }

    /// Cells of all ranks: items, and a chain of dummies behind each item with long edges.
    /// What leaves the group has such a chain to the last rank, what comes in one from the first. Edges that would
    /// need very many dummies have none and go straight.
    function makeCells(order, {edges, exits, entries}, rank, count) {
      const most = Math.max(2, Math.min(limits.ranks,
        limits.dummies / (edges.length + exits.size + entries.size)));
      const ranks = Array.from({length: count}, () => []), cells = new Map();
      const addCell = (row, cell) => {
        ranks[row].push(Object.assign(cell, {row, up: [], down: []}));
        return cell;
      };
      for (const item of order) {
        cells.set(item, addCell(rank.get(item), {item, width: item.width, height: item.height}));
      }
      const chains = new Map(), routes = new Map();
      const addDummy = row => addCell(row, {width: gaps.dummy, height: 0});
      /// The first cells of an item's chain, which ends above a row.
      const chainTo = (from, row) => {
        const first = cells.get(from), chain = chains.get(from) || [first];
        chains.set(from, chain);
        while (chain.length < row - first.row) {
          const dummy = addDummy(first.row + chain.length);
          link(chain[chain.length - 1], dummy);
          chain.push(dummy);
        }
        return chain.slice(0, row - first.row);
      };
      for (const [from, to] of edges) {
        const last = cells.get(to);
        if (last.row - rank.get(from) > most) continue;
        const chain = chainTo(from, last.row);
        link(chain[chain.length - 1], last);
        routes.set(from.id + "|" + to.id, chain.slice(1));
      }
      for (const from of order) {
        if (!exits.has(from) || count - rank.get(from) > most) continue;
        routes.set(from.id + "|exit", chainTo(from, count).slice(1));
      }
      for (const to of order) {
        const last = cells.get(to);
        if (!entries.has(to) || last.row > most) continue;
        const chain = Array.from({length: last.row}, (_, row) => addDummy(row));
        [...chain, last].forEach((cell, row) => { if (row > 0) link(chain[row - 1], cell); });
        routes.set("entry|" + to.id, chain);
      }
      return {ranks, routes};
    }
    function link(upper, lower) {
      upper.down.push(lower);
      lower.up.push(upper);
    }

    function orderCells(ranks) {
      const number = row => row.forEach((cell, index) => { cell.index = index; });
      ranks.forEach(number);
      const sweep = (row, side) => {
        row.forEach(cell => {
          const near = cell[side];
          cell.weight = near.length === 0 ? cell.index :
            near.reduce((sum, other) => sum + other.index / near[0].size, 0) / near.length * row.length;
        });
        row.sort((a, b) => a.weight - b.weight || a.index - b.index);
        number(row);
      };
      ranks.forEach(row => row.forEach(cell => { cell.size = row.length; }));
      for (let turn = 0; turn < 8; turn += 1) {
        for (let row = 1; row < ranks.length; row += 1) sweep(ranks[row], "up");
        for (let row = ranks.length - 2; row >= 0; row -= 1) sweep(ranks[row], "down");
      }
    }

    /// The centres nearest to those that are wanted, with the order and the gaps kept: isotonic regression by
    /// pooling neighbours that would overlap.
    function place(row, wanted) {
      const offsets = [];
      row.forEach((cell, index) => {
        const before = row[index - 1];
        offsets.push(index === 0 ? 0 :
          offsets[index - 1] + (before.width + cell.width) / 2 + gaps.across * (cell.item ? 1 : 0.4));
      });
      const pools = [];
      row.forEach((cell, index) => {
        const weight = cell.item ? 1 : 2;
        let pool = {sum: (wanted(cell) - offsets[index]) * weight, weight, first: index};
        while (pools.length > 0) {
          const last = pools[pools.length - 1];
          if (last.sum / last.weight <= pool.sum / pool.weight) break;
          pools.pop();
          pool = {sum: last.sum + pool.sum, weight: last.weight + pool.weight, first: last.first};
        }
        pools.push(pool);
      });
      pools.forEach((pool, index) => {
        const end = index + 1 < pools.length ? pools[index + 1].first : row.length;
        for (let at = pool.first; at < end; at += 1) row[at].x = pool.sum / pool.weight + offsets[at];
      });
    }
    function placeCells(ranks) {
      const mean = list => list.reduce((sum, cell) => sum + cell.x, 0) / list.length;
      ranks.forEach(row => place(row, () => 0));
      for (let turn = 0; turn < 6; turn += 1) {
        for (const row of ranks) place(row, cell => cell.up.length > 0 ? mean(cell.up) : cell.x);
        for (const row of [...ranks].reverse()) {
          place(row, cell => cell.down.length > 0 ? mean(cell.down) : cell.x);
        }
      }
      ranks.forEach(row => place(row, cell => {
        const near = cell.up.concat(cell.down);
        return near.length > 0 ? mean(near) : cell.x;
      }));
    }

    /// Sets width and height of a group and, relative to it, x and y of its children; keeps the ways of edges.
    function layOut(group, lifted) {
      for (const child of group.children) {
        if (isOpen(child)) layOut(child, lifted); else measureBox(child);
      }
      const own = lifted.get(group) || {edges: [], exits: new Set(), entries: new Set()};
      const {order, edges} = sorted(group.children, own.edges);
      const {rank, count} = assignRanks(order, edges);
      const {ranks, routes} = makeCells(order, {...own, edges}, rank, count);
      orderCells(ranks);
      placeCells(ranks);
      const cells = ranks.flat();
      const left = smallest(cells, cell => cell.x - cell.width / 2, 0);
      let y = gaps.bar + gaps.pad;
      for (const row of ranks) {
        const height = largest(row, cell => cell.height, 0);
        for (const cell of row) {
          cell.x += gaps.pad - left;
          Object.assign(cell, {top: y, bottom: y + height});
          if (cell.item) {
            cell.item.x = cell.x - cell.width / 2;
            cell.item.y = y + (height - cell.height) / 2;
          }
        }
        y += height + gaps.down;
      }
      group.routes = routes;
      const title = group.id === "" ? 0 : textWidth(group.name + " — " + group.phase, 12, true) + 50;
      group.width = largest(cells, cell => cell.x + cell.width / 2 + gaps.pad, title);
      group.height = Math.max(gaps.bar + 2 * gaps.pad, y - gaps.down + gaps.pad);
    }

    /// The places of all open groups and drawn boxes in the picture.
    function setPlaces(item, left, top) {
      item.left = left + (item.x || 0);
      item.top = top + (item.y || 0);
      if (isOpen(item)) item.children.forEach(child => setPlaces(child, item.left, item.top));
    }
    """#
}
