// The rows of each cell as blocks of sketches: written, extended, searched elsewhere.
#pragma once

#include <cstddef>
#include <cstdint>
#include <vector>

#include "cells.h"
#include "select.h"
#include "sketch.h"

namespace lookalike {

// The rows of each cell as sketches, in whole blocks: those of cell c are blocks
// [starts[c], starts[c + 1]). A slot is a place in a block, 16 * block + lane; rows[slot] is the
// row there, or no_row. Arrays are not owned.
struct CellBlocks {
    const std::uint32_t* starts;  // cells + 1
    const std::uint8_t* blocks;
    const std::uint32_t* rows;
};

constexpr std::uint32_t no_row = 0xFFFFFFFF;

// The sketch for the residuals of these rows (see Sketch), each in its cell.
Sketch learn_sketch(const float* y, const float* tails, std::size_t stride, std::size_t count,
                    const Cells& cells, const std::uint32_t* of_row, float least_step);

// Rows of each cell as whole blocks: cells + 1 entries.
std::vector<std::uint32_t> block_starts(const std::uint32_t* of_row, std::size_t count,
                                        std::size_t cells);

// Fills the blocks of all cells, each from its first place on.
class BlockWriter {
public:
    // starts has cells + 1 entries, like block_starts. Nothing is owned.
    BlockWriter(const std::uint32_t* starts, std::size_t cells, std::uint8_t* blocks,
                std::uint32_t* rows);

    // The next free place of a cell.
    std::size_t next_slot(std::size_t cell) { return next_[cell]++; }
    // Takes over the sketches of other blocks of the same cells: those of all rows, or of the rows
    // that are kept.
    void copy(const CellBlocks& from, std::size_t dimensions, Mask kept);
    // Marks the places that are still free, last of all.
    void pad(const Sketch& sketch);

    std::uint8_t* blocks;
    std::uint32_t* rows;

private:
    const std::uint32_t* starts_;
    std::vector<std::size_t> next_;
};

// Writes the sketches of rows first_row, first_row + 1 ... in this order. A norm is |r|^2 + 2 <c,
// decoded r> + tail_weight * tail, in units.
void write_blocks(const float* y, const float* tails, std::size_t stride, std::size_t count,
                  const Cells& cells, const Sketch& sketch, float tail_weight,
                  const std::uint32_t* of_row, std::uint32_t first_row, BlockWriter& to);

}  // namespace lookalike
