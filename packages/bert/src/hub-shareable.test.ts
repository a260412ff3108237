import { expect, it } from "vitest";
import { shareable } from "./hub-shareable.ts";

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
  const told = { hub_token: "x", hubToken: null, ...others, key: token, url: `https://me:${token}@huggingface.co/x` };
  expect(shareable(told)).toEqual({ ...others, key: "hf_…", url: "https://me:hf_…@huggingface.co/x" });
  expect(shareable(["hf_12345678"])).toEqual(["hf_…"]); // by itself, a short one too
});
