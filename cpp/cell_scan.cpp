#include "cell_scan.h"

#include <algorithm>
#include <cmath>
#include <cstring>
#include <numeric>
#include <stdexcept>
#include <utility>

#include "dispatch.h"
#include "stopwatch.h"
#include "workers.h"

namespace lookalike {
namespace {

constexpr std::size_t queries_together = 16;       // that a task hashes or answers
constexpr std::size_t queries_sorted = 8192;       // of a batch, by the cells that they look into
constexpr std::size_t scanned_in_order = 16;       // nearest cells that are sorted
constexpr std::size_t most_counted = 48;           // keys that are sorted by counting
constexpr std::size_t more_probes = 4;             // times as many, when too few rows were found
constexpr std::size_t lines_ahead = 16;            // cache lines of the next cell asked for early
constexpr std::size_t rows_ahead_bytes = 1 << 18;  // of rows asked for while cells are scanned

// Whose exact distances decide which cells are probed: a few more than these, that rank first.
std::size_t compared_for(std::size_t probes) {
    return probes + probes / 4 + 4;
}

// The fewest probes that compare the cell of this rank.
std::size_t probes_to_compare(std::size_t rank) {
    std::size_t probes = std::max<std::size_t>(rank * 4 / 5, 5) - 4;
    while (compared_for(probes) < rank) ++probes;
    return probes;
}

// As many as `wanted` would be far too many when estimates tie: take them by slot.
std::size_t cut_ties(std::size_t count, std::size_t wanted, std::uint32_t* estimates,
                     std::uint32_t* slots) {
    std::vector<Key> keys(count);
    for (std::size_t i = 0; i < count; ++i) keys[i] = make_key(estimates[i], slots[i]);
    std::nth_element(keys.begin(), keys.begin() + std::ptrdiff_t(wanted), keys.end());
    for (std::size_t i = 0; i < wanted; ++i) {
        estimates[i] = key_distance(keys[i]);
        slots[i] = key_slot(keys[i]);
    }
    return wanted;
}

// Leaves the `wanted` smallest distances and their cells, ties by number.
std::size_t keep_nearest(std::size_t count, std::size_t wanted, std::uint32_t* distances,
                         std::uint32_t* cells) {
    const std::uint32_t most = about_kth_smallest(distances, count, wanted, 0);
    const std::size_t kept = kernels().keep_below(distances, cells, count, most + 1);
    return kept > wanted ? cut_ties(kept, wanted, distances, cells) : kept;
}

// Few keys are placed quickest by counting the smaller ones: nothing there to mispredict.
void sort_few(std::size_t count, std::vector<Key>& keys) {
    Key sorted[most_counted];
    for (std::size_t i = 0; i < count; ++i) {
        std::size_t place = 0;
        for (std::size_t j = 0; j < count; ++j) place += keys[j] < keys[i];
        sorted[place] = keys[i];
    }
    std::copy_n(sorted, count, keys.begin());
}

// The keys of distances and cells, at least the first `in_order` of them ascending.
void first_in_order(std::size_t in_order, std::size_t count, const std::uint32_t* distances,
                    const std::uint32_t* cells, std::vector<Key>& keys) {
    const std::size_t least = std::min(in_order, count);
    const std::uint32_t most = about_kth_smallest(distances, count, least, least);
    keys.resize(count);
    std::size_t near = 0;
    for (std::size_t i = 0; i < count; ++i) {
        keys[i] = make_key(distances[i], cells[i]);
        if (distances[i] <= most) std::swap(keys[near++], keys[i]);
    }
    if (near <= most_counted) return sort_few(near, keys);
    std::sort(keys.begin(), keys.begin() + std::ptrdiff_t(near));
}

float float_of(std::uint32_t bits) {
    float value;
    std::memcpy(&value, &bits, sizeof value);
    return value;
}

}  // namespace

// A query after the first step: what the others need of it.
struct CellScan::Hashed {
    const float* y = nullptr;  // projected
    QueryCode code;
    std::vector<Key> probed;  // exact distances and cells, the nearest first
    float nearest = 0;        // distance of the first
    std::size_t candidates = 0;
    bool widened = false;
};

// Memory of one search, used again by the next.
struct CellScan::Scratch {
    QueryCode cell_query;
    std::vector<std::uint32_t> cell_distances, positions;
    std::vector<std::uint32_t> estimates, slots;
    std::size_t kept = 0;
    std::size_t scanned = 0;
    Mask allowed = nullptr;
};

// Queries of a batch that are sorted together.
struct CellScan::Part {
    std::size_t first = 0;  // query of the batch
    std::vector<float> projected;
    std::vector<Hashed> hashed;
    std::vector<Key> order;  // region and nearest cell, number in this part

