// The page's script, last part: opening and selecting, search, keys, pointer, and the state in the address.

extension Page {
  static let controlScript = #"""
    // ---- Opening and selecting
    /// Draws again with an item kept where it is on the screen.
    function redraw(id) {
      const before = id ? tree.byId.get(id) : null;
      const place = before && before.left !== undefined ? [before.left, before.top] : null;
      draw();
      const after = id ? tree.byId.get(id) : null;
      if (place && after) {
        view.x += (place[0] - after.left) * view.scale;
        view.y += (place[1] - after.top) * view.scale;
        isFitted = false;
        move();
      }
      save();
    }
    function toggle(group) {
      if (!view.open.delete(group.id)) view.open.add(group.id);
      view.selected = group.id;
      redraw(group.id);
      focusSelected();
      showDetails();
    }
    function select(id) {
      view.selected = id;
      mark();
      focusSelected();
      showDetails();
      save();
    }
    function focusSelected() {
      const box = drawn.boxes.get(view.selected);
      if (box) box.focus({preventScroll: true});
    }
    /// Opens what is around an item, selects it and brings it to the middle.
    function reveal(id) {
      const item = tree.byId.get(id);
      if (!item) return;
      ancestors(item).forEach(group => view.open.add(group.id));
      view.selected = id;
      draw();
      centre(item);
      focusSelected();
      showDetails();
      save();
    }
    function setOpen(all) {
      view.open.clear();
      if (all) for (const item of tree.byId.values()) if (item.kind === "group") view.open.add(item.id);
      // What was selected may now be inside a closed box.
      const item = view.selected && tree.byId.get(view.selected);
      if (item) view.selected = item.kind === "group" ? item.id : visible(item).id;
      draw();
      fit();
      showDetails();
      save();
    }

    // ---- Search
    function matches() {
      const words = view.search.toLowerCase().split(/\s+/).filter(word => word !== "");
      if (words.length === 0) return [];
      return tree.leaves.filter(leaf => {
        const node = leaf.node;
        const text = [leaf.name, leaf.phase, ...leaf.types, ...leaf.values.map(v => "%" + v),
          ...(node ? [node.operation, node.path, "line " + node.line, node.attributes, ...node.notes] : [])
        ].join("\n").toLowerCase();
        return words.every(word => text.includes(word));
      });
    }
    let lastFound = -1;
    function search(text) {
      view.search = text;
      lastFound = -1;
      scene.classList.toggle("searching", text !== "");
      mark();
      const found = matches().length;
      element("found").textContent = text === "" ? "" : found + " found";
      save();
    }
    function nextFound() {
      const found = matches();
      if (found.length === 0) return;
      lastFound = (lastFound + 1) % found.length;
      element("found").textContent = (lastFound + 1) + " of " + found.length;
      reveal(found[lastFound].id);
    }

    // ---- Options
    /// Null where the browser's own is followed.
    let chosenTheme = null;
    function colour(by) {
      if (!(by === "phase" || measures[by]) || by === "time" && !data.timed) return;
      view.colour = by;
      element("colour").value = by;
      redraw(view.selected);
      showDetails();
    }
    function setOption(name, isOn) {
      view[name] = isOn;
      element(name).checked = isOn;
      makeTree();
      if (view.selected && !tree.byId.has(view.selected)) view.selected = null;
      redraw(view.selected);
      showDetails();
    }
    function theme(name) {
      document.documentElement.dataset.theme = name;
    }
    function otherTheme() {
      chosenTheme = document.documentElement.dataset.theme === "dark" ? "light" : "dark";
      theme(chosenTheme);
      save();
    }

    // ---- Keys
    const boxesInOrder = () => [...drawn.boxes.keys()].map(id => tree.byId.get(id))
      .sort((a, b) => a.order - b.order || ancestors(a).length - ancestors(b).length);
    function step(by) {
      const list = boxesInOrder(), at = list.findIndex(item => item.id === view.selected);
      const item = list[at < 0 ? 0 : (at + by + list.length) % list.length];
      if (item) { select(item.id); bringIn(item); }
    }
    function follow(isDown) {
      const [own, other] = isDown ? ["from", "to"] : ["to", "from"];
      const here = tree.byId.get(view.selected);
      if (!here || !drawn.boxes.has(view.selected)) { step(1); return; }
      if (isOpen(here)) { if (isDown) step(1); else leave(); return; }
      const near = drawn.edges.filter(edge => edge[own] === here.id)
        .map(edge => tree.byId.get(edge[other]));
      const distance = item => Math.abs(item.left + item.width / 2 - here.left - here.width / 2) +
        Math.abs(item.top - here.top);
      near.sort((a, b) => distance(a) - distance(b));
      if (near.length > 0) { select(near[0].id); bringIn(near[0]); }
    }
    /// To the group around what is selected, or to the graph.
    function leave() {
      const item = view.selected && tree.byId.get(view.selected);
      if (item && item.parent && item.parent.id !== "") { select(item.parent.id); return; }
      view.selected = null;
      mark();
      showDetails();
      picture.focus();
      save();
    }
    function bringIn(item) {
      const box = picture.getBoundingClientRect();
      const x = view.x + (item.left + item.width / 2) * view.scale;
      const y = view.y + (item.top + Math.min(item.height, 60) / 2) * view.scale;
      if (x < 40 || y < 30 || x > box.width - 40 || y > box.height - 30) centre(item);
    }
    function press() {
      const item = view.selected && tree.byId.get(view.selected);
      if (item && item.kind === "group") toggle(item);
    }
    const keys = {
      ArrowDown: () => follow(true), ArrowUp: () => follow(false), ArrowRight: () => step(1),
      ArrowLeft: () => step(-1), Enter: press, " ": press, Escape: leave,
      "/": () => element("search").focus(), n: nextFound, o: () => setOpen(true),
      c: () => setOpen(false), f: fit, "+": () => zoom(1.25), "=": () => zoom(1.25),
      "-": () => zoom(0.8), t: otherTheme, k: () => setOption("constants", !view.constants),
      i: () => setOption("inputs", !view.inputs), 1: () => colour("phase"), 2: () => colour("flops"),
      3: () => colour("bytes"), 4: () => colour("time"),
      "?": () => { view.selected = null; mark(); showDetails(); save(); }
    };
    document.addEventListener("keydown", event => {
      if (event.ctrlKey || event.metaKey || event.altKey) return;
      const target = event.target;
      if (target === element("search")) {
        if (event.key === "Enter") nextFound();
        if (event.key === "Escape") { target.value = ""; search(""); picture.focus(); }
        return;
      }
      // Controls keep their own keys; a box's button is pressed below.
      if (/^(SELECT|BUTTON|INPUT)$/.test(target.tagName) && !"/?fto".includes(event.key)) return;
      const action = keys[event.key];
      if (!action) return;
      event.preventDefault();
      action();
    });

