#include "cell_groups.h"

#include <algorithm>
#include <cmath>

#include "cell_blocks.h"
#include "dispatch.h"
#include "select.h"
#include "workers.h"

namespace lookalike {
namespace {

constexpr std::size_t assigned_together = 256;  // rows a task assigns
constexpr std::size_t most_compared = 768;      // on average; groups differ in size
constexpr std::size_t rounds = 4;

std::size_t groups_for(std::size_t cells) {
    const std::size_t wanted = std::size_t(std::sqrt(2.0 * double(cells)));
    return std::max<std::size_t>(block_vectors, wanted / block_vectors * block_vectors);
}

Cells learn_groups(const Cells& cells) {
    const std::vector<float>& steps = cells.steps();  // of lower digits, 16 to an upper one
    return learn_cells(cells.centroid(0), cells.stride(), cells.size(), cells.dimensions(),
                       groups_for(cells.size()), rounds,
                       16 * *std::min_element(steps.begin(), steps.end()), 1);
}

}  // namespace

struct CellGroups::Scratch {
    QueryCode group_code, code;
    std::vector<std::uint32_t> group_distances, groups;
    std::vector<std::uint32_t> distances, cells;  // of the groups that are looked at
    std::vector<std::uint32_t> first, exact;
};

CellGroups::CellGroups(const Cells& cells) : cells_(cells), groups_(learn_groups(cells)) {
    std::vector<std::uint32_t> of_cell(cells.size());
    groups_.assign(cells.centroid(0), cells.stride(), cells.size(), false, 1, of_cell.data());
    starts_ = block_starts(of_cell.data(), cells.size(), groups_.size());
    blocks_.resize(starts_.back() * block_bytes(cells.digits()));
    places_.resize(starts_.back() * block_vectors);
    BlockWriter writer(starts_.data(), groups_.size(), blocks_.data(), places_.data());
    for (std::size_t c = 0; c < cells.size(); ++c) {
        const std::size_t place = writer.next_slot(of_cell[c]);
        cells.write(c, blocks_.data(), place);
        places_[place] = std::uint32_t(c);
    }
    writer.pad(cells.sketch());
    const std::size_t room = most_compared - std::min(most_compared, groups_.size());
    visited_ = std::max<std::size_t>(1, room * groups_.size() / cells.size());
}

// Writes the cells of the nearest groups and their distances; returns how many places these have.
std::size_t CellGroups::rank(const float* y, Scratch& scratch) const {
    const std::size_t bytes = block_bytes(cells_.digits());
    groups_.code_query(y, scratch.group_code);
    scratch.group_distances.resize(groups_.padded_size());
    scratch.groups.resize(groups_.size() + block_vectors);
    groups_.rank(scratch.group_code, scratch.group_distances.data());
    const std::size_t near =
        groups_.first_cells(scratch.group_distances.data(), visited_, scratch.groups.data());
    cells_.code_query(y, scratch.code);
    scratch.distances.resize(places_.size());
    scratch.cells.resize(places_.size());
    std::size_t ranked = 0;
    for (std::size_t g = 0; g < near; ++g) {
        const std::size_t first = starts_[scratch.groups[g]];
        const std::size_t count = starts_[scratch.groups[g] + 1] - first;
        kernels().estimate_blocks(blocks_.data() + first * bytes, count, scratch.code.codes.data(),
                                  cells_.digits(), scratch.code.shift,
                                  estimate_zero + scratch.code.bias,
                                  scratch.distances.data() + ranked);
        std::copy_n(places_.data() + first * block_vectors, count * block_vectors,
                    scratch.cells.data() + ranked);
        ranked += count * block_vectors;
    }
    return ranked;
}

std::uint64_t CellGroups::assign(const float* y, std::size_t stride, std::size_t count,
                                 bool roughly, std::size_t threads, std::uint32_t* cells) const {
    std::vector<std::uint64_t> compared(std::max<std::size_t>(threads, 1));
    run_pieces(count, assigned_together, threads,
               [&](std::size_t i, std::size_t end, std::size_t worker) {
                   Scratch scratch;
                   scratch.first.resize(places_.size() + block_vectors);
                   scratch.exact.resize(places_.size());
                   for (; i < end; ++i) {
                       const std::size_t ranked = rank(y + i * stride, scratch);
                       compared[worker] += groups_.size() + ranked;
                       cells[i] = cells_.nearest(y + i * stride, ranked, scratch.distances.data(),
                                                 scratch.cells.data(), roughly,
                                                 scratch.first.data(), scratch.exact.data());
                   }
               });
    std::uint64_t all = 0;
    for (const std::uint64_t some : compared) all += some;
    return all;
}

}  // namespace lookalike
