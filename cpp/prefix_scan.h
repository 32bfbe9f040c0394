// Search of prefix tables: longest common prefixes first, until a miss is improbable enough.
//
// Every table holds the rows in the order of their codes, so that the rows which share a prefix
// with the query, of any length, lie next to each other. A search looks at those that share the
// whole code, then all but the last bit, and so on. It ends when a row as near as the k-th found
// would have been met with the chance that was asked for. What a chance is taken over is the draw
// of the hash functions alone, for any rows and any query.
//
// Aumueller, Christiani, Pagh and Vesterli, "PUFFINN: parameterless and universally fast finding of
// nearest neighbors", ESA 2019.
#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <vector>

#include "bit_sampling.h"
#include "exact_scan.h"
#include "projection.h"

namespace lookalike {

constexpr std::size_t prefix_bits = 32;  // of the code in a table
constexpr std::size_t sketch_codes = 8;  // codes that make a row's sketch
constexpr std::size_t sketch_bits = prefix_bits * sketch_codes;

// How probable it is that a bit of two codes agrees, by their distance.
enum class Collision {
    sampled_bits,    // 1 - distance / span
    angles,          // 1 - angle / pi
    centred_angles,  // at least 1 - arcsin(distance / |query - centre|) / pi
};

// Draws of the hash functions: tests of bits, or signs of a projection. The first codes are those
// of the tables, the last are the sketch.
struct PrefixFunctions {
    const BitSampler* sampler = nullptr;
    Projection projection{};
    Collision collision = Collision::sampled_bits;
    double span = 0;  // for sampled bits: how many there are
    std::size_t codes = 0;
};

// When a search may end. A row has been met with the chance asked for, if its bits agree with the
// query's with at least the chance met[length * tables + t], once all prefixes longer than `length`
// and those of tables 0..t of this length have been looked at. Such a row has a sketch that differs
// in at most h bits, with the chance asked for, if its bits agree at least with near[h].
struct PrefixStops {
    std::vector<double> met;   // (prefix_bits + 1, tables)
    std::vector<double> near;  // (sketch_bits + 1,), falling
};

struct PrefixTrace {
    std::size_t met = 0;       // rows that share a prefix
    std::size_t verified = 0;  // rows whose exact distance was computed
    double hash_us = 0, search_us = 0;
};

class PrefixScan {
public:
    // Where many rows share prefixes with a query, `exact` compares all: it must outlive this.
    PrefixScan(const ExactScan& exact, const PrefixFunctions& functions, std::size_t threads);

    // What the tables consist of, to be stored and taken up again: codes and rows of one table
    // after the other, and the sketches of the rows.
    struct Parts {
        std::vector<std::uint32_t> codes, rows;
        std::vector<std::uint8_t> sketches;
    };
    // Throws where they are no tables: whatever they hold, a search stays inside of it.
    PrefixScan(const ExactScan& exact, const PrefixFunctions& functions, Parts&& parts);
    Parts parts() const;

    std::size_t tables() const { return tables_; }
    std::size_t size_bytes() const;
    const Verifier& verifier() const { return exact_.verifier(); }

    // The k nearest of the rows met: (queries.count, k), as every search writes them.
    void nearest(const Items& queries, std::size_t k, const PrefixStops& stops, Mask allowed,
                 std::size_t threads, std::int64_t* rows, double* distances) const;
    void nearest_of_one(const Items& item, std::size_t k, const PrefixStops& stops, Mask allowed,
                        std::int64_t* rows, double* distances, PrefixTrace* trace = nullptr) const;

    // Rows among which each within the radius is with the chance asked for, ascending.
    std::vector<std::uint32_t> candidates(const Items& item, double radius,
                                          const PrefixStops& stops, Mask allowed) const;

private:
    struct Scratch;
    struct Table {
        std::vector<std::uint32_t> codes, rows;  // ascending by code
        std::vector<std::uint32_t> starts;       // of each beginning of a code
    };

    void begin_tables();
    void count_heads(Table& table) const;
    void hash_rows(std::size_t first, std::size_t count, std::uint32_t* codes) const;
    void hash(const std::uint8_t* row, std::uint32_t* codes) const;
    void fill(Table& table, const std::uint32_t* codes, std::size_t number) const;
    void begin(const Query& query, Mask allowed, Scratch& scratch) const;
    void locate(std::size_t table, Scratch& scratch) const;
    void take(std::size_t table, std::size_t length, Scratch& scratch) const;
    void meet(const std::uint32_t* rows, std::size_t count, Scratch& scratch) const;
    std::size_t near(Scratch& scratch, const PrefixStops& stops, double distance) const;
    double agreement(double distance, const Scratch& scratch) const;
    template <typename Reached, typename Verify>
    bool look(const PrefixStops& stops, Scratch& scratch, Reached reached, Verify verify) const;
    void search(const Items& item, const Query& query, std::size_t k, const PrefixStops& stops,
                Mask allowed, Scratch& scratch, std::int64_t* rows, double* distances,
                PrefixTrace* trace) const;

    const ExactScan& exact_;
    const Verifier& verifier_;
    PrefixFunctions functions_;
    std::size_t tables_;
    std::size_t head_bits_;  // of a code, that its table's directory goes by
    std::vector<Table> all_;
    std::vector<std::uint8_t> sketches_;  // sketch_bits / 8 bytes a row
    std::vector<std::uint8_t> centre_;    // for centred angles: the planes go through this row
};

}  // namespace lookalike