    // ---- Pointer
    let drag = null, wasDragged = false;
    picture.addEventListener("pointerdown", event => {
      if (event.button !== 0) return;
      drag = {x: event.clientX, y: event.clientY, startX: view.x, startY: view.y};
      wasDragged = false;
    });
    window.addEventListener("pointermove", event => {
      if (!drag) return;
      const [dx, dy] = [event.clientX - drag.x, event.clientY - drag.y];
      if (!wasDragged && Math.hypot(dx, dy) < 4) return;
      wasDragged = true;
      isFitted = false;
      picture.classList.add("dragging");
      [view.x, view.y] = [drag.startX + dx, drag.startY + dy];
      move();
    });
    window.addEventListener("pointerup", () => {
      drag = null;
      picture.classList.remove("dragging");
    });
    picture.addEventListener("click", event => {
      if (!wasDragged && event.target === picture) { view.selected = null; leave(); }
    });
    picture.addEventListener("wheel", event => {
      event.preventDefault();
      const box = picture.getBoundingClientRect();
      const lines = event.deltaMode === 1 ? 16 : 1;
      zoom(Math.exp(-event.deltaY * lines * 0.0016), event.clientX - box.left,
        event.clientY - box.top);
    }, {passive: false});

    // ---- The state in the address, so that a view can be passed on
    function save() {
      const parts = [];
      const put = (name, value) => parts.push(name + "=" + encodeURIComponent(value));
      if (view.open.size > 0) put("open", [...view.open].join(","));
      if (view.selected) put("select", nameOf(tree.byId.get(view.selected)));
      if (view.colour !== "phase") put("colour", view.colour);
      if (view.search !== "") put("search", view.search);
      if (view.constants) put("constants", 1);
      if (view.inputs) put("inputs", 1);
      if (chosenTheme) put("theme", chosenTheme);
      try { history.replaceState(null, "", "#" + parts.join("&")); } catch { /* as in a frame */ }
    }

    /// A leaf's first value, as IR text numbers it; else the item's identifier.
    function nameOf(item) {
      return item.values && item.values.length > 0 ? String(item.values[0]) : item.id;
    }
    /// `open=generator` opens the boxes of that name, or of that identifier, and those around them.
    function openNamed(name) {
      for (const item of tree.byId.values()) {
        if (item.kind !== "group") continue;
        const names = [item.id, item.name, item.name.split(" ")[0].split(",")[0], item.phase];
        if (name !== "all" && !names.includes(name)) continue;
        view.open.add(item.id);
        ancestors(item).forEach(group => view.open.add(group.id));
      }
      view.open.delete("");
    }
    function load() {
      const wanted = new URLSearchParams(location.hash.slice(1));
      const dark = window.matchMedia("(prefers-color-scheme: dark)");
      chosenTheme = wanted.get("theme");
      theme(chosenTheme || (dark.matches ? "dark" : "light"));
      dark.addEventListener("change", () => {
        if (!chosenTheme) theme(dark.matches ? "dark" : "light");
      });
      view.constants = wanted.has("constants");
      view.inputs = wanted.has("inputs");
      view.search = wanted.get("search") || "";
      const by = wanted.get("colour") || "phase";
      if (measures[by] && (by !== "time" || data.timed)) view.colour = by;
      makeTree();
      (wanted.get("open") || "").split(",").filter(name => name !== "").forEach(openNamed);
      for (const name of ["constants", "inputs"]) element(name).checked = view[name];
      element("search").value = view.search;
      element("colour").value = view.colour;
      if (!data.timed) element("colour").querySelector("[value=time]").disabled = true;
      draw();
      fit();
      search(view.search);
      const chosen = wanted.get("select");
      if (chosen) {
        const leaf = tree.leaves.find(leaf => String(leaf.values[0]) === chosen) ||
          tree.leaves.find(leaf => leaf.values.map(String).includes(chosen));
        reveal(leaf ? leaf.id : chosen);
      }
      showDetails();
    }

    element("title").textContent = data.title;
    document.title = data.title;
    element("search").addEventListener("input", event => search(event.target.value));
    element("colour").addEventListener("change", event => colour(event.target.value));
    for (const name of ["constants", "inputs"]) {
      element(name).addEventListener("change", event => setOption(name, event.target.checked));
    }
    element("open-all").addEventListener("click", () => setOpen(true));
    element("close-all").addEventListener("click", () => setOpen(false));
    element("fit").addEventListener("click", fit);
    element("help").addEventListener("click", keys["?"]);
    element("theme").addEventListener("click", otherTheme);
    new ResizeObserver(() => { if (isFitted) fit(); }).observe(picture);
    load();
    """#
}
