#!/usr/bin/env bash
# Builds everything and runs the tests; scripts/README.md describes the options.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."

usage() {
  cat <<'USAGE'
scripts/test.sh [options] [CTEST_OPTIONS...]
Builds, checks the sources' format, runs every test but those labeled slow.

  --asan      with AddressSanitizer and UndefinedBehaviorSanitizer (build/asan)
  --slow      the slow tests too
  --jobs N    compile jobs; also JOBS
  --help      this text

Other options go to ctest: scripts/test.sh -L unit, scripts/test.sh -R core. Tests run side by side,
as many as there are processors; scripts/test.sh -j 1 runs one after the other.
The Python side of the tests is .venv-test, made on the first run; XCEPTION_TEST_PYTHON names another
Python that has tests/requirements.txt. Exit codes: 0 all passed, 1 failed, 2 something is missing.
USAGE
}

say() { printf '[test] %s\n' "$*"; }

preset=release
slow=no
jobs=()
ctest_options=()
while (($#)); do
  case $1 in
    --asan) preset=asan ;;
    --slow) slow=yes ;;
    --jobs) jobs=(--jobs "${2:?--jobs needs a number}"); shift ;;
    --help | -h) usage; exit 0 ;;
    *) ctest_options+=("$1") ;;
  esac
  shift
done
[[ $slow == yes ]] || ctest_options+=(-LE '^slow$')

# ---- Build -----------------------------------------------------------------------------------------
start=$SECONDS
if [[ -z ${XCEPTION_TEST_PYTHON:-} ]]; then
  export XCEPTION_TORCH=full  # so that .venv-test can use .venv's torch
  test_python=$PWD/.venv-test/bin/python
else
  test_python=$XCEPTION_TEST_PYTHON
fi
bash scripts/setup.sh --preset "$preset" "${jobs[@]}" -- "-DXCEPTION_TEST_PYTHON=$test_python"
build_seconds=$((SECONDS - start))

# ---- Python ----------------------------------------------------------------------------------------
start=$SECONDS
if [[ -z ${XCEPTION_TEST_PYTHON:-} ]]; then
  # .venv's torch serves here too, where it can be imported.
  site=$(.venv/bin/python -c 'import torch, sysconfig; print(sysconfig.get_paths()["purelib"])' 2>/dev/null || true)
  stamp="$(sha256sum tests/requirements.txt | cut -c1-64) $site"
  if [[ $(cat .venv-test/stamp 2>/dev/null) != "$stamp" ]]; then
    say "making .venv-test (torch from ${site:-PyPI})"
    rm -rf .venv-test
    "${Python3_EXECUTABLE:-python3}" -m venv .venv-test
    if [[ -n $site ]]; then
      echo "$site" >"$("$test_python" -c 'import sysconfig; print(sysconfig.get_paths()["purelib"])')/torch-of-venv.pth"
    fi
    "$test_python" -m pip install --quiet --disable-pip-version-check -r tests/requirements.txt
    echo "$stamp" >.venv-test/stamp
  fi
fi
python_seconds=$((SECONDS - start))

# ---- Format ----------------------------------------------------------------------------------------
status=0
if command -v clang-format >/dev/null 2>&1; then
  if git rev-parse --is-inside-work-tree >/dev/null 2>&1; then
    sources=$(git ls-files -co --exclude-standard -- '*.h' '*.cpp' '*.cu' '*.cuh')
  else
    sources=$(find include src tests -name '*.h' -o -name '*.cpp' -o -name '*.cu' -o -name '*.cuh')
  fi
  unformatted=$(while IFS= read -r file; do
    [[ ! -e $file ]] || clang-format --dry-run -Werror "$file" >/dev/null 2>&1 || echo "$file"
  done <<<"$sources")
  if [[ -z $unformatted ]]; then
    say "format: good"
  elif [[ $(clang-format --version) == *" 14."* ]]; then
    say "format: run clang-format -i on:"
    printf '%s\n' "$unformatted"
    status=1
  else
    say "format: some files differ, but this isn't clang-format 14; not counted"
  fi
else
  say "format: not checked, because clang-format isn't installed"
fi

# ---- Tests -----------------------------------------------------------------------------------------
start=$SECONDS
results=$PWD/build/$preset/tests.xml
rm -f "$results"
export ASAN_OPTIONS=${ASAN_OPTIONS:-halt_on_error=1:detect_leaks=1}
export UBSAN_OPTIONS=${UBSAN_OPTIONS:-halt_on_error=1:print_stacktrace=1}
# Most of a test's time is one thread's. A test takes up to 3 GB.
side_by_side=$(awk -v most="$(nproc)" '/^MemAvailable/ { n = int($2 / 3145728); print n < 1 ? 1 : n < most ? n : most }' /proc/meminfo)
PATH=$PATH:$PWD/.venv/bin ctest --test-dir "build/$preset" --parallel "${side_by_side:-1}" --output-on-failure \
  --no-tests=error --output-junit "$results" --test-output-size-passed 4000000 "${ctest_options[@]}" || status=1

say "build $build_seconds s, Python $python_seconds s, tests $((SECONDS - start)) s"
"${Python3_EXECUTABLE:-python3}" - "$results" <<'PYTHON' || status=1
import collections, re, sys
import xml.etree.ElementTree as tree

cases = list(tree.parse(sys.argv[1]).getroot().iter("testcase"))
left_out = [c.get("name") for c in cases if "SKIP_RETURN_CODE" in getattr(c.find("skipped"), "attrib", {}).get("message", "")]
failed = [c.get("name") for c in cases if c.get("status") not in ("run", "disabled") and c.get("name") not in left_out]
passed = sum(c.get("status") == "run" for c in cases)
output = "\n".join(c.findtext("system-out") or "" for c in cases)
skipped = sorted(set(re.findall(r"^\[  SKIPPED \] (\S+) \(", output, re.M)))
single = len(re.findall(r"^\[       OK \] ", output, re.M))
print(f"[test] {single} single tests inside them passed, {len(skipped)} skipped")
# Those of one test with many parameters are one line.
for name, count in collections.Counter(re.sub(r"/\d+$", "", s) for s in left_out + skipped).items():
    print(f"[test]   skipped {name}" + (f", {count} times" if count > 1 else ""))
for name in failed:
    print(f"[test]   failed {name}")
print(f"{passed} passed, {len(failed)} failed, {len(left_out)} skipped")
PYTHON
exit $status
