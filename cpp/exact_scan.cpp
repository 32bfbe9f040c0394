#include "exact_scan.h"

#include <algorithm>
#include <limits>
#include <stdexcept>

#include "dispatch.h"
#include "workers.h"

namespace lookalike {
namespace {

constexpr std::uint32_t no_limit = std::numeric_limits<std::uint32_t>::max();
constexpr std::size_t query_block = queries_at_once;  // queries that share a chunk of rows
constexpr std::size_t seeds_per_k = 2;                // more seeds: a tighter first limit, dearer
constexpr std::size_t first_piece = 64;               // rows compared before there is a limit
constexpr std::size_t least_strip = 16;               // rows of which one is a seed, at the least

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

Found gather(std::vector<std::vector<Hit>>& hits_of_query) {
    Found found;
    found.offsets.push_back(0);
    for (std::vector<Hit>& hits : hits_of_query) {
        for (const Hit& hit : hits) {
            found.slots.push_back(std::int64_t(hit.slot));
            found.distances.push_back(hit.distance);
        }
        found.offsets.push_back(std::int64_t(found.slots.size()));
        std::vector<Hit>().swap(hits);  // give the memory back as we go
    }
    return found;
}

}  // namespace

// Queries, and their bounding rows if there are bounds.
struct ExactScan::BoundQueries {
    Queries queries;
    std::vector<std::uint8_t> bounds;
    std::size_t stride = 0;

    Query operator[](std::size_t q) const { return queries[q]; }
    const std::uint8_t* bound(std::size_t q) const { return bounds.data() + q * stride; }
};

// Room for one chunk of rows.
struct ExactScan::Scratch {
    BoundScratch bounds;
    std::vector<std::uint32_t> positions, distances;
    std::vector<std::uint32_t> several;  // distances of a block of queries
    std::vector<Nearest> nearest;        // of a block of queries
    Mask allowed = nullptr;
    std::uint64_t verified = 0;

