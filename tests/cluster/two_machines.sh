#!/usr/bin/env bash
# Two machines: network namespaces with names and addresses of their own, joined by a veth pair, two
# ranks in each, started by the real torchrun with a c10d rendezvous. Trains, evaluates, resumes; then
# the link goes down in the middle, and afterwards the last checkpoint goes on.
#
#   two_machines.sh XCEPTION PYTHON     exit codes: 0 passed, 1 failed, 77 can't be tried here
set -euo pipefail
xception=$1
python=$2
work=$(mktemp -d)
a=xcea$$ b=xceb$$

fail() { echo "FAILED: $*"; tail -n 30 "$work"/*.log 2>/dev/null || true; exit 1; }
skip() { echo "skipped: $*"; exit 77; }
cleanup() {
  for space in $a $b; do
    ip netns pids "$space" 2>/dev/null | xargs -r kill -9 2>/dev/null || true
    ip netns del "$space" 2>/dev/null || true
    rm -rf "/etc/netns/$space"
  done
  rm -rf "$work"
}
trap cleanup EXIT
[[ $(id -u) == 0 ]] || skip "network namespaces need root"
command -v ip >/dev/null || skip "no ip (Debian: iproute2)"
ip netns add "$a" 2>/dev/null || skip "no network namespaces here"
ip netns add "$b"
ip link add "v$a" type veth peer name "v$b"
n=1
for space in $a $b; do
  ip link set "v$space" netns "$space"
  ip -n "$space" addr add "10.77.0.$n/24" dev "v$space"
  ip -n "$space" link set lo up
  ip -n "$space" link set "v$space" up
  mkdir -p "/etc/netns/$space"
  printf '127.0.0.1 localhost\n10.77.0.1 machine-a\n10.77.0.2 machine-b\n' >"/etc/netns/$space/hosts"
  n=$((n + 1))
done

"$xception" data synthesize --out "$work/data" --train 300 --test 60 >/dev/null
settings=(model.width=0.125 model.middle_blocks=0 data.image_size=71 data.validation_size=40
          train.batch_size=24 train.precision=fp64 parallel.batch_norm=sync train.log_interval=1
          parallel.threads=1 parallel.timeout=20 parallel.heartbeat=5 train.checkpoint_interval=4)
train=("$xception" train --data "$work/data" --device cpu --resume)

machine() {  # machine a|b ARGUMENTS...: torchrun there, in the background
  local name=$1 space=$a
  [[ $name == a ]] || space=$b
  shift
  ip netns exec "$space" unshare --uts bash -c 'hostname "machine-$0"; exec "$@"' "$name" \
    "$python" -m torch.distributed.run --nnodes 2 --nproc-per-node 2 --rdzv-backend c10d \
    --rdzv-endpoint machine-a:29400 --rdzv-id "$RANDOM_ID" --no-python \
    "${train[@]}" --out "$work/run" "${settings[@]}" "$@" >"$work/$name.log" 2>&1 &
}
ranks() { pgrep -f "$xception train .*--out $work/run" | while read -r id; do
    # torchrun has the same words in its command line.
    if [[ $(readlink "/proc/$id/exe") == "$(readlink -f "$xception")" ]]; then echo "$id"; fi
  done; }

echo "1. one epoch on two machines"
RANDOM_ID=first
machine a train.epochs=1
machine b train.epochs=1
wait || fail "training"
grep -q "4, 6 images each, BatchNorm sync; machine-a: cpu, cpu; machine-b: cpu, cpu" "$work/a.log" || fail "the ranks' row"
[[ $(grep -c "epoch 1: train loss" "$work"/[ab].log | awk -F: '{n += $2} END {print n}') == 1 ]] || fail "one rank speaks"

echo "2. the link goes down in the next epochs"
RANDOM_ID=second
machine a train.epochs=50
machine b train.epochs=50
for _ in $(seq 600); do
  grep -q "epoch 4/50  step 3" "$work/a.log" && break
  sleep 0.1
done
grep -q "resume: from epoch 2 of 50" "$work/a.log" || fail "resume"
ip -n "$a" link set "v$a" down
start=$SECONDS
while [[ -n $(ranks) ]]; do
  ((SECONDS - start < 40)) || fail "ranks still run: $(ranks | tr '\n' ' ')"
  sleep 0.2
done
echo "   all four ranks ended after $((SECONDS - start)) s (time-out 20 s, heartbeat 5 s)"
for name in a b; do
  grep -q "^error: \[parallel\]" "$work/$name.log" || fail "machine $name says nothing"
  echo "   machine-$name: $(grep -m 1 "^error: \[parallel\]" "$work/$name.log")"
done
pkill -9 -f "torch.distributed.run.*$work/run" || true
wait || true
ip -n "$a" link set "v$a" up

echo "3. the last checkpoint goes on, with the curve of one process"
RANDOM_ID=third
machine a train.epochs=5
machine b train.epochs=5
wait || fail "going on"
"${train[@]}" --out "$work/one" "${settings[@]}" train.epochs=5 >/dev/null
paste -d, "$work/run/history.csv" "$work/one/history.csv" | "$python" -c '
import csv, sys
rows = list(csv.reader(sys.stdin))
names, half = rows[0], len(rows[0]) // 2
worst = 0.0
for row in rows[1:]:
    for i in range(half):
        if names[i] in ("epoch", "step", "train_loss", "train_acc", "val_loss", "val_acc"):
            x, y = float(row[i]), float(row[half + i])
            worst = max(worst, abs(x - y) / max(abs(y), 1e-300))
print(f"   {len(rows) - 1} epochs, largest relative difference {worst:.1e}")
sys.exit(0 if len(rows) == 6 and worst < 1e-6 else 1)' || fail "the curve"
echo passed
