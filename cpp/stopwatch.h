// Microseconds of the steps of a search that is explained.
#pragma once

#include <chrono>

namespace lookalike {

using Clock = std::chrono::steady_clock;

inline double microseconds(Clock::time_point from, Clock::time_point to) {
    return std::chrono::duration<double, std::micro>(to - from).count();
}

}  // namespace lookalike
