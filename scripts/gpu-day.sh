#!/usr/bin/env bash
# scripts/gpu-day.sh RESULTS [STEP…]: what to run on a GPU that is at hand for a few minutes. Each step has a time limit and writes its
# own files into the folder RESULTS as it ends; the most informative come first. Without STEP all of them; the names are below. The variable
# TORCH_BERT names a Python program that times the same cases in PyTorch, where there is one; PLAN_GPU a GPU that `gpugrad plan` knows, whose
# plan is then beside what the profiles measured.
set -uo pipefail
cd "$(dirname "$0")/.."
out=$(mkdir -p "$1" && cd "$1" && pwd)
shift
only=" $* "
run() { node scripts/run.mjs "$@"; }
bench() { run bench/src/cli.ts --save "$out/$1.json" --only "$2"; }
profile() { run packages/gpugrad/src/cli.ts profile --model bert-base --seq-length 256 --trace "$out/$1-trace.json" "${@:2}"; }

# step NAME SECONDS COMMAND…: its output goes to RESULTS/NAME.log.
step() {
  local name=$1 seconds=$2 start=$SECONDS
  shift 2
  [ "$only" = "  " ] || [[ $only == *" $name "* ]] || return 0
  out=$out timeout --kill-after=5 "$seconds" bash -c "$(declare -f run bench profile); $*" > "$out/$name.log" 2>&1
  echo "$name: exit code $?, $((SECONDS - start)) s"
}

step adapter 30 "run packages/gpugrad/src/cli.ts doctor --json; nvidia-smi; true"
step profile-f16 40 "profile profile-f16 --fp16"
step profile-f32 40 "profile profile-f32"
step steps 60 "bench steps '^train_bert-base'"
step plan 60 "for f in '' --fp16; do run packages/gpugrad/src/cli.ts plan --gpu \"${PLAN_GPU:-all}\" \$f; done"
step check 100 "run scripts/check-kernels.ts"
step tests 120 "node scripts/test.mjs packages/tensor packages/nn packages/autograd --maxWorkers=14"
step kernels 100 "bench kernels '^(matmul512|matmul1024|linear2048x768x768|softmax4096x256|layernorm4096x768|gelu4096x3072|crossentropy16384x128|sum4096x768_columns|sdpa_B4H12S128D64|adamw_minilm-l6|encoder_fwd|encoder_fwdbwd|train_minilm-l6.*)\$'"
step sample 60 "run examples/train-imdb.ts --sample --output_dir $out/sample"
[ -z "${TORCH_BERT:-}" ] || step torch 60 "python3 $TORCH_BERT --device cuda --budget 45 --json $out/torch.json --only '^(matmul512|matmul1024|softmax4096x256|layernorm4096x768|gelu4096x3072|sdpa_B4H12S128D64|encoder_fwd|encoder_fwdbwd|train_bert-base_B16T256_sdpa.*|train_minilm-l6_B16T128_sdpa.*)\$'"
step all 600 "bench all ."
