// Threads of our own: started for one call, joined before it returns.
//
// Nothing outlives the call, so a process may fork at any time between calls, and no
// OpenMP runtime is loaded beside the user's. Starting a thread costs some 20 us: ask for
// more than one only for work that takes longer.
#pragma once

#include <cstddef>
#include <functional>

namespace lookalike {

// Calls task(i, worker) once for every i in [0, count), from at most `threads` threads;
// 0 <= worker < threads numbers the thread, for its own scratch memory. The first
// exception stops the hand-out of tasks and is thrown again here, after all have ended.
void run_tasks(std::size_t count, std::size_t threads,
               const std::function<void(std::size_t task, std::size_t worker)>& task);

}  // namespace lookalike
