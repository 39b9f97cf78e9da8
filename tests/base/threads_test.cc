// ThreadTeam: every rank runs once, barriers order writes, failures reach the caller and free the others, an idle team
// uses no CPU. Run under the tsan preset as well.
#include "base/threads.h"

#include <gtest/gtest.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <chrono>
#include <fstream>
#include <stdexcept>
#include <string>

#include "base/error.h"

namespace transom {
namespace {

TEST(ThreadTeam, EveryRankRunsOnceARun) {
  ThreadTeam team(4);
  ASSERT_EQ(team.size(), 4);
  std::vector<int> counts(4, 0);  // plain ints: run() itself must order the writes
  for (int round = 0; round < 2000; ++round)
    team.run([&](int rank, int size) {
      EXPECT_EQ(size, 4);
      ++counts[static_cast<size_t>(rank)];
    });
  EXPECT_EQ(counts, std::vector<int>(4, 2000));
}

TEST(ThreadTeam, TheCallerIsRankZeroAndOneThreadIsEnough) {
  for (int n : {1, 3}) {
    ThreadTeam team(n);
    std::thread::id zero;
    team.run([&](int rank, int) {
      if (rank == 0) zero = std::this_thread::get_id();
      team.barrier();
    });
    EXPECT_EQ(zero, std::this_thread::get_id());
  }
  EXPECT_GE(ThreadTeam().size(), 1);
}

TEST(ThreadTeam, BarrierMakesEarlierWritesVisible) {
  constexpr int kRanks = 4, kSteps = 300;
  ThreadTeam team(kRanks);
  std::vector<int> cell(kRanks, 0);
  std::atomic<int> wrong{0};
  team.run([&](int rank, int size) {
    for (int step = 1; step <= kSteps; ++step) {
      cell[static_cast<size_t>(rank)] = step * (rank + 1);
      team.barrier();
      int sum = 0;
      for (int r = 0; r < size; ++r) sum += cell[static_cast<size_t>(r)];
      if (sum != step * kRanks * (kRanks + 1) / 2) ++wrong;
      team.barrier();
    }
  });
  EXPECT_EQ(wrong, 0);
}

TEST(ThreadTeam, WakesSleepersToo) {
  ThreadTeam team(3, /*spin_us=*/0);
  std::atomic<int> runs{0};
  for (int round = 0; round < 50; ++round) {
    std::this_thread::sleep_for(std::chrono::milliseconds(round % 3));
    team.run([&](int rank, int) {
      if (rank == round % 3) std::this_thread::sleep_for(std::chrono::milliseconds(1));
      team.barrier();
      ++runs;
    });
  }
  EXPECT_EQ(runs, 150);
}

TEST(ThreadTeam, AFailingRankFreesTheOthersAndReachesTheCaller) {
  ThreadTeam team(4);
  for (int failing = 0; failing < 4; ++failing) {
    for (int repeat = 0; repeat < 50; ++repeat) {
      std::atomic<int> passed{0};
      try {
        team.run([&](int rank, int) {
          team.barrier();
          if (rank == failing) throw std::runtime_error("rank " + std::to_string(rank));
          team.barrier();
          ++passed;
        });
        FAIL() << "no exception";
      } catch (const std::runtime_error& e) {
        EXPECT_EQ(e.what(), "rank " + std::to_string(failing));
      }
      EXPECT_EQ(passed, 0);
    }
    int after = 0;
    team.run([&](int rank, int) {  // and the team works as before
      team.barrier();
      if (rank == 0) after = 1;
    });
    EXPECT_EQ(after, 1);
  }
}

TEST(ThreadTeam, ANestedRunIsAnErrorNotADeadlock) {
  ThreadTeam team(2);
  try {
    team.run([&](int rank, int) {
      if (rank == 1) team.run([](int, int) {});
    });
    FAIL() << "no exception";
  } catch (const Error& e) {
    EXPECT_EQ(e.code(), Code::kInternal);
  }
}

// The state letter in /proc says it without a clock: S is blocked in the kernel, a spinning thread is R for ever.
TEST(ThreadTeam, AnIdleTeamSleeps) {
  ThreadTeam team(4);
  std::vector<std::atomic<long>> ids(4);
  team.run([&](int rank, int) { ids[static_cast<size_t>(rank)] = syscall(SYS_gettid); });
  const auto state = [](long id) {
    std::ifstream in("/proc/self/task/" + std::to_string(id) + "/stat");
    std::string line;
    std::getline(in, line);
    return line.at(line.rfind(')') + 2);
  };
  for (size_t rank = 1; rank < 4; ++rank) {
    int asleep = 0;  // several looks in a row, lest a passing page fault be taken for sleep
    for (int tries = 0; tries < 3000 && asleep < 5; ++tries) {
      std::this_thread::sleep_for(std::chrono::milliseconds(2));
      asleep = state(ids[rank]) == 'S' ? asleep + 1 : 0;
    }
    EXPECT_EQ(asleep, 5) << "rank " << rank;
  }
}

TEST(ThreadTeam, ChunksCoverTheRangeOnce) {
  ThreadTeam team(3);
  for (int64_t n : {0, 1, 7, 64, 1000}) {
    std::vector<std::atomic<int>> hits(static_cast<size_t>(n));
    team.for_each_chunk(n, 7, [&](int64_t begin, int64_t end) {
      for (int64_t i = begin; i < end; ++i) ++hits[static_cast<size_t>(i)];
    });
    for (const auto& h : hits) EXPECT_EQ(h, 1);
  }
}

TEST(TeamRange, PartsAreDisjointAlignedAndComplete) {
  for (int64_t n : {0, 1, 15, 16, 17, 100, 4096})
    for (int size : {1, 2, 3, 7})
      for (int64_t multiple : {1, 16}) {
        int64_t at = 0;
        for (int rank = 0; rank < size; ++rank) {
          const TeamRange part = team_range(n, rank, size, multiple);
          EXPECT_EQ(part.begin, at);
          EXPECT_GE(part.end, part.begin);
          EXPECT_TRUE(part.end % multiple == 0 || part.end == n);
          at = part.end;
        }
        EXPECT_EQ(at, n);
      }
}

}  // namespace
}  // namespace transom