    Part(std::size_t count, std::size_t outputs)
        : projected(count * outputs), hashed(count), order(count) {}
};

CellScan::CellScan(Verifier verifier, Projection projection, const Cells& cells, Sketch sketch,
                   CellBlocks blocks)
    : verifier_(verifier),
      projection_(projection),
      cells_(cells),
      sketch_(std::move(sketch)),
      blocks_(blocks) {
    if (projection.outputs < sketch_.dimensions() || cells.dimensions() != sketch_.dimensions() ||
        projection.width != verifier.rows().width)
        throw std::invalid_argument("projection, cells and sketch do not belong together");
    mean_ = projection.mean_row(verifier.rows().stride);
}

// Several at once read the matrix together; y has room for what is projected, side by side.
void CellScan::project(const Queries& queries, std::size_t first, std::size_t count,
                       float* y) const {
    projection_.apply(queries[first].row, queries.bytes_each, count, y);
}

void CellScan::rank_cells(const float* y, Scratch& scratch) const {
    cells_.code_query(y, scratch.cell_query);
    scratch.cell_distances.resize(cells_.padded_size() + block_vectors);
    scratch.positions.resize(
        std::max(scratch.positions.size(), cells_.padded_size() + block_vectors));
    cells_.rank(scratch.cell_query, scratch.cell_distances.data());
}

std::uint32_t CellScan::first_cell(const Scratch& scratch) const {
    return std::uint32_t(kernels().least(scratch.cell_distances.data(), cells_.size()));
}

// What the sketches do not see of a query. Roughly, and in a kernel: it decides nothing exact.
float CellScan::tail(const Query& query, const float* y) const {
    std::uint32_t whole;
    const auto distances =
        projection_.bytes ? kernels().squared_differences : kernels().float_squares;
    distances(mean_.data(), verifier_.rows().stride, 1, query.row, &whole);
    float seen = 0;
    for (std::size_t j = 0; j < sketch_.dimensions(); ++j) seen += y[j] * y[j];
    return std::max(0.0f, (projection_.bytes ? float(whole) : float_of(whole)) - seen);
}

// The nearest of the cells that rank first, ties by number. The first few of them are in the order
// of their distances: they lower the limit for all others.
void CellScan::choose_cells(std::size_t probes, Scratch& scratch, Hashed& hashed) const {
    std::uint32_t* distances = scratch.cell_distances.data();
    std::uint32_t* first = scratch.positions.data();
    const std::size_t wanted = std::min(probes, cells_.size());
    const std::size_t compared = cells_.first_cells(distances, compared_for(wanted), first);
    cells_.exact_distances(hashed.y, first, compared, distances);
    const std::size_t chosen = keep_nearest(compared, wanted, distances, first);
    first_in_order(scanned_in_order, chosen, distances, first, hashed.probed);
    hashed.nearest = float_of(key_distance(hashed.probed[0]));
}

// Chooses the cells to scan and how many rows to verify, with the effort that the query's region
// asks for, or with the wide one when the query is unlike those that efforts were measured on.
void CellScan::hash(const Query& query, const float* y, const Efforts& efforts, Scratch& scratch,
                    Hashed& hashed) const {
    hashed.y = y;
    sketch_.code_query(y, hashed.code);
    rank_cells(y, scratch);
    const std::size_t region = efforts.regions[first_cell(scratch)];
    choose_cells(efforts.usual[region].probes, scratch, hashed);
    hashed.candidates = efforts.usual[region].candidates;
    hashed.widened = !efforts.are_usual({hashed.nearest, tail(query, y)});
    if (!hashed.widened) return;
    cells_.rank(scratch.cell_query, scratch.cell_distances.data());
    choose_cells(efforts.wide[region].probes, scratch, hashed);
    hashed.candidates = efforts.wide[region].candidates;
}

// Whoever asks for k rows gets k, if so many may be found: scans more cells until there are.
void CellScan::filter_at_least(std::size_t k, Hashed& hashed, Scratch& scratch) const {
    filter(hashed, scratch);
    while (scratch.kept < k && hashed.probed.size() < cells_.size()) {
        rank_cells(hashed.y, scratch);
        choose_cells(more_probes * hashed.probed.size(), scratch, hashed);
        hashed.candidates = std::max(k, hashed.candidates);
        filter(hashed, scratch);
    }
}

// What a cell's distance adds to the estimates of its rows: what it has over the nearest cell's,
// so that a query far from everything costs no resolution.
std::uint32_t CellScan::offset_of(std::uint32_t cell_distance, const Hashed& hashed) const {
    const float units = (float_of(cell_distance) - hashed.nearest) / sketch_.unit();
    return estimate_zero + std::uint32_t(rounded(units, most_norm)) + hashed.code.bias;
}

// Takes over what was found in a cell, without the rows that may not be found.
void CellScan::take_allowed(std::size_t found, Scratch& scratch) const {
    if (!scratch.allowed) {
        scratch.kept += found;
        return;
    }
    std::uint32_t* estimates = scratch.estimates.data();
    std::uint32_t* slots = scratch.slots.data();
    const std::size_t end = scratch.kept + found;
    for (std::size_t i = scratch.kept; i < end; ++i) {
        estimates[scratch.kept] = estimates[i];
        slots[scratch.kept] = slots[i];
        const std::uint32_t row = blocks_.rows[slots[i]];
        scratch.kept += row != no_row && scratch.allowed[row] != 0;
    }
}

void CellScan::scan_cell(Key probe, std::uint32_t limit, const Hashed& hashed,
                         Scratch& scratch) const {
    const std::size_t cell = key_slot(probe), first = blocks_.starts[cell];
    const std::size_t count = blocks_.starts[cell + 1] - first;
    const std::size_t bytes = block_bytes(sketch_.dimensions());
    const std::size_t room = scratch.kept + block_vectors * (count + 1);
    if (scratch.estimates.size() < room) {
        scratch.estimates.resize(room + room / 2);
        scratch.slots.resize(room + room / 2);
    }
    const std::size_t found = kernels().scan_blocks(
        blocks_.blocks + first * bytes, count, hashed.code.codes.data(), sketch_.dimensions(),
        hashed.code.shift, offset_of(key_distance(probe), hashed), limit,
        std::uint32_t(first * block_vectors), scratch.estimates.data() + scratch.kept,
        scratch.slots.data() + scratch.kept);
    take_allowed(found, scratch);
    scratch.scanned += count * block_vectors;
}

// Asks for the rows that were kept so far, many of which will be verified: they arrive while the
// other cells are scanned. Into the second cache, and no more than fits there.
void CellScan::ask_for_rows(const Scratch& scratch) const {
    const Rows& rows = verifier_.rows();
    const std::size_t count = std::min(scratch.kept, rows_ahead_bytes / rows.stride);
    for (std::size_t i = 0; i < count; ++i) {
        const std::uint32_t row = blocks_.rows[scratch.slots[i]];
        if (row == no_row) continue;
        const std::uint8_t* data = rows.data + row * rows.stride;
        for (std::size_t at = 0; at < rows.stride; at += 64) __builtin_prefetch(data + at, 0, 2);
    }
}

// Leaves the slots of the `candidates` smallest estimates of the probed cells, or a few more: at
// most one in 32.
void CellScan::filter(const Hashed& hashed, Scratch& scratch) const {
    const std::size_t candidates = hashed.candidates;
    const std::size_t bytes = block_bytes(sketch_.dimensions());
    std::uint32_t limit = estimate_zero + (1u << 30);  // below every estimate of padding
    scratch.kept = scratch.scanned = 0;
    const auto keep_smallest = [&](std::size_t slack) {
        std::uint32_t* estimates = scratch.estimates.data();
        const std::uint32_t most = about_kth_smallest(estimates, scratch.kept, candidates, slack);
        scratch.kept =
            kernels().keep_below(estimates, scratch.slots.data(), scratch.kept, most + 1);
        limit = most;
    };
    const std::size_t nearly_all = hashed.probed.size() * 3 / 4;
    for (std::size_t i = 0; i < hashed.probed.size(); ++i) {
        if (i + 1 < hashed.probed.size()) {
            const std::uint8_t* next =
                blocks_.blocks + blocks_.starts[key_slot(hashed.probed[i + 1])] * bytes;
            for (std::size_t line = 0; line < lines_ahead; ++line)
                __builtin_prefetch(next + 64 * line);
        }
        scan_cell(hashed.probed[i], limit, hashed, scratch);
        const bool are_most = i + 1 == nearly_all;
        if (scratch.kept > (i == 0 || are_most ? candidates : 2 * candidates + 64))
            keep_smallest(candidates / 8 + 1);
        if (are_most) ask_for_rows(scratch);
    }
    // A row more costs more than a step of the bisection: this time there is little slack.
    if (scratch.kept > candidates) keep_smallest(candidates / 32);
    if (scratch.kept > candidates + candidates / 32)
        scratch.kept =
            cut_ties(scratch.kept, candidates, scratch.estimates.data(), scratch.slots.data());
}

// The exact distances of the rows that passed the filter, and the k nearest of them.
void CellScan::verify(const Query& query, std::size_t k, Scratch& scratch, std::int64_t* rows,
                      double* distances) const {
    std::uint32_t* slots = scratch.slots.data();
    for (std::size_t i = 0; i < scratch.kept; ++i) slots[i] = blocks_.rows[slots[i]];
    verifier_.distances_at(slots, scratch.kept, query, scratch.estimates.data());
    Nearest nearest = verifier_.nearest(k);
    if (scratch.kept > 2 * k)  // so few rows are inserted one by one
        nearest.expect(about_kth_smallest(scratch.estimates.data(), scratch.kept, k, k / 4));
    for (std::size_t i = 0; i < scratch.kept; ++i) nearest.offer(scratch.estimates[i], slots[i]);
    verifier_.write(nearest, query, k, rows, distances);
}

bool CellScan::nearest_of_one(const Items& item, std::size_t k, const Efforts& efforts,
                              Mask allowed, std::int64_t* rows, double* distances,
                              CellTrace* trace) const {
    thread_local Queries query;
    thread_local Scratch scratch;
    thread_local Hashed hashed;
    thread_local std::vector<float> projected;
    scratch.allowed = allowed;
    projected.resize(projection_.outputs);
    verifier_.prepare(item, query);
    const auto now = [&] { return trace ? Clock::now() : Clock::time_point(); };
    const Clock::time_point start = now();
    project(query, 0, 1, projected.data());
    hash(query[0], projected.data(), efforts, scratch, hashed);
    const Clock::time_point hash_end = now();
    filter_at_least(k, hashed, scratch);
    const Clock::time_point filter_end = now();
    verify(query[0], k, scratch, rows, distances);
    if (trace)
        *trace = {hashed.probed.size(),
                  scratch.scanned,
                  scratch.kept,
                  microseconds(start, hash_end),
                  microseconds(hash_end, filter_end),
                  microseconds(filter_end, Clock::now())};
    return hashed.widened;
}

// Hashes the queries [i, end) of a part, and notes where they look first.
void CellScan::hash_some(const Queries& queries, std::size_t i, std::size_t end,
                         const Efforts& efforts, Scratch& scratch, Part& part) const {
    float* y = part.projected.data() + i * projection_.outputs;
    project(queries, part.first + i, end - i, y);
    for (; i < end; ++i, y += projection_.outputs) {
        hash(queries[part.first + i], y, efforts, scratch, part.hashed[i]);
        const std::uint32_t cell = key_slot(part.hashed[i].probed[0]);
        const std::uint32_t region = efforts.regions[cell];
        part.order[i] = make_key(region << 24 | cell, std::uint32_t(i));
    }
}

// All queries of a part are hashed and then answered by the cells that they look into first: those
// that follow each other find sketches and rows in the caches.
void CellScan::nearest(const Items& items, std::size_t k, const Efforts& efforts, Mask allowed,
                       std::size_t threads, std::int64_t* rows, double* distances,
                       std::uint8_t* widened) const {
    Queries queries;
    verifier_.prepare(items, queries);
    std::vector<Scratch> scratch(std::max<std::size_t>(threads, 1));
    for (Scratch& own : scratch) own.allowed = allowed;
    Part part(std::min(items.count, queries_sorted), projection_.outputs);
    const auto hash_them = [&](std::size_t first, std::size_t end, std::size_t worker) {
        hash_some(queries, first, end, efforts, scratch[worker], part);
    };
    const auto answer_them = [&](std::size_t first, std::size_t end, std::size_t worker) {
        for (std::size_t place = first; place < end; ++place) {
            const std::size_t i = key_slot(part.order[place]), q = part.first + i;
            filter_at_least(k, part.hashed[i], scratch[worker]);
            verify(queries[q], k, scratch[worker], rows + q * k, distances + q * k);
            if (widened) widened[q] = part.hashed[i].widened;
        }
    };
    for (; part.first < items.count; part.first += part.order.size()) {
        const std::size_t count = std::min(part.order.size(), items.count - part.first);
        run_pieces(count, queries_together, threads, hash_them);
        std::sort(part.order.begin(), part.order.begin() + std::ptrdiff_t(count));
        run_pieces(count, queries_together, threads, answer_them);
    }
}

std::vector<std::uint32_t> CellScan::candidates(const Items& item, const Efforts& efforts,
                                                Mask allowed) const {
    Queries query;
    Scratch scratch;
    Hashed hashed;
    scratch.allowed = allowed;
    verifier_.prepare(item, query);
    std::vector<float> y(projection_.outputs);
    project(query, 0, 1, y.data());
    hash(query[0], y.data(), efforts, scratch, hashed);
    filter(hashed, scratch);
    std::vector<std::uint32_t> rows(scratch.kept);
    for (std::size_t i = 0; i < scratch.kept; ++i) rows[i] = blocks_.rows[scratch.slots[i]];
    std::sort(rows.begin(), rows.end());
    return rows;
}

// Of all cells and rows; the query is projected, and is coded here.
void CellScan::estimate_all(Hashed& hashed, std::vector<std::uint32_t>& distances,
                            std::vector<std::uint32_t>& estimates) const {
    const std::size_t bytes = block_bytes(sketch_.dimensions());
    std::vector<std::uint32_t> all(cells_.size());
    distances.resize(cells_.size());
    std::iota(all.begin(), all.end(), 0u);
    sketch_.code_query(hashed.y, hashed.code);
    cells_.exact_distances(hashed.y, all.data(), all.size(), distances.data());
    hashed.nearest = float_of(distances[kernels().least(distances.data(), distances.size())]);
    for (std::size_t c = 0; c < cells_.size(); ++c) {
        const std::size_t first = blocks_.starts[c];
        kernels().estimate_blocks(blocks_.blocks + first * bytes, blocks_.starts[c + 1] - first,
                                  hashed.code.codes.data(), sketch_.dimensions(), hashed.code.shift,
                                  offset_of(distances[c], hashed),
                                  estimates.data() + first * block_vectors);
    }
}

// The fewest probes with which the cell is probed.
std::uint32_t CellScan::rank_of_cell(std::uint32_t cell, const Scratch& scratch,
                                     const std::vector<std::uint32_t>& distances) const {
    const auto rank_by = [&](const std::vector<std::uint32_t>& values) {
        return kernels().count_at_most(values.data(), cells_.size(), values[cell]);
    };
    return std::uint32_t(
        std::max(rank_by(distances), probes_to_compare(rank_by(scratch.cell_distances))));
}

void CellScan::ranks(const Items& items, const std::int64_t* wanted, std::size_t count,
                     const std::int64_t* excluded, Mask allowed, std::size_t threads, Ranks* ranks,
                     Sighting* sightings) const {
    Queries queries;
    verifier_.prepare(items, queries);
    const std::size_t slots = blocks_.starts[cells_.size()] * block_vectors;
    std::vector<std::uint32_t> slot_of(verifier_.rows().count, no_row), cell_of(slots);
    for (std::size_t c = 0; c < cells_.size(); ++c)
        std::fill(cell_of.begin() + std::ptrdiff_t(blocks_.starts[c] * block_vectors),
                  cell_of.begin() + std::ptrdiff_t(blocks_.starts[c + 1] * block_vectors),
                  std::uint32_t(c));
    for (std::size_t s = 0; s < slots; ++s)
        if (blocks_.rows[s] != no_row) slot_of[blocks_.rows[s]] = std::uint32_t(s);
    const auto has_slot = [&](std::int64_t row) { return slot_of[std::size_t(row)] != no_row; };
    struct Memory {
        Scratch scratch;
        Hashed hashed;
        std::vector<float> y;
        std::vector<std::uint32_t> distances, estimates, near, positions;
    };
    std::vector<Memory> memory(std::max<std::size_t>(threads, 1));
    run_tasks(items.count, threads, [&](std::size_t q, std::size_t worker) {
        auto& [scratch, hashed, y, distances, estimates, near, positions] = memory[worker];
        estimates.resize(slots);
        positions.resize(slots + block_vectors);
        y.resize(projection_.outputs);
        project(queries, q, 1, y.data());
        rank_cells(y.data(), scratch);
        hashed.y = y.data();
        estimate_all(hashed, distances, estimates);
        sightings[q] = {first_cell(scratch), {hashed.nearest, tail(queries[q], y.data())}};
        for (std::size_t s = 0; allowed && s < slots; ++s)
            if (blocks_.rows[s] != no_row && !allowed[blocks_.rows[s]]) estimates[s] = ~0u;
        if (excluded[q] >= 0 && has_slot(excluded[q]))
            estimates[slot_of[std::size_t(excluded[q])]] = ~0u;
        std::uint32_t most = 0;
        for (std::size_t i = 0; i < count; ++i)
            if (wanted[q * count + i] >= 0 && has_slot(wanted[q * count + i]))
                most = std::max(most, estimates[slot_of[std::size_t(wanted[q * count + i])]]);
        // Only estimates up to the largest wanted one are counted: sort them once.
        const std::size_t kept = kernels().positions_below(estimates.data(), slots,
                                                           most + (most < ~0u), positions.data());
        near.resize(kept);
        for (std::size_t i = 0; i < kept; ++i) near[i] = estimates[positions[i]];
        std::sort(near.begin(), near.end());
        for (std::size_t i = 0; i < count; ++i) {
            Ranks& rank = ranks[q * count + i];
            if (wanted[q * count + i] < 0) {
                rank = {0, 0};
                continue;
            }
            if (!has_slot(wanted[q * count + i])) {
                rank = {no_row, no_row};  // in no cell: nothing finds it
                continue;
            }
            const std::uint32_t slot = slot_of[std::size_t(wanted[q * count + i])];
            rank.cell = rank_of_cell(cell_of[slot], scratch, distances);
            rank.estimate = std::uint32_t(
                std::upper_bound(near.begin(), near.end(), estimates[slot]) - near.begin());
        }
    });
}

}  // namespace lookalike
