// Arena: the frames of a loop over layers, and what outlives them.
#include "tensor/arena.h"

#include <gtest/gtest.h>

#include <cstring>
#include <set>

namespace transom {
namespace {

using Alive = std::vector<const void*>;

TEST(Arena, ResetGivesTheSameAddressesAgain) {
  Arena a;
  std::vector<std::byte*> first, second;
  for (const size_t bytes : {100, 3 << 20, 7}) a.allocate(bytes);
  a.reset();  // several chunks become one
  for (const size_t bytes : {100, 3 << 20, 7}) first.push_back(a.allocate(bytes));
  a.reset();
  for (const size_t bytes : {100, 3 << 20, 7}) second.push_back(a.allocate(bytes));
  EXPECT_EQ(first, second);
  EXPECT_EQ(reinterpret_cast<uintptr_t>(first[2]) % 64, 0u);
}

TEST(Arena, LayersTakeTheMemoryOfTwo) {
  Arena a;
  std::byte* input = a.allocate(1000);
  std::memset(input, 7, 1000);
  const std::byte* from = input;
  std::set<std::byte*> seen;
  {
    Arena::Frames frames(a);
    for (int layer = 0; layer < 10; ++layer) {
      frames.next(Alive{from});
      a.allocate(5000);
      std::byte* to = a.allocate(1000);
      std::memcpy(to, from, 1000);
      seen.insert(to);
      from = to;
    }
  }
  EXPECT_EQ(seen.size(), 2u);
  std::memset(a.allocate(100000), 1, 100000);  // of the step again: the last layer's result stays
  for (int i = 0; i < 1000; ++i) ASSERT_EQ(from[i], std::byte{7}) << i;
}

TEST(Arena, AFrameThatHoldsWhatIsAliveIsNotTakenAgain) {
  Arena a;
  Arena::Frames frames(a);
  frames.next({});
  std::byte* kept = a.allocate(64);
  *kept = std::byte{42};
  for (int layer = 0; layer < 5; ++layer) {
    frames.next(Alive{kept});
    std::memset(a.allocate(4000), 0, 4000);
  }
  EXPECT_EQ(*kept, std::byte{42});
}

TEST(Arena, AnEarlierLoopsResultOutlivesTheNextLoop) {
  Arena a;
  std::byte* result;
  {
    Arena::Frames frames(a);
    frames.next({});
    result = a.allocate(640);
    std::memset(result, 3, 640);
  }
  Arena::Frames frames(a);
  for (int layer = 0; layer < 6; ++layer) {
    frames.next({});
    std::memset(a.allocate(4000), 0, 4000);
  }
  for (int i = 0; i < 640; ++i) ASSERT_EQ(result[i], std::byte{3}) << i;
}

TEST(Arena, WhatLastsIsOfNoFrame) {
  Arena a;
  Arena::Frames frames(a);
  frames.next({});
  std::byte* tables;
  {
    const Arena::Lasting lasting(a);
    tables = a.allocate(64);
    std::memset(tables, 9, 64);
  }
  for (int layer = 0; layer < 6; ++layer) {
    frames.next({});
    std::memset(a.allocate(4000), 0, 4000);
  }
  for (int i = 0; i < 64; ++i) ASSERT_EQ(tables[i], std::byte{9}) << i;
}

}  // namespace
}  // namespace transom
