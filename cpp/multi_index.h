// Multi-index hashing: exact search of packed bits within a radius.
//
// The bits are divided among m substrings, and rows are sorted by each. If two codes differ in at
// most r bits, then for any thresholds t_1 ... t_m with the sum of (t_i + 1) above r there is a
// substring i in which they differ in at most t_i bits: otherwise they would differ in more than r.
// So the rows within r of a query are among those whose substring i is at most t_i flips away, for
// some i. (Norouzi, Punjani and Fleet, "Fast exact search in Hamming space with multi-index
// hashing", 2014.)
#pragma once

#include <cstddef>
#include <cstdint>
#include <map>
#include <mutex>
#include <vector>

#include "items.h"
#include "select.h"
#include "verify.h"

namespace lookalike {

// Reads some bits of a row as a number, its key: those at these places, counted as numpy.packbits
// does, the first of them highest.
class Substring {
public:
    explicit Substring(std::vector<std::uint16_t> places);

    unsigned bits() const { return unsigned(places_.size()); }
    std::uint32_t keys() const { return std::uint32_t(1) << bits(); }
    const std::vector<std::uint16_t>& places() const { return places_; }
    // `row` holds `stride` bytes.
    std::uint32_t key(const std::uint8_t* row, std::size_t stride) const;

private:
    std::vector<std::uint16_t> places_;
    bool contiguous_;
};

// Most flips of a substring; -1 where it need not be looked at.
using Thresholds = std::vector<int>;

// A pair of rows, the smaller first.
struct Pair {
    std::uint32_t first, second, distance;
};

class MultiIndex {
public:
    // starts: for each substring one after the other, 2^bits + 1 numbers; order: (substrings,
    // rows.count), the rows by key, then ascending. Not owned; see `sort_by_substrings`.
    MultiIndex(Rows rows, std::vector<Substring> substrings, const std::uint32_t* starts,
               const std::uint32_t* order);

    const Verifier& verifier() const { return verifier_; }
    const std::vector<Substring>& substrings() const { return substrings_; }

    // The cheapest thresholds for a radius.
    Thresholds thresholds(std::size_t radius) const;
    // How many buckets and rows a search for a row itself looks at with these, on average.
    struct Work {
        double buckets, rows;
    };
    Work work(const Thresholds& thresholds) const;

    // Every row at a distance of at most `radius` from each item, ascending by (distance, slot).
    // candidates, unless null, gets the number of rows that were compared.
    void within(const Items& items, std::size_t radius, Mask allowed, std::size_t threads,
                std::vector<std::vector<Hit>>& hits, std::uint64_t* candidates) const;

    // The same for one item, for the least delay.
    void within_one(const Items& item, std::size_t radius, Mask allowed,
                    std::vector<Hit>& hits) const;

    // The k nearest rows of each item, when radii up to `most_radius` prove them: hits[q] is empty
    // where they do not.
    void nearest(const Items& items, std::size_t k, std::size_t most_radius, Mask allowed,
                 std::size_t threads, std::vector<std::vector<Hit>>& hits) const;

private:
    friend class SubstringJoin;
    struct Scratch;

    using Flips = std::vector<std::uint32_t>;  // of a key

    std::vector<Flips> more_flips(const Thresholds& before, const Thresholds& thresholds) const;
    const std::vector<Flips>& flips_within(std::size_t radius) const;
    void search(const Query& query, std::size_t radius, const std::vector<Flips>& looked,
                Mask allowed, Scratch& scratch) const;
    void look(std::size_t substring, const Flips& flips, const std::uint8_t* row,
              Scratch& scratch) const;
    void verify(const Query& query, std::uint32_t limit, Mask allowed, Scratch& scratch) const;

    Verifier verifier_;
    std::vector<Substring> substrings_;
    std::vector<const std::uint32_t*> starts_, order_;  // of each substring
    std::vector<double> bucket_rows_;                   // in the bucket of a row, on average
    mutable std::mutex known_mutex_;
    mutable std::map<std::size_t, std::vector<Flips>> known_;  // what a radius looks up
};

// Fills starts and order as MultiIndex wants them.
void sort_by_substrings(const Rows& rows, const std::vector<Substring>& substrings,
                        std::size_t threads, std::uint32_t* starts, std::uint32_t* order);

// All pairs of rows within a radius whose first substring within its threshold is this one. The
// codes are copied in the order of its keys, so that buckets are read in a stream.
class SubstringJoin {
public:
    SubstringJoin(const MultiIndex& index, std::size_t substring, std::size_t radius,
                  std::size_t threads);

    std::size_t positions() const { return rows_.size(); }
    // The pairs of the rows at these positions with rows at later ones or at later keys, until
    // there are `most_pairs` or a few rows' more; returns the position to go on from. The order
    // does not depend on the number of threads.
    std::size_t pairs(std::size_t first, std::size_t last, std::size_t most_pairs,
                      std::size_t threads, std::vector<Pair>& pairs) const;

private:
    std::size_t pairs_of(std::size_t first, std::size_t last, std::size_t most_pairs,
                         std::vector<Pair>& pairs) const;
    bool is_first(const std::uint8_t* a, const std::uint8_t* b) const;

    const MultiIndex& index_;
    std::size_t substring_, radius_, stride_;
    Thresholds thresholds_;
    std::vector<std::uint32_t> flips_;  // of a key, 0 first
    std::vector<std::uint32_t> rows_;   // at each position
    std::vector<std::uint32_t> keys_;   // of each position
    std::vector<std::uint8_t> codes_;   // of each position
};

}  // namespace lookalike
