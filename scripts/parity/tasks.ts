import "@gpugrad/autograd";
import {
  AutoTokenizer,
  byteSource,
  normalizeVectors,
  poolTokens,
  readSentenceSettings,
  type Folder,
  type PoolingMode,
} from "@gpugrad/bert";
import { mul, scope, sum } from "@gpugrad/tensor";
import {
  AGGREGATION_STRATEGIES,
  bestAnswers,
  contrastiveLoss,
  cosentLoss,
  cosineSimilarityLoss,
  entitiesInText,
  maskTokens,
  multipleNegativesRankingLoss,
  splitMix64,
  tripletLoss,
  wholeWordsOf,
  wordsOfTokens,
  type AggregationStrategy,
} from "@gpugrad/train";
import { fromArray, type Tensor } from "@gpugrad/tensor";
import { join, list, readJson, toTensor, valuesOf, withTensors, type Golden } from "./files.ts";
import { attempt, type Result } from "./report.ts";
import { metricFiles, numbered, numbers, type Cases } from "./task-metrics.ts";
import { compare, same, type Check } from "./tolerance.ts";

interface AggregationFile {
  labels: string[];
  cases: {
    tokenizer: string;
    sentence: string;
    windows: { ids: number[]; offsets: number[]; special: number[]; logits: number[][] }[];
    expected: Record<AggregationStrategy, { score: number }[]>;
  }[];
}

const pairsOf = (flat: readonly number[]): [number, number][] =>
  Array.from({ length: flat.length / 2 }, (_, i) => [flat[2 * i]!, flat[2 * i + 1]!]);

const aggregation: Cases<AggregationFile> = ({ labels, cases }, path) =>
  cases.map(({ tokenizer: kind, sentence, windows, expected }, i) => [
    `${kind}-${i}`,
    async () => {
      const tokenizer = await AutoTokenizer.fromPretrained(join(path, "../../tokenizers", kind));
      const own = windows.map((window) => ({ ...window, offsets: pairsOf(window.offsets) }));
      return AGGREGATION_STRATEGIES.flatMap((strategy) => {
        const found = entitiesInText(sentence, own, Object.fromEntries(labels.entries()), tokenizer, strategy);
        const without = (entities: readonly { score: number }[]) => entities.map((each) => Object.entries({ ...each, score: 0 }).sort()); // prettier-ignore
        const scores = (entities: readonly { score: number }[]) => ({ data: entities.map((each) => each.score), shape: [entities.length] }); // prettier-ignore
        return [
          same(strategy, without(found), without(expected[strategy])),
          compare(`${strategy} scores`, scores(found), scores(expected[strategy]), { rtol: 0, atol: 1e-6 }),
        ];
      });
    },
  ]);

interface AnswerCase {
  context: string;
  n_best_size: number;
  max_answer_length: number;
  version_2_with_negative: boolean;
  null_score_diff_threshold?: number;
  features: {
    start_logits: number[];
    end_logits: number[];
    offsets: ([number, number] | null)[];
    max_context: boolean[];
  }[];
  n_best: Record<string, number | string | null>[];
  score_diff?: number;
  answer: string;
}

function nBest(one: AnswerCase): Check[] {
  const found = bestAnswers(
    one.context,
    one.features.map((feature) => ({
      ...{ startLogits: feature.start_logits, endLogits: feature.end_logits, maxContext: feature.max_context },
      offsets: feature.offsets.map((pair) => pair ?? undefined),
    })),
    {
      ...{ nBestSize: one.n_best_size, maxAnswerLength: one.max_answer_length, version2: one.version_2_with_negative },
      nullScoreDiffThreshold: one.null_score_diff_threshold ?? 0,
    },
  );
  const spans = (all: readonly Record<string, unknown>[]) => all.map(({ text, start, end }) => [text, start, end]);
  const scores = (key: string, all: readonly Record<string, unknown>[]) => ({ data: all.map((each) => Number(each[key])), shape: [all.length] }); // prettier-ignore
  const own = found.nBest as unknown as Record<string, unknown>[];
  return [
    same("answer", found.answer, one.answer),
    same("n best", spans(own), spans(one.n_best)),
    ...["score", "probability", "start_logit", "end_logit"].map((key) =>
      compare(key, scores(key, own), scores(key, one.n_best), { rtol: 0, atol: 1e-6 }),
    ),
    ...(one.score_diff === undefined ? [] : numbers({ score_diff: found.scoreDiff! }, { score_diff: one.score_diff }, { rtol: 0, atol: 1e-6 })), // prettier-ignore
  ];
}

interface LossFile {
  scores: number[];
  binary: number[];
  losses: Record<string, { columns: string[]; labels: "scores" | "binary" | null; what: string }>;
  tensors: Record<string, { atol: number }>;
}

