# alone.sh [--minutes N] [PART [NAME]]: what `run` does where Node does not start: the native tests, and
# the times, whose PyTorch half needs only Python. The output so far is in native.txt, in the folder
# OUT if there is one.
minutes=8
while case ${1:-} in --*) true ;; *) false ;; esac; do
  [ "$1" != --minutes ] || minutes=${2:-8}
  shift
  [ $# -eq 0 ] || shift
done
part=${1:-all} name=${2:-} failed=0
mkdir -p logs "${OUT:-logs}"
ends=$((${PROTEA_BEGAN:-$(date +%s)} + 60 * ${minutes%%.*} - 5))

limited() { if command -v timeout > /dev/null; then timeout -k 2 "$@"; else shift && "$@"; fi; }
parts() { [ "$part" = all ] || [ "$part" = "$1" ]; }

# keep NAME SECONDS PROGRAM...
keep() {
  log=logs/$(echo "$1" | tr -c 'A-Za-z0-9._\n-' -).log
  left=$((ends - $(date +%s)))
  [ "$left" -gt 0 ] || { echo "$1: no time left" && return 1; }
  seconds=$((left < $2 ? left : $2))
  shift 2
  limited "$seconds" "$@" > "$log" 2>&1
  status=$?
  { echo "$*: ended with $status" && cat "$log"; } | tee -a "${OUT:-logs}/native.txt"
  return "$status"
}

keep card 30 bin/native card
if ! grep -q '"ready":true' logs/card.log; then
  keep driver 30 sh bench/gpu/driver.sh
  exit 3
fi
if parts ops; then
  for test in machine matrices nearest products rounding reads graphs; do
    keep "$test" 40 bin/native "$test" || failed=1
  done
  for op in $(bin/native list | grep -E '^[a-z][a-z_0-9]*$'); do
    keep "agreement $op" 40 bin/native agreement "$op " || failed=1
  done
fi
if parts bench; then
  keep bench "$ends" "${PYTHON:-python3}" bench/gpu/bench.py --until "$ends" bin/native "$name" ||
    keep native-bench "$ends" bin/native bench "$name" || failed=1
fi
exit "$failed"
