# Sourced by run: PROTEA_CUBLASLT becomes the cuBLASLt of Python's packages, where the loader knows
# none of its own.
wheel='
import glob, os, sys
parts = ["nvidia/*/lib", "torch/lib", "../../../lib"]  # wheels, older wheels, conda
found = [f for folder in filter(None, sys.path) for part in parts
         for f in glob.glob(os.path.join(folder, part, "libcublasLt.so.1[23]"))]
print(os.path.realpath(max(found, key=os.path.basename)) if found else "")'
loader_has() (
  PATH=$PATH:/sbin:/usr/sbin
  ldconfig -p 2> /dev/null | grep -q "$1"
)
if [ -z "${PROTEA_CUBLASLT:-}" ] && ! loader_has libcublasLt; then
  cublas=$("${PYTHON:-python3}" -c "$wheel" 2> /dev/null)
  [ -z "$cublas" ] || export PROTEA_CUBLASLT="$cublas"
fi
