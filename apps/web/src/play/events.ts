import type { Settings } from "./settings.ts";

/** One update, as charts need it. */
export interface Step {
  step: number;
  loss: number;
  gradNorm: number;
  learningRate: number;
  tokensPerSecond: number;
  secondsLeft: number;
}

export interface Evaluation {
  step: number;
  metrics: Record<string, number>;
  /** Rows are labels, columns predictions; undefined for a regression. */
  confusion?: number[][];
}

/** What a model makes of the sentence at one moment. */
export interface Look {
  step: number;
  tokens: string[];
  /** Of each class, or the number of a regression. */
  scores: number[];
  /** The class that attributions speak for. */
  target: number;
  /** Integrated gradients: how much each token speaks for the class. Their sum is the class' margin over a text of nothing. */
  attributions: number[];
  /** Attention probabilities [layers, heads, T, T]. */
  attentions: Float32Array | number[];
  layers: number;
  heads: number;
}

export interface Neighbour {
  text: string;
  label: string;
  similarity: number;
}

export type Status = "preparing" | "training" | "paused" | "stopped" | "finished" | "failed";

/** A run as its folder keeps it. */
export interface RunRecord {
  id: string;
  settings: Settings;
  startedAt: number;
  status: Status;
  step: number;
  totalSteps: number;
  parameters: number;
  metrics: Record<string, number>;
  labels: string[];
  steps: Step[];
  evaluations: Evaluation[];
  first?: Look;
  last?: Look;
}

/** A run before it begins. */
export const freshRecord = (id: string, settings: Settings): RunRecord => ({
  ...{ id, settings, startedAt: Date.now(), status: "preparing", step: 0, totalSteps: 0, parameters: 0 },
  ...{ metrics: {}, labels: [], steps: [], evaluations: [] },
});

/** What a run says of itself. */
export type PlayEvent =
  | { type: "begin"; run: RunRecord; device: string; rows: [train: number, evaluated: number] }
  | { type: "note"; text: string }
  | { type: "step"; step: Step }
  | { type: "evaluation"; evaluation: Evaluation }
  | { type: "memory"; owners: Record<string, number> }
  | { type: "look"; look: Look }
  | { type: "nearest"; step: number; neighbours: Neighbour[] }
  | { type: "saved"; step: number }
  | { type: "end"; status: Status; step: number }
  | { type: "failed"; message: string };

/** What a page asks of its worker. Each is answered by events, `zip` and `runs` by one of these. */
export type PlayRequest =
  | { type: "start"; id: string; settings: Settings; files: File[]; modelFiles: File[] }
  | { type: "resume"; id: string }
  | { type: "stop"; as: "paused" | "stopped" }
  | { type: "look"; sentence: string }
  | { type: "runs" }
  | { type: "remove"; id: string }
  | { type: "export"; id: string };

export type PlayAnswer =
  PlayEvent | { type: "runs"; runs: RunRecord[] } | { type: "exported"; id: string; files: Record<string, Blob> };
