#pragma once
// What the machine and the race check both know of the block that runs.
#include <cstddef>
#include <cstdint>
#include <memory>
#include <vector>

namespace simt {

struct Block {
  struct Deleter {
    void operator()(void* data) const;
  };
  using Data = std::unique_ptr<void, Deleter>;
  // Shared memory: each array is a heap block of its exact size, so AddressSanitizer sees both
  // ends.
  struct Array {
    const void* key;
    size_t bytes;
    Data data;
  };

  bool running = false;
  bool failing = false;           // what the machine itself does then is not checked
  int thread = 0;                 // which one, counted in the block
  uint32_t number = 0;            // counts blocks since the start
  uint32_t first_of_launch = 0;   // the number of the launch's first block
  uint32_t epoch = 1;             // barriers passed
  uint32_t warp_epochs[32] = {};  // warp barriers passed
  std::vector<Array> arrays;
  const void* arguments = nullptr;
  size_t argument_bytes = 0;
  size_t dynamic_bytes = 0, shared_limit = 0;  // what the launch gives, and all a block may have
};

extern Block block;

}  // namespace simt
