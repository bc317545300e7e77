# Sourced by run and native; `here` is the bundle's folder. Where shared libraries are looked for: the
# machine's own setting is never dropped, since it may be how libcuda.so.1 is found, and container
# runtimes mount the driver into /usr/local/nvidia.
machine_libraries=${LD_LIBRARY_PATH:-}
with_driver="${machine_libraries:+$machine_libraries:}/usr/local/nvidia/lib64:/usr/local/nvidia/lib"

# starts PROGRAM...: whether it runs as the machine is, else with the libraries of this folder first,
# which may be newer or older. Leaves LD_LIBRARY_PATH as the last one tried, what it printed in `said`.
starts() {
  for LD_LIBRARY_PATH in "$with_driver" "$here/lib:$with_driver"; do
    export LD_LIBRARY_PATH
    said=$("$@" 2>&1) && return
  done
  return 1
}

# LD_LIBRARY_PATH as the machine had it, for programs of the machine.
restore_libraries() {
  if [ -n "$machine_libraries" ]; then
    export LD_LIBRARY_PATH="$machine_libraries"
  else
    unset LD_LIBRARY_PATH
  fi
}
