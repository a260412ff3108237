#!/usr/bin/env bash
# Each task by gpugrad and by PyTorch: the same start, rows, order and rates. Usage: bench/python/tasks.sh FOLDER (of examples/task-data.ts) [TASK …]
# Needs python (or GPUGRAD_PYTHON) with torch, transformers, sentence-transformers, seqeval and scikit-learn. Prints a row of a Markdown table per task.
set -euo pipefail
data=$1
shift
out=$(mktemp -d)
node -e '
const { readFileSync, writeFileSync } = require("node:fs");
const lines = readFileSync(process.argv[1] + "/people.txt", "utf8").trim().split("\n");
const places = ["Oslo", "New York", "Bonn", "Lima", "Rome", "San Jose"], words = ["Ada", "Eve", "lives", "left", "Rome"];
const write = (name, of) => writeFileSync(process.argv[2] + "/" + name, lines.map((text) => JSON.stringify({ text, ...of(text) })).join("\n") + "\n");
write("text-classification.jsonl", (text) => ({ label: places.find((place) => text.includes(place)) }));
write("regression.jsonl", (text) => ({ label: text.length / 10 + 0.05 }));
write("multi-label.jsonl", (text) => ({ labels: words.filter((word) => text.includes(word)) }));
' "$data" "$out"
cp "$data/people.conll" "$out/token-classification.conll"
cp "$data/people.json" "$out/question-answering.json"
cp "$data/choices.jsonl" "$out/multiple-choice.jsonl"
cp "$data/people.txt" "$out/masked-lm.txt"
cp "$data/pairs.jsonl" "$out/sentence-embeddings.jsonl"
tasks=("$@")
[ ${#tasks[@]} -gt 0 ] || tasks=(text-classification regression multi-label token-classification question-answering multiple-choice masked-lm sentence-embeddings)
for task in "${tasks[@]}"; do
  rows=("$out/$task".*)
  size=16
  [ "$task" != sentence-embeddings ] || size=7
  train() { # MODEL OUTPUT arguments …: stdout is the summary
    node scripts/run.mjs packages/gpugrad/src/cli.ts train --quiet --task "$task" --model "$1" --train_file "${rows[0]}" --validation_file "${rows[0]}" --output_dir "$2" \
      --line_by_line --train_sampling_strategy sequential --per_device_train_batch_size "$size" --per_device_eval_batch_size "$size" --save_strategy no --report_to none "${@:3}" >&2
  }
  # A run that changes nothing saves the start: the same fresh head for both.
  train "$data/tiny-bert" "$out/$task-start" --dropout 0 --max_steps 1 --learning_rate 0
  train "$out/$task-start" "$out/$task" --max_steps 25 --learning_rate 3e-3 --loss_trace "$out/$task.trace"
  "${GPUGRAD_PYTHON:-python3}" "$(dirname "$0")/tasks.py" "$task" "$out/$task-start" "${rows[0]}" >"$out/$task.python"
  node -e '
const { readFileSync } = require("node:fs");
const [task, out] = process.argv.slice(1);
const ours = readFileSync(`${out}/${task}.trace`, "utf8").trim().split("\n").map((line) => JSON.parse(line).loss);
const results = JSON.parse(readFileSync(`${out}/${task}/all_results.json`, "utf8"));
const { losses, metrics } = JSON.parse(readFileSync(`${out}/${task}.python`, "utf8"));
const show = (x) => x?.toPrecision(6) ?? "";
const largest = Math.max(...ours.map((loss, i) => Math.abs(loss - losses[i])));
const other = Object.keys(metrics).find((name) => name !== "loss");
const cells = [task, losses.length, show(ours[0]), show(losses[0]), show(ours.at(-1)), show(losses.at(-1)), largest.toExponential(1), show(metrics.loss && results.eval_loss), show(metrics.loss), other ?? "", show(other && results[`eval_${other}`]), show(metrics[other])];
console.log(`| ${cells.join(" | ")} |`);
' "$task" "$out"
done
