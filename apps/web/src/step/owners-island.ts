import { h } from "../dom.ts";
import "./step.css";
import { bitsOf, sumByOwner, type Owner } from "./owners.ts";
import { chooser } from "./stepper.ts";

const QUERIES = 8;
const KEYS = 6;
const RUNS = 4;
const ds = Array.from({ length: QUERIES }, (_, i) =>
  Array.from({ length: KEYS }, (_, j) => Math.sin(3 * i + 7 * j + 1)),
);
const q = Array.from({ length: QUERIES }, (_, i) => Math.cos(5 * i));

const WHO: Record<Owner | "queries", string> = {
  queries: "dq: a workgroup owns queries",
  keys: "dk and dv: a workgroup owns keys",
  atomics: "one kernel, owns queries, adds to keys by atomics",
  plain: "one kernel, owns queries, adds to keys without atomics",
};

const SAYS: Record<Owner | "queries", string> = {
  queries: "dq_i adds up over keys. Whoever owns query i goes through its row of ds, and nobody else writes dq_i.",
  keys: "dk_j adds up over queries. Whoever owns key j goes through its column of ds, in the same order every time: the same bits in every run.",
  atomics:
    "Each query adds to every key. Atomics lose nothing, but the order is that of arrival, and (a + b) + c is not a + (b + c) in f32: the last digits differ from run to run.",
  plain:
    "Two queries read the same sum, both add to it, and the second to write wipes out the first. Sums are wrong, and differently each time.",
};

/** Who adds up which sum of attention's backward, and what comes of it when two write to the same place. */
export function mount(root: HTMLElement, options: unknown): () => void {
  let who: Owner | "queries" = ((options ?? {}) as { who?: Owner }).who ?? "keys";
  let owned = 1;
  const matrix = h("div", { className: "grid owners", attrs: { role: "img", style: `--cols:${KEYS}`, "aria-label": `ds: ${QUERIES} queries by ${KEYS} keys` } }); // prettier-ignore
  const say = h("p", { className: "status", attrs: { role: "status" } });
  const runs = h("div", { className: "owner-runs", tabIndex: 0, attrs: { role: "region", "aria-label": "Runs" } });
  const pick = h("input", {
    ...{ type: "range", min: "0", value: "1" },
    oninput: () => {
      owned = Number(pick.value);
      draw();
    },
    attrs: { "aria-label": "Which row or column" },
  });

  root.replaceChildren(
    h(
      "div",
      { className: "bar" },
      chooser("Who adds up", WHO, (value) => ((who = value), draw()), who),
      h("label", {}, "which one ", pick),
    ),
    say,
    h("div", { className: "owner-columns" }, h("figure", { className: "memory" }, h("figcaption", {}, h("b", {}, "ds"), ` [${QUERIES} queries, ${KEYS} keys], never written to memory`), matrix), runs), // prettier-ignore
  );

  function draw(): void {
    const byRow = who !== "keys";
    pick.max = `${(byRow ? QUERIES : KEYS) - 1}`;
    const mine = Math.min(owned, Number(pick.max));
    say.textContent = SAYS[who];
    matrix.replaceChildren(
      ...ds.flatMap((row, i) =>
        row.map((value, j) => {
          const cell = h("i", { className: [value < 0 && "below", (byRow ? i : j) === mine && "read"].filter(Boolean).join(" ") }, value.toFixed(1).replace("-", "−")); // prettier-ignore
          cell.style.setProperty("--heat", `${Math.abs(value)}`);
          return cell;
        }),
      ),
    );
    if (who === "queries") {
      const sums = Array.from({ length: RUNS }, () => sumByOwner(ds[0]!.map((_, j) => ds.map((row) => row[j]!)), Array.from({ length: KEYS }, (_, j) => Math.cos(2 * j)), "keys", 0)); // prettier-ignore
      return showRuns("dq", sums, mine, ds.map((row) => row.reduce((sum, v, j) => sum + v * Math.cos(2 * j), 0))); // prettier-ignore
    }
    const owner = who;
    const sums = Array.from({ length: RUNS }, (_, run) => sumByOwner(ds, q, owner, run));
    const exact = ds[0]!.map((_, j) => ds.reduce((sum, row, i) => sum + row[j]! * q[i]!, 0));
    showRuns("dk", sums, byRow ? -1 : mine, exact);
  }

  function showRuns(name: string, sums: number[][], mine: number, exact: number[]): void {
    const differs = exact.map((_, n) => new Set(sums.map((run) => bitsOf(run[n]!))).size > 1);
    const wrong = exact.map((want, n) => sums.some((run) => Math.abs(run[n]! - want) > 1e-5));
    runs.replaceChildren(
      h(
        "table",
        {},
        h("thead", {}, h("tr", {}, h("th", {}, name), sums.map((_, run) => h("th", {}, `run ${run + 1}`)), h("th", {}, "in float64"))), // prettier-ignore
        h("tbody", {}, exact.map((want, n) => h("tr", { className: [n === mine && "mine", wrong[n] ? "wrong" : differs[n] && "differs"].filter(Boolean).join(" ") }, h("th", {}, n), sums.map((run) => h("td", { title: `${run[n]}` }, bitsOf(run[n]!))), h("td", {}, want.toFixed(6).replace("-", "−"))))), // prettier-ignore
      ),
      h(
        "p",
        { className: `verdict ${wrong.some(Boolean) ? "wrong" : differs.some(Boolean) ? "warn" : "right"}` },
        wrong.some(Boolean)
          ? `${wrong.filter(Boolean).length} of ${exact.length} sums are wrong.`
          : differs.some(Boolean)
            ? `${differs.filter(Boolean).length} of ${exact.length} sums have other bits in another run (hexadecimal).`
            : "The same bits in every run (hexadecimal).",
      ),
    );
  }

  draw();
  return () => undefined;
}
