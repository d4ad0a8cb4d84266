// The page's markup and style sheet: a bar of controls, the picture, the details beside it; light and dark.

extension Page {
  static let body = #"""
    <body>
    <header>
      <h1 id="title"></h1>
      <input id="search" type="search" placeholder="Search (/)" aria-label="Search operations"
        autocomplete="off" spellcheck="false">
      <span id="found" role="status"></span>
      <label>Colour <select id="colour">
        <option value="phase">phase of the step</option>
        <option value="flops">FLOPs</option>
        <option value="bytes">bytes moved</option>
        <option value="time">measured time</option>
      </select></label>
      <label><input id="constants" type="checkbox"> constants</label>
      <label><input id="inputs" type="checkbox"> states and seeds</label>
      <span class="buttons">
        <button id="open-all" title="Open all boxes (o)">Open all</button>
        <button id="close-all" title="Close all boxes (c)">Close all</button>
        <button id="fit" title="Show everything (f)">Fit</button>
        <button id="theme" title="Light or dark (t)">Theme</button>
        <button id="help" title="What is selected, or the whole graph and the keys (?)">Help</button>
      </span>
    </header>
    <main>
      <svg id="picture" tabindex="0" role="application"
        aria-label="The graph. Arrow keys move, Enter opens a box, slash searches.">
        <defs><marker id="arrow" viewBox="0 0 8 8" refX="7" refY="4" markerWidth="8"
          markerHeight="8" markerUnits="userSpaceOnUse" orient="auto"><path d="M0 0L8 4L0 8Z"/></marker></defs>
        <g id="scene"></g>
      </svg>
      <p id="too-large" role="status" hidden></p>
      <div id="legend"></div>
      <aside id="details" aria-live="polite"></aside>
    </main>
    <noscript>This page draws the graph with its own script, which is switched off.</noscript>
    </body>
    """#

  static let style = #"""
    :root{color-scheme:light;--page:#fff;--panel:#f6f8fa;--ink:#1f2328;--muted:#57606a;
      --border:#d0d7de;--forward:#0969da;--backward:#c2500a;--update:#1a7f37;--plain:#6e7781;
      --heat:#e36209;--accent:#8250df;--hit:#bf8700;--box:#fff;--edge:#8c959f}
    :root[data-theme=dark]{color-scheme:dark;--page:#0d1117;--panel:#161b22;--ink:#e6edf3;
      --muted:#9aa4af;--border:#30363d;--forward:#58a6ff;--backward:#f0883e;--update:#3fb950;
      --plain:#8b949e;--heat:#bd561d;--accent:#d2a8ff;--hit:#e3b341;--box:#161b22;--edge:#6e7681}
    *{box-sizing:border-box}
    html,body{height:100%;margin:0}
    body{display:flex;flex-direction:column;background:var(--page);color:var(--ink);
      font:14px/1.45 system-ui,-apple-system,"Segoe UI",Helvetica,Arial,sans-serif}
    header{display:flex;flex-wrap:wrap;gap:6px 14px;align-items:center;padding:8px 14px;
      background:var(--panel);border-bottom:1px solid var(--border)}
    h1{font-size:16px;margin:0 8px 0 0}
    input[type=search],select,button{font:inherit;color:inherit;background:var(--box);
      border:1px solid var(--border);border-radius:6px;padding:3px 8px}
    input[type=search]{width:190px}
    button{cursor:pointer}
    button:hover,select:hover{border-color:var(--muted)}
    :focus-visible{outline:2px solid var(--accent);outline-offset:1px}
    .buttons{display:flex;gap:6px}
    #found{color:var(--muted);min-width:4.5em}
    main{position:relative;flex:1;display:flex;min-height:0}
    #picture{flex:1;min-width:0;height:100%;display:block;cursor:grab;touch-action:none}
    #picture.dragging{cursor:grabbing}
    #picture:focus{outline:none}
    #legend{position:absolute;left:12px;bottom:10px;display:flex;gap:14px;padding:4px 10px;
      background:var(--panel);border:1px solid var(--border);border-radius:6px;font-size:12px;
      pointer-events:none}
    #legend:empty{display:none}
    #legend i{display:inline-block;width:12px;height:12px;border-radius:3px;margin-right:5px;
      vertical-align:-1px;border:1px solid}
    #legend .scale{width:90px;background:linear-gradient(90deg,transparent,var(--heat))}
    #too-large{position:absolute;left:24px;top:24px;margin:0;max-width:420px}
    aside{width:350px;overflow:auto;padding:12px 16px;background:var(--panel);
      border-left:1px solid var(--border);overflow-wrap:anywhere}
    aside h2{font-size:15px;margin:0 0 2px}
    aside h3{font-size:12px;margin:14px 0 3px;color:var(--muted);font-weight:600}
    aside p{margin:2px 0}
    aside table{border-collapse:collapse;width:100%}
    aside td{padding:1px 6px 1px 0;vertical-align:top}
    aside td:last-child{text-align:right;padding-right:0}
    aside .keys td:first-child{white-space:nowrap}aside .keys td:last-child{text-align:left}
    aside pre{margin:3px 0;padding:6px 0;background:var(--page);border:1px solid var(--border);
      border-radius:6px;overflow-x:auto;font:12px/1.5 ui-monospace,Menlo,Consolas,monospace}
    pre div{padding:0 8px;white-space:pre;width:max-content;min-width:100%}
    pre .here{background:color-mix(in srgb,var(--accent) 22%,transparent)}
    pre .number{color:var(--muted);display:inline-block;width:2.6em}
    kbd{font:12px ui-monospace,Menlo,monospace;border:1px solid var(--border);border-radius:4px;
      padding:0 4px;background:var(--page)}
    button.link{display:block;width:100%;text-align:left;border:0;background:none;padding:2px 6px;
      margin:0 -6px;color:inherit;border-radius:4px}
    button.link:hover{background:var(--page)}
    .muted{color:var(--muted)}
    .badge{display:inline-block;border-radius:9px;padding:0 8px;font-size:12px;color:var(--page);
      background:var(--plain)}
    .badge.forward{background:var(--forward)}.badge.backward{background:var(--backward)}
    .badge.update{background:var(--update)}
    svg text{fill:var(--ink);font-size:12px;user-select:none}
    .forward{--phase:var(--forward)}.backward{--phase:var(--backward)}.update{--phase:var(--update)}
    .plain{--phase:var(--plain)}
    .group>rect{fill:var(--phase);fill-opacity:.05;stroke:var(--phase);stroke-opacity:.6}
    .group>.bar{fill-opacity:.13;stroke:none;cursor:pointer}
    .group text{font-weight:600;pointer-events:none}
    .box{cursor:pointer;outline:none}
    .box .back{fill:var(--box);stroke:none}
    .box .face{fill:var(--phase);fill-opacity:.13;stroke:var(--phase);stroke-width:1.2}
    .box .name{font-weight:600}
    .box .more{font-size:11px}
    .box.closed .face{stroke-width:2.2}
    .heat .box .face{fill:var(--heat);fill-opacity:var(--share)}
    .box:hover .face{stroke-width:2.6}
    .hit .face{stroke:var(--hit);stroke-width:3}
    .searching .box:not(.hit){opacity:.45}
    .selected .face,.group.selected>rect:first-child{stroke:var(--accent);stroke-width:3;
      stroke-opacity:1}
    .edge{fill:none;stroke:var(--edge);stroke-opacity:.75;marker-end:url(#arrow)}
    .edge.back{stroke-dasharray:6 4}
    #arrow path{fill:var(--edge)}
    .edge.near{stroke:var(--accent);stroke-opacity:1;stroke-width:2.4px}
    .label{font-size:10.5px!important;fill:var(--muted)!important;stroke:var(--page);
      stroke-width:3px;paint-order:stroke;text-anchor:middle;pointer-events:none}
    .label.crowded,.far .label{display:none}
    .label.near{display:inline;fill:var(--accent)!important}
    @media (max-width:760px){main{flex-direction:column}aside{width:auto;height:38%;border-left:0;
      border-top:1px solid var(--border)}#legend{bottom:calc(38% + 8px)}}
    """#
}
