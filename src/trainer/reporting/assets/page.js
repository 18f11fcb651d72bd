"use strict";
const charts = JSON.parse(document.getElementById("charts").textContent);
const dark = matchMedia("(prefers-color-scheme: dark)");

function theme() {
  const css = name => getComputedStyle(document.documentElement).getPropertyValue(name).trim();
  const [text, dim, line] = ["--text", "--dim", "--line"].map(css);
  const palette = dark.matches
    ? ["#7ab0ff", "#ffb454", "#6fdc8c", "#ff8b7a", "#d4a5ff", "#5fd4e0", "#f7e26b", "#ffa3c7"]
    : ["#1d5fbf", "#b35900", "#1b7a3d", "#c2321f", "#7a3db8", "#0b7285", "#7a6400", "#b02a68"];
  return {
    background: "transparent", font: "system-ui, sans-serif", view: { stroke: null },
    axis: { labelColor: dim, titleColor: dim, gridColor: line, domainColor: line,
      tickColor: line, labelFontSize: 12, titleFontSize: 12, titleFontWeight: "normal" },
    legend: { labelColor: text, titleColor: dim, orient: "top", labelFontSize: 12,
      labelLimit: 240, columns: innerWidth < 600 ? 1 : 4 },
    range: { category: palette, ramp: dark.matches
      ? ["#7a5fd0", "#f0708e", "#ffe08a"] : ["#c97a10", "#c2325f", "#3b1c8c"] },
    mark: { color: palette[0] }, style: { halo: { stroke: css("--card"), strokeWidth: 5 } },
    line: { strokeWidth: 2 }, rule: { color: line }, bar: { color: palette[0] },
    text: { color: dim },
  };
}

async function draw() {
  for (const { id, spec } of charts) {
    const options = { renderer: "svg", actions: false, config: theme(),
      tooltip: { theme: dark.matches ? "dark" : "light" } };
    await vegaEmbed(document.getElementById(id), spec, options);
  }
  document.documentElement.dataset.drawn = dark.matches ? "dark" : "light";
}

dark.addEventListener("change", draw);
draw();
