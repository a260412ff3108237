const LIGHT = `--blue: #2f6fb7; --orange: #d9731a; --green: #2e8b57; --red: #c4392f; --faint: #9a9a96; --back: #fafaf8; --card: #fff; --text: #23231f; --muted: #6a6a64; --line: #e4e4df;`;
const DARK = `--blue: #6aa9ea; --orange: #f0a050; --green: #5cc08a; --red: #f0776c; --faint: #77777c; --back: #131315; --card: #1b1b1e; --text: #e8e8e6; --muted: #a0a09c; --line: #323236;`;

/** The page's CSS: it suits light and dark, paper and phones. */
export const STYLE = `
:root { color-scheme: light dark; ${LIGHT} }
@media screen and (prefers-color-scheme: dark) { :root { ${DARK} } }
* { box-sizing: border-box; }
body { font: 15px/1.55 system-ui, -apple-system, "Segoe UI", Roboto, sans-serif; max-width: 1240px; margin: 0 auto; padding: 28px 20px 40px; background: var(--back); color: var(--text); }
h1 { font-size: 1.7rem; line-height: 1.2; margin: 0 0 12px; overflow-wrap: anywhere; } h2 { font-size: 1.2rem; margin: 40px 0 12px; } h3 { font-size: 0.95rem; margin: 0; text-wrap: balance; }
section > h3 { margin: 24px 0 6px; }
code { font: 0.92em ui-monospace, Menlo, Consolas, monospace; overflow-wrap: anywhere; }
.muted, figcaption, footer { color: var(--muted); } .bad { color: var(--red); }
.status { display: inline-block; margin: 0 0 8px; padding: 1px 10px; border-radius: 99px; font-size: 0.8rem; font-weight: 600; border: 1px solid currentColor; }
.training { color: var(--blue); } .finished { color: var(--green); } .stopped, .failed { color: var(--orange); }
progress { appearance: none; display: block; width: 100%; height: 6px; margin: 0 0 14px; border: 0; border-radius: 3px; overflow: hidden; background: var(--line); }
progress::-webkit-progress-bar { background: var(--line); } progress::-webkit-progress-value { background: var(--blue); } progress::-moz-progress-bar { background: var(--blue); }
.summary { max-width: 46rem; font-size: 1.05rem; } .summary p { margin: 0 0 6px; }
.tiles { display: grid; grid-template-columns: repeat(auto-fit, minmax(140px, 1fr)); gap: 12px; margin: 0; } header + .tiles { margin-top: 22px; }
.tiles div, figure, .mistakes li { background: var(--card); border: 1px solid var(--line); border-radius: 10px; }
.tiles div { padding: 10px 14px; } dt { color: var(--muted); font-size: 0.8rem; } dd { margin: 0; font-size: 1.25rem; font-weight: 600; font-variant-numeric: tabular-nums; }
.grid { display: grid; grid-template-columns: repeat(auto-fill, minmax(min(100%, 350px), 1fr)); gap: 14px; }
.grid.small { grid-template-columns: repeat(auto-fill, minmax(min(100%, 270px), 1fr)); }
figure { margin: 0; padding: 12px 14px 8px; min-width: 0; break-inside: avoid; } figcaption { font-size: 0.82rem; min-height: 1.6em; }
.small h3::first-letter, .tiles dt::first-letter { text-transform: uppercase; }
figcaption i { display: inline-block; width: 14px; height: 3px; vertical-align: middle; border-radius: 2px; } i.blue { background: var(--blue); } i.orange { background: var(--orange); }
svg { display: block; width: 100%; height: auto; overflow: visible; background: none !important; }
.bands rect:hover { fill: currentColor; fill-opacity: 0.1; } .bands, .points { outline: none; }
#tip { position: fixed; z-index: 1; pointer-events: none; white-space: pre-line; padding: 5px 9px; border-radius: 7px; font-size: 0.8rem; line-height: 1.4; max-width: 260px; background: var(--text); color: var(--back); }
.beside { display: grid; grid-template-columns: repeat(auto-fit, minmax(min(100%, 480px), 1fr)); column-gap: 40px; } .beside table { width: 100%; }
.wide { overflow-x: auto; } table { border-collapse: collapse; font-size: 0.87rem; font-variant-numeric: tabular-nums; }
th, td { padding: 4px 12px 4px 0; border-bottom: 1px solid var(--line); text-align: right; vertical-align: top; white-space: nowrap; }
th { font-weight: 500; color: var(--muted); } th:first-child, td:first-child, .texts td, .texts th { text-align: left; } tr.best td { font-weight: 700; }
tbody th { width: 1%; } .texts td { white-space: normal; overflow-wrap: anywhere; }
summary { cursor: pointer; padding: 6px 0; color: var(--muted); } summary:hover { color: var(--text); } details > .wide, details > table { margin: 4px 0 12px; }
.mistakes { list-style: none; padding: 0; margin: 0; columns: 2 420px; column-gap: 14px; } .mistakes li { padding: 10px 14px; margin: 0 0 14px; break-inside: avoid; }
.said { margin: 0 0 4px; } .row { float: right; font-size: 0.8rem; } .text { margin: 0; overflow-wrap: anywhere; white-space: pre-line; font-size: 0.92rem; } .text + .text { margin-top: 8px; border-top: 1px solid var(--line); padding-top: 8px; }
.text summary { padding: 0; color: inherit; list-style: none; } .text summary::-webkit-details-marker { display: none; } .more { color: var(--blue); white-space: nowrap; } .text p { margin: 4px 0 0; } .text[open] .start { display: none; }
footer { margin-top: 40px; font-size: 0.82rem; } #stale { color: var(--orange); margin: 0 0 8px; }
@media (max-width: 480px) { body { padding: 18px 14px 30px; } .tiles { grid-template-columns: 1fr 1fr; } th, td { padding-right: 8px; } .texts th { white-space: normal; overflow-wrap: anywhere; width: 42%; } figure { padding: 10px 10px 6px; } .row { float: none; } }
@media print { body { background: none; padding: 0; font-size: 12px; } .grid { grid-template-columns: repeat(2, 1fr); } .grid.small { grid-template-columns: repeat(3, 1fr); } .tiles { grid-template-columns: repeat(6, 1fr); } h2, h3 { break-after: avoid; } #tip { display: none; } }
`;

