// Which CPU level runs: asked of the processor once, changed only by name.
#pragma once

#include <string>
#include <vector>

#include "kernels.h"

namespace lookalike {

// The table in use. Until a level is forced, the usable level of highest rank.
const Kernels& kernels();

// Names of the levels compiled in, by rank, and of those that this processor can run.
std::vector<std::string> compiled_levels();
std::vector<std::string> usable_levels();

// Uses the level of that name from the next call on, in every thread.
// Throws std::invalid_argument when it is not compiled in or the processor lacks a feature.
void force_level(const std::string& name);

}  // namespace lookalike
