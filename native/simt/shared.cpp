// A block's shared memory, and copies to it in the background.
#include <cstring>
#include <new>

#include "threads.h"

namespace simt {

constexpr size_t shared_alignment = 16;  // all that GPU_SHARED and Carver promise

void Block::Deleter::operator()(void* data) const {
  ::operator delete (data, std::align_val_t{shared_alignment});
}

static void land(const Copy& copy) {
  auto* to = static_cast<char*>(copy.to);
  copy_raw(to, copy.from, copy.valid);
  for (size_t i = copy.valid; i < copy.bytes; i++) to[i] = 0;
}

static void* make_array(const void* key, size_t bytes) {
  void* data = ::operator new (bytes, std::align_val_t{shared_alignment});
  for (size_t i = 0; i < bytes; i++) static_cast<unsigned char*>(data)[i] = 0xff;  // NaN
  block.arrays.push_back({key, bytes, Block::Data(data)});
  return data;
}

static size_t whole(size_t bytes) { return (bytes + 15) / 16 * 16; }

// Arrays that Carver took have keys of their own.
static const char carved_keys[64] = {};
static bool is_carved(const Block::Array& array) {
  return array.key >= carved_keys && array.key < carved_keys + 64;
}

void* shared(const void* key, size_t bytes) {
  size_t taken = block.dynamic_bytes + whole(bytes);
  for (const Block::Array& array : block.arrays) {
    if (array.key == key) return array.data.get();
    if (!is_carved(array)) taken += whole(array.bytes);
  }
  if (taken > block.shared_limit)
    refuse(Fault::Launch, "arrays and launch want ", taken, " bytes of shared memory, of ",
           block.shared_limit);
  return make_array(key, bytes);
}

void* carve(int index, size_t bytes) {
  for (const Block::Array& array : block.arrays) {
    if (array.key != carved_keys + index) continue;
    if (array.bytes != bytes) refuse(Fault::Launch, "threads carve shared memory differently");
    return array.data.get();
  }
  size_t taken = whole(bytes);
  for (const Block::Array& array : block.arrays)
    if (is_carved(array)) taken += whole(array.bytes);
  if (taken > block.dynamic_bytes)
    refuse(Fault::Launch, "the launch gives ", block.dynamic_bytes,
           " bytes of shared memory, the kernel carves ", taken);
  return make_array(carved_keys + index, bytes);
}

void async_copy(void* to, const void* from, size_t bytes, size_t valid, Site site) {
  auto bits = reinterpret_cast<uintptr_t>(to) | reinterpret_cast<uintptr_t>(from);
  if (bits & (bytes - 1))
    refuse(Fault::Misaligned, site, ": an asynchronous copy of ", bytes,
           " bytes needs both addresses aligned to them");
  if (valid) touch(from, valid, false);
  touch(to, bytes, true);
  Copy copy{to, from, bytes, valid};
  if (config.defer_copies)
    in_flight(to, bytes, true);
  else
    land(copy);
  team.threads[block.thread].open.push_back(copy);
}

void async_commit() {
  Thread& self = team.threads[block.thread];
  self.committed.push_back(std::move(self.open));
  self.open.clear();
}

// A wait that is left out leaves its copies to the next one, or to the end of the thread.
void async_wait(int keep, Site site) {
  if (left_out(site)) return;
  Thread& self = team.threads[block.thread];
  while (static_cast<int>(self.committed.size()) > keep) {
    for (const Copy& copy : self.committed.front()) {
      if (!config.defer_copies) continue;
      land(copy);
      in_flight(copy.to, copy.bytes, false);
      touch(copy.to, copy.bytes, true);
    }
    self.committed.pop_front();
  }
}

void copy_raw(void* to, const void* from, size_t bytes) { std::memcpy(to, from, bytes); }

}  // namespace simt
