// A report's script, third part: the pictures over time, with a slider and a player.

extension ReportPage {
  static let pictureScript = #"""
    // ---- Pictures
    const samples = [...new Set(pictures.map(picture => picture.sample))];
    let frames = [], frame = 0, playing = null;
    const shownPicture = () => frames[frame] || null;
    function choose(sample) {
      frames = pictures.filter(picture => picture.sample === sample);
      at("slider").max = Math.max(0, frames.length - 1);
      at("sample").value = sample;
    }
    function showFrame(index) {
      frame = Math.min(frames.length - 1, Math.max(0, index));
      const picture = frames[frame];
      if (!picture) return;
      const image = at("shown");
      image.src = picture.img.src;
      image.alt = picture.label;
      image.className = picture.img.naturalWidth < 2 * (image.clientWidth || 400) ? "small" : "";
      at("slider").value = frame;
      at("when").textContent = (hasEpochs ? `epoch ${epochOf(picture.step)}, ` : "") + `step ${whole(picture.step)}`;
      at("count").textContent = `${frame + 1} / ${frames.length}`;
      // The newest one stays the newest when the page is loaded again.
      view.picture = frame === frames.length - 1 ? null : picture.step;
      charts.forEach(chart => chart.mark());
    }
    function nearestFrame(step) {
      let best = 0;
      frames.forEach((picture, index) => {
        if (Math.abs(picture.step - step) < Math.abs(frames[best].step - step)) best = index;
      });
      return best;
    }
    function showPictureAt(step) {
      if (frames.length === 0) return;
      stop();
      showFrame(nearestFrame(step));
      save();
    }
    function stepPicture(by) { stop(); showFrame(frame + by); save(); }
    function stop() {
      clearInterval(playing);
      playing = null;
      at("play").textContent = "▶";
    }
    function togglePlay() {
      if (playing) return stop();
      if (frame === frames.length - 1) showFrame(0);
      at("play").textContent = "❚❚";
      playing = setInterval(() => {
        if (frame >= frames.length - 1) { stop(); save(); } else showFrame(frame + 1);
      }, Math.min(250, Math.max(80, 8000 / frames.length)));
    }
    function startPictures() {
      if (pictures.length === 0) {
        at("samples").hidden = true;
        return;
      }
      if (samples.length > 1) {
        at("sample").hidden = false;
        for (const name of samples) at("sample").append(element("option", {value: name}, name || "sample"));
        at("sample").addEventListener("change", () => {
          const step = shownPicture() ? shownPicture().step : 0;
          choose(at("sample").value);
          view.sample = at("sample").value;
          showPictureAt(step);
        });
      }
      choose(samples.includes(view.sample) ? view.sample : samples[0]);
      showFrame(view.picture === null ? frames.length - 1 : nearestFrame(view.picture));
      at("slider").addEventListener("input", () => { stop(); showFrame(Number(at("slider").value)); });
      at("slider").addEventListener("change", save);
      at("play").addEventListener("click", togglePlay);
    }
    """#
}
