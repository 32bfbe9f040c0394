#include "exact_scan.h"

#include <algorithm>
#include <limits>
#include <numeric>
#include <stdexcept>

#include "dispatch.h"
#include "workers.h"

namespace lookalike {
namespace {

constexpr std::uint32_t no_limit = std::numeric_limits<std::uint32_t>::max();
constexpr std::size_t minima_block = 16;  // rows behind one entry of Kernels::block_minima
constexpr std::size_t query_block = 8;    // queries that share a chunk of rows in the cache
constexpr std::size_t spare_seeds = 2;    // beyond 2k: more seeds, a tighter first limit

void bounds_of_row(const std::uint8_t* row, std::size_t width, unsigned shift,
                   std::uint8_t* image) {
    for (std::size_t j = 0; j < width; j += bound_group) {
        const std::size_t end = std::min(j + bound_group, width);
        const unsigned sum = std::accumulate(row + j, row + end, 0u);
        image[j / bound_group] = std::uint8_t(std::min(sum >> shift, 255u));
    }
}

// Collects everything below a fixed limit.
class All {
public:
    explicit All(std::uint32_t limit) : limit_(limit) {}
    std::uint32_t limit() const { return limit_; }
    void offer(std::uint32_t distance, std::uint32_t slot) {
        if (distance < limit_) keys.push_back(make_key(distance, slot));
    }
    void keep_nearest() {}

    std::vector<Key> keys;

private:
    std::uint32_t limit_;
};

void write_nearest(const std::vector<Key>& keys, std::size_t k, std::int64_t* slots,
                   double* distances) {
    for (std::size_t i = 0; i < k; ++i) {
        const bool found = i < keys.size();
        slots[i] = found ? std::int64_t(key_slot(keys[i])) : -1;
        distances[i] =
            found ? double(key_distance(keys[i])) : std::numeric_limits<double>::infinity();
    }
}

Found gather(std::vector<std::vector<Key>>& keys_of_query) {
    Found found;
    found.offsets.push_back(0);
    for (std::vector<Key>& keys : keys_of_query) {
        std::sort(keys.begin(), keys.end());
        for (const Key key : keys) {
            found.slots.push_back(std::int64_t(key_slot(key)));
            found.distances.push_back(double(key_distance(key)));
        }
        found.offsets.push_back(std::int64_t(found.slots.size()));
        std::vector<Key>().swap(keys);  // give the memory back as we go
    }
    return found;
}

std::uint32_t limit_of_radius(std::uint32_t radius) {
    return radius == no_limit ? no_limit : radius + 1;
}

}  // namespace

// The queries as the kernels want them: rows, and their bounding images if there are any.
struct ExactScan::Queries {
    PackedRows rows, bounds;
    std::size_t count;
};

struct ExactScan::Scratch {
    std::vector<std::uint32_t> values, positions, distances, minima;
    std::uint64_t verified = 0;

