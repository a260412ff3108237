import { h } from "../dom.ts";
import { MATMUL_BARRIERS, MATMUL_KERNELS, matmulModel, type MatmulOptions } from "./matmul.ts";
import { chooser, stepper, toggle } from "./stepper.ts";

/** One workgroup of matmul, stepped. `options`: what to begin with. */
export function mount(root: HTMLElement, options: unknown): () => void {
  const chosen: MatmulOptions = {
    ...{ kernel: "workgroupTile", group: 0, transposeA: false, padded: true, subgroup: 4, without: [] },
    ...(options as Partial<MatmulOptions>),
  };
  const view = stepper();
  const own = h("div", { className: "bar" });
  const change = (values: Partial<MatmulOptions>): void => {
    Object.assign(chosen, values);
    view.show(matmulModel(chosen));
  };
  const offer = (): void => {
    const tiled = chosen.kernel === "workgroupTile";
    own.replaceChildren(
      ...(chosen.kernel === "registers"
        ? []
        : [
            chooser("Workgroup", { 0: "1 of 4", 1: "2 of 4", 2: "3 of 4", 3: "4 of 4" }, (value) => change({ group: Number(value) }), `${chosen.group as 0 | 1 | 2 | 3}`), // prettier-ignore
            toggle("A is stored transposed", chosen.transposeA, (transposeA) => change({ transposeA })),
          ]),
      ...(tiled ? [toggle("a line of a tile is one longer", chosen.padded, (padded) => change({ padded }))] : []),
      ...MATMUL_BARRIERS[chosen.kernel].map((text) =>
        toggle(`remove the barrier “${text}”`, chosen.without.includes(text), (gone) =>
          change({ without: gone ? [...chosen.without, text] : chosen.without.filter((other) => other !== text) }),
        ),
      ),
    );
  };
  root.replaceChildren(
    h(
      "div",
      { className: "bar" },
      chooser(
        "Kernel",
        MATMUL_KERNELS,
        (kernel) => {
          change({ kernel, without: [], group: 0, transposeA: false });
          offer();
        },
        chosen.kernel,
      ),
      chooser("In lockstep", { 1: "1 invocation", 4: "4 invocations", 8: "8 invocations", 16: "16, all of them" }, (value) => change({ subgroup: Number(value) }), `${chosen.subgroup as 1 | 4 | 8 | 16}`), // prettier-ignore
    ),
    own,
    view.element,
  );
  offer();
  change({});
  return () => view.close();
}
