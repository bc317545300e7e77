# What this machine has of an NVIDIA driver: printed where none was found.
PATH=$PATH:/sbin:/usr/sbin
echo "LD_LIBRARY_PATH: ${LD_LIBRARY_PATH:-not set}"
echo "CUDA_VISIBLE_DEVICES: ${CUDA_VISIBLE_DEVICES-not set}"
echo "ldconfig -p | grep libcuda:"
ldconfig -p 2>&1 | grep libcuda || echo "  nothing"
echo "files:"
ls -d /dev/nvidia* /usr/local/nvidia/lib*/libcuda.so* /usr/local/cuda*/compat/libcuda.so* \
  /proc/driver/nvidia/version 2> /dev/null || echo "  none"
echo "nvidia-smi -L:"
if command -v nvidia-smi > /dev/null; then nvidia-smi -L 2>&1; else echo "  not there"; fi
