#!/usr/bin/env bash
# From nothing to a trained network; scripts/README.md describes the options.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."

usage() {
  cat <<'USAGE'
scripts/quickstart.sh [--data DIR | --synthetic] [-- TRAIN_OPTIONS...]
Builds xception, gets CIFAR-10, trains a small network (configs/quickstart.json), evaluates it and
classifies one image. Where CIFAR-10 can't be had, Fashion-MNIST takes its place (Debian's package
dataset-fashion-mnist, installed if that is possible), else a synthetic set of ten classes.

  --data DIR    a folder that holds the files of CIFAR-10 or of MNIST's layout
  --synthetic   the synthetic set without asking the network
  --help        this text

TRAIN_OPTIONS go to `xception train`: scripts/quickstart.sh -- train.epochs=1
USAGE
}

say() { printf '[quickstart] %s\n' "$*"; }
fail() {
  printf '[quickstart] %s\n' "${@:2}" >&2
  exit "$1"
}

data=
synthetic=no
train_options=()
while (($#)); do
  case $1 in
    --data) data=${2:?--data needs a folder}; shift ;;
    --synthetic) synthetic=yes ;;
    --help | -h) usage; exit 0 ;;
    --) shift; train_options=("$@"); break ;;
    *) usage >&2; fail 2 "unknown option: $1" ;;
  esac
  shift
done

# Real images where the network gives Debian's packages only.
fashion_mnist=/usr/share/datasets/fashion-mnist
find_fashion_mnist() {
  [[ -e $fashion_mnist/train-images-idx3-ubyte.gz ]] && return
  local as_root=()
  ((EUID == 0)) || as_root=(sudo -n)
  command -v apt-get >/dev/null 2>&1 || return 1
  "${as_root[@]}" apt-get install -y -qq --no-install-recommends dataset-fashion-mnist >/dev/null 2>&1
  [[ -e $fashion_mnist/train-images-idx3-ubyte.gz ]]
}

bash scripts/setup.sh --no-tests
xception=build/${XCEPTION_PRESET:-release}/xception

# ---- Data ------------------------------------------------------------------------------------------
if [[ -z $data && $synthetic == no ]]; then
  if bash scripts/download_cifar10.sh --connect-timeout 5 data; then
    data=data
  elif find_fashion_mnist; then
    data=$fashion_mnist
    say "no CIFAR-10, so Fashion-MNIST ($data)"
  else
    say "no CIFAR-10, so synthetic images: its accuracy says nothing about CIFAR-10"
  fi
fi
if [[ -z $data ]]; then
  data=data/synthetic
  # The names are written last: without them an earlier attempt was cut short.
  if [[ ! -e $data/cifar-10-batches-bin/batches.meta.txt ]]; then
    rm -rf "$data"
    "$xception" data synthesize --out "$data"
  fi
fi

# ---- Train, evaluate, predict ----------------------------------------------------------------------
run=runs/quickstart
number=2
while [[ -e $run ]]; do
  run=runs/quickstart-$number
  number=$((number + 1))
done
"$xception" train --config configs/quickstart.json --data "$data" --out "$run" "${train_options[@]}"
evaluation=$("$xception" eval --run "$run")
echo "$evaluation"

# The first test image as a PNG, to have a file to classify.
"${Python3_EXECUTABLE:-python3}" - "$data" "$run/example.png" <<'PYTHON'
import gzip, os, struct, sys, zlib

folder, png = sys.argv[1], sys.argv[2]
nested = os.path.join(folder, "cifar-10-batches-bin")
images = os.path.join(nested if os.path.isdir(nested) else folder, "test_batch.bin")
if os.path.exists(images):
    side, colors = 32, 3
    with open(images, "rb") as file:
        planes = file.read(3073)[1:]  # red, green, blue
else:
    side, colors = 28, 1
    images = os.path.join(folder, "t10k-images-idx3-ubyte")
    with (open(images, "rb") if os.path.exists(images) else gzip.open(images + ".gz")) as file:
        planes = file.read(16 + side * side)[16:]
area = side * side
rows = b"".join(
    b"\0" + bytes(planes[c * area + y * side + x] for x in range(side) for c in range(colors))
    for y in range(side))

def chunk(kind, body):
    return struct.pack(">I", len(body)) + kind + body + struct.pack(">I", zlib.crc32(kind + body))

with open(png, "wb") as file:
    file.write(b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", struct.pack(">2I5B", side, side, 8, colors - 1, 0, 0, 0))
               + chunk(b"IDAT", zlib.compress(rows)) + chunk(b"IEND", b""))
PYTHON
"$xception" predict --run "$run" "$run/example.png" --top-k 3

say "done"
say "data:     $data"
say "result:   $evaluation"
say "files:    $run (history.csv, log.txt, checkpoints/best/model.safetensors, example.png)"
say "next:     ls configs; $xception train --help; $xception predict --run $run YOUR_IMAGE.jpg"
