#include "bucket_tables.h"

#include <algorithm>
#include <bit>
#include <numeric>
#include <optional>
#include <stdexcept>

#include "workers.h"

namespace lookalike {
namespace {

// The finaliser of splitmix64 (Steele, Lea, Flood, OOPSLA 2014): a bijection of 64-bit words,
// so for codes of one word equal keys mean equal codes.
std::uint64_t mixed(std::uint64_t word) {
    word = (word ^ (word >> 30)) * 0xBF58476D1CE4E5B9u;
    word = (word ^ (word >> 27)) * 0x94D049BB133111EBu;
    return word ^ (word >> 31);
}

std::uint64_t key_of(const std::uint64_t* code, std::size_t words) {
    std::uint64_t key = 0;
    for (std::size_t w = 0; w < words; ++w) key = mixed((key ^ code[w]) + 0x9E3779B97F4A7C15u);
    return key;
}

constexpr unsigned most_cell_bits = 26;
constexpr std::size_t most_inserted = 32;  // rows of a cell that are sorted by insertion

}  // namespace

// A row on its way into a bucket.
struct BucketTable::Entry {
    std::uint64_t key;
    std::uint32_t row;
};

BucketTable::BucketTable(const std::uint64_t* codes, std::size_t count, std::size_t words)
    : words_(words), cell_bits_(std::min(unsigned(std::bit_width(count)), most_cell_bits)) {
    std::vector<Entry> entries = entries_by_cell(codes, count);
    sort_cells(codes, entries);
    cut_buckets(codes, entries);
}

BucketTable::BucketTable(Parts&& parts, std::size_t count, std::size_t words)
    : words_(words),
      cell_bits_(std::min(unsigned(std::bit_width(count)), most_cell_bits)),
      keys_(std::move(parts.keys)),
      codes_(std::move(parts.codes)),
      starts_(std::move(parts.starts)),
      rows_(std::move(parts.rows)) {
    const std::size_t buckets = keys_.size();
    const auto require = [](bool condition) {
        if (!condition) throw std::invalid_argument("the parts of a bucket table do not fit");
    };
    require(words > 0 && codes_.size() == (words > 1 ? buckets * words : 0));
    require(rows_.size() == count && starts_.size() == buckets + 1 && starts_[0] == 0 &&
            starts_[buckets] == count);
    for (std::size_t b = 0; b < buckets; ++b)
        require(starts_[b] < starts_[b + 1] && (b == 0 || keys_[b - 1] <= keys_[b]));
    std::vector<bool> met(count);
    for (const std::uint32_t row : rows_) {
        require(row < count && !met[row]);
        met[row] = true;
    }
    directory_.assign((std::size_t(1) << cell_bits_) + 1, 0);
    for (const std::uint64_t key : keys_) ++directory_[cell(key) + 1];
    std::partial_sum(directory_.begin(), directory_.end(), directory_.begin());
}

// Counting sort by cell, the leading bits of the key; rows stay in order within a cell.
std::vector<BucketTable::Entry> BucketTable::entries_by_cell(const std::uint64_t* codes,
                                                             std::size_t count) {
    std::vector<std::uint64_t> keys(count);
    directory_.assign((std::size_t(1) << cell_bits_) + 1, 0);
    for (std::size_t i = 0; i < count; ++i) {
        keys[i] = key_of(codes + i * words_, words_);
        ++directory_[cell(keys[i]) + 1];
    }
    std::partial_sum(directory_.begin(), directory_.end(), directory_.begin());
    std::vector<std::uint32_t> next(directory_.begin(), directory_.end() - 1);
    std::vector<Entry> entries(count);
    for (std::size_t i = 0; i < count; ++i)
        entries[next[cell(keys[i])]++] = {keys[i], std::uint32_t(i)};
    return entries;
}

// Sorts each cell by (key, code, row). A cell holds about one row, or many with one code,
// which are in order already: never quadratic.
void BucketTable::sort_cells(const std::uint64_t* codes, std::vector<Entry>& entries) const {
    const auto before = [&](const Entry& a, const Entry& b) {
        if (a.key != b.key) return a.key < b.key;
        if (words_ > 1) {
            const std::uint64_t *x = codes + a.row * words_, *y = codes + b.row * words_;
            const auto order = std::lexicographical_compare_three_way(x, x + words_, y, y + words_);
            if (order != 0) return order < 0;
        }
        return a.row < b.row;
    };
    for (std::size_t i = 1; i < entries.size(); ++i) {
        if (!before(entries[i], entries[i - 1])) continue;
        const std::size_t c = cell(entries[i].key);
        if (directory_[c + 1] - directory_[c] > most_inserted) {
            std::sort(entries.begin() + directory_[c], entries.begin() + directory_[c + 1], before);
            i = directory_[c + 1] - 1;
            continue;
        }
        const Entry entry = entries[i];  // by insertion: earlier cells hold smaller keys
        std::size_t place = i;
        for (; place > 0 && before(entry, entries[place - 1]); --place)
            entries[place] = entries[place - 1];
        entries[place] = entry;
    }
}

void BucketTable::cut_buckets(const std::uint64_t* codes, const std::vector<Entry>& entries) {
    const auto same_code = [&](const Entry& a, const Entry& b) {
        const std::uint64_t *x = codes + a.row * words_, *y = codes + b.row * words_;
        return a.key == b.key && (words_ == 1 || std::equal(x, x + words_, y));
    };
    rows_.resize(entries.size());
    keys_.reserve(entries.size());
    starts_.reserve(entries.size() + 1);
    std::fill(directory_.begin(), directory_.end(), 0);
    for (std::size_t i = 0; i < entries.size(); ++i) {
        rows_[i] = entries[i].row;
        if (i > 0 && same_code(entries[i - 1], entries[i])) continue;
        const std::uint64_t* code = codes + entries[i].row * words_;
        keys_.push_back(entries[i].key);
        starts_.push_back(std::uint32_t(i));
        if (words_ > 1) codes_.insert(codes_.end(), code, code + words_);
        ++directory_[cell(entries[i].key) + 1];
    }
    starts_.push_back(std::uint32_t(entries.size()));
    std::partial_sum(directory_.begin(), directory_.end(), directory_.begin());
    keys_.shrink_to_fit();
    starts_.shrink_to_fit();
}

BucketTable::Bucket BucketTable::find(const std::uint64_t* code) const {
    const std::uint64_t key = key_of(code, words_);
    const std::size_t c = cell(key);
    const auto end = keys_.begin() + directory_[c + 1];
    auto at = std::lower_bound(keys_.begin() + directory_[c], end, key);
    for (; at != end && *at == key; ++at) {
        const std::size_t b = std::size_t(at - keys_.begin());
        // Codes of several words are compared whole: equal keys may be an accident.
        if (words_ == 1 ||
            std::equal(code, code + words_, codes_.begin() + std::ptrdiff_t(b * words_)))
            return bucket(b);
    }
    return {nullptr, 0};
}

std::size_t BucketTable::size_bytes() const {
    return directory_.size() * sizeof(directory_[0]) + keys_.size() * sizeof(keys_[0]) +
           codes_.size() * sizeof(codes_[0]) + starts_.size() * sizeof(starts_[0]) +
           rows_.size() * sizeof(rows_[0]);
}

BucketTables::BucketTables(const std::uint64_t* codes, std::size_t tables, std::size_t count,
                           std::size_t words, std::size_t threads)
    : count_(count), words_(words) {
    if (count > 0xFFFFFFFFu)
        throw std::invalid_argument("a bucket table holds at most 2^32 - 1 rows");
    std::vector<std::optional<BucketTable>> built(tables);
    run_tasks(tables, threads, [&](std::size_t t, std::size_t) {
        built[t].emplace(codes + t * count * words, count, words);
    });
    for (std::optional<BucketTable>& table : built) tables_.push_back(std::move(*table));
}

std::size_t BucketTables::size_bytes() const {
    std::size_t sum = 0;
    for (const BucketTable& table : tables_) sum += table.size_bytes();
    return sum;
}

// Rows met so far, once each: a bit a row, and the list of those set.
struct BucketTables::Union {
    explicit Union(std::size_t count) { resize(count); }