/** By the name of its case: how a loss is made of its columns. */
const LOSSES: Record<string, (columns: Tensor[], labels: Tensor) => Tensor> = {
  mnrl: (columns) => multipleNegativesRankingLoss(columns),
  "mnrl-negatives": (columns) => multipleNegativesRankingLoss(columns),
  "mnrl-dot-scale-1": (columns) => multipleNegativesRankingLoss(columns, { similarity: "dot", scale: 1 }),
  "mnrl-symmetric": (columns) => multipleNegativesRankingLoss(columns, { symmetric: true }),
  "cosine-similarity": cosineSimilarityLoss,
  "triplet-euclidean": (columns) => tripletLoss(columns),
  "triplet-cosine": (columns) => tripletLoss(columns, { distance: "cosine", margin: 0.3 }),
  "triplet-manhattan": (columns) => tripletLoss(columns, { distance: "manhattan", margin: 1 }),
  contrastive: (columns, labels) => contrastiveLoss(columns, labels),
  cosent: (columns, labels) => cosentLoss(columns, labels),
};

const sentenceLosses: Cases<LossFile> = (file, path) =>
  Object.entries(file.losses).map(([name, { columns, labels }]) => [
    name,
    () =>
      withTensors(path.replace(/json$/, "safetensors"), (golden) =>
        scope(async () => {
          const loss = LOSSES[name];
          if (!loss) throw new Error(`no loss is known for ${name}: ${file.losses[name]!.what}`);
          const inputs = await Promise.all(
            columns.map(async (column) => toTensor((await golden(column))!).requireGrad()),
          );
          const values = labels === null ? [] : file[labels];
          const y = loss(inputs, fromArray(Float32Array.from(values), [values.length]));
          y.backward();
          const of = (key: string, got: Tensor | undefined) => check(golden, file.tensors, `${name}.${key}`, got);
          return Promise.all([
            of("loss", y),
            ...columns.map((column, i) => of(`grad.${column}`, inputs[i]!.grad ?? undefined)),
          ]);
        }),
      ),
  ]);

async function check(
  golden: Golden,
  tensors: LossFile["tensors"],
  key: string,
  got: Tensor | undefined,
): Promise<Check> {
  return compare(key, got && (await valuesOf(got)), (await golden(key))!, { rtol: 1e-4, atol: tensors[key]!.atol });
}

interface PoolingFile {
  model: string;
  inputs_left: { attention_mask: number[][] };
  config_json: Record<string, Record<string, unknown>>;
  config_json_before_sentence_transformers_6: Record<string, unknown>;
  tensors: LossFile["tensors"];
}

const pooling: Cases<PoolingFile> = (file, path) => {
  const modes = Object.keys(file.config_json).filter((name) => !name.includes("+")) as PoolingMode[];
  const right = readJson<PoolingFile["inputs_left"]>(join(path, "../../models/bert-model/inputs.json"));
  const masks = { right: right.attention_mask, left: file.inputs_left.attention_mask };
  const runs = Object.entries(masks).flatMap(([side, mask]) =>
    modes.flatMap((mode) =>
      [false, true].map((normalize) => [
        `${side}-${mode}${normalize ? "-normalized" : ""}`,
        () =>
          withTensors(path.replace(/json$/, "safetensors"), (golden) =>
            scope(async () => {
              const hidden = toTensor((await golden(`${side}.last_hidden_state`))!).requireGrad();
              const pooled = poolTokens(hidden, mask.flat(), {
                ...{ modes: [mode], dense: [], normalize, maxLength: undefined, lowerCase: false, prompt: "", includePrompt: true },
              });
              const y = normalize ? normalizeVectors(pooled) : pooled;
              sum(mul(y, toTensor((await golden("loss_weight"))!))).backward();
              const key = `${side}.${mode}${normalize ? ".normalized" : ""}`;
              return Promise.all([
                check(golden, file.tensors, key, y),
                check(golden, file.tensors, `${key}.grad_of_last_hidden_state`, hidden.grad ?? undefined),
              ]);
            }),
          ),
      ] as const),
    ),
  ); // prettier-ignore
  const config = (name: string, json: Record<string, unknown>) => [
    `config ${name}`,
    async () => {
      const modules = [
        { idx: 0, name: "0", path: "", type: "sentence_transformers.models.Transformer" },
        { idx: 1, name: "1", path: "1_Pooling", type: "sentence_transformers.models.Pooling" },
      ];
      const files: Record<string, unknown> = { "modules.json": modules, "1_Pooling/config.json": json };
      const size = Number(json["embedding_dimension"] ?? json["word_embedding_dimension"]);
      const settings = await readSentenceSettings(folderOf(files), size);
      return [same("modes", settings.modes, [json["pooling_mode"] ?? "mean"].flat()), same("include_prompt", settings.includePrompt, json["include_prompt"])];
    },
  ] as const; // prettier-ignore
  return [
    ...runs,
    ...Object.entries(file.config_json).map(([name, json]) => config(name, json)),
    config("before sentence-transformers 6", file.config_json_before_sentence_transformers_6),
  ];
};

