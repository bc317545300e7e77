# The addon and the native tests with an emulated GPU: kernels compiled by the C++ compiler, with this
# folder in place of the CUDA runtime. With little optimisation: compiling costs more than running.
# Only files with kernels are compiled once more, instrumented, for the race check.
file(GLOB machine CONFIGURE_DEPENDS native/simt/*.cpp)
add_library(protea-simt-machine OBJECT EXCLUDE_FROM_ALL ${machine})

function(add_kernels name options)
  file(GLOB sources CONFIGURE_DEPENDS ${ARGN})
  set_source_files_properties(${sources} PROPERTIES LANGUAGE CXX)
  add_library(${name} OBJECT EXCLUDE_FROM_ALL ${sources})
  target_compile_options(${name} PRIVATE -x c++ -Wno-unknown-pragmas -O1 ${options})
endfunction()

add_kernels(protea-test-cases "" native/test/gpu/agreement/*.cu)
foreach(kind plain race)
  set(options $<$<STREQUAL:${kind},race>:-fsanitize=thread>)
  add_kernels(protea-kernels-${kind} "${options}" native/cuda/*.cu native/ops/*.cu)
  add_runtime(protea-${kind} $<TARGET_OBJECTS:protea-kernels-${kind}>
              $<TARGET_OBJECTS:protea-simt-machine>)
  target_compile_definitions(protea-${kind} PUBLIC PROTEA_CUDA)
  add_kernels(protea-test-kernels-${kind} "${options}" native/test/gpu/*.cu)
  add_native_test(protea-native-test-${kind} protea-${kind}
                  $<TARGET_OBJECTS:protea-test-kernels-${kind}> $<TARGET_OBJECTS:protea-test-cases>)
endforeach()

add_addon(protea-simt protea-plain)
if(TARGET protea-simt)
  set_target_properties(protea-simt PROPERTIES EXCLUDE_FROM_ALL ON
                        LIBRARY_OUTPUT_DIRECTORY ${CMAKE_BINARY_DIR}/../simt/Release)
endif()
