#include "prefix_scan.h"

#include <algorithm>
#include <cmath>
#include <cstring>
#include <limits>
#include <numbers>
#include <stdexcept>

#include "dispatch.h"
#include "stopwatch.h"
#include "workers.h"

namespace lookalike {
namespace {

constexpr std::size_t hashed_together = 256;  // rows a task hashes
constexpr std::size_t queries_together = 4;   // that a task answers
constexpr std::size_t most_head_bits = 16;
constexpr std::size_t rows_per_head = 8;    // about, of a table's directory
constexpr std::size_t checked_every = 4;    // tables between two looks at the sketches
constexpr std::size_t checked_at = 256;     // rows that are waiting for them
constexpr std::size_t exhausted_share = 4;  // met this part of the rows: compare all
constexpr std::size_t stamps_ahead = 16;    // rows whose stamps are asked for early
constexpr std::size_t sketch_bytes = sketch_bits / 8;

// How many first bits two codes have in common.
std::size_t common(std::uint32_t a, std::uint32_t b) {
    const std::uint32_t differing = a ^ b;
    return differing == 0 ? prefix_bits : std::size_t(__builtin_clz(differing));
}

}  // namespace

// Memory of one search, used again by the next.
struct PrefixScan::Scratch {
    std::vector<std::uint32_t> codes;                 // of the query
    std::vector<std::uint32_t> left, right;           // of each table: the next rows to look at
    std::vector<std::uint8_t> left_bits, right_bits;  // and 1 + the bits that they share, 0 at ends
    std::vector<std::uint32_t> stamps;                // the last search that met each row
    std::uint32_t stamp = 0;
    std::vector<std::uint32_t> waiting, differing, distances;
    std::size_t met = 0, verified = 0;
    double radius = 0;  // of the query about the centre
    Mask allowed = nullptr;
};

// Checks the functions, and works out what does not depend on the rows' codes.
void PrefixScan::begin_tables() {
    const Rows& rows = verifier_.rows();
    const PrefixFunctions& functions = functions_;
    if (functions.codes <= sketch_codes)
        throw std::invalid_argument("prefix tables need codes for tables and for a sketch");
    const bool fits = functions.sampler
                          ? functions.sampler->bits() == prefix_bits &&
                                functions.sampler->tables() == functions.codes &&
                                functions.sampler->width() == rows.width
                          : functions.projection.width == rows.width &&
                                functions.projection.outputs == functions.codes * prefix_bits;
    if (!fits) throw std::invalid_argument("the hash functions do not fit the rows");
    if (functions.collision == Collision::centred_angles)
        centre_ = functions.projection.mean_row(rows.stride);
    head_bits_ = 0;
    while (head_bits_ < most_head_bits && (rows_per_head << (head_bits_ + 1)) <= rows.count)
        ++head_bits_;
    all_.resize(tables_);
}

PrefixScan::PrefixScan(const ExactScan& exact, const PrefixFunctions& functions, Parts&& parts)
    : exact_(exact),
      verifier_(exact.verifier()),
      functions_(functions),
      tables_(functions.codes - sketch_codes) {
    begin_tables();
    const std::size_t count = verifier_.rows().count;
    const auto require = [](bool condition) {
        if (!condition) throw std::invalid_argument("the parts of prefix tables do not fit");
    };
    require(parts.codes.size() == tables_ * count && parts.rows.size() == tables_ * count &&
            parts.sketches.size() == count * sketch_bytes);
    for (std::size_t t = 0; t < tables_; ++t) {
        const auto first = std::ptrdiff_t(t * count), last = std::ptrdiff_t((t + 1) * count);
        Table& table = all_[t];
        table.codes.assign(parts.codes.begin() + first, parts.codes.begin() + last);
        table.rows.assign(parts.rows.begin() + first, parts.rows.begin() + last);
        require(std::is_sorted(table.codes.begin(), table.codes.end()));
        std::vector<bool> met(count);
        for (const std::uint32_t row : table.rows) {
            require(row < count && !met[row]);
            met[row] = true;
        }
        count_heads(table);
    }
    sketches_ = std::move(parts.sketches);
}

PrefixScan::Parts PrefixScan::parts() const {
    Parts all;
    for (const Table& table : all_) {
        all.codes.insert(all.codes.end(), table.codes.begin(), table.codes.end());
        all.rows.insert(all.rows.end(), table.rows.begin(), table.rows.end());
    }
    all.sketches = sketches_;
    return all;
}

PrefixScan::PrefixScan(const ExactScan& exact, const PrefixFunctions& functions,
                       std::size_t threads)
    : exact_(exact),
      verifier_(exact.verifier()),
      functions_(functions),
      tables_(functions.codes - sketch_codes) {
    begin_tables();
    const Rows& rows = verifier_.rows();
    std::vector<std::uint32_t> codes(rows.count * functions.codes);
    run_pieces(rows.count, hashed_together, threads,
               [&](std::size_t first, std::size_t end, std::size_t) {
                   hash_rows(first, end - first, codes.data() + first * functions.codes);
               });
    run_tasks(tables_, threads,
              [&](std::size_t table, std::size_t) { fill(all_[table], codes.data(), table); });
    sketches_.resize(rows.count * sketch_bytes);
    for (std::size_t i = 0; i < rows.count; ++i)
        std::memcpy(sketches_.data() + i * sketch_bytes,
                    codes.data() + i * functions.codes + tables_, sketch_bytes);
}

std::size_t PrefixScan::size_bytes() const {
    std::size_t bytes = sketches_.size();
    for (const Table& table : all_)
        bytes += (table.codes.size() + table.rows.size() + table.starts.size()) * 4;
    return bytes;
}

void PrefixScan::hash_rows(std::size_t first, std::size_t count, std::uint32_t* codes) const {
    const Rows& rows = verifier_.rows();
    for (std::size_t i = 0; i < count; ++i)
        hash(rows.data + (first + i) * rows.stride, codes + i * functions_.codes);
}

void PrefixScan::hash(const std::uint8_t* row, std::uint32_t* codes) const {
    if (functions_.sampler) {
        thread_local std::vector<std::uint64_t> words;
        words.resize(functions_.codes);
        functions_.sampler->code(row, words.data());
        for (std::size_t c = 0; c < functions_.codes; ++c) codes[c] = std::uint32_t(words[c]);
        return;
    }
    thread_local std::vector<float> heights;
    heights.resize(functions_.projection.outputs);
    functions_.projection.apply(row, verifier_.rows().stride, 1, heights.data());
    const float* height = heights.data();
    for (std::size_t c = 0; c < functions_.codes; ++c) {
        std::uint32_t code = 0;
        for (std::size_t j = 0; j < prefix_bits; ++j) code = code << 1 | (*height++ >= 0);
        codes[c] = code;
    }
}

// Sorts the rows by code, ties by row.
void PrefixScan::fill(Table& table, const std::uint32_t* codes, std::size_t number) const {
    const std::size_t count = verifier_.rows().count;
    std::vector<Key> keys(count);
    for (std::size_t i = 0; i < count; ++i)
        keys[i] = make_key(codes[i * functions_.codes + number], std::uint32_t(i));
    std::sort(keys.begin(), keys.end());
    table.codes.resize(count);
    table.rows.resize(count);
    for (std::size_t i = 0; i < count; ++i) {
        table.codes[i] = key_distance(keys[i]);
        table.rows[i] = key_slot(keys[i]);
    }
    count_heads(table);
}

// Where each beginning of a code is first.
void PrefixScan::count_heads(Table& table) const {
    table.starts.assign((std::size_t(1) << head_bits_) + 1, 0);
    for (const std::uint32_t code : table.codes)
        ++table.starts[(std::uint64_t(code) >> (prefix_bits - head_bits_)) + 1];
    for (std::size_t h = 1; h < table.starts.size(); ++h) table.starts[h] += table.starts[h - 1];
}

// The places beside which the query's code would lie.
void PrefixScan::locate(std::size_t number, Scratch& scratch) const {
    const Table& table = all_[number];
    const std::uint32_t code = scratch.codes[number];
    const std::size_t head = std::uint64_t(code) >> (prefix_bits - head_bits_);
    const std::uint32_t* codes = table.codes.data();
    const std::uint32_t* place =
        std::lower_bound(codes + table.starts[head], codes + table.starts[head + 1], code);
    const std::size_t at = std::size_t(place - codes), count = table.codes.size();
    scratch.left[number] = std::uint32_t(at);
    scratch.right[number] = std::uint32_t(at);
    scratch.left_bits[number] = at > 0 ? std::uint8_t(1 + common(codes[at - 1], code)) : 0;
    scratch.right_bits[number] = at < count ? std::uint8_t(1 + common(codes[at], code)) : 0;
}

void PrefixScan::begin(const Query& query, Mask allowed, Scratch& scratch) const {
    scratch.codes.resize(functions_.codes);
    scratch.left.resize(tables_);
    scratch.right.resize(tables_);
    scratch.left_bits.resize(tables_);
    scratch.right_bits.resize(tables_);
    if (scratch.stamps.size() != verifier_.rows().count || ++scratch.stamp == 0) {
        scratch.stamps.assign(verifier_.rows().count, 0);
        scratch.stamp = 1;
    }
    scratch.waiting.clear();
    scratch.met = scratch.verified = 0;
    scratch.allowed = allowed;
    hash(query.row, scratch.codes.data());
    if (!centre_.empty()) scratch.radius = verifier_.distance_between(centre_.data(), query.row);
    for (std::size_t table = 0; table < tables_; ++table) locate(table, scratch);
}

// Takes the rows of a table that share a prefix of this length and were not met before.
void PrefixScan::take(std::size_t number, std::size_t length, Scratch& scratch) const {
    const Table& table = all_[number];
    const std::uint32_t* codes = table.codes.data();
    const std::uint32_t code = scratch.codes[number];
    if (scratch.left_bits[number] > length) {
        const std::size_t end = scratch.left[number];
        std::size_t first = end - 1;
        while (first > 0 && common(codes[first - 1], code) >= length) --first;
        scratch.left[number] = std::uint32_t(first);
        scratch.left_bits[number] =
            first > 0 ? std::uint8_t(1 + common(codes[first - 1], code)) : 0;
        meet(table.rows.data() + first, end - first, scratch);
    }
    if (scratch.right_bits[number] > length) {
        const std::size_t first = scratch.right[number], count = table.codes.size();
        std::size_t end = first + 1;
        while (end < count && common(codes[end], code) >= length) ++end;
        scratch.right[number] = std::uint32_t(end);
        scratch.right_bits[number] = end < count ? std::uint8_t(1 + common(codes[end], code)) : 0;
        meet(table.rows.data() + first, end - first, scratch);
    }
}

// Lets rows wait for the filter that were not met before. Without branches, because whether one was
// met is anyone's guess; what it reads lies anywhere and is asked for early.
void PrefixScan::meet(const std::uint32_t* rows, std::size_t count, Scratch& scratch) const {
    const std::size_t before = scratch.waiting.size();
    scratch.waiting.resize(before + count);
    std::uint32_t* waiting = scratch.waiting.data() + before;
    std::uint32_t* stamps = scratch.stamps.data();
    const std::uint32_t stamp = scratch.stamp;
    std::size_t kept = 0;
    for (std::size_t i = 0; i < count; ++i) {
        if (i + stamps_ahead < count) __builtin_prefetch(stamps + rows[i + stamps_ahead]);
        const std::uint32_t row = rows[i];
        waiting[kept] = row;
        kept += stamps[row] != stamp;
        stamps[row] = stamp;
    }
    kept = drop_masked(scratch.allowed, waiting, kept);
    for (std::size_t i = 0; i < kept; ++i)
        __builtin_prefetch(sketches_.data() + waiting[i] * sketch_bytes);
    scratch.waiting.resize(before + kept);
}

// The chance that one bit of the query's agrees with that of a row at this distance: at least.
double PrefixScan::agreement(double distance, const Scratch& scratch) const {
    switch (functions_.collision) {
        case Collision::sampled_bits: return 1.0 - std::min(1.0, distance / functions_.span);
        case Collision::angles:
            return 1.0 - std::acos(std::clamp(1.0 - distance, -1.0, 1.0)) / std::numbers::pi;
        case Collision::centred_angles: break;
    }
    // Seen from the centre, no row so near to the query lies farther from its direction; beyond
    // the centre it may be anywhere.
    if (!(distance < scratch.radius)) return 0.0;
    return 1.0 - std::asin(distance / scratch.radius) / std::numbers::pi;
}

// Leaves those of the waiting rows whose sketches may be of rows at this distance.
std::size_t PrefixScan::near(Scratch& scratch, const PrefixStops& stops, double distance) const {
    const double chance = agreement(distance, scratch);
    const auto first = std::partition_point(stops.near.begin(), stops.near.end(),
                                            [&](double least) { return least > chance; });
    const auto most = std::uint32_t(first - stops.near.begin());
    const std::size_t count = scratch.waiting.size();
    scratch.differing.resize(count);
    kernels().differing_bits_at(sketches_.data(), sketch_bytes, scratch.waiting.data(), count,
                                reinterpret_cast<const std::uint8_t*>(&scratch.codes[tables_]),
                                scratch.differing.data());
    std::size_t kept = 0;
    for (std::size_t i = 0; i < count; ++i) {
        scratch.waiting[kept] = scratch.waiting[i];
        kept += scratch.differing[i] <= most;
    }
    return kept;
}

// Longest prefixes first. reached() is the distance up to which rows are wanted; it may fall.
// verify(rows, count) gets rows to compare, each once. False when it gave up, because so many rows
// were met that comparing all costs less.
template <typename Reached, typename Verify>
bool PrefixScan::look(const PrefixStops& stops, Scratch& scratch, Reached reached,
                      Verify verify) const {
    const std::size_t most_met = verifier_.rows().count / exhausted_share;
    std::size_t length = 0;
    for (std::size_t table = 0; table < tables_; ++table)
        length = std::max<std::size_t>(
            length, std::max(scratch.left_bits[table], scratch.right_bits[table]));
    while (length-- > 0) {
        for (std::size_t table = 0; table < tables_; ++table) {
            take(table, length, scratch);
            const bool last = table + 1 == tables_;
            if (!last && (table + 1) % checked_every != 0 && scratch.waiting.size() < checked_at)
                continue;
            if (!scratch.waiting.empty()) {
                scratch.met += scratch.waiting.size();
                const std::size_t kept = near(scratch, stops, reached());
                scratch.verified += kept;
                verify(scratch.waiting.data(), kept);
                scratch.waiting.clear();
            }
            const double distance = reached();
            if (distance < std::numeric_limits<double>::infinity() &&
                agreement(distance, scratch) >= stops.met[length * tables_ + table])
                return true;
            if (scratch.met > most_met) return false;
        }
    }
    return true;
}

void PrefixScan::search(const Items& item, const Query& query, std::size_t k,
                        const PrefixStops& stops, Mask allowed, Scratch& scratch,
                        std::int64_t* rows, double* distances, PrefixTrace* trace) const {
    const Clock::time_point start = trace ? Clock::now() : Clock::time_point();
    begin(query, allowed, scratch);
    const Clock::time_point hashed = trace ? Clock::now() : Clock::time_point();
    Nearest nearest = verifier_.nearest(k);
    const bool found = look(
        stops, scratch, [&] { return verifier_.distance_at(nearest.limit()); },
        [&](const std::uint32_t* near, std::size_t count) {
            scratch.distances.resize(count);
            verifier_.distances_at(near, count, query, scratch.distances.data());
            for (std::size_t i = 0; i < count; ++i) nearest.offer(scratch.distances[i], near[i]);
            nearest.keep_nearest();
        });
    if (found)
        verifier_.write(nearest, query, k, rows, distances);
    else
        exact_.nearest_of_one(item, k, allowed, rows, distances);
    if (trace)
        *trace = {scratch.met, found ? scratch.verified : verifier_.rows().count,
                  microseconds(start, hashed), microseconds(hashed, Clock::now())};
}

void PrefixScan::nearest_of_one(const Items& item, std::size_t k, const PrefixStops& stops,
                                Mask allowed, std::int64_t* rows, double* distances,
                                PrefixTrace* trace) const {
    thread_local Queries query;
    thread_local Scratch scratch;
    verifier_.prepare(item, query);
    search(item, query[0], k, stops, allowed, scratch, rows, distances, trace);
}

void PrefixScan::nearest(const Items& items, std::size_t k, const PrefixStops& stops, Mask allowed,
                         std::size_t threads, std::int64_t* rows, double* distances) const {
    Queries queries;
    verifier_.prepare(items, queries);
    std::vector<Scratch> scratch(std::max<std::size_t>(threads, 1));
    run_pieces(items.count, queries_together, threads,
               [&](std::size_t q, std::size_t end, std::size_t worker) {
                   for (; q < end; ++q)
                       search(items.at(q), queries[q], k, stops, allowed, scratch[worker],
                              rows + q * k, distances + q * k, nullptr);
               });
}

std::vector<std::uint32_t> PrefixScan::candidates(const Items& item, double radius,
                                                  const PrefixStops& stops, Mask allowed) const {
    Queries query;
    Scratch scratch;
    verifier_.prepare(item, query);
    begin(query[0], allowed, scratch);
    std::vector<std::uint32_t> rows;
    const bool found = look(
        stops, scratch, [&] { return radius; },
        [&](const std::uint32_t* near, std::size_t count) {
            rows.insert(rows.end(), near, near + count);
        });
    if (!found) {
        rows.clear();
        for (std::size_t row = 0; row < verifier_.rows().count; ++row)
            if (!allowed || allowed[row]) rows.push_back(std::uint32_t(row));
    }
    std::sort(rows.begin(), rows.end());
    return rows;
}

}  // namespace lookalike
