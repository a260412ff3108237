import { h } from "../dom.ts";
import "./step.css";
import { onlineSoftmax, softmaxMean } from "./online.ts";
import { toggle } from "./stepper.ts";

const VALUES = [1, -2, 3, 0.5, -1, 2];
const SHOWN = 4; // largest score to drag to, and −4 the smallest

const rounded = (value: number): string => (Number.isFinite(value) ? value.toFixed(3) : "−∞").replace("-", "−");

/** Online softmax of one query, key by key: scores to drag, and sums that shrink when a larger one comes. */
export function mount(root: HTMLElement, options: unknown): () => void {
  const { scores: given = [1, 3, 2, -1, 4, 0] } = (options ?? {}) as { scores?: number[] };
  const scores = [...given];
  let step = 0;
  let forget = false;

  const sliders = scores.map((_, j) => {
    const input = h("input", {
      ...{ type: "range", min: `${-SHOWN}`, max: `${SHOWN}`, step: "0.5", value: `${scores[j]}` },
      oninput: () => {
        scores[j] = Number(input.value);
        draw();
      },
      attrs: { "aria-label": `Score of key ${j + 1}` },
    });
    return { input, value: h("output"), column: h("div", { className: "online-key" }) };
  });
  sliders.forEach(({ input, value, column }, j) => column.append(h("span", {}, `key ${j + 1}`), input, value));
  const back = h("button", { type: "button", onclick: () => goTo(step - 1) }, "Back");
  const next = h("button", { type: "button", className: "primary", onclick: () => goTo(step + 1) }, "Next key");
  const all = h("button", { type: "button", onclick: () => goTo(scores.length) }, "All keys");
  const bars = h("div", { className: "online-bars" });
  const say = h("p", { className: "status", attrs: { role: "status" } });
  const result = h("p", { className: "verdict", attrs: { role: "status" } });

  root.replaceChildren(
    h(
      "div",
      { className: "online-scores" },
      sliders.map(({ column }) => column),
    ),
    h(
      "div",
      { className: "bar" },
      ...[back, next, all],
      toggle("forget to shrink", false, (on) => {
        forget = on;
        draw();
      }),
    ),
    ...[say, bars, result],
  );

  function goTo(to: number): void {
    step = Math.max(0, Math.min(scores.length, to));
    draw();
  }

  function draw(): void {
    const states = onlineSoftmax(scores, VALUES, { forget });
    const { m, terms, o, shrink } = states[step]!;
    const l = terms.reduce((a, b) => a + b, 0);
    const most = Math.max(1, ...states.map(({ terms }) => terms.reduce((a, b) => a + b, 0)));
    sliders.forEach(({ value, column }, j) => {
      value.textContent = `s = ${`${scores[j]}`.replace("-", "−")}`;
      column.className = `online-key ${j === step - 1 ? "now" : j < step ? "seen" : ""}`;
    });
    back.disabled = step === 0;
    next.disabled = all.disabled = step === scores.length;
    bars.replaceChildren(
      h("p", {}, h("b", {}, "m"), ` = ${rounded(m)}, the largest score so far`),
      h("p", {}, h("b", {}, "l"), ` = ${rounded(l)}, one part for each key: exp(s − m)`),
      h(
        "div",
        { className: "online-l", attrs: { role: "img", "aria-label": `l = ${rounded(l)}` } },
        terms.map(
          (term, j) =>
          h("i", { title: `key ${j + 1}: ${rounded(term)}`, className: j === step - 1 ? "now" : "", attrs: { style: `width:${(100 * term) / most}%` } }, j + 1), // prettier-ignore
        ),
      ),
      h("p", {}, h("b", {}, "o"), ` = ${rounded(o)}, the sum of exp(s − m) v`),
    );
    say.textContent =
      step === 0
        ? "No key yet. Drag the scores, then take one key after the other."
        : shrink < 1
          ? `Key ${step} has a larger score. What came before is multiplied by exp(m_old − m_new) = ${rounded(shrink)}, then exp(0) = 1 is added.`
          : forget && m > states[step - 1]!.m && step > 1
            ? `Key ${step} has a larger score, but what came before keeps its size: it weighs exp(m_new − m_old) times too much.`
            : `Key ${step} is not larger than m: exp(${`${scores[step - 1]}`.replace("-", "−")} − m) = ${rounded(terms.at(-1)!)} is added, and nothing shrinks.`;
    const want = softmaxMean(scores.slice(0, step), VALUES);
    const right = Math.abs(o / l - want) < 1e-9;
    result.className = `verdict ${step === 0 ? "" : right ? "right" : "wrong"}`;
    result.textContent =
      step === 0
        ? ""
        : `y = o / l = ${rounded(o / l)}. Softmax of ${step === 1 ? "this score" : `these ${step} scores at once`}: ${rounded(want)}. ${right ? "The same." : "Not the same."}`;
  }

  draw();
  return () => undefined;
}
