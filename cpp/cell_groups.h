// Cells in groups of near ones, so that a row need not be compared with the centroids of all.
#pragma once

#include <cstddef>
#include <cstdint>
#include <vector>

#include "cells.h"

namespace lookalike {

// Two levels: a row is compared with the centroids of all groups, then with those of the cells in
// the nearest groups. With g groups of c cells in all that is about g + n c / g distances for the n
// groups that are looked at; at sqrt(2 c) groups there is room for two of them or more up to
// 100,000 cells, which is where a billion rows end.
class CellGroups {
public:
    explicit CellGroups(const Cells& cells);

    // As Cells::assign; ties go to the group that ranks first. Returns how many distances from
    // centroids, groups' included, were estimated.
    std::uint64_t assign(const float* y, std::size_t stride, std::size_t count, bool roughly,
                         std::size_t threads, std::uint32_t* cells) const;

private:
    struct Scratch;

    std::size_t rank(const float* y, Scratch& scratch) const;

    const Cells& cells_;
    Cells groups_;
    std::vector<std::uint32_t> starts_, places_;  // blocks of each group; the cell in each place
    std::vector<std::uint8_t> blocks_;
    std::size_t visited_;  // groups whose cells are compared
};

}  // namespace lookalike
