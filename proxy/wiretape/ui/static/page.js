"use strict";
(() => {
  const root = document.documentElement;
  const all = (selector, within = document) => [...within.querySelectorAll(selector)];
  const remembered = (store, name, value) => {
    try { // a page from a file may have no storage
      if (value === undefined) return window[store].getItem(name);
      window[store].setItem(name, value);
    } catch {}
    return null;
  };

  // Dark and light
  root.classList.add("scripts");
  const theme = remembered("localStorage", "wiretape-theme");
  if (theme) root.dataset.theme = theme;
  const isDark = () => getComputedStyle(root).colorScheme === "dark" ||
    (root.dataset.theme !== "light" && matchMedia("(prefers-color-scheme: dark)").matches);

  // The timeline: what is drawn in SVG without scripts gets a cursor with them.
  function resolved(name) {
    const probe = document.createElement("span");
    probe.style.color = `var(${name})`;
    document.body.append(probe);
    const value = getComputedStyle(probe).color;
    probe.remove();
    return value;
  }
  const plots = [];
  function draw(box) {
    const lines = JSON.parse(box.querySelector("script").textContent);
    const words = all("[data-words] > span");
    const times = [...new Set(lines.flatMap((line) => line.at))].sort((a, b) => a - b);
    const levels = lines.map((line) => {
      const by = new Map(line.at.map((at, i) => [at, line.length[i]]));
      let level = 0;
      return times.map((at) => (level = by.get(at) ?? level));
    });
    const strokes = [resolved("--accent"), resolved("--warn")];
    const faint = resolved("--faint");
    const rule = resolved("--line");
    const axis = { stroke: faint, grid: { stroke: rule, width: 1 }, ticks: { stroke: rule }, font: "11px system-ui" };
    let current;
    const plot = new uPlot({
      width: box.clientWidth - 14,
      height: 190,
      scales: { x: { time: false, range: () => [0, Math.max(...lines.map((line) => line.end), 0.001)] } },
      axes: [
        { ...axis, values: (_, values) => values.map((v) => `${+v.toFixed(3)} s`) },
        { ...axis, size: 56, values: (_, values) => values.map((v) => `${v}`) },
      ],
      series: [{}, ...lines.map((_, i) => ({
        stroke: strokes[i], width: 1.6, points: { show: times.length < 300, size: 4 },
        paths: uPlot.paths.stepped({ align: 1 }), dash: i ? [5, 3] : undefined,
      }))],
      hooks: { setCursor: [(drawn) => {
        const span = words[drawn.cursor.idx];
        if (current === span) return;
        current?.classList.remove("on");
        current = span;
        if (!span) return;
        span.classList.add("on");
        const around = span.parentElement;
        around.scrollTop = span.offsetTop - around.offsetTop - around.clientHeight / 2;
      }] },
      legend: { show: false },
    }, [times, ...levels], box);
    box.classList.add("drawn");
    words.forEach((span, i) => span.addEventListener("mouseenter", () => plot.setCursor({
      left: plot.valToPos(times[i], "x"), top: plot.valToPos(levels[0][i], "y"),
    })));
    plots.push([box, plot]);
  }
  function drawAll() {
    for (const [, plot] of plots.splice(0)) plot.destroy();
    all("[data-plot]").forEach(draw);
  }
  drawAll();
  addEventListener("resize", () => plots.forEach(([box, plot]) =>
    plot.setSize({ width: box.clientWidth - 14, height: 190 })));
  matchMedia("(prefers-color-scheme: dark)").addEventListener("change", drawAll);

  // Buttons
  document.addEventListener("click", (event) => {
    const button = event.target.closest("button");
    if (button?.dataset.copy !== undefined) {
      navigator.clipboard?.writeText(button.parentElement.querySelector("code").textContent);
      button.textContent = "copied";
      setTimeout(() => { button.textContent = "copy"; }, 1500);
    } else if (button?.dataset.themeSwitch !== undefined) {
      root.dataset.theme = isDark() ? "light" : "dark";
      remembered("localStorage", "wiretape-theme", root.dataset.theme);
      drawAll();
    }
  });

  // What a link names is opened.
  function reveal() {
    const target = location.hash && document.getElementById(location.hash.slice(1));
    if (target?.tagName === "DETAILS") target.open = true;
  }
  addEventListener("hashchange", reveal);
  reveal();

  // A run that is under way
  const live = document.querySelector("[data-live]");
  if (live) {
    const source = new EventSource(live.dataset.live);
    source.onmessage = () => htmx.trigger(live, "changed");
    source.addEventListener("over", () => source.close());
  }

  // Keys
  const rows = () => all("[data-row]");
  const name = () => new URLSearchParams(location.search).get("name");
  function move(step) {
    const list = rows();
    const at = list.indexOf(document.activeElement?.closest("tr")?.querySelector("[data-row]"));
    list[Math.min(list.length - 1, Math.max(0, at + step))]?.focus();
  }
  function compare() {
    const marked = all("[name=name]:checked").map((box) => box.value);
    const [a, b] = marked.length === 2 ? marked : [remembered("sessionStorage", "wiretape-mark"), name()];
    if (a && b) location.href = `/diff?name=${encodeURIComponent(a)}&name=${encodeURIComponent(b)}`;
  }
  const open = (id) => {
    const part = document.getElementById(id);
    if (!part) return;
    if (part.tagName === "DETAILS") part.open = true;
    part.scrollIntoView();
  };
  const does = {
    "/": () => document.querySelector("[type=search]")?.focus(),
    j: () => move(1),
    k: () => move(-1),
    m: () => {
      const box = document.activeElement?.closest("tr")?.querySelector("[name=name]");
      if (box) box.checked = !box.checked;
      else if (name()) remembered("sessionStorage", "wiretape-mark", name());
    },
    d: compare,
    "[": () => all("[data-take=previous]").at(-1)?.click(),
    "]": () => document.querySelector("[data-take=next]")?.click(),
    r: () => open("events"),
    t: () => open("timeline"),
    "?": () => document.getElementById("keys")?.showModal(),
    Escape: () => { if (location.pathname !== "/") history.back(); },
  };
  if (document.getElementById("keys")) addEventListener("keydown", (event) => {
    const typing = event.target.closest?.("input:not([type=checkbox]), select, textarea, dialog");
    if (event.ctrlKey || event.metaKey || event.altKey) return;
    if (typing) {
      if (event.key === "Escape" && typing.tagName !== "DIALOG") typing.blur();
      return;
    }
    if (does[event.key]) {
      event.preventDefault();
      does[event.key]();
    }
  });
})();