    void resize(std::size_t count) {  // while empty
        seen.resize((count + 63) / 64);
        most = count;
    }
    // Whether all rows have been met: crafted rows may lie together in every table.
    bool is_full() const { return rows.size() == most; }

    void add(BucketTable::Bucket bucket) {
        for (std::size_t i = 0; i < bucket.size; ++i) {
            const std::uint32_t row = bucket.rows[i];
            std::uint64_t& word = seen[row / 64];
            const std::uint64_t bit = std::uint64_t(1) << (row % 64);
            if (!(word & bit)) rows.push_back(row);
            word |= bit;
        }
    }

    // Hands the rows over in ascending order and is empty again.
    template <typename Out>
    void drain(Out out) {
        if (rows.size() > seen.size() / 8) {  // many: read them off the bits
            for (std::size_t w = 0; w < seen.size(); ++w) {
                for (std::uint64_t word = seen[w]; word; word &= word - 1)
                    *out++ = std::int64_t(64 * w) + std::countr_zero(word);
                seen[w] = 0;
            }
        } else {
            std::sort(rows.begin(), rows.end());
            for (const std::uint32_t row : rows) {
                seen[row / 64] = 0;
                *out++ = std::int64_t(row);
            }
        }
        rows.clear();
    }

    std::size_t most = 0;
    std::vector<std::uint64_t> seen;
    std::vector<std::uint32_t> rows;
};

// codes_of(q): where the codes of item q begin, and how far apart they lie from table to table.
template <typename Codes>
Candidates BucketTables::unions(std::size_t count, std::size_t threads, Codes codes_of) const {
    std::vector<std::vector<std::int64_t>> rows(count);
    std::vector<std::optional<Union>> unions(std::max<std::size_t>(threads, 1));
    run_tasks(count, threads, [&](std::size_t q, std::size_t worker) {
        if (!unions[worker]) unions[worker].emplace(count_);
        const auto [codes, apart] = codes_of(q);
        for (std::size_t t = 0; t < tables_.size() && !unions[worker]->is_full(); ++t)
            unions[worker]->add(tables_[t].find(codes + t * apart));
        rows[q].reserve(unions[worker]->rows.size());
        unions[worker]->drain(std::back_inserter(rows[q]));
    });
    Candidates candidates;
    candidates.offsets.push_back(0);
    for (const std::vector<std::int64_t>& of_query : rows) {
        candidates.rows.insert(candidates.rows.end(), of_query.begin(), of_query.end());
        candidates.offsets.push_back(std::int64_t(candidates.rows.size()));
    }
    return candidates;
}

Candidates BucketTables::candidates(const BitSampler& sampler, const Items& items,
                                    std::size_t threads) const {
    const PackedRows packed = packed_rows(items, sampler.limit(), sampler.width());
    return unions(items.count, threads, [&](std::size_t q) {
        thread_local std::vector<std::uint64_t> codes;
        codes.resize(tables_.size() * words_);
        sampler.code(packed.row(q), codes.data());
        return std::pair(codes.data(), words_);
    });
}

Candidates BucketTables::candidates_of_codes(const std::uint64_t* codes, std::size_t count,
                                             std::size_t threads) const {
    return unions(count, threads,
                  [&](std::size_t q) { return std::pair(codes + q * words_, count * words_); });
}

const std::vector<std::int64_t>& BucketTables::candidates_of_one(const BitSampler& sampler,
                                                                 const Items& item) const {
    // Kept from call to call: allocating them would cost as much as the look-ups.
    thread_local std::vector<std::uint8_t> bytes;
    thread_local std::vector<std::uint64_t> codes;
    thread_local Union met(0);
    thread_local std::vector<std::int64_t> rows;
    bytes.resize(sampler.width());
    codes.resize(tables_.size() * words_);
    met.resize(count_);
    rows.clear();
    pack_rows(item, sampler.limit(), sampler.width(), bytes.data());
    sampler.code(bytes.data(), codes.data());
    for (std::size_t t = 0; t < tables_.size() && !met.is_full(); ++t)
        met.add(tables_[t].find(codes.data() + t * words_));
    met.drain(std::back_inserter(rows));
    return rows;
}

}  // namespace lookalike