interface MaskingFile {
  tokenizer: string;
  ids: number[][];
  special: number[][];
  offsets: number[][];
  word_of_token: number[][];
  can_be_drawn_in_whole_word_mode: number[][];
  given_this_draw: number[][];
  these_are_chosen: number[][];
}

/** Whether a share of `trials` lies where chance lets it. */
function share(name: string, count: number, trials: number, p: number): Check {
  return compare(
    name,
    { data: [count / trials], shape: [] },
    { data: [p], shape: [] },
    { rtol: 0, atol: 5 * Math.sqrt((p * (1 - p)) / trials) },
  );
}

const masking: Cases<MaskingFile> = (file, path) => [
  ["words", () => file.ids.flatMap((_, i) => {
    const words = wordsOfTokens(pairsOf(file.offsets[i]!), file.special[i]!);
    const starts = Array.from(words, (word, t) => Number(word >= 0 && words[t - 1] !== word));
    const chosen = wholeWordsOf(words, file.given_this_draw[i]!.map(Boolean)).map(Number);
    return [
      same(`row ${i}`, Array.from(words), renumbered(file.word_of_token[i]!)),
      same(`row ${i} starts`, starts, file.can_be_drawn_in_whole_word_mode[i]),
      same(`row ${i} chosen`, chosen, file.these_are_chosen[i]),
    ];
  })],
  ["tokens", () => rates(file, path, false)],
  ["whole words", () => rates(file, path, true)],
]; // prettier-ignore

/** Words numbered from 0, in their order. */
function renumbered(words: readonly number[]): number[] {
  const seen = [...new Set(words.filter((word) => word >= 0))];
  return words.map((word) => seen.indexOf(word));
}

async function rates(file: MaskingFile, path: string, wholeWords: boolean): Promise<Check[]> {
  const tokenizer = await AutoTokenizer.fromPretrained(join(path, "../..", file.tokenizer));
  const vocabulary = { maskTokenId: tokenizer.maskTokenId!, vocabSize: tokenizer.vocabSize };
  const counts = { tokens: 0, chosen: 0, mask: 0, same: 0, words: 0, drawn: 0, wrong: 0 };
  for (let epoch = 0; epoch < 400; epoch++) {
    for (const [i, ids] of file.ids.entries()) {
      const special = file.special[i]!;
      const words = wordsOfTokens(pairsOf(file.offsets[i]!), special);
      const rows = { input_ids: ids, special_tokens_mask: special, words };
      const masked = maskTokens(rows, vocabulary, splitMix64(epoch, i), { wholeWords });
      const drawn = new Set<number>();
      for (const [t, label] of masked.labels.entries()) {
        const id = masked.input_ids[t]!;
        if (!special[t]) counts.tokens++;
        if (label === -100) counts.wrong += Number(id !== ids[t] || (wholeWords && drawn.has(words[t]!)));
        else {
          counts.chosen++;
          counts.wrong += Number(label !== ids[t] || special[t] === 1);
          if (id === vocabulary.maskTokenId) counts.mask++;
          else if (id === label) counts.same++;
          drawn.add(words[t]!);
        }
      }
      counts.drawn += drawn.size;
      counts.words += Math.max(...words) + 1;
    }
  }
  const once = 0.1 / vocabulary.vocabSize;
  return [
    same("labels and inputs that are wrong", counts.wrong, 0),
    ...(wholeWords
      ? [
          share("words chosen", counts.drawn, counts.words, 0.15),
          same("all of them [MASK]", counts.mask, counts.chosen),
        ]
      : [
          share("tokens chosen", counts.chosen, counts.tokens, 0.15),
          share("[MASK]", counts.mask, counts.chosen, 0.8 + once),
          share("the same", counts.same, counts.chosen, 0.1 + once),
        ]),
  ];
}

/** The files by name; another one is a line here. */
const files: Record<string, Cases> = {
  ...metricFiles,
  "mlm-collation": masking,
  pooling,
  "qa-nbest": ({ cases }) => numbered(cases, nBest),
  "sentence-losses": sentenceLosses,
  "token-aggregation": aggregation,
};

/** Metrics, post-processing, sentence losses, pooling and masking. */
export async function* tasks(dir: string, wanted: (id: string) => boolean): AsyncGenerator<Result> {
  for (const file of list(dir, "json")) {
    const path = join(dir, `${file}.json`);
    const cases = files[file];
    if (!cases) {
      if (wanted(`tasks/${file}`))
        yield { group: "tasks", file, name: "", checks: [], notCovered: "no check for this file" };
      continue;
    }
    for (const [name, work] of cases(readJson<never>(path), path)) {
      if (!wanted(`tasks/${file}/${name}`)) continue;
      yield { group: "tasks", file, name, checks: await attempt(async () => work()) };
    }
  }
}

/** Files in memory as a folder. */
const folderOf = (files: Readonly<Record<string, unknown>>): Folder => ({
  name: "pooling",
  open: async (file) => (files[file] === undefined ? undefined : byteSource(JSON.stringify(files[file]))),
});
