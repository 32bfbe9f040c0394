// The k nearest so far: threshold, then compress.
#pragma once

#include <cstddef>
#include <cstdint>
#include <limits>
#include <vector>

namespace lookalike {

// A found row as one number: distance in the upper half, slot in the lower. Comparing two
// keys compares by distance and breaks ties by slot.
using Key = std::uint64_t;

inline Key make_key(std::uint32_t distance, std::uint32_t slot) {
    return Key(distance) << 32 | slot;
}
inline std::uint32_t key_distance(Key key) {
    return std::uint32_t(key >> 32);
}
inline std::uint32_t key_slot(Key key) {
    return std::uint32_t(key);
}

// How far a computed distance, a float written as its bits, may lie from the true one. Nothing
// for distances that are whole numbers.
struct Margin {
    float relative = 0;
    float absolute = 0;

    bool none() const { return relative == 0 && absolute == 0; }
    // The distance at which a row cannot be nearer than one computed to be at `distance`.
    std::uint32_t beyond(std::uint32_t distance) const;
};

// Which rows may be found: a byte for each, 0 for those that may not. Null allows all.
using Mask = const std::uint8_t*;

// Drops the positions of rows that may not be found; returns how many are left.
inline std::size_t drop_masked(Mask allowed, std::uint32_t* positions, std::size_t count) {
    if (!allowed) return count;
    std::size_t kept = 0;
    for (std::size_t i = 0; i < count; ++i) {
        const std::uint32_t row = positions[i];
        positions[kept] = row;
        kept += allowed[row] != 0;
    }
    return kept;
}

// Collects rows and keeps the k nearest; with a margin, also all that may be among them.
class Nearest {
public:
    explicit Nearest(std::size_t k, Margin margin = {});
    // Forgets all rows, to be used for another query.
    void clear();

    // Only rows strictly below can still matter, if rows come in ascending order of slot: a later
    // row at the k-th distance loses its tie. In any other order, so do rows at this distance.
    std::uint32_t limit() const { return key_distance(bound_); }
    // Promises that k rows are at most this far, offered already or still to come.
    void expect(std::uint32_t distance) {
        lower_limit(margin_.none() ? distance + 1 : margin_.beyond(distance) + 1);
    }
    void offer(std::uint32_t distance, std::uint32_t slot) {
        const Key key = make_key(distance, slot);
        if (key < bound_) take(key);
    }
    // Drops what cannot be among the k nearest and lowers the limit.
    void keep_nearest();
    // What was kept, ascending.
    const std::vector<Key>& sorted();
    // Takes over the keys of a search in another part of the rows, in any order.
    void merge(const Nearest& other);

private:
    // Up to this many keys are kept sorted by insertion: few rows get that far, and every one
    // lowers the limit at once. Beyond, keys are collected and cut down now and then.
    static constexpr std::size_t most_inserted = 64;

    void take(Key key);
    void lower_limit(std::uint32_t limit) { lower_bound(make_key(limit, 0)); }
    void lower_bound(Key bound) {
        if (bound < bound_) bound_ = bound;
    }

    std::size_t k_, next_cut_;
    Margin margin_;
    bool inserting_;
    Key bound_;  // keys from here on do not matter
    std::vector<Key> keys_;
};

// The k-th smallest of count values, or a value a little larger: at most k + slack values, unless
// they are tied, are at most the result. 1 <= k <= count.
std::uint32_t about_kth_smallest(const std::uint32_t* values, std::size_t count, std::size_t k,
                                 std::size_t slack);

}  // namespace lookalike
