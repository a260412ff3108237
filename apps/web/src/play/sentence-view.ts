import { h, svg } from "../dom.ts";
import type { Look, Neighbour } from "./events.ts";

/** What a model makes of the sentence: score, what each token says, attention, rows like it. */
export class SentenceView {
  readonly root = h("div", { className: "play-sentence-view" });
  readonly #score = h("p", { className: "play-score" });
  readonly #history = h("div", { className: "play-score-history" });
  readonly #tokens = h("div", { className: "play-token-rows" });
  readonly #heads = h("div", { className: "play-heads", attrs: { role: "group", "aria-label": "Heads of attention" } });
  readonly #lines = h("div", { className: "play-attention" });
  readonly #rows = h("ol", { className: "play-neighbours" });
  readonly #looks: Look[] = [];
  #labels: string[] = [];
  #head = 0;
  #token: number | undefined;

  constructor() {
    this.root.append(
      h("div", { className: "play-verdict" }, this.#score, this.#history),
      this.#tokens,
      h(
        "div",
        { className: "play-columns" },
        h("div", {}, h("h3", {}, "Attention"), this.#heads, this.#lines),
        h("div", {}, h("h3", {}, "Training rows it takes to be alike"), this.#rows),
      ),
    );
  }

  begin(labels: string[], looks: readonly Look[]): void {
    this.#labels = labels;
    this.#looks.splice(0, Infinity, ...looks);
    this.#rows.replaceChildren(h("li", { className: "play-faint" }, "After the first evaluation."));
    this.draw();
  }

  show(look: Look): void {
    const { tokens } = this.#looks.at(-1) ?? look;
    if (tokens.join("\n") !== look.tokens.join("\n")) this.#looks.length = 0; // another sentence
    this.#looks.push(look);
  }

  nearest(neighbours: readonly Neighbour[]): void {
    this.#rows.replaceChildren(
      ...neighbours.map(({ text, label, similarity }) =>
        h(
          "li",
          {},
          h("span", { className: "play-similarity" }, similarity.toFixed(3)),
          h("span", {}, text.length > 160 ? `${text.slice(0, 160)} …` : text),
          " ",
          h("span", { className: "play-label" }, label),
        ),
      ),
    );
  }

  draw(): void {
    const last = this.#looks.at(-1);
    const first = this.#looks[0];
    if (!last || !first) {
      this.#score.replaceChildren(
        h("span", { className: "play-faint" }, "Start training to see what the model makes of it."),
      );
      for (const part of [this.#history, this.#tokens, this.#heads, this.#lines]) part.replaceChildren();
      return;
    }
    this.#drawScore(last);
    this.#drawTokens(first, last);
    this.#drawHeads(last);
    this.#drawLines(last);
  }

  #name(id: number): string {
    return this.#labels[id] ?? `class ${id}`;
  }

  #drawScore({ scores }: Look): void {
    if (scores.length === 1) {
      this.#score.replaceChildren(h("strong", {}, scores[0]!.toFixed(3)));
      return this.#history.replaceChildren();
    }
    const best = scores.indexOf(Math.max(...scores));
    this.#score.replaceChildren(h("strong", {}, this.#name(best)), ` ${(100 * scores[best]!).toFixed(1)} %`);
    const { target } = this.#looks[0]!;
    const [width, height] = [160, 36];
    const end = Math.max(1, this.#looks.at(-1)!.step);
    const points = this.#looks.map(({ step, scores }) => `${((step / end) * width).toFixed(1)},${(height * (1 - scores[target]!)).toFixed(1)}`); // prettier-ignore
    this.#history.replaceChildren(
      svg(
        "svg",
        { width, height: height + 2, viewBox: `0 -1 ${width} ${height + 2}`, role: "img", "aria-label": `The probability of ${this.#name(target)} at each look` }, // prettier-ignore
        svg("line", { x1: 0, x2: width, y1: height / 2, y2: height / 2, class: "play-half" }),
        svg("polyline", { points: points.join(" "), class: "play-path" }),
      ),
      h("span", { className: "play-faint" }, `how likely ${this.#name(target)}, from 0 to 100 %`),
    );
  }

  #drawTokens(first: Look, last: Look): void {
    const largest = Math.max(1e-9, ...first.attributions.map(Math.abs), ...last.attributions.map(Math.abs));
    const row = (name: string, { tokens, attributions }: Look) =>
      h(
        "div",
        { className: "play-token-row" },
        h("span", { className: "play-faint" }, name),
        h(
          "p",
          {},
          tokens.map((token, i) => {
            const value = attributions[i]!;
            const share = Math.round(45 * Math.min(1, Math.abs(value) / largest));
            const color = value < 0 ? "var(--play-orange)" : "var(--play-blue)";
            return h(
              "span",
              {
                className: "play-token",
                title: `${value.toFixed(4)} for ${this.#name(last.target)}`,
                style: `--share: color-mix(in srgb, ${color} ${share}%, transparent)`,
              },
              token,
            );
          }),
        ),
      );
    this.#tokens.replaceChildren(
      row(first.step === 0 ? "before training" : `at update ${first.step}`, first),
      row(`at update ${last.step}`, last),
      h(
        "p",
        { className: "play-legend play-faint" },
        h("span", { className: "play-swatch blue" }),
        `speaks for ${this.#name(last.target)} `,
        h("span", { className: "play-swatch orange" }),
        "speaks against it (integrated gradients)",
      ),
    );
  }

  #drawHeads(last: Look): void {
    const { layers, heads, tokens } = last;
    const T = tokens.length;
    this.#head = Math.min(this.#head, layers * heads - 1);
    const buttons = Array.from({ length: layers * heads }, (_, i) => {
      const canvas = h("canvas", { width: T, height: T, attrs: { "aria-hidden": "true" } });
      const context = canvas.getContext("2d")!;
      const pixels = context.createImageData(T, T);
      for (let p = 0; p < T * T; p++) {
        pixels.data.set([40, 110, 200, Math.round(255 * Math.sqrt(last.attentions[i * T * T + p]!))], 4 * p);
      }
      context.putImageData(pixels, 0, 0);
      const name = `Layer ${Math.floor(i / heads) + 1}, head ${(i % heads) + 1}`;
      return h(
        "button",
        {
          type: "button",
          title: name,
          onclick: () => ((this.#head = i), this.draw()),
          attrs: { "aria-pressed": `${i === this.#head}`, "aria-label": name },
        },
        canvas,
      );
    });
    this.#heads.style.setProperty("--heads", `${Math.min(heads, 12)}`);
    const focused = [...this.#heads.children].indexOf(document.activeElement!);
    this.#heads.replaceChildren(...buttons);
    (this.#heads.children[focused] as HTMLElement | undefined)?.focus();
  }

  /** Lines from each token to those that it attends to, in one head. */
  #drawLines(last: Look): void {
    const { tokens, heads } = last;
    const T = tokens.length;
    const [ROW, LEFT, RIGHT, WIDTH] = [20, 110, 210, 320];
    const base = this.#head * T * T;
    const y = (i: number): number => ROW * i + 14;
    const marks: SVGElement[] = [];
    for (let q = 0; q < T; q++) {
      if (this.#token !== undefined && this.#token !== q) continue;
      for (let k = 0; k < T; k++) {
        const weight = last.attentions[base + q * T + k]!;
        if (weight < 0.02) continue;
        marks.push(svg("line", { x1: LEFT + 4, y1: y(q) - 4, x2: RIGHT - 4, y2: y(k) - 4, class: "play-line", "stroke-opacity": Math.min(1, weight).toFixed(3) })); // prettier-ignore
      }
    }
    const words = tokens.flatMap((token, i) => {
      const own = svg("text", { x: LEFT, y: y(i), "text-anchor": "end", class: this.#token === i ? "chosen" : "" }, shown(token)); // prettier-ignore
      own.addEventListener("pointerenter", () => ((this.#token = i), this.#drawLines(last)));
      return [own, svg("text", { x: RIGHT, y: y(i) }, shown(token))];
    });
    const drawing = svg(
      "svg",
      { viewBox: `0 0 ${WIDTH} ${ROW * T + 4}`, width: WIDTH, role: "img", "aria-label": `Layer ${Math.floor(this.#head / heads) + 1}, head ${(this.#head % heads) + 1}: which tokens, on the left, attend to which, on the right` }, // prettier-ignore
      marks,
      words,
    );
    drawing.addEventListener("pointerleave", () => ((this.#token = undefined), this.#drawLines(last)));
    this.#lines.replaceChildren(
      h("p", { className: "play-faint" }, `Layer ${Math.floor(this.#head / heads) + 1}, head ${(this.#head % heads) + 1}: each token on the left looks at those on the right.`), // prettier-ignore
      drawing,
    );
  }
}

const shown = (token: string): string => (token.length > 14 ? `${token.slice(0, 13)}…` : token);
