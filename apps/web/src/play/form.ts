import { h } from "../dom.ts";
import { FIELDS, GROUPS, isUsed, problemOf, valueOf, type SettingName, type Settings } from "./settings.ts";

/** The settings of a run as a form, by Hugging Face's names. What is wrong is said at its field. */
export class Form {
  readonly root: HTMLElement;
  settings: Settings;
  files: File[] = [];
  modelFiles: File[] = [];
  readonly #fields = new Map<SettingName, { row: HTMLElement; input: HTMLInputElement | HTMLSelectElement; problem: HTMLElement }>(); // prettier-ignore
  readonly #onChange: () => void;

  constructor(settings: Settings, onChange: () => void) {
    this.settings = settings;
    this.#onChange = onChange;
    this.root = h(
      "div",
      { className: "play-form" },
      Object.entries(GROUPS).map(([group, fields]) =>
        h(
          "details",
          { open: group !== "More arguments" },
          h("summary", {}, group),
          Object.keys(fields).map((name) => this.#row(name as SettingName)),
          group === "Data" && this.#picker("files", "Pick or drop files", { multiple: true, accept: ".csv,.tsv,.json,.jsonl,.ndjson,.parquet" }), // prettier-ignore
          group === "Model" && this.#picker("folder", "Pick or drop a model's folder", { webkitdirectory: true }),
        ),
      ),
    );
    this.update();
  }

  /** The fields whose values can't be. */
  get problems(): SettingName[] {
    return [...this.#fields.keys()].filter((name) => problemOf(name, this.settings) !== undefined);
  }

  #row(name: SettingName): HTMLElement {
    const { choices, help } = FIELDS[name];
    const set = (): void => {
      this.settings[name] = valueOf(name, input.value);
      this.update();
      this.#onChange();
    };
    const id = `play-${name}`;
    const described = { "aria-describedby": `${id}-problem` };
    const input = choices
      ? h("select", { id, onchange: set, title: help, attrs: described }, choices.map((choice) => h("option", {}, choice)))
      : h("input", { id, oninput: set, title: help, autocomplete: "off", spellcheck: false, attrs: { ...described, inputmode: typeof FIELDS[name].default === "number" ? "decimal" : "text" } }); // prettier-ignore
    const problem = h("span", { id: `${id}-problem`, className: "play-problem" });
    const row = h(
      "div",
      { className: "play-field" },
      h("label", { htmlFor: id, title: help }, breakable(name)),
      input,
      problem,
    );
    this.#fields.set(name, { row, input, problem });
    return row;
  }

  /** A place to drop files on, or to pick them. */
  #picker(
    kind: "files" | "folder",
    text: string,
    how: { multiple?: boolean; accept?: string; webkitdirectory?: boolean },
  ): HTMLElement {
    const [name, value, key] = kind === "files" ? (["data", "files", "files"] as const) : (["model", "folder", "modelFiles"] as const); // prettier-ignore
    const shown = h("span", { className: "play-faint" });
    const take = (files: File[]): void => {
      this[key] = files;
      this.settings[name] = value;
      const names = files.map((file) => file.name);
      shown.textContent = `${names.slice(0, 4).join(", ")}${names.length > 4 ? `, and ${names.length - 4} more` : ""}`;
      this.update();
      this.#onChange();
    };
    const input = h("input", { type: "file", ...how, onchange: () => take([...(input.files ?? [])]), id: `play-pick-${kind}` }); // prettier-ignore
    const label = h("label", { className: "play-drop", htmlFor: input.id }, text, input, shown);
    label.addEventListener("dragover", (event) => event.preventDefault());
    label.addEventListener("drop", (event) => {
      event.preventDefault();
      void filesOf(event.dataTransfer!).then(take);
    });
    return label;
  }

  /** Shows the settings as they are. */
  update(): void {
    for (const [name, { row, input, problem }] of this.#fields) {
      const text = String(this.settings[name]);
      if (document.activeElement !== input && input.value !== text) input.value = text;
      row.hidden = !isUsed(name, this.settings);
      const wrong = problemOf(name, this.settings);
      problem.textContent = wrong ?? "";
      input.setAttribute("aria-invalid", `${wrong !== undefined}`);
    }
  }
}

/** A name that may break after each of its parts. */
const breakable = (name: string): (string | HTMLElement)[] =>
  name.split("_").flatMap((part, i) => (i === 0 ? [part] : ["_", h("wbr"), part]));

/** The files that were dropped; of a folder, those that lie in it. */
async function filesOf(transfer: DataTransfer): Promise<File[]> {
  const entries = [...transfer.items].map((item) => item.webkitGetAsEntry());
  const found: File[] = [];
  for (const entry of entries) {
    if (!entry) continue;
    const files = entry.isDirectory ? await entriesOf(entry as FileSystemDirectoryEntry) : [entry];
    for (const file of files)
      if (file.isFile)
        found.push(await new Promise<File>((resolve, reject) => (file as FileSystemFileEntry).file(resolve, reject)));
  }
  return found;
}

const entriesOf = (folder: FileSystemDirectoryEntry): Promise<FileSystemEntry[]> =>
  new Promise((resolve, reject) => folder.createReader().readEntries(resolve, reject));
