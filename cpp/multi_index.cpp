#include "multi_index.h"

#include <algorithm>
#include <bit>
#include <cstring>
#include <numeric>
#include <stdexcept>

#include "dispatch.h"
#include "workers.h"

namespace lookalike {
namespace {

constexpr unsigned most_bits = 24;
constexpr std::size_t rows_ahead = 16;  // buckets whose rows are asked for early
constexpr std::size_t queries_together = 8;

std::uint64_t read_bytes(const std::uint8_t* bytes, std::size_t count) {
    std::uint64_t word = 0;
    std::memcpy(&word, bytes, count);
    if constexpr (std::endian::native == std::endian::little) word = __builtin_bswap64(word);
    return word;
}

// All numbers of so many bits with `from` to `to` ones, fewer ones first.
std::vector<std::uint32_t> flips(unsigned bits, int from, int to) {
    std::vector<std::uint32_t> masks;
    for (int ones = std::max(from, 0); ones <= std::min(to, int(bits)); ++ones) {
        if (ones == 0) {
            masks.push_back(0);
            continue;
        }
        const std::uint64_t end = std::uint64_t(1) << bits;
        for (std::uint64_t mask = (std::uint64_t(1) << ones) - 1; mask < end;) {
            masks.push_back(std::uint32_t(mask));
            const std::uint64_t lowest = mask & -mask, next = mask + lowest;
            mask = next | (((mask ^ next) >> 2) / lowest);
        }
    }
    return masks;
}

double flip_count(unsigned bits, int from, int to) {
    double count = 0;
    for (int ones = std::max(from, 0); ones <= std::min(to, int(bits)); ++ones) {
        double ways = 1;
        for (int i = 0; i < ones; ++i) ways = ways * double(int(bits) - i) / double(i + 1);
        count += ways;
    }
    return count;
}

// Counting sort: the rows of key k become order[starts[k], starts[k + 1]).
void sort_by_substring(const Rows& rows, const Substring& substring, std::uint32_t* starts,
                       std::uint32_t* order) {
    std::vector<std::uint32_t> keys(rows.count);
    std::fill(starts, starts + substring.keys() + 1, 0u);
    for (std::size_t i = 0; i < rows.count; ++i) {
        keys[i] = substring.key(rows.data + i * rows.stride, rows.stride);
        ++starts[keys[i] + 1];
    }
    std::partial_sum(starts, starts + substring.keys() + 1, starts);
    std::vector<std::uint32_t> next(starts, starts + substring.keys());
    for (std::size_t i = 0; i < rows.count; ++i) order[next[keys[i]]++] = std::uint32_t(i);
}

}  // namespace

Substring::Substring(std::vector<std::uint16_t> places) : places_(std::move(places)) {
    if (places_.empty() || places_.size() > most_bits)
        throw std::invalid_argument("a substring has 1 to 24 bits");
    contiguous_ = true;
    for (std::size_t i = 1; i < places_.size(); ++i)
        contiguous_ &= places_[i] == places_[i - 1] + 1;
}

std::uint32_t Substring::key(const std::uint8_t* row, std::size_t stride) const {
    if (contiguous_) {
        const std::size_t byte = places_[0] / 8, offset = places_[0] % 8;
        const std::uint64_t word = read_bytes(row + byte, std::min<std::size_t>(8, stride - byte))
                                   << offset;
        return std::uint32_t(word >> (64 - bits()));
    }
    std::uint32_t key = 0;
    for (const std::uint16_t place : places_)
        key = key << 1 | (row[place / 8] >> (7 - place % 8) & 1u);
    return key;
}

// Memory of one search, used again by the next.
struct MultiIndex::Scratch {
    std::vector<std::uint32_t> keys, slots, distances, positions;
    std::vector<Hit> found;
    std::uint64_t compared = 0;
};

MultiIndex::MultiIndex(Rows rows, std::vector<Substring> substrings, const std::uint32_t* starts,
                       const std::uint32_t* order)
    : verifier_(rows, Measure::differing_bits, {}), substrings_(std::move(substrings)) {
    for (std::size_t s = 0; s < substrings_.size(); ++s) {
        const std::uint32_t keys = substrings_[s].keys();
        starts_.push_back(starts);
        order_.push_back(order + s * rows.count);
        double squares = 0;
        for (std::uint32_t key = 0; key < keys; ++key) {
            const double size = double(starts[key + 1] - starts[key]);
            squares += size * size;
        }
        bucket_rows_.push_back(squares / double(std::max<std::size_t>(rows.count, 1)));
        starts += std::size_t(keys) + 1;
    }
}

Thresholds MultiIndex::thresholds(std::size_t radius) const {
    const std::size_t count = substrings_.size();
    Thresholds thresholds(count, -1);
    // The sum of t + 1 has to be radius + 1: each step takes the flip that adds the fewest rows.
    const auto more_rows = [&](std::size_t s) {
        const int next = thresholds[s] + 1;
        return flip_count(substrings_[s].bits(), next, next) * bucket_rows_[s];
    };
    std::vector<double> costs(count);
    for (std::size_t s = 0; s < count; ++s) costs[s] = more_rows(s);
    for (std::size_t step = 0; step <= radius; ++step) {
        const std::size_t cheapest =
            std::size_t(std::min_element(costs.begin(), costs.end()) - costs.begin());
        ++thresholds[cheapest];
        // With all of its bits flipped a substring says nothing more.
        costs[cheapest] =
            thresholds[cheapest] >= int(substrings_[cheapest].bits()) ? 1e300 : more_rows(cheapest);
    }
    return thresholds;
}

MultiIndex::Work MultiIndex::work(const Thresholds& thresholds) const {
    Work work{0, 0};
    for (std::size_t s = 0; s < substrings_.size(); ++s) {
        const double buckets = flip_count(substrings_[s].bits(), 0, thresholds[s]);
        work.buckets += buckets;
        work.rows += buckets * bucket_rows_[s];
    }
    return work;
}

// What these thresholds ask for beyond others.
std::vector<MultiIndex::Flips> MultiIndex::more_flips(const Thresholds& before,
                                                      const Thresholds& thresholds) const {
    std::vector<Flips> more;
    for (std::size_t s = 0; s < substrings_.size(); ++s)
        more.push_back(flips(substrings_[s].bits(), before[s] + 1, thresholds[s]));
    return more;
}

// Takes the rows of a substring's buckets whose keys are these flips away from the query's.
void MultiIndex::look(std::size_t substring, const Flips& flips, const std::uint8_t* row,
                      Scratch& scratch) const {
    const std::uint32_t own = substrings_[substring].key(row, verifier_.rows().stride);
    const std::uint32_t *starts = starts_[substring], *order = order_[substring];
    scratch.keys.resize(flips.size());
    for (std::size_t i = 0; i < flips.size(); ++i) {
        scratch.keys[i] = own ^ flips[i];
        __builtin_prefetch(starts + scratch.keys[i]);
    }
    const std::size_t buckets = scratch.keys.size();
    for (std::size_t b = 0; b < buckets; ++b) {
        if (b + rows_ahead < buckets)
            __builtin_prefetch(order + starts[scratch.keys[b + rows_ahead]]);
        const std::uint32_t key = scratch.keys[b];
        scratch.slots.insert(scratch.slots.end(), order + starts[key], order + starts[key + 1]);
    }
}

// Compares the rows taken, and adds those below the limit to what was found; some twice.
void MultiIndex::verify(const Query& query, std::uint32_t limit, Mask allowed,
                        Scratch& scratch) const {
    const std::size_t count = drop_masked(allowed, scratch.slots.data(), scratch.slots.size());
    scratch.distances.resize(std::max(scratch.distances.size(), count));
    scratch.positions.resize(std::max(scratch.positions.size(), count + block_vectors));
    verifier_.distances_at(scratch.slots.data(), count, query, scratch.distances.data());
    const std::size_t near =
        kernels().positions_below(scratch.distances.data(), count, limit, scratch.positions.data());
    for (std::size_t i = 0; i < near; ++i) {
        const std::uint32_t at = scratch.positions[i];
        scratch.found.push_back({double(scratch.distances[at]), scratch.slots[at]});
    }
    scratch.compared += count;
    scratch.slots.clear();
    std::sort(scratch.found.begin(), scratch.found.end());
    const auto same = [](const Hit& a, const Hit& b) { return a.slot == b.slot; };
    scratch.found.erase(std::unique(scratch.found.begin(), scratch.found.end(), same),
                        scratch.found.end());
}

// Kept, because working it out takes as long as a search within a small radius.
const std::vector<MultiIndex::Flips>& MultiIndex::flips_within(std::size_t radius) const {
    const std::lock_guard lock(known_mutex_);
    const auto known = known_.find(radius);
    if (known != known_.end()) return known->second;
    const Thresholds none(substrings_.size(), -1);
    return known_.emplace(radius, more_flips(none, thresholds(radius))).first->second;
}

// Leaves what was found in the scratch.
void MultiIndex::search(const Query& query, std::size_t radius, const std::vector<Flips>& looked,
                        Mask allowed, Scratch& scratch) const {
    scratch.found.clear();
    for (std::size_t s = 0; s < substrings_.size(); ++s) look(s, looked[s], query.row, scratch);
    verify(query, std::uint32_t(radius) + 1, allowed, scratch);
}

void MultiIndex::within_one(const Items& item, std::size_t radius, Mask allowed,
                            std::vector<Hit>& hits) const {
    thread_local Queries query;
    thread_local Scratch scratch;
    verifier_.prepare(item, query);
    search(query[0], radius, flips_within(radius), allowed, scratch);
    hits = scratch.found;
}

void MultiIndex::within(const Items& items, std::size_t radius, Mask allowed, std::size_t threads,
                        std::vector<std::vector<Hit>>& hits, std::uint64_t* candidates) const {
    Queries queries;
    verifier_.prepare(items, queries);
    hits.resize(items.count);
    const std::vector<Flips>& looked = flips_within(radius);
    std::vector<Scratch> scratch(std::max<std::size_t>(threads, 1));
    run_pieces(items.count, queries_together, threads,
               [&](std::size_t q, std::size_t end, std::size_t worker) {
                   for (; q < end; ++q) {
                       search(queries[q], radius, looked, allowed, scratch[worker]);
                       hits[q] = scratch[worker].found;
                   }
               });
    for (const Scratch& own : scratch)
        if (candidates) *candidates += own.compared;
}

void MultiIndex::nearest(const Items& items, std::size_t k, std::size_t most_radius, Mask allowed,
                         std::size_t threads, std::vector<std::vector<Hit>>& hits) const {
    Queries queries;
    verifier_.prepare(items, queries);
    hits.resize(items.count);
    // Radii at which every substring takes one flip more than at the radius before.
    std::vector<std::size_t> radii;
    for (std::size_t r = substrings_.size() - 1; r <= most_radius; r += substrings_.size())
        radii.push_back(r);
    std::vector<std::vector<Flips>> looked;  // at each radius, beyond those before
    Thresholds before(substrings_.size(), -1);
    for (const std::size_t r : radii) {
        const Thresholds enough = thresholds(r);
        looked.push_back(more_flips(before, enough));
        before = enough;
    }
    const std::uint32_t limit = radii.empty() ? 0 : std::uint32_t(radii.back()) + 1;
    std::vector<Scratch> scratch(std::max<std::size_t>(threads, 1));
    run_tasks(items.count, threads, [&](std::size_t q, std::size_t worker) {
        Scratch& own = scratch[worker];
        own.found.clear();
        for (std::size_t i = 0; i < radii.size(); ++i) {
            for (std::size_t s = 0; s < substrings_.size(); ++s)
                look(s, looked[i][s], queries[q].row, own);
            verify(queries[q], limit, allowed, own);
            // Rows within the radius have all been met by now; others may be nearer than some met.
            const auto proven = std::partition_point(
                own.found.begin(), own.found.end(),
                [&](const Hit& hit) { return hit.distance <= double(radii[i]); });
            if (std::size_t(proven - own.found.begin()) < k) continue;
            hits[q].assign(own.found.begin(), own.found.begin() + std::ptrdiff_t(k));
            return;
        }
    });
}

void sort_by_substrings(const Rows& rows, const std::vector<Substring>& substrings,
                        std::size_t threads, std::uint32_t* starts, std::uint32_t* order) {
    std::vector<std::uint32_t*> first;
    for (const Substring& substring : substrings) {
        first.push_back(starts);
        starts += std::size_t(substring.keys()) + 1;
    }
    run_tasks(substrings.size(), threads, [&](std::size_t s, std::size_t) {
        sort_by_substring(rows, substrings[s], first[s], order + s * rows.count);
    });
}

SubstringJoin::SubstringJoin(const MultiIndex& index, std::size_t substring, std::size_t radius,
                             std::size_t threads)
    : index_(index),
      substring_(substring),
      radius_(radius),
      stride_(index.verifier_.rows().stride),
      thresholds_(index.thresholds(radius)) {
    if (thresholds_[substring] < 0) return;  // other substrings suffice
    const Substring& own = index.substrings_[substring];
    flips_ = flips(own.bits(), 0, thresholds_[substring]);
    const Rows& rows = index.verifier_.rows();
    rows_.assign(index.order_[substring], index.order_[substring] + rows.count);
    keys_.resize(rows.count);
    codes_.resize(rows.count * stride_);
    constexpr std::size_t together = 4096;
    run_tasks((rows.count + together - 1) / together, threads, [&](std::size_t task, std::size_t) {
        const std::size_t end = std::min((task + 1) * together, rows.count);
        for (std::size_t i = task * together; i < end; ++i) {
            std::memcpy(codes_.data() + i * stride_, rows.data + rows_[i] * stride_, stride_);
            keys_[i] = own.key(codes_.data() + i * stride_, stride_);
        }
    });
}

// Whether no earlier substring is within its threshold: that one has the pair otherwise.
bool SubstringJoin::is_first(const std::uint8_t* a, const std::uint8_t* b) const {
    for (std::size_t s = 0; s < substring_; ++s) {
        if (thresholds_[s] < 0) continue;
        const Substring& other = index_.substrings_[s];
        if (std::popcount(other.key(a, stride_) ^ other.key(b, stride_)) <= thresholds_[s])
            return false;
    }
    return true;
}

std::size_t SubstringJoin::pairs(std::size_t first, std::size_t last, std::size_t most_pairs,
                                 std::size_t threads, std::vector<Pair>& pairs) const {
    constexpr std::size_t together = 1024;
    last = std::min(last, rows_.size());
    if (first >= last) return last;
    const std::size_t tasks = (last - first + together - 1) / together;
    std::vector<std::vector<Pair>> found(tasks);
    std::vector<std::size_t> reached(tasks);
    const auto end_of = [&](std::size_t t) { return std::min(first + (t + 1) * together, last); };
    run_tasks(tasks, threads, [&](std::size_t t, std::size_t) {
        reached[t] = pairs_of(first + t * together, end_of(t), most_pairs / tasks, found[t]);
    });
    for (std::size_t t = 0; t < tasks; ++t) {  // what comes after a gap is found again later
        pairs.insert(pairs.end(), found[t].begin(), found[t].end());
        if (reached[t] < end_of(t)) return reached[t];
    }
    return last;
}

std::size_t SubstringJoin::pairs_of(std::size_t first, std::size_t last, std::size_t most_pairs,
                                    std::vector<Pair>& pairs) const {
    const std::uint32_t* starts = index_.starts_[substring_];
    const std::uint32_t limit = std::uint32_t(std::min<std::size_t>(radius_, ~0u - 1)) + 1;
    std::vector<std::uint32_t> distances, positions;
    for (std::size_t a = first; a < last; ++a) {
        if (pairs.size() > most_pairs) return a;
        const std::uint8_t* code = codes_.data() + a * stride_;
        for (const std::uint32_t flip : flips_) {
            const std::uint32_t key = keys_[a] ^ flip;
            if (key < keys_[a]) continue;  // the other row has this pair
            const std::size_t begin = flip == 0 ? a + 1 : starts[key], end = starts[key + 1];
            if (begin >= end) continue;
            const std::size_t count = end - begin;
            if (distances.size() < count) {
                distances.resize(count);
                positions.resize(count + block_vectors);
            }
            kernels().differing_bits(codes_.data() + begin * stride_, stride_, count, code,
                                     distances.data());
            const std::size_t near =
                kernels().positions_below(distances.data(), count, limit, positions.data());
            for (std::size_t i = 0; i < near; ++i) {
                const std::size_t b = begin + positions[i];
                if (!is_first(code, codes_.data() + b * stride_)) continue;
                pairs.push_back({std::min(rows_[a], rows_[b]), std::max(rows_[a], rows_[b]),
                                 distances[positions[i]]});
            }
        }
    }
    return last;
}

}  // namespace lookalike
