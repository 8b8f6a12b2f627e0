#!/usr/bin/env bash
# Builds xception on Debian or Ubuntu; scripts/README.md describes the options.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."

torch_version=2.11.0
# What libtorch_cpu.so needs of CUDA to be loaded, in the versions that torch itself asks for.
lean_packages=(nvidia-cuda-runtime==13.0.96 nvidia-cuda-cupti==13.0.85)
tested_gcc=12  # warnings are errors with this compiler only; others warn of other things

usage() {
  cat <<'USAGE'
scripts/setup.sh [options] [-- CMAKE_OPTIONS...]
Installs what is missing, finds or installs LibTorch, builds build/<preset>/xception.

  --preset NAME  release (default), debug, asan or gpu; also XCEPTION_PRESET
  --jobs N       compile jobs (default: processors, but 2 GB of memory each); also JOBS
  --no-tests     build the executable only
  --target NAME  build this only (can be given several times)
  --all-architectures  for every kind of GPU, not for this machine's alone
  --no-apt       never call apt-get: the libraries are elsewhere (CMAKE_PREFIX_PATH)
  --help         this text

LibTorch: Torch_DIR or CMAKE_PREFIX_PATH (an unpacked LibTorch or <site-packages>/torch), else the
torch of Python3_EXECUTABLE or python3, else .venv, which is made with pip where it is missing.
XCEPTION_TORCH=full also installs into .venv what only GPUs and `import torch` need.
Exit codes: 0 built, 1 failed, 2 something is missing that you must install.
USAGE
}

say() { printf '[setup] %s\n' "$*"; }
fail() {  # fail CODE MESSAGE...
  printf '[setup] %s\n' "${@:2}" >&2
  exit "$1"
}

preset=${XCEPTION_PRESET:-release}
jobs=${JOBS:-}
tests=ON
apt=yes
all_architectures=OFF
targets=()
cmake_options=()
while (($#)); do
  case $1 in
    --preset) preset=${2:?--preset needs a name}; shift ;;
    --jobs) jobs=${2:?--jobs needs a number}; shift ;;
    --no-tests) tests=OFF ;;
    --target) targets+=("${2:?--target needs a name}"); shift ;;
    --no-apt) apt=no ;;
    --all-architectures) all_architectures=ON ;;
    --help | -h) usage; exit 0 ;;
    --) shift; cmake_options=("$@"); break ;;
    *) usage >&2; fail 2 "unknown option: $1" ;;
  esac
  shift
done
case $preset in
  release | debug | asan | gpu) ;;
  *) fail 2 "unknown preset: $preset (release, debug, asan, gpu)" ;;
esac
if [[ -n $jobs && ! $jobs =~ ^[1-9][0-9]*$ ]]; then
  fail 2 "--jobs $jobs: not a positive number"
fi

# ---- System packages -------------------------------------------------------------------------------
have() { command -v "$1" >/dev/null 2>&1; }
python() { "${Python3_EXECUTABLE:-python3}" "$@"; }
cmake_is_new() {  # cmake_is_new COMMAND: at least 3.24?
  have "$1" && [[ $("$1" --version | sed -n '1s/[^0-9]*\([0-9]*\)\.\([0-9]*\).*/\1 \2/p') =~ ^([0-9]+)\ ([0-9]+)$ ]] &&
    ((BASH_REMATCH[1] > 3 || (BASH_REMATCH[1] == 3 && BASH_REMATCH[2] >= 24)))
}

packages=(libboost-dev libfmt-dev libspdlog-dev nlohmann-json3-dev libcli11-dev libssl-dev libpng-dev
          libturbojpeg0-dev libjpeg-dev libwebp-dev libgloo-dev libzip-dev zlib1g-dev
          libhdf5-dev libonnx-dev libprotobuf-dev)
[[ $tests == ON ]] && packages+=(libgtest-dev libgmock-dev)
missing=()
optional=()
have "${CXX:-g++}" || missing+=(g++)
have cmake || [[ -x .venv/bin/cmake ]] || missing+=(cmake)
have ninja || [[ -x .venv/bin/ninja ]] || missing+=(ninja-build)
have git || missing+=(git)
have gnuplot || missing+=(gnuplot-nox)
have "${Python3_EXECUTABLE:-python3}" || missing+=(python3)
python -c 'import ensurepip, venv' 2>/dev/null || missing+=(python3-venv)
have ccache || optional+=(ccache)

if have dpkg-query; then
  installed=$(dpkg-query -W -f '${db:Status-Status} ${Package}\n' "${packages[@]}" 2>/dev/null || true)
  for package in "${packages[@]}"; do
    grep -qx "installed $package" <<<"$installed" || missing+=("$package")
  done
elif [[ $apt == yes ]]; then
  say "not Debian or Ubuntu: CMake will name the libraries that are missing"
  apt=no
fi

