// Threads of our own: started for one call, joined before it returns.
//
// Nothing outlives the call, so a process may fork at any time between calls, and no
// OpenMP runtime is loaded beside the user's. Starting a thread costs some 20 us: ask for
// more than one only for work that takes longer.
#pragma once

#include <algorithm>
#include <cstddef>
#include <functional>

namespace lookalike {

// Calls task(i, worker) once for every i in [0, count), from at most `threads` threads;
// 0 <= worker < threads numbers the thread, for its own scratch memory. The first
// exception stops the hand-out of tasks and is thrown again here, after all have ended.
void run_tasks(std::size_t count, std::size_t threads,
               const std::function<void(std::size_t task, std::size_t worker)>& task);

// The same for pieces of [0, count): calls task(first, end, worker), each piece of `most` numbers
// or, the last one, fewer.
template <typename Task>
void run_pieces(std::size_t count, std::size_t most, std::size_t threads, Task task) {
    run_tasks((count + most - 1) / most, threads, [&](std::size_t piece, std::size_t worker) {
        task(piece * most, std::min((piece + 1) * most, count), worker);
    });
}

}  // namespace lookalike
