#!/usr/bin/env bash
# Packs what gpu.py needs on a machine that has a GPU but no build tools; scripts/README.md describes it.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/../.."

most_mib=56  # so that it can be sent, the tree and changes of it beside

usage() {
  cat <<'USAGE'
scripts/peers/gpu_kit.sh [options]
Builds xception, test_kernels and test_train for one kind of GPU and gathers in build/gpu/kit all that
they and gpu.py need on a machine which has only Python 3 with torch: programs, the libraries that torch
doesn't bring, configs, the scripts. Then starts them in a bare Debian, where the machine's own libraries
can't help.

  --arch LIST    the GPUs' architectures for CMake (default: 90-real, the H100)
  --data PATH    take along CIFAR-10: a tar archive of images (see cifar10_of_images.py), or a folder with
                 cifar-10-batches-bin where it fits
  --jobs N       compile jobs; also JOBS
  --no-build     pack what is built
  --check        fail where the bare Debian can't be made; --no-check: don't try
  --help         this text

The bare Debian needs root, debootstrap and a connection; it is made once, in build/gpu/bare-root.
LibTorch is found as by setup.sh. Exit codes: 0 good, 1 failed, 2 something is missing that you must install.
USAGE
}

say() { printf '[kit] %s\n' "$*"; }
fail() {
  printf '[kit] %s\n' "${@:2}" >&2
  exit "$1"
}

arch=90-real
data=
jobs=()
build=yes
check=maybe
while (($#)); do
  case $1 in
    --arch) arch=${2:?--arch needs a list}; shift ;;
    --data) data=${2:?--data needs a file or a folder}; shift ;;
    --jobs) jobs=(--jobs "${2:?--jobs needs a number}"); shift ;;
    --no-build) build=no ;;
    --check) check=yes ;;
    --no-check) check=no ;;
    --help | -h) usage; exit 0 ;;
    *) usage >&2; fail 2 "unknown option: $1" ;;
  esac
  shift
done
[[ -z $data || -e $data ]] || fail 2 "--data $data: not there"

tree=build/gpu
kit=$tree/kit
programs=(xception test_kernels test_train)
path_of() { [[ $1 == xception ]] && echo "$tree/xception" || echo "$tree/tests/$1"; }

# ---- Build -----------------------------------------------------------------------------------------
if [[ $build == yes ]]; then
  targets=()
  for program in "${programs[@]}"; do targets+=(--target "$program"); done
  bash scripts/setup.sh --preset gpu "${jobs[@]}" "${targets[@]}" -- "-DCMAKE_CUDA_ARCHITECTURES=$arch"
fi
for program in "${programs[@]}"; do
  [[ -x $(path_of "$program") ]] || fail 2 "$(path_of "$program") isn't built: run without --no-build"
done
torch=$(sed -n 's/^LibTorch_REMEMBERED:INTERNAL=//p' $tree/CMakeCache.txt)
site=$(dirname "$torch")
[[ -d $site/nvidia ]] || fail 2 "$torch: not the torch of a Python: the kit is for one with CUDA's libraries beside it"

# ---- Pack ------------------------------------------------------------------------------------------
rm -rf "$kit"
mkdir -p "$kit"/{bin,lib,configs,scripts/peers}
for program in "${programs[@]}"; do
  cp "$(path_of "$program")" "$kit/bin/"
  cat >"$kit/$program" <<'WRAPPER'
