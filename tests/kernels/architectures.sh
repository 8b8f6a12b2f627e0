#!/usr/bin/env bash
# architectures.sh NVCC SOURCE_DIR: compiles the CUDA sources for every architecture that we mean to
# run on, those of Blackwell where this nvcc knows them; what doesn't compile, warns or spills much
# of its registers fails.
set -euo pipefail
nvcc=$1
source_dir=$2
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT

known=$("$nvcc" --list-gpu-arch)
flags=(-O3 -DNDEBUG -std=c++20 -Xcompiler=-fPIC,-Wall,-Wextra,-Wshadow -Werror=all-warnings
       -Xptxas=-v "-I$source_dir/include")
for architecture in 75 80 86 89 90 100 120; do
  if ! grep -qx "compute_$architecture" <<<"$known"; then
    [[ $architecture -lt 100 ]] || { echo "this nvcc doesn't know $architecture"; continue; }
    echo "this nvcc doesn't know $architecture, which we build for"
    exit 1
  fi
  flags+=("--generate-code=arch=compute_$architecture,code=sm_$architecture")
  echo "for $architecture"
done

for source in "$source_dir"/src/kernels/cuda/*.cu; do
  name=$(basename "$source")
  start=$(date +%s%N)
  "$nvcc" "${flags[@]}" -c "$source" -o "$work/$name.o" 2>"$work/$name.log" ||
    { cat "$work/$name.log"; exit 1; }
  spilled=$(sed -n 's/.* \([0-9]*\) bytes spill stores.*/\1/p' "$work/$name.log" | sort -n | tail -1)
  echo "$name: $((($(date +%s%N) - start) / 1000000)) ms, at most ${spilled:-0} bytes spilled"
  [[ ${spilled:-0} -le 128 ]] || { echo "too many registers"; exit 1; }
done

# Two blocks of 256 threads a multiprocessor have 128 registers each: the kernels that most of a
# step of Xception goes through are to keep to that and hardly spill.
awk '/Compiling entry function/ { pairs = /depthwise_(for|back)ward_pairs/ && /sm_(80|86|89|90)/ }
     pairs && /bytes spill stores/ { sub(/.*frame, /, ""); if ($1 > 16) { print "spills: " $0; bad = 1 } }
     pairs && /Used [0-9]+ registers/ { seen++; if ($5 > 128) { print "registers: " $0; bad = 1 } }
     END { if (!seen) print "no kernel of pairs of lines"; exit bad || !seen }' "$work"/half.cu.log
