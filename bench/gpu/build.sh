# `./run build`: addon and native tests from source for the card at hand, where the driver is older
# than the toolkit of the bundle. Needs nvcc, cmake and a C++20 compiler; takes minutes.
set -eu
trap '[ $? -eq 0 ] || tail -n 40 build.log' EXIT # compilers' messages go to stdout of the build
nvcc=${CUDACXX:-$(command -v nvcc || echo /usr/local/cuda/bin/nvcc)}
architecture=$(nvidia-smi --query-gpu=compute_cap --format=csv,noheader | head -n 1 | tr -d .)
headers="$PWD/source/node-api;$PWD/source/node-addon-api"
cmake -S source -B source/build -DPROTEA_CUDA=ON -DCMAKE_CUDA_COMPILER="$nvcc" \
  -DCMAKE_CUDA_ARCHITECTURES="$architecture" -DCMAKE_JS_INC="$headers" > build.log
cmake --build source/build --parallel "$(nproc)" --target protea protea-native-test >> build.log
cp source/build/protea.node build/cuda/Release/protea.node
cp source/build/protea-native-test build/cuda/protea-native-test
echo "built for sm_$architecture"
