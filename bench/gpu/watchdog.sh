# Reads "start GROUP" and "end GROUP". At the end of its input, that is when the program that writes
# them is gone, even killed, it kills the process groups that have not ended.
trap '' INT TERM HUP
groups=' '
while read -r what group; do
  case $what in
    start) groups="$groups$group " ;;
    end) groups="${groups%% $group *} ${groups#* $group }" ;;
  esac
done
for group in $groups; do
  kill -KILL "-$group" 2> /dev/null
done
