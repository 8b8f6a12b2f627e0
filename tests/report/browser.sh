#!/usr/bin/env bash
# Opens a report in headless Chromium at desktop and phone width: it must not say a word on the console,
# ask for anything outside itself, or be wider than the phone.
#     browser.sh XCEPTION [SCREENSHOTS]
set -euo pipefail
xception=$1
chromium=$(command -v chromium || command -v chromium-browser || command -v google-chrome) || {
  echo "no Chromium: skipped"
  exit 77
}
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
pictures=${2:-$work}

"$xception" data synthesize --out "$work/data" --train 300 --test 60 >/dev/null
for seed in 0 1; do
  for activation in none relu; do
    "$xception" train --data "$work/data" --out "$work/runs/$activation-$seed" --device cpu "seed=$seed" \
      "model.intermediate_activation=$activation" model.width=0.125 model.middle_blocks=0 data.image_size=71 \
      data.validation_size=40 train.batch_size=32 train.epochs=2 >/dev/null
  done
done
"$xception" report "$work/runs" --out "$work/report" >/dev/null

check() {  # check NAME WIDTH HEIGHT
  local log=$work/$1.log net=$work/$1.net
  "$chromium" --headless --no-sandbox --disable-gpu --hide-scrollbars --enable-logging=stderr --v=0 \
    --log-net-log="$net" --user-data-dir="$work/profile-$1" --window-size="$2,$3" --screenshot="$pictures/$1.png" \
    "file://$work/report/report.html" 2>"$log"
  [[ -s $pictures/$1.png ]] || { echo "$1: no picture"; exit 1; }
  if grep CONSOLE "$log"; then echo "$1: the page wrote on the console"; exit 1; fi
  # What the page itself asks for; the browser's own services have no initiator of file:.
  if grep -o '"initiator":"file:[^}]*"url":"http[^"]*"' "$net"; then echo "$1: a request to the outside"; exit 1; fi
}
check desktop 1280 2000
check phone 390 2000
if grep -oE '(src|href)="[^"]{0,30}' "$work/report/report.html" | grep -v '="data:'; then
  echo "report.html refers to something outside itself"
  exit 1
fi
# Scripts of the page are none, so this one measures it: the body must fit the phone.
sed 's#</body>#<script>document.title = "w" + document.documentElement.scrollWidth</script></body>#' \
  "$work/report/report.html" >"$work/report/measured.html"
width=$("$chromium" --headless --no-sandbox --disable-gpu --user-data-dir="$work/profile-m" --window-size=500,900 \
  --dump-dom "file://$work/report/measured.html" 2>/dev/null | grep -o '<title>w[0-9]*' | tr -dc 0-9)
[[ $width -le 500 ]] || { echo "the page is $width px wide in a window of 500"; exit 1; }
echo "good: no word on the console, no request, $width px wide in a window of 500"