    void reserve(std::size_t rows) {
        positions.resize(rows + 16);  // kernels store whole vectors
        distances.resize(rows);
    }
};

void ExactScan::make_query_bounds(BoundQueries& queries) const {
    if (!bounds_) return;
    queries.stride = bounds_->query_bytes();
    queries.bounds.resize(queries.queries.count * queries.stride);
    for (std::size_t q = 0; q < queries.queries.count; ++q)
        bounds_->code_query(queries.queries[q], queries.bounds.data() + q * queries.stride);
}

ExactScan::BoundQueries ExactScan::prepare(const Items& items) const {
    BoundQueries queries;
    verifier_.prepare(items, queries.queries);
    make_query_bounds(queries);
    return queries;
}

// Rows that fit the second-level cache together, whatever a row's length.
std::size_t ExactScan::chunk_rows() const {
    const std::size_t stride = bounds_ ? bounds_->stride() : verifier_.rows().stride;
    return std::clamp<std::size_t>((std::size_t(128) << 10) / std::max<std::size_t>(stride, 1), 256,
                                   4096);
}

// A first limit, so that the first chunk is not kept whole: the chunk is cut into strips and
// the most promising row of each is compared. The k-th best of these bounds the k-th nearest.
void ExactScan::seed_limit(const Query& query, std::size_t first, std::size_t count, std::size_t k,
                           Scratch& scratch, Nearest& nearest) const {
    const std::size_t strips = seeds_per_k * (k + 1);
    if (strips * least_strip > count) return;
    std::uint32_t* slots = scratch.positions.data();
    for (std::size_t strip = 0; strip < strips; ++strip) {
        const std::size_t begin = count * strip / strips, end = count * (strip + 1) / strips;
        slots[strip] = std::uint32_t(first + bounds_->least(begin, end, scratch.bounds));
    }
    const std::size_t seeds = drop_masked(scratch.allowed, slots, strips);
    if (seeds < k) return;
    std::uint32_t* distances = scratch.distances.data();
    verifier_.distances_at(slots, seeds, query, distances);
    scratch.verified += seeds;
    std::nth_element(distances, distances + (k - 1), distances + seeds);
    nearest.expect(distances[k - 1]);
}

// Offers the rows of a chunk at these distances from the query, or at those that it computes.
template <typename Sink>
void ExactScan::scan_rows(const Query& query, std::size_t first, std::size_t count,
                          const std::uint32_t* known, Scratch& scratch, Sink& sink) const {
    const Kernels& k = kernels();
    std::uint32_t* positions = scratch.positions.data();
    // Pieces that grow: the first is kept whole, and lowers the limit for the others.
    for (std::size_t done = 0, piece = first_piece; done < count; done += piece, piece *= 4) {
        piece = std::min(piece, count - done);
        if (!known) verifier_.distances(first + done, piece, query, scratch.distances.data());
        const std::uint32_t* distances = known ? known + done : scratch.distances.data();
        const Mask allowed = scratch.allowed ? scratch.allowed + first + done : nullptr;
        const std::size_t kept = drop_masked(
            allowed, positions, k.positions_below(distances, piece, sink.limit(), positions));
        for (std::size_t i = 0; i < kept; ++i)
            sink.offer(distances[positions[i]], std::uint32_t(first + done + positions[i]));
        sink.keep_nearest();
    }
    scratch.verified += count;
}

// Whether a whole block of queries is compared with each row while that is in a register.
bool ExactScan::compares_blocks() const {
    return !bounds_ && verifier_.compares_several();
}

// Compares the rows of the chunk whose bounds do not exclude them.
template <typename Sink>
void ExactScan::scan_bounds(const Query& query, const std::uint8_t* code, std::size_t first,
                            std::size_t count, Scratch& scratch, Sink& sink) const {
    std::uint32_t* positions = scratch.positions.data();
    const std::size_t near =
        bounds_->may_be_below(count, sink.limit(), code, scratch.bounds, positions);
    for (std::size_t i = 0; i < near; ++i) positions[i] += std::uint32_t(first);
    const std::size_t kept = drop_masked(scratch.allowed, positions, near);
    std::uint32_t* distances = scratch.distances.data();
    verifier_.distances_at(positions, kept, query, distances);
    for (std::size_t i = 0; i < kept; ++i) sink.offer(distances[i], positions[i]);
    sink.keep_nearest();
    scratch.verified += kept;
}

void ExactScan::nearest_in_chunk(const BoundQueries& queries, std::size_t q, std::size_t first,
                                 std::size_t count, std::size_t k, Scratch& scratch,
                                 Nearest& nearest) const {
    if (!bounds_) return scan_rows(queries[q], first, count, nullptr, scratch, nearest);
    bounds_->compute(first, count, queries.bound(q), scratch.bounds);
    if (nearest.limit() == no_limit) seed_limit(queries[q], first, count, k, scratch, nearest);
    scan_bounds(queries[q], queries.bound(q), first, count, scratch, nearest);
}

void ExactScan::nearest_of_one(const Items& item, std::size_t k, Mask allowed, std::int64_t* slots,
                               double* distances) const {
    // Kept from call to call: allocating it would cost as much as searching a small index.
    thread_local Scratch scratch;
    thread_local BoundQueries query;
    verifier_.prepare(item, query.queries);
    make_query_bounds(query);
    const std::size_t count = verifier_.rows().count, chunk = chunk_rows();
    scratch.reserve(std::min(chunk, count));
    scratch.allowed = allowed;
    Nearest nearest = verifier_.nearest(k);
    for (std::size_t first = 0; first < count; first += chunk)
        nearest_in_chunk(query, 0, first, std::min(chunk, count - first), k, scratch, nearest);
    verifier_.write(nearest, query[0], k, slots, distances);
}

ScanWork ExactScan::nearest(const Items& items, std::size_t k, Mask allowed, std::size_t threads,
                            std::int64_t* slots, double* distances) const {
    const BoundQueries queries = prepare(items);
    const std::size_t blocks = (items.count + query_block - 1) / query_block;
    // With fewer blocks of queries than threads the rows are divided as well.
    const std::size_t chunk = chunk_rows();
    const std::size_t chunks = (verifier_.rows().count + chunk - 1) / chunk;
    const std::size_t parts =
        blocks == 0 || threads <= blocks ? 1 : std::min((threads + blocks - 1) / blocks, chunks);
    const std::size_t divisions = std::max<std::size_t>(parts, 1);

    // Whole scans are written at once, from room that a worker uses again and again.
    const Nearest empty = verifier_.nearest(k);
    std::vector<Nearest> found(divisions > 1 ? items.count * divisions : 0, empty);
    std::vector<Scratch> scratch(std::max<std::size_t>(threads, 1));
    run_tasks(blocks * divisions, threads, [&](std::size_t task, std::size_t worker) {
        const std::size_t block = task / divisions, part = task % divisions;
        const std::size_t first_query = block * query_block;
        const std::size_t last_query = std::min(first_query + query_block, items.count);
        Scratch& s = scratch[worker];
        s.reserve(std::min(chunk, verifier_.rows().count));
        s.allowed = allowed;
        s.nearest.resize(query_block, empty);
        for (Nearest& nearest : s.nearest) nearest.clear();
        const auto nearest_of = [&](std::size_t q) -> Nearest& {
            return divisions > 1 ? found[q * divisions + part] : s.nearest[q - first_query];
        };
        for (std::size_t c = chunks * part / divisions; c < chunks * (part + 1) / divisions; ++c) {
            const std::size_t first = c * chunk,
                              count = std::min(chunk, verifier_.rows().count - first);
            if (compares_blocks() && last_query - first_query == query_block) {
                s.several.resize(query_block * count);
                verifier_.distances_of_several(first, count, queries[first_query],
                                               s.several.data());
                for (std::size_t q = first_query; q < last_query; ++q)
                    scan_rows(queries[q], first, count,
                              s.several.data() + (q - first_query) * count, s, nearest_of(q));
                continue;
            }
            for (std::size_t q = first_query; q < last_query; ++q)
                nearest_in_chunk(queries, q, first, count, k, s, nearest_of(q));
        }
        if (divisions > 1) return;
        for (std::size_t q = first_query; q < last_query; ++q)
            verifier_.write(nearest_of(q), queries[q], k, slots + q * k, distances + q * k);
    });
    for (std::size_t q = 0; divisions > 1 && q < items.count; ++q) {
        Nearest& whole = found[q * divisions];
        for (std::size_t part = 1; part < divisions; ++part)
            whole.merge(found[q * divisions + part]);
        verifier_.write(whole, queries[q], k, slots + q * k, distances + q * k);
    }
    ScanWork work;
    for (const Scratch& s : scratch) work.verified += s.verified;
    return work;
}

Found ExactScan::within(const Items& items, double radius, Mask allowed,
                        std::size_t threads) const {
    const BoundQueries queries = prepare(items);
    const std::size_t rows = verifier_.rows().count, chunk = chunk_rows();
    std::vector<std::vector<Hit>> hits(items.count);
    std::vector<Scratch> scratch(std::max<std::size_t>(threads, 1));
    run_tasks(items.count, threads, [&](std::size_t q, std::size_t worker) {
        All all(verifier_.limit_within(radius));
        Scratch& s = scratch[worker];
        s.reserve(std::min(chunk, rows));
        s.allowed = allowed;
        for (std::size_t first = 0; first < rows; first += chunk) {
            const std::size_t count = std::min(chunk, rows - first);
            if (!bounds_) {
                scan_rows(queries[q], first, count, nullptr, s, all);
                continue;
            }
            bounds_->compute(first, count, queries.bound(q), s.bounds);
            scan_bounds(queries[q], queries.bound(q), first, count, s, all);
        }
        hits[q] = verifier_.hits(all.keys, queries[q], radius);
    });
    return gather(hits);
}

template <typename Sink>
void ExactScan::compare_candidates(const Query& query, const std::int64_t* candidates,
                                   std::size_t count, Scratch& scratch, Sink& sink) const {
    constexpr std::size_t piece = 1024;
    scratch.reserve(piece);
    for (std::size_t first = 0; first < count; first += piece) {
        const std::size_t size = std::min(piece, count - first);
        for (std::size_t i = 0; i < size; ++i) {
            const std::int64_t slot = candidates[first + i];
            if (slot < 0 || std::size_t(slot) >= verifier_.rows().count)
                throw std::out_of_range("a candidate is not a row of this index");
            scratch.positions[i] = std::uint32_t(slot);
        }
        verifier_.distances_at(scratch.positions.data(), size, query, scratch.distances.data());
        for (std::size_t i = 0; i < size; ++i)
            sink.offer(scratch.distances[i], scratch.positions[i]);
    }
}

void ExactScan::nearest_among(const Items& items, const std::int64_t* offsets,
                              const std::int64_t* candidates, std::size_t k, std::size_t threads,
                              std::int64_t* slots, double* distances) const {
    const BoundQueries queries = prepare(items);
    std::vector<Scratch> scratch(std::max<std::size_t>(threads, 1));
    run_tasks(items.count, threads, [&](std::size_t q, std::size_t worker) {
        Nearest nearest = verifier_.nearest(k);
        compare_candidates(queries[q], candidates + offsets[q],
                           std::size_t(offsets[q + 1] - offsets[q]), scratch[worker], nearest);
        verifier_.write(nearest, queries[q], k, slots + q * k, distances + q * k);
    });
}

Found ExactScan::within_among(const Items& items, const std::int64_t* offsets,
                              const std::int64_t* candidates, double radius,
                              std::size_t threads) const {
    const BoundQueries queries = prepare(items);
    std::vector<Scratch> scratch(std::max<std::size_t>(threads, 1));
    std::vector<std::vector<Hit>> hits(items.count);
    run_tasks(items.count, threads, [&](std::size_t q, std::size_t worker) {
        All all(verifier_.limit_within(radius));
        compare_candidates(queries[q], candidates + offsets[q],
                           std::size_t(offsets[q + 1] - offsets[q]), scratch[worker], all);
        hits[q] = verifier_.hits(all.keys, queries[q], radius);
    });
    return gather(hits);
}

}  // namespace lookalike
