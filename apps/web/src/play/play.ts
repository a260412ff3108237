import "./play.css";
import { h } from "../dom.ts";
import { withoutGpu } from "../without-gpu.ts";
import type { PlayAnswer, PlayRequest, RunRecord } from "./events.ts";
import { download, writeInto, zipped } from "./export.ts";
import { Form } from "./form.ts";
import { recording } from "./recording.ts";
import { RunView } from "./run-view.ts";
import { RunsTable } from "./runs-table.ts";
import { fromHash, toHash } from "./settings.ts";

/** The playground: a form, a worker that trains, and what it says. */
export function mount(root: HTMLElement): () => void {
  const worker = new Worker(new URL("./worker.ts", import.meta.url), { type: "module" });
  const ask = (request: PlayRequest): void => worker.postMessage(request);
  const view = new RunView();
  let runs: RunRecord[] = [];
  let busy: string | undefined;
  /** Whether the recording is shown, rather than a run of this browser. */
  let isRecorded = false;
  const own = (): RunRecord | undefined => (isRecorded ? undefined : view.run);
  let target: FileSystemDirectoryHandle | undefined;

  const form = new Form(fromHash(location.hash), () => {
    share();
    update();
  });
  const share = (): void => {
    const hash = toHash(form.settings);
    history.replaceState(history.state, "", hash ? `#${hash}` : location.pathname + location.search);
  };
  const button = (text: string, onclick: () => void, className = "") =>
    h("button", { type: "button", className, onclick }, text);
  const start = button("Train", () => begin(nextId(runs)), "primary");
  const pause = button("Pause", () => stop("paused"));
  const resume = button("Resume", () => {
    const run = own();
    if (run) continueRun(run);
  });
  const stopButton = button("Stop", () => stop("stopped"));
  const copy = button("Copy link", () => {
    share();
    void navigator.clipboard.writeText(location.href).then(
      () => say("The link has the settings, and nothing else."),
      () => say(location.href),
    );
  });
  const sentence = h("textarea", {
    ...{ id: "play-sentence", rows: 2, value: form.settings.sentence, spellcheck: false },
    onchange: () => {
      form.settings.sentence = sentence.value;
      share();
      if (own()) ask({ type: "look", sentence: sentence.value });
    },
  });
  const table = new RunsTable({
    open: (run) => {
      if (busy !== undefined) return say("Pause the run first.");
      showRun(run);
    },
    resume: (run) => continueRun(run),
    remove: (run) => ask({ type: "remove", id: run.id }),
    save: (run, how) => void save(run, how),
    compare: (chosen) => {
      view.others = chosen
        .filter(({ id }) => id !== own()?.id)
        .map(({ id, steps, evaluations }) => ({ name: id, steps, evaluations }));
      view.draw();
    },
  });

  const section = (title: string, ...children: (HTMLElement | string)[]) =>
    h("section", { className: "play-card" }, h("h2", {}, title), ...children);
  root.classList.add("play");
  root.replaceChildren(
    h("div", { className: "play-bar" }, start, pause, resume, stopButton, copy, view.progress),
    view.status,
    view.numbers,
    h(
      "div",
      { className: "play-grid" },
      h("div", { className: "play-settings" }, form.root),
      h(
        "div",
        { className: "play-main" },
        section("Your sentence", h("label", { htmlFor: sentence.id, className: "play-faint" }, "Edit it at any time; press Tab to look at it now."), sentence, view.sentence.root), // prettier-ignore
        section("Training", view.charts),
        h("div", { className: "play-pair" }, section("Confusion", view.confusion), section("Memory by owner", view.memory)), // prettier-ignore
      ),
    ),
    section("Runs", table.root),
  );

  function begin(id: string): void {
    busy = id;
    const { settings, files, modelFiles } = form;
    ask({ type: "start", id, settings: { ...settings }, files, modelFiles });
    say("Starting …");
    update();
  }

  function continueRun(run: RunRecord): void {
    busy = run.id;
    ask({ type: "resume", id: run.id });
    say(`Continuing ${run.id} from its newest checkpoint …`);
    update();
  }

  function stop(as: "paused" | "stopped"): void {
    ask({ type: "stop", as });
    say("Writing a checkpoint …");
  }

  async function save(run: RunRecord, how: "zip" | "folder"): Promise<void> {
    try {
      target = how === "folder" ? await (window as unknown as Picker).showDirectoryPicker({ mode: "readwrite" }) : undefined; // prettier-ignore
      ask({ type: "export", id: run.id });
    } catch {
      target = undefined; // nothing was picked
    }
  }

  async function saveFiles(id: string, files: Record<string, Blob>): Promise<void> {
    if (target) await writeInto(target, files);
    else download(await zipped(files), `${id}.zip`);
    const where = target ? `Folder ${target.name}` : `${id}.zip`;
    say(`${where}: ${Object.keys(files).join(", ")}. Transformers opens the folder, and so does gpugrad predict.`);
    target = undefined;
  }

  function showRun(run: RunRecord): void {
    isRecorded = false;
    view.show({ type: "begin", run, device: "", rows: [0, 0] });
    form.settings = { ...run.settings };
    sentence.value = run.settings.sentence;
    form.update();
    share();
    say(`${run.id}, as it was kept at update ${run.step}.`);
    view.draw();
    update();
  }

  /** What a run looks like, for who has none yet. */
  async function showRecording(): Promise<void> {
    const events = await recording();
    if (view.run || busy !== undefined) return;
    for (const event of events) view.show(event);
    isRecorded = true;
    view.draw();
    update();
    say("Below is a run that was recorded. Press Train for your own.");
  }

  function say(text: string): void {
    view.status.textContent = text;
    view.status.classList.remove("play-error");
  }

  /** What can be pressed now. */
  function update(): void {
    const isBusy = busy !== undefined;
    start.disabled = isBusy || form.problems.length > 0;
    pause.disabled = stopButton.disabled = !isBusy;
    const run = own();
    const canResume = !isBusy && run !== undefined && run.step < run.totalSteps && run.status !== "failed";
    resume.hidden = !canResume;
    pause.hidden = canResume;
    table.show(runs, busy);
  }

  worker.addEventListener("message", ({ data }: MessageEvent<PlayAnswer>) => {
    if (data.type === "runs") {
      runs = data.runs;
      // After a reload, a run that had not ended is shown, ready to continue.
      const [newest] = runs;
      if (!view.run && busy === undefined && newest && newest.step < newest.totalSteps) showRun(newest);
      if (!view.run && busy === undefined && !newest) void showRecording();
    } else if (data.type === "exported")
      void saveFiles(data.id, data.files).catch((error: Error) => say(error.message));
    else {
      if (data.type === "begin") isRecorded = false;
      view.show(data);
      if (data.type === "end" || data.type === "failed") busy = undefined;
      if (data.type === "failed") showFailure(data.message);
    }
    if (!["step", "look", "memory", "nearest", "note"].includes(data.type)) update();
  });
  worker.addEventListener("error", (event) => {
    busy = undefined;
    view.show({ type: "failed", message: event.message || "The worker could not be started." });
    update();
  });

  function showFailure(message: string): void {
    const instead = withoutGpu(new Error(message));
    if (instead) view.status.replaceChildren(instead);
  }

  ask({ type: "runs" });
  update();
  return () => worker.terminate();
}

interface Picker {
  showDirectoryPicker(options: { mode: "readwrite" }): Promise<FileSystemDirectoryHandle>;
}

/** The first name that no run has. */
function nextId(runs: readonly RunRecord[]): string {
  const numbers = runs.map(({ id }) => Number(/^run-(\d+)$/.exec(id)?.[1] ?? 0));
  return `run-${Math.max(0, ...numbers) + 1}`;
}
