import { expect, it } from "vitest";
import { holdsNoTexts, shareable } from "./shareable.ts";

it("keeps of a local path what lies in the shared folder, or its last part", () => {
  const paths = (folder: string, ...values: string[]) => values.map((value) => shareable(value, folder));
  expect(paths("/home/me/out", "/home/me/out", "/home/me/out/checkpoint-9", "/home/me/out2/x", "/data/imdb/")).toEqual([
    "out",
    "checkpoint-9",
    "x",
    "imdb",
  ]);
  expect(paths("/out", "/out", "/out/runs/a")).toEqual(["out", "runs/a"]);
  expect(paths("/out", "../../home/me/bert", "file:///home/me/bert")).toEqual(["bert", "bert"]);
  expect(paths("C:\\me\\out", "C:\\me\\out\\runs\\a", "D:/models/bert", "~/models/bert")).toEqual([
    "runs/a",
    "bert",
    "bert",
  ]);
});

it("keeps of a relative path the last part, where the name says that it is one", () => {
  const given = {
    ...{ train_file: "clients/acme/train.csv", validation_file: "./dev.csv", testFile: "clients\\acme\\test.csv" },
    ...{
      data_files: ["a/b/c.csv", "d.csv"],
      output_dir: "output/acme",
      best_model_checkpoint: "output/acme/checkpoint-4",
    },
    ...{
      init_classifier: "clients/acme/head.safetensors",
      loss_trace: "logs/acme/trace.jsonl",
      outputDir: "output/acme",
    },
    ...{ model: "clients/acme/base", dataset: "./acme/reviews", _name_or_path: "a/b/c", hub_model_id: "me/films" },
    ...{ resume_from_checkpoint: true, id2label: { 0: "either/or/both", 1: "files/a/b" } },
  };
  expect(shareable(given, "/home/me/output/acme")).toEqual({
    ...{ train_file: "train.csv", validation_file: "dev.csv", testFile: "test.csv" },
    ...{ data_files: ["c.csv", "d.csv"], output_dir: "acme", best_model_checkpoint: "checkpoint-4" },
    ...{ init_classifier: "head.safetensors", loss_trace: "trace.jsonl", outputDir: "acme" },
    ...{ model: "base", dataset: "reviews", _name_or_path: "c", hub_model_id: "me/films" },
    ...{ resume_from_checkpoint: true, id2label: { 0: "either/or/both", 1: "files/a/b" } },
  });
  const ids = { model: "google-bert/bert-base-uncased", dataset: "imdb", _name_or_path: "a/b.c" };
  expect(shareable(ids)).toEqual(ids);
  const datasets = ["stanfordnlp/imdb (train)", "acme/train.csv", "clients/acme/reviews (test)"];
  expect(shareable({ dataset: datasets })).toEqual({ dataset: [datasets[0], "train.csv", "reviews (test)"] });
});

it("leaves all else as it is, but for tokens of the Hub", () => {
  const tokens = {
    cls_token: "[CLS]",
    unk_token: "/s",
    sep: "/",
    a: ["google-bert/bert-base-uncased", "./x", "output/x"],
  };
  expect(shareable({ ...tokens, seed: 42, best: null, path: ["/a/b"] })).toEqual({
    ...tokens,
    seed: 42,
    best: null,
    path: ["b"],
  });
  const token = "hf_abcdefgh12345678";
  const others = { seed: 1, label2id: { "reset password": 0, secret: 1 }, dataset: "hf_reviews" };
  const config = { hub_token: "x", hubToken: null, ...others, key: token, url: `https://me:${token}@huggingface.co/x` };
  expect(shareable(config)).toEqual({ ...others, key: "hf_…", url: "https://me:hf_…@huggingface.co/x" });
  expect(shareable(["hf_12345678"])).toEqual(["hf_…"]); // by itself, a short one too
});

it("knows the files that hold no texts of the data", () => {
  const known = ["README.md", "LICENSE", "config.json", "1_Pooling/config.json", "model.safetensors", "model-00001-of-00002.safetensors", "model.safetensors.index.json", "pytorch_model.bin.index.json", "tokenizer.json", "tokenizer_config.json", "sentence_bert_config.json", "modules.json", "vocab.txt", "vocab.json", "merges.txt", "spiece.model", "sentencepiece.bpe.model", "special_tokens_map.json", "added_tokens.json", "training_args.json", "train_config.json", "trainer_state.json", "all_results.json", "test_results.json", "log.csv", "log.jsonl", "runs/Nov24/events.out.tfevents.1.gpugrad.2.0"]; // prettier-ignore
  expect(known.filter((path) => !holdsNoTexts(path))).toEqual([]);
  const others = ["report.html", "train.csv", "data/log.csv.gz", "predictions.jsonl", "eval.parquet", "tokens.cache", "notes.md", "README.md.bak", "vocab.txt.old", "rows.json", "dataset_info.json", "my-log.csv", "x.txt", "model.txt", "config.json/rows"]; // prettier-ignore
  expect(others.filter(holdsNoTexts)).toEqual([]);
});
