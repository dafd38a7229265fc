// Calls, invocations and mails a second: the differences between the counts the loop shows.
"use strict";
(() => {
  const KEEP = 180; // points, two seconds apart
  const NAMES = ["calls", "invocations", "mails"];
  const COLOURS = ["--leaf", "--thread", "--busy"];
  const series = [[], [], [], []];
  let before = null, plot = null;

  const colour = (name) => getComputedStyle(document.documentElement).getPropertyValue(name).trim();

  function look() {
    const loop = document.querySelector("svg.loop");
    if (!loop) return;
    const now = { at: Number(loop.dataset.at) };
    for (const name of NAMES) now[name] = Number(loop.dataset[name]);
    if (before && now.at > before.at) {
      const seconds = now.at - before.at;
      series[0].push(now.at);
      NAMES.forEach((name, i) => series[i + 1].push(Math.max(0, (now[name] - before[name]) / seconds)));
      if (series[0].length > KEEP) series.forEach((values) => values.shift());
      draw();
    }
    before = now;
  }

  function draw() {
    const place = document.getElementById("pulse");
    if (!place || typeof uPlot === "undefined") return;
    if (plot) return plot.setData(series);
    const axis = { stroke: colour("--soft"), grid: { stroke: colour("--line"), width: 1 }, ticks: { show: false }, font: "11px system-ui" };
    const one = (u, value) => (value == null ? "–" : value >= 10 ? Math.round(value).toLocaleString("en") : value.toFixed(1));
    plot = new uPlot({
      width: place.clientWidth, height: 170, cursor: { y: false },
      scales: { y: { range: (u, low, high) => [0, Math.max(1, high * 1.15)] } },
      axes: [{ ...axis, values: (u, at) => at.map((t) => new Date(t * 1000).toTimeString().slice(0, 8)), space: 90 }, { ...axis, size: 46 }],
      series: [{ value: "{HH}:{mm}:{ss}" }, ...NAMES.map((name, i) => ({ label: name + "/s", stroke: colour(COLOURS[i]), width: 2, value: one, points: { show: false } }))],
    }, series, place);
    addEventListener("resize", () => plot.setSize({ width: place.clientWidth, height: 170 }));
  }

  look();
  const place = document.getElementById("loop");
  if (place) new MutationObserver(look).observe(place, { subtree: true, childList: true, attributes: true, attributeFilter: ["data-at"] });
})();
