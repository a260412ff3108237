import { h } from "../dom.ts";
import type { RunRecord } from "./events.ts";
import { DEFAULTS, FIELDS, isUsed, type SettingName } from "./settings.ts";

export interface RunActions {
  open(run: RunRecord): void;
  resume(run: RunRecord): void;
  remove(run: RunRecord): void;
  save(run: RunRecord, how: "zip" | "folder"): void;
  compare(runs: RunRecord[]): void;
}

/** The runs that this browser keeps: what was changed, what came of it, and what to do with them. */
export class RunsTable {
  readonly root = h("div", { className: "play-runs" });
  readonly #actions: RunActions;
  readonly #compared = new Set<string>();

  constructor(actions: RunActions) {
    this.#actions = actions;
  }

  /** @param busy the run that is being trained */
  show(runs: readonly RunRecord[], busy: string | undefined): void {
    if (runs.length === 0) {
      this.root.replaceChildren(h("p", { className: "play-faint" }, "None yet. Runs are kept in this browser, with their checkpoints, until you delete them.")); // prettier-ignore
      return;
    }
    const canPick = "showDirectoryPicker" in window;
    const button = (text: string, label: string, onclick: () => void, disabled = false) =>
      h("button", { type: "button", onclick, disabled, attrs: { "aria-label": label } }, text);
    this.root.replaceChildren(
      h(
        "table",
        {},
        h("thead", {}, h("tr", {}, ["Compare", "Run", "Changed", "Updates", "Eval loss", "Accuracy", ""].map((name) => h("th", { scope: "col" }, name)))), // prettier-ignore
        h(
          "tbody",
          {},
          runs.map((run) => {
            const { id, status, step, totalSteps, metrics } = run;
            const isBusy = id === busy;
            const shownStatus = isBusy ? "training" : status === "training" || status === "preparing" ? "paused" : status; // prettier-ignore
            const box = h("input", {
              type: "checkbox",
              checked: this.#compared.has(id),
              onchange: () => {
                if (box.checked) this.#compared.add(id);
                else this.#compared.delete(id);
                this.#actions.compare(runs.filter((other) => this.#compared.has(other.id)));
              },
              attrs: { "aria-label": `Compare ${id}` },
            });
            const canResume = !isBusy && step < totalSteps;
            return h(
              "tr",
              {},
              h("td", {}, box),
              h("td", {}, button(id, `Show ${id}`, () => this.#actions.open(run)), " ", h("span", { className: "play-faint" }, shownStatus)), // prettier-ignore
              h(
                "td",
                { className: "play-changed" },
                changesOf(run) || h("span", { className: "play-faint" }, "nothing"),
              ),
              h("td", {}, `${step} of ${totalSteps}`),
              h("td", {}, metrics["eval_loss"]?.toFixed(3) ?? "–"),
              h("td", {}, metrics["eval_accuracy"] === undefined ? "–" : `${(100 * metrics["eval_accuracy"]).toFixed(1)} %`), // prettier-ignore
              h(
                "td",
                { className: "play-actions" },
                canResume && button("Resume", `Resume ${id}`, () => this.#actions.resume(run), busy !== undefined),
                step > 0 && button("Export .zip", `Export .zip of ${id}`, () => this.#actions.save(run, "zip")),
                step > 0 && canPick && button("Export to folder", `Export to folder: ${id}`, () => this.#actions.save(run, "folder")), // prettier-ignore
                button("Delete", `Delete ${id}`, () => this.#actions.remove(run), isBusy),
              ),
            );
          }),
        ),
      ),
    );
  }
}

/** The settings that aren't the defaults. */
function changesOf({ settings }: RunRecord): string {
  return (Object.keys(FIELDS) as SettingName[])
    .filter((name) => settings[name] !== DEFAULTS[name] && isUsed(name, settings))
    .map((name) => `${name} ${settings[name]}`)
    .join(", ");
}
