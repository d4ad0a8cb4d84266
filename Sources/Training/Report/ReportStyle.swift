// A report's markup and style sheet: a bar with what the run does now, figures, the losses beside
// the pictures, the speed, events, and what was trained with what; light and dark.

extension ReportPage {
  static let body = #"""
    <body>
    <header>
      <h1 id="title"></h1><span id="state" class="badge"></span>
      <span id="where"></span>
      <progress id="progress" max="1" value="0" aria-label="Progress"></progress>
      <span class="buttons">
        <label id="follow-label" hidden><input id="follow" type="checkbox" checked> follow</label>
        <button id="theme" title="Light or dark">Theme</button>
      </span>
    </header>
    <main>
      <p id="notice" role="status" hidden></p>
      <section id="figures" aria-label="Figures"></section>
      <div class="columns">
        <section class="card wide">
          <div class="bar"><h2>Losses</h2><span id="legend" class="legend"></span>
            <span class="buttons">
              <label>smooth <input id="smooth" type="range" min="0" max="0.99" step="0.01"></label>
              <label><input id="log" type="checkbox"> log</label>
              <button id="all" title="Show all steps (double click)" hidden>All steps</button>
            </span></div>
          <svg id="losses" class="chart" role="img" aria-label="Losses over the steps"></svg>
          <div class="bar"><h2>Speed</h2><span id="speed-now" class="muted"></span></div>
          <svg id="speed" class="chart low" role="img" aria-label="Time of a step over the steps"></svg>
        </section>
        <section class="card" id="samples">
          <div class="bar"><h2>Samples</h2><select id="sample" aria-label="Sample" hidden></select>
            <span id="when" class="muted"></span></div>
          <div id="stage"><img id="shown" alt=""></div>
          <div class="bar player">
            <button id="play" title="Play (space)" aria-label="Play">▶</button>
            <input id="slider" type="range" min="0" step="1" aria-label="Time">
            <span id="count" class="muted"></span></div>
        </section>
      </div>
      <section class="card" id="events" hidden><h2>Health</h2><table></table></section>
      <div class="thirds">
        <section class="card"><h2>Hyperparameters</h2><table id="settings"></table>
          <div id="updates"></div></section>
        <section class="card"><h2>Data and networks</h2><table id="data"></table></section>
        <section class="card"><h2>Machine</h2><table id="machine"></table></section>
      </div>
      <section class="card" id="sessions" hidden><h2>Sessions</h2><table></table></section>
      <section class="card"><details id="program" open><summary><h2>Program</h2></summary>
        <pre id="source"></pre></details>
        <details id="defaults" hidden><summary>Defaults in force</summary><table></table></details>
      </section>
    </main>
    <div id="tip" role="status" hidden></div>
    <noscript>This page draws with its own script, which is switched off.
      <style>#pictures[hidden]{display:block}</style></noscript>
    """#

  static let style = #"""
    :root{color-scheme:light;--page:#f6f8fa;--panel:#fff;--ink:#1f2328;--muted:#59636e;
      --border:#d1d9e0;--grid:#e6eaef;--accent:#8250df;--good:#1a7f37;--bad:#cf222e;--warn:#9a6700;
      --busy:#0969da;--c0:#0969b0;--c1:#d9480f;--c2:#2b8a3e;--c3:#9c36b5;--c4:#c2255c;--c5:#0b7285;
      --c6:#a67c00;--c7:#495057}
    :root[data-theme=dark]{color-scheme:dark;--page:#0d1117;--panel:#161b22;--ink:#e6edf3;
      --muted:#9aa4af;--border:#30363d;--grid:#252c35;--accent:#d2a8ff;--good:#3fb950;--bad:#f85149;
      --warn:#d29922;--busy:#58a6ff;--c0:#58a6ff;--c1:#ff9457;--c2:#56d364;--c3:#d2a8ff;
      --c4:#ff7b9c;--c5:#39c5cf;--c6:#e3b341;--c7:#adb5bd}
    *{box-sizing:border-box}
    [hidden]{display:none!important}
    body{margin:0;background:var(--page);color:var(--ink);
      font:14px/1.45 system-ui,-apple-system,"Segoe UI",Helvetica,Arial,sans-serif}
    header{position:sticky;top:0;z-index:2;display:flex;flex-wrap:wrap;gap:6px 12px;
      align-items:center;padding:10px 20px;background:var(--panel);
      border-bottom:1px solid var(--border)}
    h1{font-size:17px;margin:0}
    h2{font-size:14px;margin:0;font-weight:600}
    progress{flex:1;min-width:80px;height:8px;appearance:none;border:0;border-radius:4px;
      background:var(--grid);overflow:hidden}
    progress::-webkit-progress-bar{background:var(--grid);border-radius:4px}
    progress::-webkit-progress-value{background:var(--state);border-radius:4px}
    progress::-moz-progress-bar{background:var(--state);border-radius:4px}
    header,main{--state:var(--busy)}
    .finished{--state:var(--good)}.interrupted{--state:var(--warn)}.died,.failed{--state:var(--bad)}
    .badge{border-radius:10px;padding:1px 10px;font-size:12px;font-weight:600;color:var(--state);
      border:1px solid var(--state)}
    main{max-width:1500px;margin:0 auto;padding:16px 20px 40px}
    .muted,#where{color:var(--muted)}
    select,button{font:inherit;color:inherit;background:var(--panel);border:1px solid var(--border);
      border-radius:6px;padding:2px 9px}
    button{cursor:pointer}
    button:hover,select:hover{border-color:var(--muted)}
    :focus-visible{outline:2px solid var(--accent);outline-offset:1px}
    input[type=range]{accent-color:var(--accent);vertical-align:middle}
    input[type=checkbox]{accent-color:var(--accent);vertical-align:-2px}
    #smooth{width:90px}
    .buttons{display:flex;gap:6px 12px;align-items:center;margin-left:auto}
    #notice{margin:0 0 14px;padding:8px 14px;border:1px solid var(--state);border-left-width:4px;
      border-radius:6px;background:var(--panel)}
    #figures{display:flex;flex-wrap:wrap;gap:10px;margin-bottom:14px}
    #figures div{flex:1 0 118px;background:var(--panel);border:1px solid var(--border);
      border-radius:8px;padding:7px 14px}
    #figures b{display:block;font-size:19px;font-weight:600;white-space:nowrap;
      font-variant-numeric:tabular-nums}
    #figures span{color:var(--muted);font-size:12px}
    .columns{display:flex;flex-wrap:wrap;gap:14px;margin-bottom:14px;align-items:stretch}
    .card{background:var(--panel);border:1px solid var(--border);border-radius:8px;padding:12px 16px;
      margin-bottom:14px;min-width:0}
    .columns .card,.thirds .card{margin-bottom:0}
    .wide{flex:1 1 560px}
    #samples{flex:0 1 430px;display:flex;flex-direction:column}
    .thirds{display:grid;grid-template-columns:repeat(auto-fit,minmax(320px,1fr));gap:14px;
      margin-bottom:14px}
    .bar{display:flex;flex-wrap:wrap;gap:4px 14px;align-items:center;min-height:28px}
    .player{flex-wrap:nowrap;margin-top:8px}
    #slider{flex:1;min-width:60px}
    #play{width:38px}
    #stage{flex:1;display:flex;align-items:center;justify-content:center;min-height:200px;
      margin-top:6px}
    #shown{width:100%;border-radius:4px;display:block}
    #shown.small{image-rendering:pixelated}
    .legend{display:flex;flex-wrap:wrap;gap:2px 6px}
    .legend button{border:0;padding:1px 6px;background:none}
    .legend button:hover{background:var(--page)}
    .legend i{display:inline-block;width:14px;height:3px;border-radius:2px;vertical-align:4px;
      margin-right:6px;background:var(--c)}
    .legend [aria-pressed=false]{opacity:.4;text-decoration:line-through}
    .chart{display:block;width:100%;height:340px;touch-action:pan-y;cursor:crosshair;
      user-select:none}
    .chart.low{height:150px}
    .chart text{fill:var(--muted);font-size:11px}
    .chart .rule{stroke:var(--grid);shape-rendering:crispEdges}
    .chart path{fill:none;stroke:var(--c);stroke-linejoin:round}
    .chart .raw{stroke-opacity:.28;stroke-width:1}
    .chart .line{stroke-width:1.8}
    .chart .cursor{stroke:var(--muted);shape-rendering:crispEdges}
    .chart .picture{stroke:var(--accent);stroke-dasharray:4 3}
    .chart .session{stroke:var(--muted);stroke-dasharray:1 3}
    .chart .event{stroke:var(--warn);stroke-opacity:.75}
    .chart .event.fatal{stroke:var(--bad)}
    .chart .dot{fill:var(--c);stroke:var(--panel);stroke-width:1.5}
    .chart .range{fill:var(--accent);fill-opacity:.14}
    #tip{position:absolute;z-index:3;pointer-events:none;background:var(--panel);
      border:1px solid var(--border);border-radius:6px;padding:6px 10px;font-size:12px;
      box-shadow:0 3px 12px #0003;max-width:340px;font-variant-numeric:tabular-nums}
    #tip b{display:block}
    #tip td{padding:0 10px 0 0;text-align:right}#tip td:first-child{text-align:left}
    #tip i{display:inline-block;width:10px;height:10px;border-radius:3px;margin-right:6px;
      background:var(--c)}
    #tip p{margin:4px 0 0;color:var(--warn)}
    table{border-collapse:collapse}
    .card table{width:100%;margin-top:6px}
    .card td,.card th{padding:3px 12px 3px 0;vertical-align:top;text-align:left;
      border-top:1px solid var(--grid);overflow-wrap:anywhere}
    .card tr:first-child td{border-top:0}
    .card td:first-child{color:var(--muted);white-space:nowrap;width:1%}
    th{font-weight:600;color:var(--muted);font-size:12px;border-top:0!important}
    .number{text-align:right!important;font-variant-numeric:tabular-nums;white-space:nowrap}
    #events>table>tr>td:nth-child(2){white-space:nowrap;font-weight:600;color:var(--warn);width:1%}
    #events>table>.fatal>td:nth-child(2){color:var(--bad)}
    #events>table>.over>td:nth-child(2){color:var(--muted)}
    #events p{margin:3px 0 0;color:var(--muted)}
    #events .ranges{width:auto;font-size:12px}
    code,pre{font:12px/1.55 ui-monospace,SFMono-Regular,Menlo,Consolas,monospace}
    pre{margin:8px 0 0;overflow-x:auto}
    pre div{white-space:pre;min-width:max-content}
    pre div::before{content:attr(data-line);display:inline-block;width:3em;color:var(--muted);
      opacity:.7;user-select:none}
    #updates code{display:block;white-space:pre-wrap;padding:3px 0;border-top:1px solid var(--grid)}
    #updates{margin-top:3px}
    summary{cursor:pointer}summary h2{display:inline}
    .comment{color:var(--muted);font-style:italic}.string{color:var(--c2)}.word{color:var(--c3)}
    .value{color:var(--c0)}
    #defaults{margin-top:12px}
    #pictures:not([hidden]) img{margin:4px}
    @media (max-width:640px){main{padding:12px 10px}header{padding:8px 10px}.chart{height:260px}
      #samples{flex-basis:100%}}
    @media print{header{position:static}body{background:#fff}.buttons,.player{display:none}}
    """#
}