    void reserve(std::size_t rows) {
        values.resize(rows);
        positions.resize(rows + 16);
        distances.resize(rows);
        minima.resize(rows / minima_block);
    }
};

void make_bounds(const Rows& rows, unsigned shift, std::size_t stride, std::uint8_t* bounds) {
    for (std::size_t i = 0; i < rows.count; ++i) {
        std::fill_n(bounds + i * stride, stride, std::uint8_t(0));
        bounds_of_row(rows.data + i * rows.stride, rows.width, shift, bounds + i * stride);
    }
}

ExactScan::Queries ExactScan::prepare(const Items& items) const {
    Queries queries{packed_rows(items, limit_, rows_.stride), {}, items.count};
    if (bounds_.data) {
        queries.bounds = {std::vector<std::uint8_t>(items.count * bounds_.stride),
                          bounds_.stride};
        make_bounds({queries.rows.bytes.data(), items.count, rows_.width, rows_.stride},
                    bounds_.shift, bounds_.stride, queries.bounds.bytes.data());
    }
    return queries;
}

// Fills scratch.values for a chunk of rows: bounds, or distances where there are no bounds.
void ExactScan::value_chunk(const Queries& queries, std::size_t q, std::size_t first,
                            std::size_t count, Scratch& scratch) const {
    const Kernels& k = kernels();
    std::uint32_t* values = scratch.values.data();
    if (bounds_.data)
        k.absolute_differences(bounds_.data + first * bounds_.stride, bounds_.stride, count,
                               queries.bounds.row(q), values);
    else if (measure_ == Measure::differing_bits)
        k.differing_bits(rows_.data + first * rows_.stride, rows_.stride, count,
                         queries.rows.row(q), values);
    else
        k.absolute_differences(rows_.data + first * rows_.stride, rows_.stride, count,
                               queries.rows.row(q), values);
}

void ExactScan::distances_at(const std::uint32_t* slots, std::size_t count,
                             const std::uint8_t* query, std::uint32_t* distances) const {
    const Kernels& k = kernels();
    const auto kernel = measure_ == Measure::differing_bits ? k.differing_bits_at
                                                            : k.absolute_differences_at;
    kernel(rows_.data, rows_.stride, slots, count, query, distances);
}

// The bounding distance below which a row may still be closer than `limit`.
std::uint32_t ExactScan::bound_limit(std::uint32_t limit) const {
    const std::uint64_t groups = (rows_.width + bound_group - 1) / bound_group;
    const std::uint64_t unit = std::uint64_t(1) << bounds_.shift;
    const std::uint64_t reach = std::uint64_t(limit) + (unit - 1) * groups;
    return std::uint32_t(std::min<std::uint64_t>((reach + unit - 1) >> bounds_.shift, no_limit));
}

// Rows that fit the second-level cache together, whatever a row's length.
std::size_t ExactScan::chunk_rows() const {
    const std::size_t stride = bounds_.data ? bounds_.stride : rows_.stride;
    return std::clamp<std::size_t>((std::size_t(128) << 10) / std::max<std::size_t>(stride, 1),
                                   256, 4096);
}

// A first limit from a few promising rows, so that the first chunk is not kept whole: in
// each of the most promising blocks one row, the k-th of which is at no more than this.
void ExactScan::seed_limit(const std::uint8_t* query, std::size_t first, std::size_t count,
                           std::size_t k, Scratch& scratch, Nearest& nearest) const {
    const std::size_t blocks = count / minima_block;
    const std::size_t wanted = bounds_.data ? 2 * k + spare_seeds : k;
    if (wanted > blocks) return;
    kernels().block_minima(scratch.values.data(), count, scratch.minima.data());
    Nearest best(wanted);
    for (std::size_t b = 0; b < blocks; ++b) best.offer(scratch.minima[b], std::uint32_t(b));
    const std::vector<Key>& seeds = best.sorted();
    if (!bounds_.data) {
        nearest.lower_limit(limit_of_radius(key_distance(seeds[k - 1])));
        return;
    }
    std::uint32_t* slots = scratch.positions.data();
    for (std::size_t i = 0; i < wanted; ++i) {
        const std::size_t start = minima_block * key_slot(seeds[i]);
        std::size_t row = start;
        while (scratch.values[row] != key_distance(seeds[i])) ++row;
        slots[i] = std::uint32_t(first + row);
    }
    distances_at(slots, wanted, query, scratch.distances.data());
    scratch.verified += wanted;
    Nearest exact(k);
    for (std::size_t i = 0; i < wanted; ++i) exact.offer(scratch.distances[i], slots[i]);
    nearest.lower_limit(limit_of_radius(key_distance(exact.sorted()[k - 1])));
}

// Offers every row of the chunk that is closer than the sink's limit. The chunk's values
// (bounds, or distances without bounds) are in the scratch already.
template <typename Sink>
void ExactScan::scan_chunk(const std::uint8_t* query, std::size_t first, std::size_t count,
                           Scratch& scratch, Sink& sink) const {
    const Kernels& k = kernels();
    std::uint32_t* positions = scratch.positions.data();
    if (!bounds_.data) {
        const std::size_t kept =
            k.positions_below(scratch.values.data(), count, sink.limit(), positions);
        for (std::size_t i = 0; i < kept; ++i)
            sink.offer(scratch.values[positions[i]], std::uint32_t(first + positions[i]));
        scratch.verified += count;
    } else {
        const std::size_t kept = k.positions_below(scratch.values.data(), count,
                                                   bound_limit(sink.limit()), positions);
        for (std::size_t i = 0; i < kept; ++i) positions[i] += std::uint32_t(first);
        distances_at(positions, kept, query, scratch.distances.data());
        for (std::size_t i = 0; i < kept; ++i) sink.offer(scratch.distances[i], positions[i]);
        scratch.verified += kept;
    }
    sink.keep_nearest();
}

ScanWork ExactScan::nearest(const Items& items, std::size_t k, std::size_t threads,
                            std::int64_t* slots, double* distances) const {
    const Queries queries = prepare(items);
    const std::size_t blocks = (queries.count + query_block - 1) / query_block;
    // With fewer blocks of queries than threads the rows are divided as well.
    const std::size_t chunk = chunk_rows();
    const std::size_t chunks = (rows_.count + chunk - 1) / chunk;
    const std::size_t parts =
        blocks == 0 || threads <= blocks ? 1 : std::min((threads + blocks - 1) / blocks, chunks);
    const std::size_t divisions = std::max<std::size_t>(parts, 1);

    std::vector<Nearest> found(queries.count * divisions, Nearest(k));
    std::vector<Scratch> scratch(std::max<std::size_t>(threads, 1));
    run_tasks(blocks * divisions, threads, [&](std::size_t task, std::size_t worker) {
        const std::size_t block = task / divisions, part = task % divisions;
        const std::size_t last_query = std::min((block + 1) * query_block, queries.count);
        Scratch& s = scratch[worker];
        s.reserve(std::min(chunk, rows_.count));
        for (std::size_t c = chunks * part / divisions; c < chunks * (part + 1) / divisions; ++c) {
            const std::size_t first = c * chunk, count = std::min(chunk, rows_.count - first);
            for (std::size_t q = block * query_block; q < last_query; ++q) {
                Nearest& nearest = found[q * divisions + part];
                value_chunk(queries, q, first, count, s);
                if (nearest.limit() == no_limit)
                    seed_limit(queries.rows.row(q), first, count, k, s, nearest);
                scan_chunk(queries.rows.row(q), first, count, s, nearest);
            }
        }
    });
    for (std::size_t q = 0; q < queries.count; ++q) {
        Nearest& whole = found[q * divisions];
        for (std::size_t part = 1; part < divisions; ++part)
            whole.merge(found[q * divisions + part]);
        write_nearest(whole.sorted(), k, slots + q * k, distances + q * k);
    }
    ScanWork work;
    for (const Scratch& s : scratch) work.verified += s.verified;
    return work;
}

Found ExactScan::within(const Items& items, std::uint32_t radius, std::size_t threads) const {
    const Queries queries = prepare(items);
    const std::size_t chunk = chunk_rows();
    std::vector<std::vector<Key>> keys(queries.count);
    std::vector<Scratch> scratch(std::max<std::size_t>(threads, 1));
    run_tasks(queries.count, threads, [&](std::size_t q, std::size_t worker) {
        All all(limit_of_radius(radius));
        Scratch& s = scratch[worker];
        s.reserve(std::min(chunk, rows_.count));
        for (std::size_t first = 0; first < rows_.count; first += chunk) {
            const std::size_t count = std::min(chunk, rows_.count - first);
            value_chunk(queries, q, first, count, s);
            scan_chunk(queries.rows.row(q), first, count, s, all);
        }
        keys[q] = std::move(all.keys);
    });
    return gather(keys);
}

template <typename Sink>
void ExactScan::compare_candidates(const std::uint8_t* query, const std::int64_t* candidates,
                                   std::size_t count, Scratch& scratch, Sink& sink) const {
    constexpr std::size_t piece = 1024;
    scratch.reserve(piece);
    for (std::size_t first = 0; first < count; first += piece) {
        const std::size_t size = std::min(piece, count - first);
        for (std::size_t i = 0; i < size; ++i) {
            const std::int64_t slot = candidates[first + i];
            if (slot < 0 || std::size_t(slot) >= rows_.count)
                throw std::out_of_range("a candidate is not a row of this index");
            scratch.positions[i] = std::uint32_t(slot);
        }
        distances_at(scratch.positions.data(), size, query, scratch.distances.data());
        for (std::size_t i = 0; i < size; ++i)
            sink.offer(scratch.distances[i], scratch.positions[i]);
    }
}

void ExactScan::nearest_among(const Items& items, const std::int64_t* offsets,
                              const std::int64_t* candidates, std::size_t k, std::size_t threads,
                              std::int64_t* slots, double* distances) const {
    const PackedRows packed = packed_rows(items, limit_, rows_.stride);
    std::vector<Scratch> scratch(std::max<std::size_t>(threads, 1));
    run_tasks(items.count, threads, [&](std::size_t q, std::size_t worker) {
        Nearest nearest(k);
        compare_candidates(packed.row(q), candidates + offsets[q],
                           std::size_t(offsets[q + 1] - offsets[q]), scratch[worker], nearest);
        write_nearest(nearest.sorted(), k, slots + q * k, distances + q * k);
    });
}

Found ExactScan::within_among(const Items& items, const std::int64_t* offsets,
                              const std::int64_t* candidates, std::uint32_t radius,
                              std::size_t threads) const {
    const PackedRows packed = packed_rows(items, limit_, rows_.stride);
    std::vector<Scratch> scratch(std::max<std::size_t>(threads, 1));
    std::vector<std::vector<Key>> keys(items.count);
    run_tasks(items.count, threads, [&](std::size_t q, std::size_t worker) {
        All all(limit_of_radius(radius));
        compare_candidates(packed.row(q), candidates + offsets[q],
                           std::size_t(offsets[q + 1] - offsets[q]), scratch[worker], all);
        keys[q] = std::move(all.keys);
    });
    return gather(keys);
}

}  // namespace lookalike
