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
constexpr std::uint32_t no_bound = std::numeric_limits<std::uint16_t>::max();  // capped here
constexpr std::size_t query_block = 8;   // queries that share a chunk of rows in the cache
constexpr std::size_t seeds_per_k = 2;   // more seeds: a tighter first limit, dearer
constexpr std::size_t first_piece = 64;  // rows compared before there is a limit
constexpr std::size_t least_strip = 16;  // rows of which one is a seed, at the least

void bounds_of_row(const std::uint8_t* row, std::size_t width, const Bounds& shape,
                   std::uint8_t* bound) {
    std::size_t j = 0, group = 0;
    for (; j < width; ++group) {
        const std::size_t end = std::min(j + bound_group, width);
        unsigned sum = 0;
        for (; j < end; ++j) sum += row[shape.order[j]];
        bound[group] = std::uint8_t(std::min(sum >> shape.shift, 255u));
    }
    std::fill(bound + group, bound + shape.stride, std::uint8_t(0));
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

// A query as the kernels want it: its row, and its bounding row if there are bounds.
struct ExactScan::Query {
    const std::uint8_t* row;
    const std::uint8_t* bound;
};

// Queries with the memory that they lie in.
struct ExactScan::Queries {
    PackedRows rows, bounds;
    std::size_t count;

    Query operator[](std::size_t q) const { return {rows.row(q), bounds.row(q)}; }
};

// Room for one chunk of rows.
struct ExactScan::Scratch {
    std::vector<std::uint16_t> bounds;
    std::vector<std::uint32_t> positions, distances;
    std::vector<std::uint8_t> query;  // of a search for one item
    std::uint64_t verified = 0;

    void reserve(std::size_t rows) {
        bounds.resize(rows);
        positions.resize(rows + 16);  // kernels store whole vectors
        distances.resize(rows);
    }
};

void make_bounds(const Rows& rows, const Bounds& shape, std::uint8_t* bounds) {
    for (std::size_t i = 0; i < rows.count; ++i)
        bounds_of_row(rows.data + i * rows.stride, rows.width, shape, bounds + i * shape.stride);
}

ExactScan::Queries ExactScan::prepare(const Items& items) const {
    Queries queries{packed_rows(items, limit_, rows_.stride), {{}, 0}, items.count};
    if (bounds_.data) {
        queries.bounds = {std::vector<std::uint8_t>(items.count * bounds_.stride), bounds_.stride};
        make_bounds({queries.rows.bytes.data(), items.count, rows_.width, rows_.stride}, bounds_,
                    queries.bounds.bytes.data());
    }
    return queries;
}

void ExactScan::distances_at(const std::uint32_t* slots, std::size_t count,
                             const std::uint8_t* query, std::uint32_t* distances) const {
    const Kernels& k = kernels();
    const auto kernel =
        measure_ == Measure::differing_bits ? k.differing_bits_at : k.absolute_differences_at;
    kernel(rows_.data, rows_.stride, slots, count, query, distances);
}

// The bound below which a row may still be closer than `limit`.
std::uint32_t ExactScan::bound_limit(std::uint32_t limit) const {
    const std::uint64_t groups = (rows_.width + bound_group - 1) / bound_group;
    const std::uint64_t unit = std::uint64_t(1) << bounds_.shift;
    const std::uint64_t reach = std::uint64_t(limit) + (unit - 1) * groups;
    return std::uint32_t(std::min<std::uint64_t>((reach + unit - 1) >> bounds_.shift, no_limit));
}

// Rows that fit the second-level cache together, whatever a row's length.
std::size_t ExactScan::chunk_rows() const {
    const std::size_t stride = bounds_.data ? bounds_.stride : rows_.stride;
    return std::clamp<std::size_t>((std::size_t(128) << 10) / std::max<std::size_t>(stride, 1), 256,
                                   4096);
}

// A first limit, so that the first chunk is not kept whole: the chunk is cut into strips and
// the most promising row of each is compared. The k-th best of these bounds the k-th nearest.
void ExactScan::seed_limit(const std::uint8_t* query, std::size_t first, std::size_t count,
                           std::size_t k, Scratch& scratch, Nearest& nearest) const {
    const std::size_t strips = seeds_per_k * (k + 1);
    if (strips * least_strip > count) return;
    std::uint32_t* slots = scratch.positions.data();
    for (std::size_t strip = 0; strip < strips; ++strip) {
        const std::size_t begin = count * strip / strips, end = count * (strip + 1) / strips;
        const std::size_t least =
            begin + kernels().least_bound(scratch.bounds.data() + begin, end - begin);
        slots[strip] = std::uint32_t(first + least);
    }
    std::uint32_t* distances = scratch.distances.data();
    distances_at(slots, strips, query, distances);
    scratch.verified += strips;
    std::nth_element(distances, distances + (k - 1), distances + strips);
    nearest.lower_limit(limit_of_radius(distances[k - 1]));
}

// Compares every row of the chunk with the query.
template <typename Sink>
void ExactScan::scan_rows(const std::uint8_t* query, std::size_t first, std::size_t count,
                          Scratch& scratch, Sink& sink) const {
    const Kernels& k = kernels();
    const auto kernel =
        measure_ == Measure::differing_bits ? k.differing_bits : k.absolute_differences;
    std::uint32_t* distances = scratch.distances.data();
    std::uint32_t* positions = scratch.positions.data();
    // Pieces that grow: the first is kept whole, and lowers the limit for the others.
    for (std::size_t done = 0, piece = first_piece; done < count; done += piece, piece *= 4) {
        piece = std::min(piece, count - done);
        kernel(rows_.data + (first + done) * rows_.stride, rows_.stride, piece, query, distances);
        const std::size_t kept = k.positions_below(distances, piece, sink.limit(), positions);
        for (std::size_t i = 0; i < kept; ++i)
            sink.offer(distances[positions[i]], std::uint32_t(first + done + positions[i]));
        sink.keep_nearest();
    }
    scratch.verified += count;
}

// Compares the rows of the chunk whose bound does not exclude them.
template <typename Sink>
void ExactScan::scan_bounds(const std::uint8_t* query, std::size_t first, std::size_t count,
                            Scratch& scratch, Sink& sink) const {
    const std::uint32_t limit = bound_limit(sink.limit());
    std::uint32_t* positions = scratch.positions.data();
    std::size_t kept = count;
    if (limit > no_bound)  // a capped bound excludes nothing
        std::iota(positions, positions + count, 0u);
    else
        kept =
            kernels().bounds_below(scratch.bounds.data(), count, std::uint16_t(limit), positions);
    for (std::size_t i = 0; i < kept; ++i) positions[i] += std::uint32_t(first);
    std::uint32_t* distances = scratch.distances.data();
    distances_at(positions, kept, query, distances);
    for (std::size_t i = 0; i < kept; ++i) sink.offer(distances[i], positions[i]);
    sink.keep_nearest();
    scratch.verified += kept;
}

void ExactScan::nearest_in_chunk(const Query& query, std::size_t first, std::size_t count,
                                 std::size_t k, Scratch& scratch, Nearest& nearest) const {
    if (!bounds_.data) return scan_rows(query.row, first, count, scratch, nearest);
    bound_chunk(query.bound, first, count, scratch);
    if (nearest.limit() == no_limit) seed_limit(query.row, first, count, k, scratch, nearest);
    scan_bounds(query.row, first, count, scratch, nearest);
}

void ExactScan::bound_chunk(const std::uint8_t* bound, std::size_t first, std::size_t count,
                            Scratch& scratch) const {
    kernels().bounding_differences(bounds_.data + first * bounds_.stride, bounds_.stride, count,
                                   bound, scratch.bounds.data());
}

void ExactScan::nearest_of_one(const Items& item, std::size_t k, std::int64_t* slots,
                               double* distances) const {
    // Kept from call to call: allocating it would cost as much as searching a small index.
    thread_local Scratch scratch;
    const std::size_t chunk = chunk_rows();
    scratch.reserve(std::min(chunk, rows_.count));
    scratch.query.resize(rows_.stride + bounds_.stride);
    const Query query{scratch.query.data(), scratch.query.data() + rows_.stride};
    pack_rows(item, limit_, rows_.stride, scratch.query.data());
    if (bounds_.data)
        bounds_of_row(query.row, rows_.width, bounds_, scratch.query.data() + rows_.stride);
    Nearest nearest(k);
    for (std::size_t first = 0; first < rows_.count; first += chunk)
        nearest_in_chunk(query, first, std::min(chunk, rows_.count - first), k, scratch, nearest);
    write_nearest(nearest.sorted(), k, slots, distances);
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
            for (std::size_t q = block * query_block; q < last_query; ++q)
                nearest_in_chunk(queries[q], first, count, k, s, found[q * divisions + part]);
        }
        if (divisions > 1) return;
        for (std::size_t q = block * query_block; q < last_query; ++q) {
            write_nearest(found[q].sorted(), k, slots + q * k, distances + q * k);
            found[q] = Nearest(0);  // give the memory back as we go
        }
    });
    for (std::size_t q = 0; divisions > 1 && q < queries.count; ++q) {
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
            if (!bounds_.data) {
                scan_rows(queries.rows.row(q), first, count, s, all);
                continue;
            }
            bound_chunk(queries.bounds.row(q), first, count, s);
            scan_bounds(queries.rows.row(q), first, count, s, all);
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
