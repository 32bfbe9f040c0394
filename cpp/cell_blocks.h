// The rows of each cell as blocks of sketches: written, extended, searched elsewhere.
#pragma once

#include <cstddef>
#include <cstdint>
#include <vector>

#include "cells.h"
#include "kernels.h"
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

// What the norm of one of these rows may come to at the most, before it is in units.
double largest_norm(const float* y, const float* tails, std::size_t stride, std::size_t count,
                    const Cells& cells, const std::uint32_t* of_row);

// The sketch for residuals like those of these rows (see Sketch), each in its cell. `largest` is
// the largest norm of all rows that will be written.
Sketch learn_sketch(const float* y, std::size_t stride, std::size_t count, const Cells& cells,
                    const std::uint32_t* of_row, double largest, float least_step);

// Rows of each cell as whole blocks: cells + 1 entries.
std::vector<std::uint32_t> block_starts(const std::uint32_t* of_row, std::size_t count,
                                        std::size_t cells);

// Fills the blocks of all cells, each from its first place on.
class BlockWriter {
public:
    // starts has cells + 1 entries, like block_starts. Nothing is owned.
    BlockWriter(const std::uint32_t* starts, std::size_t cells, std::uint8_t* blocks,
                std::uint32_t* rows);

    // The next free place of a cell, and how many it has.
    std::size_t next_slot(std::size_t cell) { return next_[cell]++; }
    std::size_t room(std::size_t cell) const {
        return starts_[cell + 1] * block_vectors - next_[cell];
    }
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
