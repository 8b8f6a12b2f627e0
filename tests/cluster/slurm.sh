#!/usr/bin/env bash
# A Slurm cluster of this machine alone (munge, slurmctld, slurmd), with a configuration of its own:
# scripts/train.sbatch with two tasks is preempted by a job of higher priority in the middle of an
# epoch, goes back into the queue, goes on where it was and ends as an undisturbed run does; and a
# sweep runs as one job array.
#
#   slurm.sh XCEPTION SOURCE_DIR     exit codes: 0 passed, 1 failed, 77 can't be tried here
set -euo pipefail
xception=$(readlink -f "$1")
source=$(readlink -f "$2")
work=$(mktemp -d)
daemons=()

fail() { echo "FAILED: $*"; tail -n 40 "$work"/*.log "$work"/job/*.log 2>/dev/null || true; exit 1; }
skip() { echo "skipped: $*"; exit 77; }
cleanup() {
  scancel --user=root 2>/dev/null || true
  sleep 1
  for id in "${daemons[@]}"; do kill -9 "$id" 2>/dev/null || true; done
  pkill -9 -f "$work/spool" 2>/dev/null || true
  # runuser's child outlives it.
  [[ -z ${own_munge:-} ]] || pkill -9 -u munge munged 2>/dev/null || true
  rm -rf "$work"
}
[[ $(id -u) == 0 ]] || skip "slurmd needs root"
for program in slurmctld slurmd munged sbatch; do
  command -v $program >/dev/null || skip "no $program (Debian: slurm-wlm munge)"
done
trap cleanup EXIT

host=$(hostname -s)
mkdir -p "$work"/{state,spool,job}
cat >"$work/slurm.conf" <<CONF
ClusterName=test
SlurmctldHost=$host(127.0.0.1)
SlurmUser=root
SlurmctldPort=26817
SlurmdPort=26818
AuthType=auth/munge
StateSaveLocation=$work/state
SlurmdSpoolDir=$work/spool
SlurmctldPidFile=$work/slurmctld.pid
SlurmdPidFile=$work/slurmd.pid
ProctrackType=proctrack/linuxproc
TaskPlugin=task/none
MpiDefault=none
SwitchType=switch/none
ReturnToService=2
SchedulerType=sched/backfill
SchedulerParameters=sched_interval=1,bf_interval=1,batch_sched_delay=0
SelectType=select/cons_tres
SelectTypeParameters=CR_CPU
PreemptType=preempt/partition_prio
PreemptMode=REQUEUE
KillWait=30
NodeName=$host NodeAddr=127.0.0.1 CPUs=2 RealMemory=1000 State=UNKNOWN
PartitionName=low Nodes=$host Default=YES PriorityTier=1 GraceTime=60 MaxTime=INFINITE State=UP
PartitionName=high Nodes=$host PriorityTier=2 PreemptMode=OFF MaxTime=INFINITE State=UP
CONF
export SLURM_CONF=$work/slurm.conf

if ! munge -n >/dev/null 2>&1; then
  # A munge of our own: its socket is where clients look for it.
  mkdir -p /run/munge && chown munge: /run/munge
  [[ -e /etc/munge/munge.key ]] || { mungekey --create 2>/dev/null || dd if=/dev/urandom of=/etc/munge/munge.key bs=1 count=1024 status=none; chown munge: /etc/munge/munge.key; chmod 400 /etc/munge/munge.key; }
  runuser -u munge -- munged --force --foreground >"$work/munged.log" 2>&1 &
  daemons+=($!)
  own_munge=yes
  for _ in $(seq 50); do munge -n >/dev/null 2>&1 && break; sleep 0.1; done
  munge -n >/dev/null || skip "munge doesn't start"
fi
slurmctld -D >"$work/slurmctld.log" 2>&1 &
daemons+=($!)
slurmd -D -N "$host" >"$work/slurmd.log" 2>&1 &
daemons+=($!)
for _ in $(seq 100); do sinfo -h -o %T 2>/dev/null | grep -q idle && break; sleep 0.2; done
sinfo -h -o %T 2>/dev/null | grep -q idle || fail "no idle node"

"$xception" data synthesize --out "$work/data" --train 300 --test 60 >/dev/null
settings=(model.width=0.125 model.middle_blocks=0 data.image_size=71 data.validation_size=40
          train.batch_size=24 train.log_interval=1 train.epochs=30 model.dropout=0.3 seed=1)
common=(--data "$work/data" --device cpu)

echo "1. what Slurm's own shells are: no ranks"
cd "$work/job"
salloc -n 2 "$xception" train "${common[@]}" --out "$work/shell" "${settings[@]/train.epochs=30/train.epochs=1}" \
  >"$work/shell.log" 2>&1 || fail "in an allocation"
grep -q '"ranks": 1' "$work/shell/summary.json" || fail "salloc's shell became a rank"

echo "2. two tasks, preempted"
job=$(XCEPTION=$xception sbatch --parsable --output="$work/job/%j.log" "$source/scripts/train.sbatch" \
  "${common[@]}" --out "$work/run" "${settings[@]}")
log=$work/job/$job.log
for _ in $(seq 600); do grep -q "epoch 4/30  step 5" "$log" 2>/dev/null && break; sleep 0.1; done
grep -q "2, 12 images each, BatchNorm rank0" "$log" || fail "two ranks"
urgent=$(sbatch --parsable --partition=high --ntasks=2 --output=/dev/null --wrap "sleep 3")
for _ in $(seq 300); do grep -q "stopped by signal 15; saved" "$log" && break; sleep 0.1; done
grep -q "stopped by signal 15; saved" "$log" || fail "no stop on preemption"
echo "   $(grep -m 1 "stopped by signal" "$log")"

echo "3. back in the queue, and on"
for _ in $(seq 2400); do
  grep -q "^done" "$log" && break
  # Slurm lets a requeued job wait for two minutes; an administrator needn't.
  scontrol update jobid="$job" starttime=now 2>/dev/null || true
  sleep 0.2
done
grep -q "^done" "$log" || fail "the job didn't go on: $(scontrol show job "$job" | tr '\n' ' ')"
grep "^resume: from" "$log" | sed 's/^/   /'
[[ $(scontrol show job "$job" | grep -o 'Restarts=[0-9]*') == "Restarts=1" ]] || fail "restarts: $(scontrol show job "$job" | grep -o 'Restarts=[0-9]*')"
grep -q '"launcher": "slurm"' "$work/run/environment.json" || fail "launcher"
scancel "$urgent" 2>/dev/null || true

echo "4. as an undisturbed run"
"$xception" train "${common[@]}" --out "$work/one" --ranks 2 "${settings[@]}" >/dev/null
for file in checkpoints/last/model.safetensors checkpoints/last/optimizer.safetensors predictions-best-test.safetensors; do
  cmp "$work/run/$file" "$work/one/$file" || fail "$file differs"
done
echo "   weights, optimizer and predictions are the same, bit for bit"

echo "5. a sweep as one job array"
cat >"$work/sweep.json" <<'SWEEP'
{"base": {"model": {"width": 0.125, "middle_blocks": 0}, "data": {"image_size": 71, "validation_size": 40},
          "train": {"batch_size": 24, "epochs": 3, "log_interval": 1}},
 "grid": {"model.intermediate_activation": ["none", "relu", "elu"]}, "seeds": 2}
SWEEP
sweep=("$xception" sweep "$work/sweep.json" "${common[@]}")
"${sweep[@]}" --out "$work/array" --launcher slurm --jobs 2 --sbatch=--partition=low >"$work/sweep.log" 2>&1 ||
  fail "the sweep: $(tail -n 3 "$work/sweep.log")"
grep "job array" "$work/sweep.log" | sed 's/^/   /'
"${sweep[@]}" --out "$work/local" >/dev/null
"$xception" sweep status "$work/array" | tail -n 1 | sed 's/^/   /'
for folder in array local; do
  grep -v '"train_seconds"\|"images_per_second"' "$work/$folder/leaderboard.json" >"$work/$folder.board"
done
cmp "$work/array.board" "$work/local.board" || fail "the leaderboards differ"
echo "   the leaderboard is the local sweep's"
"${sweep[@]}" --out "$work/array" --launcher slurm --resume >"$work/again.log" 2>&1 || fail "again"
grep -q "6 trials, 6 complete" "$work/again.log" || fail "finished trials are not kept"
grep -q "job array" "$work/again.log" && fail "an array was submitted for nothing"

echo "6. an array that is canceled goes on with what is left"
"${sweep[@]}" --out "$work/can celled" --launcher slurm --jobs 1 train.epochs=20 >"$work/canceled.log" 2>&1 &
waiting=$!
for _ in $(seq 300); do [[ $(cat "$work/can celled"/journal/*.jsonl 2>/dev/null | grep -c '"complete"') -ge 1 ]] && break; sleep 0.2; done
scancel --user=root
wait $waiting || true
"$xception" sweep status "$work/can celled" | tail -n 1 | sed 's/^/   /'
"${sweep[@]}" --out "$work/can celled" --launcher slurm --resume train.epochs=20 >"$work/rest.log" 2>&1 || fail "going on"
[[ $("$xception" sweep status "$work/can celled" | tail -n 1) == "6 complete" ]] || fail "not all complete"
echo passed
