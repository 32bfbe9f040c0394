// How hard searches in cells try: so hard in each region, and harder for unusual queries.
#pragma once

#include <cstddef>
#include <cstdint>
#include <vector>

namespace lookalike {

// Cells that are scanned, and rows that are verified.
struct Effort {
    std::size_t probes;
    std::size_t candidates;
};

// What a query shows of itself before anything is scanned.
struct Signs {
    float nearest;  // squared distance from the nearest centroid
    float tail;     // square of what the projection leaves out
};

// Cells that lie near each other make a region. What finds a neighbour differs between regions
// more than within one, so each has an effort of its own: that of the cell which ranks first.
struct Efforts {
    std::vector<std::uint8_t> regions;  // of each cell
    std::vector<Effort> usual, wide;    // of each region; wide for queries with unusual signs
    Signs least, most;                  // of usual queries

    bool are_usual(const Signs& signs) const {
        return signs.nearest >= least.nearest && signs.nearest <= most.nearest &&
               signs.tail >= least.tail && signs.tail <= most.tail;
    }
};

}  // namespace lookalike