/**
 * Shows what the pointer is at, and loads the page again while training is under way: where it was, with what was open. A run that was
 * killed can't say so: after ten minutes without a new page it isn't called training any more, after an hour nothing is loaded again.
 */
export const SCRIPT = `
(() => {
  const tip = document.getElementById("tip");
  const show = (event) => {
    const at = event.target.closest?.("svg *");
    const title = at?.querySelector(":scope > title");
    if (title) { at.dataset.tip = title.textContent; title.remove(); }
    const text = at?.dataset.tip;
    tip.hidden = !text;
    if (!text) return;
    tip.textContent = text;
    const { width, height } = tip.getBoundingClientRect();
    tip.style.left = Math.max(4, Math.min(event.clientX + 14, innerWidth - width - 4)) + "px";
    tip.style.top = (event.clientY - height - 12 < 4 ? event.clientY + 18 : event.clientY - height - 12) + "px";
  };
  addEventListener("pointermove", show);
  addEventListener("pointerdown", show);
  addEventListener("scroll", () => { tip.hidden = true; }, { passive: true });

  const { status, written } = document.documentElement.dataset;
  const key = "gpugrad " + location.pathname;
  const opened = () => [...document.querySelectorAll("details[id]")].filter((one) => one.open).map((one) => one.id);
  let before = null;
  try { before = JSON.parse(sessionStorage.getItem(key)); sessionStorage.removeItem(key); } catch {}
  if (before) {
    history.scrollRestoration = "manual";
    for (const id of before.opened) { const one = document.getElementById(id); if (one) one.open = true; }
    scrollTo({ left: before.x, top: before.y, behavior: "instant" });
  }
  if (status !== "training") return;
  const loaded = Date.now();
  const pill = document.getElementById("status");
  const note = document.getElementById("stale");
  const look = () => {
    const minutes = Math.floor((Date.now() - written) / 60e3);
    const [silent, over] = [minutes >= 10, minutes >= 60];
    if (silent) {
      const time = minutes < 120 ? minutes + " minutes" : minutes < 2880 ? Math.floor(minutes / 60) + " hours" : Math.floor(minutes / 1440) + " days";
      pill.textContent = "no news for " + time;
      pill.className = "status stopped";
      note.hidden = false;
      note.textContent = "The run wrote nothing for " + time + ": it was ended, or its machine sleeps." + (over ? " This page no longer loads itself again." : "");
    }
    const busy = document.hidden || !tip.hidden || String(getSelection()) || document.querySelector("details.text[open]");
    if (over || busy || Date.now() - loaded < (silent ? 60e3 : 5e3)) return;
    try { sessionStorage.setItem(key, JSON.stringify({ x: scrollX, y: scrollY, opened: opened() })); } catch {}
    location.reload();
  };
  look();
  setInterval(look, 500);
})();
`;

/** By which the page's policy knows its script: its SHA-256, in base64. A test holds it right. */
export const SCRIPT_HASH = "b/gA2bl6NNAhBIhNeQPmNYH4GILGovIxJvMxlG4m9XQ=";
