#pragma once
// Who points at a row: the inverse of a list of rows, in the order of the list.
#include "block.cuh"
#include "device.h"

namespace protea::gpu {

struct Followers {
  static constexpr int room = 8;
  const int32_t* list;  // (length): the row that each points at; one that is no row is passed over
  int64_t length;
  int* count;    // (rows): how many point at a row
  int32_t* few;  // (rows, room): who, while they are few, in any order

  // Calls body(m) for all that point at `row`, the lowest m first. By a whole warp.
  template <class Body>
  GPU_DEVICE void each(int64_t row, const Body& body) const {
    if (count[row] <= room)
      each_of_few(few + row * room, count[row], body);
    else
      each_of_many(row, count[row], body);
  }

 private:
  template <class Body>
  GPU_DEVICE static void each_of_few(const int32_t* who, int count, const Body& body) {
    for (int32_t n = 0, last = -1; n < count; n++) {
      int32_t next = INT32_MAX;
      for (int e = 0; e < count; e++)
        if (who[e] > last && who[e] < next) next = who[e];
      body(next);
      last = next;
    }
  }

  // The warp looks through the list until it has found all.
  template <class Body>
  GPU_DEVICE void each_of_many(int64_t row, int left, const Body& body) const {
    for (int64_t begin = 0; left > 0; begin += 32) {
      int64_t m = begin + lane_index();
      unsigned follows = __ballot_sync(all_lanes, m < length && list[m] == row);
      for (; follows; follows &= follows - 1, left--)
        body(begin + __ffs(static_cast<int>(follows)) - 1);
    }
  }
};

// Inverts a list. Its arrays are in slots `slot` and `slot` + 1 of working memory.
Followers follow(Gpu& gpu, int slot, const int32_t* list, int64_t length, int64_t rows);

}  // namespace protea::gpu