#!/bin/sh
# Starts the program of this name in bin/ with the libraries of python3's torch (KIT_PYTHON names another).
here=$(cd "$(dirname "$0")" && pwd)
libraries=$("${KIT_PYTHON:-python3}" -c '
import glob, importlib.util, os, sys
found = importlib.util.find_spec("torch")  # found, not imported
if found is None:
    sys.exit(sys.executable + " has no torch")
torch = list(found.submodule_search_locations)[0]
beside = sorted(glob.glob(os.path.join(os.path.dirname(torch), "nvidia", "*", "lib")))
print(":".join([os.path.join(torch, "lib")] + beside))
') || exit 127
# For this program only: the driver may be found through the old value.
export LD_LIBRARY_PATH="$libraries${LD_LIBRARY_PATH:+:$LD_LIBRARY_PATH}"
exec "$here/bin/$(basename "$0")" "$@"
WRAPPER
  chmod +x "$kit/$program"
done
cp configs/*.json "$kit/configs/"
cp scripts/peers/*.py "$kit/scripts/peers/"

# The libraries that neither torch nor a bare system has, for good: the loader finds them by the
# programs' own search path, before anything of the machine's.
torch_libraries=$torch/lib:$(printf '%s:' "$site"/nvidia/*/lib)
declare -A libraries=()
for program in "${programs[@]}"; do
  listed=$(LD_LIBRARY_PATH=${torch_libraries%:} ldd "$kit/bin/$program")
  if grep -q 'not found' <<<"$listed"; then
    grep 'not found' <<<"$listed" >&2
    fail 1 "$program: libraries not found"
  fi
  while read -r name _ path _; do
    case $name in
      ld-linux* | libc.so.* | libm.so.* | libdl.so.* | libpthread.so.* | librt.so.* | libutil.so.* | libresolv.so.*) ;;
      libstdc++.so.* | libgcc_s.so.*) ;;
      *) [[ $path != /* || $path == "$site"/* ]] || libraries[$name]=$path ;;
    esac
  done < <(grep '=>' <<<"$listed")
done
for name in "${!libraries[@]}"; do cp -L "${libraries[$name]}" "$kit/lib/$name"; done
chmod -R u+w "$kit/lib"

if [[ -n $data ]]; then
  mkdir "$kit/data"
  if [[ -d $data ]]; then
    folder=$data
    [[ -d $folder/cifar-10-batches-bin ]] && folder=$folder/cifar-10-batches-bin
    (($(du -sm "$folder" | cut -f1) < most_mib)) ||
      fail 2 "--data $data: $(du -sm "$folder" | cut -f1) MiB don't fit; give an archive of JPEG images"
    cp -r "$folder" "$kit/data/cifar-10-batches-bin"
  else
    [[ $data == *.tar* ]] || fail 2 "--data $data: expected a folder or a tar archive"
    cp "$data" "$kit/data/"
  fi
fi

# ---- Look at it ------------------------------------------------------------------------------------
for file in "$kit"/bin/*; do
  search=$(readelf -d "$file" | sed -n 's/.*(R\(UN\)\?PATH).*\[\(.*\)\]/\2/p')
  [[ $search && :$search: != *::* && $search != *[^\$A-Z/.:lib]* ]] ||
    fail 1 "$file: search path \"$search\": expected folders beside the program and none else"
done
needs() {  # needs PREFIX: the newest version of such symbols that a file here needs
  objdump -T "$kit"/bin/* "$kit"/lib/* 2>/dev/null | grep -o "$1_[0-9.]*" | sort -uV | tail -n 1
}
printf '| file | MiB |\n|---|---|\n'
(cd "$kit" && find . -type f -size +40k -printf '%s %P\n' | sort -rn |
  awk '{ printf "| %s | %.1f |\n", $2, $1 / 1048576 }')
bytes=$(du -sb "$kit" | cut -f1)
awk -v bytes="$bytes" 'BEGIN { printf "| all | %.1f |\n", bytes / 1048576 }'
say "needs $(needs GLIBC), $(needs GLIBCXX), and of torch: $(for file in "$kit"/bin/*; do
  readelf -d "$file" | sed -n 's/.*(NEEDED).*\[\(.*\)\]/\1/p'; done | sort -u | while read -r name; do
  [[ -e $kit/lib/$name || $name == lib[cm].so.* || $name == ld-linux* ]] || printf '%s ' "$name"; done)"
((bytes <= most_mib * 1048576)) || fail 1 "more than $most_mib MiB"

# ---- In a bare Debian ------------------------------------------------------------------------------
root=$tree/bare-root
skip() {  # skip EXIT_CODE REASON
  [[ $check == yes ]] && fail "$1" "$2"
  say "not tried in a bare Debian: $2"
  say "done: $kit"
  exit 0
}
[[ $check != no ]] || skip 0 "--no-check"
((EUID == 0)) || skip 2 "that needs root"
if [[ ! -e $root/complete ]]; then
  command -v debootstrap >/dev/null || skip 2 "no debootstrap: apt-get install debootstrap"
  codename=$(. /etc/os-release && echo "${VERSION_CODENAME:-}")
  mirror=$(apt-get indextargets --format '$(REPO_URI) $(CODENAME) $(COMPONENT) $(CREATED_BY)' |
    awk -v name="$codename" '$2 == name && $3 == "main" && $4 == "Packages" { print $1; exit }')
  say "making a bare $codename in $root (2 minutes; once)"
  rm -rf "$root"
  debootstrap --variant=minbase --include=python3 "$codename" "$root" "$mirror" >"$tree/bare-root.log" 2>&1 ||
    skip 1 "debootstrap failed: $(tail -n 1 "$tree/bare-root.log")"
  echo "127.0.0.1 localhost" >"$root/etc/hosts"
  touch "$root/complete"
fi
say "in a bare Debian with nothing but python3 and torch's packages:"
# The mounts are of this process only, so nothing is left of them.
unshare --mount bash -euc '
  root=$1 kit=$2 site=$3
  mkdir -p "$root/site" "$root/kit"
  mount --bind -o ro "$site" "$root/site"
  mount --bind "$kit" "$root/kit"
  mount -t proc proc "$root/proc"
  exec chroot "$root" env -i PATH=/usr/bin:/bin HOME=/tmp LANG=C.UTF-8 PYTHONPATH=/site OMP_WAIT_POLICY=PASSIVE \
    GOMP_SPINCOUNT=1000 sh -euc "
    cd /tmp
    /kit/xception --version
    /kit/xception doctor
    for test in \"test_kernels FusedSelftest*:LaunchPlan*:ImageRows*:*FusedKernels*\" \"test_train TrainStep*:Autocast*\"; do
      set -- \$test
      /kit/\$1 --gtest_brief=1 --gtest_filter=\"\$2\"
    done
    python3 /kit/scripts/peers/traffic.py | grep GB
    python3 /kit/scripts/peers/gpu.py --help | head -n 3
  "' bash "$root" "$kit" "$site" || fail 1 "the kit doesn't work in a bare Debian"
say "done: $kit"
