import { h } from "../dom.ts";
import { openGpu } from "../gpu.ts";
import { showWgsl } from "../wgsl.ts";
import { withoutGpu } from "../without-gpu.ts";
import { markSolved } from "./progress.ts";
import type { BarrierPuzzle, ChoicePuzzle, CodePuzzle, Puzzle, Verdict } from "./puzzle.ts";
import { course } from "./puzzles.ts";

type Show = (verdict: Verdict | Node | string) => void;
/** A form for an answer, and how to put the solution into it. */
interface Form {
  element: HTMLElement;
  solve: () => void;
}

/** The puzzle of a page of the course: `<Island name="learn" :options="'softmax'" />`. */
export function mount(root: HTMLElement, page: unknown): () => void {
  const { puzzle } = course.find((each) => each.page === page)!;
  let mounted = true;
  const verdict = h("p", { className: "verdict", attrs: { role: "status" } });
  const show: Show = (shown) => {
    if (!mounted) return;
    const isVerdict = typeof shown === "object" && "right" in shown;
    verdict.className = `verdict ${isVerdict ? (shown.right ? "right" : "wrong") : ""}`;
    verdict.replaceChildren(isVerdict ? shown.message : shown);
    if (isVerdict && shown.right) markSolved(page as string);
  };
  const { element, solve } = formOf(puzzle, show);
  const hints = h("ol", { className: "hints" });
  const hint = h(
    "button",
    {
      type: "button",
      onclick: () => {
        hints.append(h("li", {}, puzzle.hints[hints.childElementCount]));
        hint.disabled = hints.childElementCount === puzzle.hints.length;
      },
    },
    "A hint",
  );
  root.replaceChildren(
    h("p", { className: "task" }, puzzle.task),
    element,
    verdict,
    h("div", { className: "bar" }, hint, h("button", { type: "button", onclick: solve }, "The solution")),
    hints,
  );
  return () => void (mounted = false);
}

function formOf(puzzle: Puzzle, show: Show): Form {
  if (puzzle.kind === "code") return codeForm(puzzle, show);
  return puzzle.kind === "barriers" ? barrierForm(puzzle, show) : choiceForm(puzzle, show);
}

function codeForm(puzzle: CodePuzzle, show: Show): Form {
  const editor = h("textarea", {
    className: "gap",
    spellcheck: false,
    value: puzzle.start,
    attrs: { "aria-label": "The missing piece" },
    oninput: () => fit(),
  });
  const fit = () => (editor.rows = Math.max(2, editor.value.split("\n").length));
  fit();
  const check = h("button", { type: "button", className: "primary" }, "Check");
  check.onclick = () => {
    check.disabled = true;
    show("Running …");
    openGpu()
      .then(async () => (await import("./judge.ts")).judge(puzzle, editor.value))
      .then(show, (error: Error) => show(withoutGpu(error) ?? error.message))
      .finally(() => (check.disabled = false));
  };
  editor.addEventListener("keydown", (event) => {
    if (event.key === "Enter" && (event.ctrlKey || event.metaKey)) check.click();
  });
  return {
    element: h(
      "div",
      {},
      h("div", { className: "wgsl kernel" }, listing(puzzle.before.trimEnd()), editor, listing(puzzle.after)),
      h("div", { className: "bar" }, check),
    ),
    solve: () => {
      editor.value = puzzle.solution;
      fit();
    },
  };
}

function barrierForm(puzzle: BarrierPuzzle, show: Show): Form {
  const boxes: HTMLInputElement[] = [];
  const lines = puzzle.lines.map((line, i) => {
    if (line !== undefined) return listing(line);
    const box = h("input", { type: "checkbox" });
    boxes.push(box);
    // As deep as the deeper of its neighbours: at the end of a block it belongs into it.
    const around = [puzzle.lines[i - 1]!, puzzle.lines[i + 1]!].map((each) => /^ */.exec(each)![0]);
    const indent = around[0]!.length > around[1]!.length ? around[0] : around[1];
    return h("label", { className: "barrier" }, box, h("span", {}, `${indent}workgroupBarrier();`));
  });
  const check = () => {
    const barriers = new Set(boxes.flatMap((box, i) => (box.checked ? [i] : [])));
    const problem = puzzle.simulate(barriers);
    if (problem) return show({ right: false, message: problem });
    if (barriers.size > puzzle.fewest)
      return show({
        right: false,
        message: `That is right in every order, and waits more often than it has to: ${puzzle.fewest} ${puzzle.fewest === 1 ? "barrier is" : "barriers are"} enough.`,
      });
    show({ right: true, message: "Right, in every order in which the invocations can run." });
  };
  return {
    element: h(
      "div",
      {},
      h("div", { className: "wgsl kernel" }, lines),
      h("div", { className: "bar" }, h("button", { type: "button", className: "primary", onclick: check }, "Check")),
    ),
    solve: () => boxes.forEach((box, i) => (box.checked = puzzle.solution.includes(i))),
  };
}

function choiceForm(puzzle: ChoicePuzzle, show: Show): Form {
  const buttons = puzzle.options.map((option) =>
    h(
      "button",
      {
        type: "button",
        className: "option",
        onclick: () => show({ right: option.right ?? false, message: option.why }),
      },
      option.text,
    ),
  );
  return {
    element: h("div", { className: "options" }, buttons),
    solve: () => buttons[puzzle.options.findIndex(({ right }) => right)]!.click(),
  };
}

/** Code that isn't edited. */
function listing(code: string): HTMLElement {
  const shown = h("pre");
  showWgsl(shown, code);
  return shown;
}
