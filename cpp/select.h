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

// Collects rows and keeps the k nearest. Rows must be offered in ascending order of slot:
// then a later row at the k-th distance loses its tie, and only rows strictly below
// `limit()` can still matter.
class Nearest {
public:
    explicit Nearest(std::size_t k) : k_(k) {}

    std::uint32_t limit() const { return limit_; }
    // Promises that k rows lie strictly below this limit, offered already or still to come.
    void lower_limit(std::uint32_t limit) {
        if (limit < limit_) limit_ = limit;
    }
    void offer(std::uint32_t distance, std::uint32_t slot) {
        if (distance < limit_) take(make_key(distance, slot));
    }
    // Drops what cannot be among the k nearest and lowers the limit to the k-th distance.
    void keep_nearest();
    // At most k keys, ascending.
    const std::vector<Key>& sorted();
    // Takes over the keys of a search in another part of the rows, in any order.
    void merge(const Nearest& other);

private:
    // Up to this k the keys are kept sorted by insertion: few rows get that far, and every
    // one lowers the limit at once. Beyond, keys are collected and cut down now and then.
    static constexpr std::size_t most_inserted = 64;

    void take(Key key);

    std::size_t k_;
    std::uint32_t limit_ = std::numeric_limits<std::uint32_t>::max();
    std::vector<Key> keys_;
};

}  // namespace lookalike
