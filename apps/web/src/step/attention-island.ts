import { h } from "../dom.ts";
import { ATTENTION_BARRIERS, attentionModel, T, type AttentionOptions } from "./attention.ts";
import { chooser, stepper, toggle } from "./stepper.ts";

/** One workgroup of attention, stepped. `options`: what to begin with. */
export function mount(root: HTMLElement, options: unknown): () => void {
  const chosen: AttentionOptions = {
    ...{ group: 0, length: T, forgetToShrink: false, subgroup: 4, without: [] },
    ...(options as Partial<AttentionOptions>),
  };
  const view = stepper();
  const change = (values: Partial<AttentionOptions>): void => {
    Object.assign(chosen, values);
    keys.textContent = `${chosen.length} of ${T} keys are no padding`;
    view.show(attentionModel(chosen));
  };
  const keys = h("span");
  const length = h("input", {
    ...{ type: "range", min: "1", max: `${T}`, value: `${chosen.length}` },
    oninput: () => change({ length: Number(length.value) }),
    attrs: { "aria-label": "Keys that are no padding" },
  });
  root.replaceChildren(
    h(
      "div",
      { className: "bar" },
      chooser("Workgroup", { 0: "queries 0 … 3", 1: "queries 4 … 7" }, (value) => change({ group: Number(value) }), `${chosen.group as 0 | 1}`), // prettier-ignore
      chooser("In lockstep", { 1: "1 invocation", 4: "4 invocations", 8: "8, all of them" }, (value) => change({ subgroup: Number(value) }), `${chosen.subgroup as 1 | 4 | 8}`), // prettier-ignore
      h("label", {}, length, " ", keys),
    ),
    h(
      "details",
      {},
      h("summary", {}, "Make it wrong: forget to shrink, or remove a barrier"),
      h(
        "div",
        { className: "bar" },
        toggle("forget to shrink", chosen.forgetToShrink, (forgetToShrink) => change({ forgetToShrink })),
        ATTENTION_BARRIERS.map(({ text }, nth) =>
          toggle(`no barrier “${text}”`, chosen.without.includes(nth), (gone) =>
            change({ without: gone ? [...chosen.without, nth] : chosen.without.filter((other) => other !== nth) }),
          ),
        ),
      ),
    ),
    view.element,
  );
  change({});
  return () => view.close();
}
