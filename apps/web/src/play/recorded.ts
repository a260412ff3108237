import "./play.css";
import { h } from "../dom.ts";
import type { PlayEvent } from "./events.ts";
import { recording } from "./recording.ts";
import { RunView } from "./run-view.ts";

/** How long the whole recording takes to play, in milliseconds. */
const LENGTH = 20_000;

/** A run that was recorded (`apps/web/scripts/record-run.ts`), played back: what the playground shows, without a GPU. */
export function mount(root: HTMLElement): () => void {
  let view = new RunView();
  let events: PlayEvent[] = [];
  let at = 0;
  let frame = 0;
  const slider = h("input", {
    type: "range",
    min: "0",
    value: "0",
    oninput: () => (stop(), goTo(Number(slider.value))),
    attrs: { "aria-label": "Place in the recording" },
  });
  const play = h("button", { type: "button", className: "primary", onclick: () => (frame ? stop() : start()) }, "Play");
  const stage = h("div");
  root.classList.add("play");
  root.replaceChildren(h("div", { className: "play-bar" }, play, slider), stage);
  setStage();

  function setStage(): void {
    const card = (title: string, ...children: HTMLElement[]) =>
      h("section", { className: "play-card" }, h("h2", {}, title), ...children);
    const sentence = events.find((event) => event.type === "begin")?.run.settings.sentence ?? "";
    stage.replaceChildren(
      view.status,
      view.numbers,
      card("A sentence", h("p", {}, sentence), view.sentence.root),
      card("Training", view.charts),
      h("div", { className: "play-pair" }, card("Confusion", view.confusion), card("Memory by owner", view.memory)),
    );
  }

  function goTo(next: number): void {
    if (next < at) {
      view = new RunView();
      at = 0;
      setStage();
    }
    while (at < next) view.show(events[at++]!);
    slider.value = `${at}`;
  }

  function start(): void {
    if (at === events.length) goTo(0);
    play.textContent = "Pause";
    let before = performance.now();
    const step = (now: number): void => {
      const due = Math.min(events.length, at + Math.ceil(((now - before) * events.length) / LENGTH));
      before = now;
      goTo(due);
      if (due < events.length) frame = requestAnimationFrame(step);
      else stop();
    };
    frame = requestAnimationFrame(step);
  }

  function stop(): void {
    cancelAnimationFrame(frame);
    frame = 0;
    play.textContent = "Play";
  }

  void recording().then((recorded) => {
    events = recorded;
    slider.max = `${events.length}`;
    setStage();
    if (matchMedia("(prefers-reduced-motion: reduce)").matches) goTo(events.length);
    else start();
  });
  return stop;
}
