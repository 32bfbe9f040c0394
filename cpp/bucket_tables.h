// Hash tables of an LSH index: in each table, the rows with equal codes lie together.
#pragma once

#include <cstddef>
#include <cstdint>
#include <utility>
#include <vector>

#include "bit_sampling.h"
#include "items.h"

namespace lookalike {

// One table. Its buckets are sorted by a mixed key of their code, and a directory over the
// key's leading bits leads to the one or two buckets that a look-up has to compare.
class BucketTable {
public:
    // codes: (count, words)
    BucketTable(const std::uint64_t* codes, std::size_t count, std::size_t words);

    // What a table consists of, to be stored and taken up again.
    struct Parts {
        std::vector<std::uint64_t> keys, codes;
        std::vector<std::uint32_t> starts, rows;
    };
    // Throws where they are no table: whatever they hold, a search stays inside of it.
    BucketTable(Parts&& parts, std::size_t count, std::size_t words);
    Parts parts() const { return {keys_, codes_, starts_, rows_}; }

    struct Bucket {
        const std::uint32_t* rows;  // ascending
        std::size_t size;
    };
    // The bucket of a code; empty when no row has it. Two different codes never share one.
    Bucket find(const std::uint64_t* code) const;

    std::size_t bucket_count() const { return keys_.size(); }
    std::size_t size_bytes() const;
    Bucket bucket(std::size_t b) const {
        return {rows_.data() + starts_[b], std::size_t(starts_[b + 1] - starts_[b])};
    }

private:
    struct Entry;

    std::size_t cell(std::uint64_t key) const { return cell_bits_ ? key >> (64 - cell_bits_) : 0; }
    std::vector<Entry> entries_by_cell(const std::uint64_t* codes, std::size_t count);
    void sort_cells(const std::uint64_t* codes, std::vector<Entry>& entries) const;
    void cut_buckets(const std::uint64_t* codes, const std::vector<Entry>& entries);

    std::size_t words_;
    unsigned cell_bits_;
    std::vector<std::uint32_t> directory_;  // first bucket of each cell, and the end
    std::vector<std::uint64_t> keys_;       // of each bucket, ascending
    std::vector<std::uint64_t> codes_;      // of each bucket; only for codes of several words
    std::vector<std::uint32_t> starts_;     // of each bucket in rows_, and the end
    std::vector<std::uint32_t> rows_;
};

// The union of buckets for a batch: those of query q are at [offsets[q], offsets[q + 1]).
struct Candidates {
    std::vector<std::int64_t> offsets;
    std::vector<std::int64_t> rows;  // ascending within a query, without repetition
};

class BucketTables {
public:
    // codes: (tables, count, words), as BitSampler::codes writes them.
    BucketTables(const std::uint64_t* codes, std::size_t tables, std::size_t count,
                 std::size_t words, std::size_t threads);

    // Of tables that were stored.
    BucketTables(std::vector<BucketTable>&& tables, std::size_t count, std::size_t words)
        : count_(count), words_(words), tables_(std::move(tables)) {}

    std::size_t count() const { return count_; }
    std::size_t words() const { return words_; }
    std::size_t size_bytes() const;
    const std::vector<BucketTable>& tables() const { return tables_; }

    // Rows that share a bucket with an item in at least one table.
    Candidates candidates(const BitSampler& sampler, const Items& items, std::size_t threads) const;
    // The same for items of which the codes are known: (tables, count, words).
    Candidates candidates_of_codes(const std::uint64_t* codes, std::size_t count,
                                   std::size_t threads) const;
    // The same for one item, for the least delay: valid until this thread's next call.
    const std::vector<std::int64_t>& candidates_of_one(const BitSampler& sampler,
                                                       const Items& item) const;

private:
    struct Union;
    template <typename Codes>
    Candidates unions(std::size_t count, std::size_t threads, Codes codes_of) const;

    std::size_t count_, words_;
    std::vector<BucketTable> tables_;
};

}  // namespace lookalike
