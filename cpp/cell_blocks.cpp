#include "cell_blocks.h"

#include <algorithm>
#include <cmath>
#include <cstring>

#include "kernels.h"

namespace lookalike {
namespace {

double dot(const float* x, const float* y, std::size_t count) {
    double sum = 0;
    for (std::size_t j = 0; j < count; ++j) sum += double(x[j]) * double(y[j]);
    return sum;
}

}  // namespace

double largest_norm(const float* y, const float* tails, std::size_t stride, std::size_t count,
                    const Cells& cells, const std::uint32_t* of_row) {
    const std::size_t dimensions = cells.dimensions();
    double largest = 0;
    for (std::size_t i = 0; i < count; ++i) {
        const float *row = y + i * stride, *centroid = cells.centroid(of_row[i]);
        double square = 0;
        for (std::size_t j = 0; j < dimensions; ++j) {
            const double residual = double(row[j] - centroid[j]);
            square += residual * residual;
        }
        const double centroid_square = dot(centroid, centroid, dimensions);
        largest = std::max(largest, 2 * square + centroid_square + double(tails[i]));
    }
    return largest;
}

Sketch learn_sketch(const float* y, std::size_t stride, std::size_t count, const Cells& cells,
                    const std::uint32_t* of_row, double largest, float least_step) {
    const std::size_t dimensions = cells.dimensions();
    std::vector<double> sums(dimensions);
    for (std::size_t i = 0; i < count; ++i) {
        const float *row = y + i * stride, *centroid = cells.centroid(of_row[i]);
        for (std::size_t j = 0; j < dimensions; ++j) {
            const double residual = double(row[j] - centroid[j]);
            sums[j] += residual * residual;
        }
    }
    std::vector<float> rms(dimensions);
    for (std::size_t j = 0; j < dimensions; ++j) rms[j] = float(std::sqrt(sums[j] / double(count)));
    const std::vector<float> reach = root_mean_squares(y, stride, count, dimensions);
    const Sketch sketch = make_sketch(rms, reach, least_step);
    // A few enormous vectors cost resolution, and never an overflow.
    const float unit = std::max(sketch.unit(), float(largest / double(most_norm)));
    return Sketch(sketch.steps(), unit);
}

std::vector<std::uint32_t> block_starts(const std::uint32_t* of_row, std::size_t count,
                                        std::size_t cells) {
    std::vector<std::uint32_t> starts(cells + 1);
    for (std::size_t i = 0; i < count; ++i) ++starts[of_row[i] + 1];
    for (std::size_t c = 0; c < cells; ++c)
        starts[c + 1] =
            starts[c] + std::uint32_t((starts[c + 1] + block_vectors - 1) / block_vectors);
    return starts;
}

void write_blocks(const float* y, const float* tails, std::size_t stride, std::size_t count,
                  const Cells& cells, const Sketch& sketch, float tail_weight,
                  const std::uint32_t* of_row, std::uint32_t first_row, BlockWriter& to) {
    const std::size_t dimensions = sketch.dimensions(), bytes = block_bytes(dimensions);
    std::vector<float> residuals(dimensions), decoded(dimensions);
    std::vector<std::int8_t> codes(dimensions);
    for (std::size_t i = 0; i < count; ++i) {
        const float *row = y + i * stride, *centroid = cells.centroid(of_row[i]);
        for (std::size_t j = 0; j < dimensions; ++j) residuals[j] = row[j] - centroid[j];
        sketch.code(residuals.data(), codes.data());
        sketch.decode(codes.data(), decoded.data());
        const double norm = dot(residuals.data(), residuals.data(), dimensions) +
                            2 * dot(centroid, decoded.data(), dimensions) +
                            double(tail_weight) * double(tails[i]);
        const std::size_t slot = to.next_slot(of_row[i]);
        sketch.write(to.blocks + slot / block_vectors * bytes, slot % block_vectors, codes.data(),
                     rounded(float(norm / double(sketch.unit())), most_norm));
        to.rows[slot] = first_row + std::uint32_t(i);
    }
}

BlockWriter::BlockWriter(const std::uint32_t* starts, std::size_t cells, std::uint8_t* blocks,
                         std::uint32_t* rows)
    : blocks(blocks), rows(rows), starts_(starts), next_(cells) {
    for (std::size_t c = 0; c < cells; ++c) next_[c] = starts[c] * block_vectors;
}

void BlockWriter::copy(const CellBlocks& from, std::size_t dimensions, Mask kept) {
    const std::size_t bytes = block_bytes(dimensions), code = block_vectors * sizeof(std::int32_t);
    for (std::size_t c = 0; c < next_.size(); ++c) {
        for (std::size_t old = from.starts[c] * block_vectors;
             old < from.starts[c + 1] * block_vectors; ++old) {
            if (from.rows[old] == no_row || (kept && !kept[from.rows[old]])) continue;
            const std::size_t slot = next_slot(c);
            // A lane is four bytes of the norms, and four of each group of dimensions.
            const std::uint8_t* source =
                from.blocks + old / block_vectors * bytes + 4 * (old % block_vectors);
            std::uint8_t* target =
                blocks + slot / block_vectors * bytes + 4 * (slot % block_vectors);
            for (std::size_t at = 0; at < bytes; at += code)
                std::memcpy(target + at, source + at, 4);
            rows[slot] = from.rows[old];
        }
    }
}

void BlockWriter::pad(const Sketch& sketch) {
    const std::size_t bytes = block_bytes(sketch.dimensions());
    const std::vector<std::int8_t> codes(sketch.dimensions());
    for (std::size_t c = 0; c < next_.size(); ++c) {
        for (std::size_t slot = next_[c]; slot < starts_[c + 1] * block_vectors; ++slot) {
            sketch.write(blocks + slot / block_vectors * bytes, slot % block_vectors, codes.data(),
                         padding_norm);
            rows[slot] = no_row;
        }
    }
}

}  // namespace lookalike
