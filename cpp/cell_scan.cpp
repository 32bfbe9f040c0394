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

constexpr std::size_t queries_together = 16;  // that a task answers
constexpr std::size_t scanned_in_order = 16;  // nearest cells that are sorted
constexpr std::size_t most_counted = 48;      // keys that are sorted by counting
constexpr std::size_t more_probes = 4;        // times as many, when too few rows were found
constexpr std::size_t lines_ahead = 16;       // cache lines of the next cell asked for early

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

// Leaves the `wanted` smallest keys, and at least the first `in_order` of them in order.
void first_in_order(std::size_t wanted, std::size_t in_order, std::vector<Key>& keys,
                    std::vector<Key>& sorted) {
    if (keys.size() > most_counted) {
        const auto end = keys.begin() + std::ptrdiff_t(wanted);
        std::nth_element(keys.begin(), end - (end == keys.end()), keys.end());
        keys.resize(wanted);
        std::partial_sort(keys.begin(), keys.begin() + std::ptrdiff_t(std::min(in_order, wanted)),
                          keys.end());
        return;
    }
    // Few keys are placed quickest by counting the smaller ones: nothing there to mispredict.
    sorted.resize(keys.size());
    for (const Key key : keys) {
        std::size_t place = 0;
        for (const Key other : keys) place += other < key;
        sorted[place] = key;
    }
    sorted.resize(wanted);
    std::swap(keys, sorted);
}

float float_of(std::uint32_t bits) {
    float value;
    std::memcpy(&value, &bits, sizeof value);
    return value;
}

}  // namespace

