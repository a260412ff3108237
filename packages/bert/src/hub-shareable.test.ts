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
  expect(shareable({ hub_token: "x", hubToken: null, secret: "hf_abcdefgh12345678", seed: 1 })).toEqual({ seed: 1 });
});