if ((${#missing[@]})) && [[ $apt == yes ]]; then
  as_root=()
  if ((EUID != 0)); then
    if ! have sudo || ! sudo -n true 2>/dev/null; then
      fail 2 "these packages are missing; install them as root, then run this again:" \
        "  apt-get update && apt-get install -y --no-install-recommends ${missing[*]} ${optional[*]}"
    fi
    as_root=(sudo -n)
  fi
  say "installing with apt-get: ${missing[*]} ${optional[*]}"
  "${as_root[@]}" apt-get update -qq || say "apt-get update failed; trying with the lists that are there"
  "${as_root[@]}" env DEBIAN_FRONTEND=noninteractive \
    apt-get install -y -qq --no-install-recommends "${missing[@]}" "${optional[@]}" >/tmp/xception-apt.$$ 2>&1 || {
    tail -n 15 /tmp/xception-apt.$$ >&2
    rm -f /tmp/xception-apt.$$
    fail 1 "apt-get failed: mend /etc/apt/sources.list or the network, then run this again"
  }
  rm -f /tmp/xception-apt.$$
fi

# ---- Virtual environment ---------------------------------------------------------------------------
pip_install() {  # pip_install ARGUMENTS...: into .venv, which is made first
  if [[ ! -x .venv/bin/python ]]; then
    say "making .venv"
    python -m venv .venv || fail 1 "python3 -m venv failed: install python3-venv, remove .venv"
  fi
  .venv/bin/python -m pip install --quiet --disable-pip-version-check "$@" ||
    fail 1 "pip failed: check the network, the disk's free space and pip's configuration, then run this again"
}

cmake=cmake
if ! cmake_is_new cmake; then
  if ! cmake_is_new .venv/bin/cmake; then
    say "cmake is older than 3.24: installing one into .venv"
    pip_install 'cmake>=3.24,<4' ninja
  fi
  cmake=$PWD/.venv/bin/cmake
fi
if ! have ninja; then
  [[ -x .venv/bin/ninja ]] || pip_install ninja
  PATH=$PWD/.venv/bin:$PATH
fi

# ---- LibTorch --------------------------------------------------------------------------------------
have_nvcc() {
  have nvcc || [[ -n ${CUDACXX:-} || -x ${CUDA_HOME:-/usr/local/cuda}/bin/nvcc || -x /usr/local/cuda/bin/nvcc ]]
}
kind=${XCEPTION_TORCH:-lean}
if have_nvcc || [[ $(uname -m) != x86_64 ]]; then
  kind=full
fi
# Without a user's or Python's own LibTorch the answer is empty or inside .venv.
find_libtorch() { "$cmake" -P cmake/FindLibTorch.cmake; }
libtorch=$(find_libtorch 2>/tmp/xception-libtorch.$$) || {
  cat /tmp/xception-libtorch.$$ >&2
  rm -f /tmp/xception-libtorch.$$
  fail 2 "point Torch_DIR or CMAKE_PREFIX_PATH at a LibTorch of a tested version, or unset them"
}
rm -f /tmp/xception-libtorch.$$
if [[ -z $libtorch || $libtorch == "$PWD"/.venv/* ]]; then
  if [[ ! -e .venv/torch-$torch_version-$kind && ! -e .venv/torch-$torch_version-full ]]; then
    start=$SECONDS
    if [[ $kind == full ]]; then
      say "installing torch $torch_version into .venv with CUDA's libraries (4.6 GB; once)"
      pip_install "torch==$torch_version"
    else
      say "installing torch $torch_version into .venv for the CPU (1.3 GB; once)"
      pip_install --no-deps "torch==$torch_version" "${lean_packages[@]}"
    fi
    touch ".venv/torch-$torch_version-$kind"
    say "installed in $((SECONDS - start)) s"
    libtorch=$(find_libtorch)
  fi
fi
say "LibTorch: $libtorch"

# ---- Configure and build ---------------------------------------------------------------------------
if [[ -z $jobs ]]; then
  jobs=$(nproc)
  by_memory=$(awk '/^MemAvailable/ { print int($2 / 2097152) }' /proc/meminfo)
  ((by_memory < jobs)) && jobs=$by_memory
  ((jobs < 1)) && jobs=1
fi
werror=OFF
[[ $("${CXX:-g++}" -dumpversion 2>/dev/null) == "$tested_gcc"* && -z ${CXX:-} ]] && werror=ON

((${#targets[@]})) || targets=(all)
if [[ $tests == OFF ]]; then
  targets=(xception)
  # A tree that has the tests keeps them.
  grep -qs '^XCEPTION_TESTS:BOOL=ON' "build/$preset/CMakeCache.txt" && tests=ON
fi

say "configuring build/$preset"
"$cmake" --preset "$preset" "-DTorch_DIR=$libtorch" "-DXCEPTION_TESTS=$tests" "-DXCEPTION_WERROR=$werror" \
  "-DXCEPTION_ALL_ARCHITECTURES=$all_architectures" \
  ${Python3_EXECUTABLE:+"-DPython3_EXECUTABLE=$Python3_EXECUTABLE"} "${cmake_options[@]}" ||
  fail 1 "configuring failed; the message above says what to mend (rm -r build/$preset starts afresh)"
say "building with $jobs jobs"
start=$SECONDS
"$cmake" --build "build/$preset" --parallel "$jobs" --target "${targets[@]}" ||
  fail 1 "the build failed. 'Killed' means too little memory: --jobs 1 needs 2 GB"
say "built build/$preset/xception in $((SECONDS - start)) s"