// Memory of one search, used again by the next.
struct CellScan::Scratch {
    std::vector<float> projected;  // queries of a task, side by side
    const float* y = nullptr;      // the one that is searched for
    QueryCode cell_query, query;
    std::vector<std::uint32_t> cell_distances, positions;
    std::vector<Key> probed;  // exact distances and cells, the nearest first
    std::vector<Key> sorted;
    float nearest = 0;  // distance of the first
    std::vector<std::uint32_t> estimates, slots;
    std::size_t kept = 0;
    std::size_t scanned = 0;
    bool widened = false;
    Mask allowed = nullptr;
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

// Several at once read the matrix together.
void CellScan::project(const Queries& queries, std::size_t first, std::size_t count,
                       Scratch& scratch) const {
    scratch.projected.resize(count * projection_.outputs);
    projection_.apply(queries[first].row, queries.bytes_each, count, scratch.projected.data());
    scratch.y = scratch.projected.data();
}

void CellScan::code(Scratch& scratch) const {
    cells_.code_query(scratch.y, scratch.cell_query);
    sketch_.code_query(scratch.y, scratch.query);
    scratch.cell_distances.resize(cells_.padded_size());
    scratch.positions.resize(std::max(scratch.positions.size(), cells_.padded_size() + 16));
    cells_.rank(scratch.cell_query, scratch.cell_distances.data());
}

std::uint32_t CellScan::first_cell(const Scratch& scratch) const {
    return std::uint32_t(kernels().least(scratch.cell_distances.data(), cells_.size()));
}

// What the sketches do not see of a query. Roughly, and in a kernel: it decides nothing exact.
float CellScan::tail(const Query& query, const Scratch& scratch) const {
    std::uint32_t whole;
    const auto distances =
        projection_.bytes ? kernels().squared_differences : kernels().float_squares;
    distances(mean_.data(), verifier_.rows().stride, 1, query.row, &whole);
    float seen = 0;
    for (std::size_t j = 0; j < sketch_.dimensions(); ++j) seen += scratch.y[j] * scratch.y[j];
    return std::max(0.0f, (projection_.bytes ? float(whole) : float_of(whole)) - seen);
}

// The nearest of the cells that rank first, ties by number. The first few of them are in the order
// of their distances: they lower the limit for all others.
void CellScan::choose_cells(std::size_t probes, Scratch& scratch) const {
    std::uint32_t* distances = scratch.cell_distances.data();
    std::uint32_t* first = scratch.positions.data();
    const std::size_t wanted = std::min(probes, cells_.size());
    const std::size_t compared = cells_.first_cells(distances, compared_for(wanted), first);
    cells_.exact_distances(scratch.y, first, compared, distances);
    scratch.probed.resize(compared);
    for (std::size_t i = 0; i < compared; ++i) scratch.probed[i] = make_key(distances[i], first[i]);
    first_in_order(wanted, scanned_in_order, scratch.probed, scratch.sorted);
    scratch.nearest = float_of(key_distance(scratch.probed[0]));
}

// Chooses the cells to scan with the effort that the query's region asks for, or with the wide one
// when the query is unlike those that efforts were measured on. Returns the rows to verify.
std::size_t CellScan::hash(const Query& query, const Efforts& efforts, Scratch& scratch) const {
    code(scratch);
    const std::size_t region = efforts.regions[first_cell(scratch)];
    choose_cells(efforts.usual[region].probes, scratch);
    scratch.widened = !efforts.are_usual({scratch.nearest, tail(query, scratch)});
    if (!scratch.widened) return efforts.usual[region].candidates;
    cells_.rank(scratch.cell_query, scratch.cell_distances.data());
    choose_cells(efforts.wide[region].probes, scratch);
    return efforts.wide[region].candidates;
}

// Whoever asks for k rows gets k, if so many may be found: scans more cells until there are.
void CellScan::filter_at_least(std::size_t k, std::size_t candidates, Scratch& scratch) const {
    filter(candidates, scratch);
    while (scratch.kept < k && scratch.probed.size() < cells_.size()) {
        cells_.rank(scratch.cell_query, scratch.cell_distances.data());
        choose_cells(more_probes * scratch.probed.size(), scratch);
        filter(std::max(k, candidates), scratch);
    }
}

// What a cell's distance adds to the estimates of its rows: what it has over the nearest cell's,
// so that a query far from everything costs no resolution.
std::uint32_t CellScan::offset_of(std::uint32_t cell_distance, const Scratch& scratch) const {
    const float units = (float_of(cell_distance) - scratch.nearest) / sketch_.unit();
    return estimate_zero + std::uint32_t(rounded(units, most_norm)) + scratch.query.bias;
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

void CellScan::scan_cell(Key probe, std::uint32_t limit, Scratch& scratch) const {
    const std::size_t cell = key_slot(probe), first = blocks_.starts[cell];
    const std::size_t count = blocks_.starts[cell + 1] - first;
    const std::size_t bytes = block_bytes(sketch_.dimensions());
    const std::size_t room = scratch.kept + block_vectors * (count + 1);
    if (scratch.estimates.size() < room) {
        scratch.estimates.resize(room + room / 2);
        scratch.slots.resize(room + room / 2);
    }
    const std::size_t found = kernels().scan_blocks(
        blocks_.blocks + first * bytes, count, scratch.query.codes.data(), sketch_.dimensions(),
        scratch.query.shift, offset_of(key_distance(probe), scratch), limit,
        std::uint32_t(first * block_vectors), scratch.estimates.data() + scratch.kept,
        scratch.slots.data() + scratch.kept);
    take_allowed(found, scratch);
    scratch.scanned += count * block_vectors;
}

// Leaves the slots of the `candidates` smallest estimates of the probed cells, or a few more: at
// most one in 32.
void CellScan::filter(std::size_t candidates, Scratch& scratch) const {
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
    for (std::size_t i = 0; i < scratch.probed.size(); ++i) {
        if (i + 1 < scratch.probed.size()) {
            const std::uint8_t* next =
                blocks_.blocks + blocks_.starts[key_slot(scratch.probed[i + 1])] * bytes;
            for (std::size_t line = 0; line < lines_ahead; ++line)
                __builtin_prefetch(next + 64 * line);
        }
        scan_cell(scratch.probed[i], limit, scratch);
        if (scratch.kept > (i == 0 ? candidates : 2 * candidates + 64))
            keep_smallest(candidates / 8 + 1);
    }
    // A row more costs more than a step of the bisection: this time there is little slack.
    if (scratch.kept > candidates) keep_smallest(candidates / 32);
    if (scratch.kept > candidates + candidates / 32)
        scratch.kept =
            cut_ties(scratch.kept, candidates, scratch.estimates.data(), scratch.slots.data());
}

bool CellScan::search(const Query& query, std::size_t k, const Efforts& efforts, Scratch& scratch,
                      std::int64_t* rows, double* distances, CellTrace* trace) const {
    const Clock::time_point start = trace ? Clock::now() : Clock::time_point();
    const std::size_t candidates = hash(query, efforts, scratch);
    const Clock::time_point hashed = trace ? Clock::now() : Clock::time_point();
    filter_at_least(k, candidates, scratch);
    const Clock::time_point filtered = trace ? Clock::now() : Clock::time_point();
    std::uint32_t* slots = scratch.slots.data();
    for (std::size_t i = 0; i < scratch.kept; ++i) slots[i] = blocks_.rows[slots[i]];
    verifier_.distances_at(slots, scratch.kept, query, scratch.estimates.data());
    Nearest nearest = verifier_.nearest(k);
    if (scratch.kept > 2 * k)  // so few rows are inserted one by one
        nearest.expect(about_kth_smallest(scratch.estimates.data(), scratch.kept, k, k / 4));
    for (std::size_t i = 0; i < scratch.kept; ++i) nearest.offer(scratch.estimates[i], slots[i]);
    verifier_.write(nearest, query, k, rows, distances);
    if (trace)
        *trace = {scratch.probed.size(),
                  scratch.scanned,
                  scratch.kept,
                  microseconds(start, hashed),
                  microseconds(hashed, filtered),
                  microseconds(filtered, Clock::now())};
    return scratch.widened;
}

bool CellScan::nearest_of_one(const Items& item, std::size_t k, const Efforts& efforts,
                              Mask allowed, std::int64_t* rows, double* distances,
                              CellTrace* trace) const {
    thread_local Queries query;
    thread_local Scratch scratch;
    scratch.allowed = allowed;
    verifier_.prepare(item, query);
    project(query, 0, 1, scratch);
    return search(query[0], k, efforts, scratch, rows, distances, trace);
}

void CellScan::nearest(const Items& items, std::size_t k, const Efforts& efforts, Mask allowed,
                       std::size_t threads, std::int64_t* rows, double* distances,
                       std::uint8_t* widened) const {
    Queries queries;
    verifier_.prepare(items, queries);
    std::vector<Scratch> scratch(std::max<std::size_t>(threads, 1));
    const std::size_t tasks = (items.count + queries_together - 1) / queries_together;
    run_tasks(tasks, threads, [&](std::size_t task, std::size_t worker) {
        const std::size_t first = task * queries_together;
        const std::size_t count = std::min(queries_together, items.count - first);
        Scratch& own = scratch[worker];
        own.allowed = allowed;
        project(queries, first, count, own);
        for (std::size_t q = first; q < first + count; ++q, own.y += projection_.outputs) {
            const bool wide =
                search(queries[q], k, efforts, own, rows + q * k, distances + q * k, nullptr);
            if (widened) widened[q] = wide;
        }
    });
}

std::vector<std::uint32_t> CellScan::candidates(const Items& item, const Efforts& efforts,
                                                Mask allowed) const {
    Queries query;
    Scratch scratch;
    scratch.allowed = allowed;
    verifier_.prepare(item, query);
    project(query, 0, 1, scratch);
    filter(hash(query[0], efforts, scratch), scratch);
    std::vector<std::uint32_t> rows(scratch.kept);
    for (std::size_t i = 0; i < scratch.kept; ++i) rows[i] = blocks_.rows[scratch.slots[i]];
    std::sort(rows.begin(), rows.end());
    return rows;
}

void CellScan::estimate_all(Scratch& scratch, std::vector<std::uint32_t>& distances,
                            std::vector<std::uint32_t>& estimates) const {
    const std::size_t bytes = block_bytes(sketch_.dimensions());
    std::vector<std::uint32_t> all(cells_.size());
    distances.resize(cells_.size());
    std::iota(all.begin(), all.end(), 0u);
    cells_.exact_distances(scratch.y, all.data(), all.size(), distances.data());
    scratch.nearest = float_of(distances[kernels().least(distances.data(), distances.size())]);
    for (std::size_t c = 0; c < cells_.size(); ++c) {
        const std::size_t first = blocks_.starts[c];
        kernels().estimate_blocks(blocks_.blocks + first * bytes, blocks_.starts[c + 1] - first,
                                  scratch.query.codes.data(), sketch_.dimensions(),
                                  scratch.query.shift, offset_of(distances[c], scratch),
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
        std::vector<std::uint32_t> distances, estimates, near, positions;
    };
    std::vector<Memory> memory(std::max<std::size_t>(threads, 1));
    run_tasks(items.count, threads, [&](std::size_t q, std::size_t worker) {
        auto& [scratch, distances, estimates, near, positions] = memory[worker];
        estimates.resize(slots);
        positions.resize(slots + block_vectors);
        project(queries, q, 1, scratch);
        code(scratch);
        estimate_all(scratch, distances, estimates);
        sightings[q] = {first_cell(scratch), {scratch.nearest, tail(queries[q], scratch)}};
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
