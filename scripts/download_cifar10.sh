#!/usr/bin/env bash
# Downloads CIFAR-10 (binary version, 170 MB), checks it, unpacks it.
set -euo pipefail

url=${XCEPTION_CIFAR10_URL:-https://www.cs.toronto.edu/~kriz/cifar-10-binary.tar.gz}
md5=${XCEPTION_CIFAR10_MD5:-c32a1d4ab5d03f1284b67883e8d87530}
connect_timeout=15

usage() {
  cat <<'USAGE'
scripts/download_cifar10.sh [--connect-timeout SECONDS] [DEST]
Leaves DEST/cifar-10-batches-bin (DEST: data). An interrupted download goes on where it stopped.
Exit codes: 0 the data are there, 1 they are damaged, 2 no connection or bad usage.
USAGE
}

say() { printf '[download] %s\n' "$*"; }
fail() {
  printf '[download] %s\n' "${@:2}" >&2
  exit "$1"
}

destination=
while (($#)); do
  case $1 in
    --connect-timeout) connect_timeout=${2:?--connect-timeout needs seconds}; shift ;;
    --help | -h) usage; exit 0 ;;
    -*) usage >&2; fail 2 "unknown option: $1" ;;
    *) destination=$1 ;;
  esac
  shift
done
destination=${destination:-$(dirname "${BASH_SOURCE[0]}")/../data}
mkdir -p "$destination"
destination=$(cd "$destination" && pwd)
folder=$destination/cifar-10-batches-bin
archive=$destination/cifar-10-binary.tar.gz
files=(data_batch_1.bin data_batch_2.bin data_batch_3.bin data_batch_4.bin data_batch_5.bin test_batch.bin
       batches.meta.txt)

complete() {
  for file in "${files[@]}"; do
    [[ -s $folder/$file ]] || return 1
  done
}
if complete; then
  say "$folder is there already"
  exit 0
fi

good() { [[ -e $1 ]] && [[ $(md5sum "$1" | cut -d' ' -f1) == "$md5" ]]; }

# fetch: appends what is missing of the archive to $archive.part.
fetch() {
  if command -v curl >/dev/null 2>&1; then
    curl --fail --location --silent --show-error --connect-timeout "$connect_timeout" \
      --speed-limit 1000 --speed-time 30 --continue-at - --output "$archive.part" "$url"
  elif command -v wget >/dev/null 2>&1; then
    wget --quiet --tries=1 --connect-timeout="$connect_timeout" --dns-timeout="$connect_timeout" \
      --read-timeout=30 --continue --output-document="$archive.part" "$url"
  else
    python3 - "$url" "$archive.part" "$connect_timeout" <<'PYTHON'
import http.client, os, sys, urllib.request

url, path, timeout = sys.argv[1], sys.argv[2], float(sys.argv[3])
have = os.path.getsize(path) if os.path.exists(path) else 0
request = urllib.request.Request(url, headers={"Range": f"bytes={have}-"} if have else {})
try:
    with urllib.request.urlopen(request, timeout=timeout) as answer:
        # 200 and not 206: the server sends everything again.
        with open(path, "ab" if answer.status == 206 else "wb") as out:
            left = int(answer.headers.get("Content-Length") or 0)
            while block := answer.read(1 << 20):
                out.write(block)
                left -= len(block)
        if left > 0:
            sys.exit(f"connection closed with {left} bytes left")
except (OSError, http.client.HTTPException) as error:
    sys.exit(str(error))
PYTHON
  fi
}

if ! good "$archive"; then
  if good "$archive.part"; then
    :  # all there, but stopped before it was renamed
  else
    [[ -s $archive.part ]] && say "going on after $(stat -c %s "$archive.part") bytes"
    say "downloading $url"
    if ! error=$(fetch 2>&1) && ! good "$archive.part"; then
      error=$(tail -n 1 <<<"$error")
      if [[ $error == *416* ]]; then  # nothing is left to fetch, so what is here is damaged
        rm -f "$archive.part"
        fail 1 "the archive's MD5 isn't $md5; removed it, run this again"
      fi
      fail 2 "download failed (${error:-no connection}); run this again to go on, or put the archive at $archive"
    fi
    if ! good "$archive.part"; then
      rm -f "$archive.part"
      fail 1 "the archive's MD5 isn't $md5; removed it, run this again"
    fi
  fi
  mv "$archive.part" "$archive"
fi

say "unpacking"
rm -rf "$destination/unpacking"
mkdir "$destination/unpacking"
tar -C "$destination/unpacking" -xzf "$archive" || fail 1 "tar can't unpack $archive: is the disk full?"
rm -rf "$folder"
mv "$destination/unpacking/cifar-10-batches-bin" "$folder"
rm -rf "$destination/unpacking"
complete || fail 1 "$folder lacks some of: ${files[*]}"
say "$folder is ready"
