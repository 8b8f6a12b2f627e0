#!/usr/bin/env bash
# The recipes that want a GPU, the most telling first; scripts/README.md describes it.
set -euo pipefail

usage() {
  cat <<'USAGE'
scripts/peers/gpu_recipes.sh [options] [-- TRAIN_OPTIONS...]
Trains CIFAR-10's recipes one after the other: `fast` with three seeds, then `best-10-epochs` with
Xception and with Inception V3, evaluated with and without test-time augmentation, then
`best-50-epochs`. Started again, it goes on where it was, and ends with a report of all that is done.

  --data DIR       the folder with cifar-10-batches-bin (default: data)
  --out DIR        the runs (default: runs/recipes)
  --minutes N      of one call; a training that is not done by then is saved (default: 9)
  --xception PATH  the program (default: build/release/xception)
  --help           this text

TRAIN_OPTIONS go to every `xception train`. Exit codes: 0 all done, 3 saved before the end, or that of
the step that failed.
USAGE
}

data=data
out=runs/recipes
minutes=9
xception=build/release/xception
options=()
while (($#)); do
  case $1 in
    --data) data=${2:?--data needs a folder}; shift ;;
    --out) out=${2:?--out needs a folder}; shift ;;
    --minutes) minutes=${2:?--minutes needs a number}; shift ;;
    --xception) xception=${2:?--xception needs a file}; shift ;;
    --help | -h) usage; exit 0 ;;
    --) shift; options=("$@"); break ;;
    *) usage >&2; printf '[recipes] unknown option: %s\n' "$1" >&2; exit 2 ;;
  esac
  shift
done
end=$((SECONDS + minutes * 60))
mkdir -p "$out"

say() { printf '[recipes] %s\n' "$*"; }
status() { grep -o '"status": "[a-z]*"' "$out/$1/summary.json" 2>/dev/null | cut -d'"' -f4 || true; }

# NAME RECIPE OVERRIDES...: trained to its end, or until the time is over.
train() {
  local name=$1 recipe=$2 left=$((end - SECONDS)) code=0
  shift 2
  [[ $(status "$name") != complete ]] || return 0
  ((left > 20)) || report_and_leave
  say "$name: $recipe $*"
  timeout --signal=TERM "$left" "$xception" train --recipe "$recipe" --data "$data" --out "$out/$name" \
    --resume "$@" "${options[@]}" || code=$?
  ((code != 124 && code != 143)) || report_and_leave
  ((code == 0)) || exit "$code"
}

# NAME: the best checkpoint with views of each test image beside the plain figure.
views() {
  [[ ! -e $out/$1/views.txt ]] || return 0
  ((end - SECONDS > 30)) || report_and_leave
  "$xception" eval --run "$out/$1" --data "$data" --tta flip > "$out/$1/views.tmp"
  mv "$out/$1/views.tmp" "$out/$1/views.txt"
  cat "$out/$1/views.txt"
}

report() {
  local runs=() run
  for run in "$out"/*/; do
    [[ $(status "$(basename "$run")") != complete ]] || runs+=("$run")
  done
  ((${#runs[@]} == 0)) || "$xception" report "${runs[@]}" --out "$out/report" --overwrite
}

report_and_leave() {
  report
  say "the time is over: the same command goes on"
  exit 3
}

for seed in 0 1 2; do train "fast-$seed" fast "seed=$seed"; done
train xception-10 best-10-epochs
views xception-10
train inception-10 best-10-epochs model.name=inception_v3 model.aux_weight=0
views inception-10
for seed in 1 2; do train "xception-10-$seed" best-10-epochs "seed=$seed"; done
train xception-50 best-50-epochs
views xception-50
report
say "all done"
