import { gzipSync } from "node:zlib";
import { parquetWriteBuffer } from "hyparquet-writer";
import { dataFolder, getDatasetSplitNames, labelCounts, loadDataset } from "@gpugrad/train";
import { bundle, unbundle, type Target } from "../target.ts";

/** All of a dataset that is one file. */
async function readFile(file: string, input: Uint8Array): Promise<void> {
  for (const onBadRow of ["throw", "skip"] as const) {
    const dataset = await loadDataset(dataFolder({ [file]: input }), { split: "train", onBadRow });
    await labelCounts(dataset);
    for (let i = 0; i < Math.min(dataset.length, 50); i++) await dataset.row(i);
  }
}

const table = (name: string, file: string, seeds: Target["seeds"], dictionary: Target["dictionary"]): Target => ({
  ...{ name, seeds, dictionary },
  read: (input) => readFile(file, input),
});

const cells = [
  '"',
  '""',
  ",",
  "\t",
  "\r",
  "\n",
  "\r\n",
  "nan",
  "NA",
  "1e999",
  "-1",
  "987654321",
  "text",
  "label",
  "\ufeff",
  "\0",
];

export const csv = table(
  "csv",
  "train.csv",
  [
    'text,label\n"good, really",positive\n"bad ""film""",negative\n',
    "text,label\r\na,0\r\nb,1\r\n",
    "text,text_pair,label\na,b,0.5\nc,d,1\n",
  ],
  [...cells, "label,label", "text,text,"],
);
export const tsv = table("tsv", "train.tsv", ["text\tlabel\nfine\t1\npoor\t0\n"], cells);
export const jsonl = table(
  "jsonl",
  "train.jsonl",
  [
    '{"text": "good", "label": 1}\n{"text": "bad", "label": 0}\n',
    '{"text":"a","label":"x"}\n{"text":"b","label":"y"}\n',
  ],
  ['"text"', '"label"', "null", "NaN", "{}", "[]", '{"text":1}\n', '"text_pair":"c"', "\n\n", "1e999"],
);
export const json = table(
  "json",
  "train.json",
  [
    '[{"text":"a","label":0},{"text":"b","label":1}]',
    '{"data":[{"text":"a","label":0}]}',
    '{"text":["a","b"],"label":[0,1]}',
  ],
  ['"text"', '"data"', "null", "[]", "{}", '"label":[0]', "[[", "1e999"],
);

const parquetFile = new Uint8Array(
  parquetWriteBuffer({
    columnData: [
      { name: "text", data: ["good", "bad", "so so", "fine"], type: "STRING" },
      { name: "label", data: [1n, 0n, 0n, 1n], type: "INT64" },
    ],
    rowGroupSize: 2,
  }),
);
export const parquet = table("parquet", "train.parquet", [parquetFile], ["PAR1", "text", "label", "\0\0\0\0", "\xff\xff\xff\x7f", "huggingface"]); // prettier-ignore
export const gzip = table(
  "gzip",
  "train.csv.gz",
  [
    Uint8Array.from(gzipSync("text,label\ngood,1\nbad,0\n")),
    Uint8Array.from(gzipSync(`text,label\n${"a,1\n".repeat(5000)}`)),
  ],
  ["\x1f\x8b", "\x1f\x8b\x08\0\0\0\0\0", "\0"],
);

const card = `---
configs:
- config_name: default
  default: true
  data_files:
  - split: train
    path: "data/train-*.csv"
  - split: test
    path: ["data/test.csv", "**/x?.csv"]
dataset_info:
  config_name: default
  features:
  - name: label
    dtype:
      class_label:
        names: { '0': neg, '1': pos }
---
# A card
`;

/** The front matter of a dataset's README.md, with the files that it speaks of. */
export const datasetCard: Target = {
  name: "card",
  seeds: [
    bundle({ "README.md": card, "data/train-0.csv": "text,label\na,0\nb,1\n", "data/test.csv": "text,label\nc,1\n" }),
  ],
  dictionary: [
    "---\n",
    "- ",
    "path: ",
    "**",
    "**a",
    "?",
    "*",
    "[a-",
    "&a ",
    "*a",
    "<<: *a\n",
    "names: ",
    "split: ../x\n",
    "!!js/function ",
  ],
  async read(input) {
    const folder = dataFolder(unbundle(input));
    for (const split of await getDatasetSplitNames(folder)) await loadDataset(folder, { split });
  },
};
