# The addon and the native tests with kernels compiled by nvcc: machine code for sm_80 to sm_90, and
# PTX that the driver compiles for newer cards.
set(CMAKE_CUDA_ARCHITECTURES "80-real;86-real;89-real;90a-real;90-virtual" CACHE STRING "")
enable_language(CUDA)
if(NOT CMAKE_CUDA20_STANDARD_COMPILE_OPTION)  # nvcc is newer than this cmake
  set(CMAKE_CUDA20_STANDARD_COMPILE_OPTION -std=c++20)
  set(CMAKE_CUDA20_EXTENSION_COMPILE_OPTION -std=c++20)
endif()
if(PROTEA_CCACHE)
  set(CMAKE_CUDA_COMPILER_LAUNCHER ${PROTEA_LAUNCHER})
endif()

# The driver unpacks a kernel when it is first used: small files cost nothing later.
if(CMAKE_CUDA_COMPILER_VERSION VERSION_GREATER_EQUAL 13.0)
  set(PROTEA_COMPRESS --compress-mode=size)
endif()

function(add_kernels name)
  file(GLOB sources CONFIGURE_DEPENDS ${ARGN})
  add_library(${name} OBJECT EXCLUDE_FROM_ALL ${sources})
  target_compile_options(${name} PRIVATE --expt-relaxed-constexpr -Werror all-warnings
                         -Xcompiler=-Wall,-Wextra ${PROTEA_COMPRESS})
endfunction()

# Its levels are whole numbers made of correctly rounded operations: no product is fused with a sum.
set_source_files_properties(native/ops/augment.cu PROPERTIES COMPILE_OPTIONS -fmad=false)

add_kernels(protea-kernels native/cuda/*.cu native/ops/*.cu)
add_runtime(protea-cuda $<TARGET_OBJECTS:protea-kernels>)
target_compile_definitions(protea-cuda PUBLIC PROTEA_CUDA)
target_link_libraries(protea-cuda PUBLIC ${CMAKE_CUDA_COMPILER_TOOLKIT_ROOT}/lib64/libcudart_static.a dl rt)
add_addon(protea protea-cuda)

add_kernels(protea-test-kernels native/test/gpu/*.cu native/test/gpu/agreement/*.cu)
add_native_test(protea-native-test protea-cuda $<TARGET_OBJECTS:protea-test-kernels>)
