// Bit sampling and hash tables for Python.
#include "bindings.h"

#include <algorithm>

#include "bit_sampling.h"
#include "bucket_tables.h"

namespace lookalike {

using namespace nb::literals;

namespace {

constexpr std::size_t most_words = 1024;  // of a code

BitSampler make_sampler(In<std::uint32_t, nb::ndim<2>> offsets, In<std::uint8_t, nb::ndim<2>> masks,
                        In<std::uint8_t, nb::ndim<2>> levels, std::size_t width,
                        std::uint8_t limit) {
    const std::size_t tables = offsets.shape(0), bits = offsets.shape(1);
    require(masks.shape(0) == tables && masks.shape(1) == bits && levels.shape(0) == tables &&
                levels.shape(1) == bits,
            "offsets, masks and levels must have one shape");
    std::vector<BitTest> tests(tables * bits);
    for (std::size_t i = 0; i < tests.size(); ++i)
        tests[i] = {offsets.data()[i], masks.data()[i], levels.data()[i]};
    return BitSampler(std::move(tests), tables, bits, width, limit);
}

template <typename T>
void append(std::vector<T>& all, const std::vector<T>& own) {
    all.insert(all.end(), own.begin(), own.end());
}

auto arrays_of_tables(const BucketTables& tables) {
    std::vector<std::int64_t> buckets;
    BucketTable::Parts all;
    for (const BucketTable& table : tables.tables()) {
        const BucketTable::Parts own = table.parts();
        buckets.push_back(std::int64_t(own.keys.size()));
        append(all.keys, own.keys);
        append(all.codes, own.codes);
        append(all.starts, own.starts);
        append(all.rows, own.rows);
    }
    return std::tuple(array_of(std::move(buckets)), array_of(std::move(all.keys)),
                      array_of(std::move(all.codes)), array_of(std::move(all.starts)),
                      array_of(std::move(all.rows)));
}

using Words = In<std::uint64_t, nb::ndim<1>>;
using Numbers = In<std::uint32_t, nb::ndim<1>>;

// The next values of an array of several tables.
template <typename T, typename Array>
std::vector<T> next_of(const Array& array, std::size_t& at, std::size_t size) {
    require(size <= array.size() - at, "the arrays of bucket tables do not fit");
    const T* first = array.data() + at;
    at += size;
    return std::vector<T>(first, first + size);
}

BucketTables tables_of_arrays(std::size_t count, std::size_t words,
                              In<std::int64_t, nb::ndim<1>> buckets, Words keys, Words codes,
                              Numbers starts, Numbers rows) {
    require(0 < words && words <= most_words && count <= rows.size(),
            "the arrays of bucket tables do not fit");
    std::vector<BucketTable> tables;
    std::size_t key = 0, code = 0, start = 0, row = 0;
    for (std::size_t t = 0; t < buckets.size(); ++t) {
        require(0 <= buckets(t) && std::size_t(buckets(t)) <= count,
                "the arrays of bucket tables do not fit");
        const std::size_t own = std::size_t(buckets(t));
        BucketTable::Parts parts;
        parts.keys = next_of<std::uint64_t>(keys, key, own);
        parts.codes = next_of<std::uint64_t>(codes, code, words > 1 ? own * words : 0);
        parts.starts = next_of<std::uint32_t>(starts, start, own + 1);
        parts.rows = next_of<std::uint32_t>(rows, row, count);
        tables.emplace_back(std::move(parts), count, words);
    }
    require(
        key == keys.size() && code == codes.size() && start == starts.size() && row == rows.size(),
        "the arrays of bucket tables do not fit");
    return BucketTables(std::move(tables), count, words);
}

}  // namespace

void bind_tables(nb::module_& m) {
    nb::class_<BitSampler>(m, "BitSampler")
        .def(
            "__init__",
            [](BitSampler* self, In<std::uint32_t, nb::ndim<2>> offsets,
               In<std::uint8_t, nb::ndim<2>> masks, In<std::uint8_t, nb::ndim<2>> levels,
               std::size_t width, std::uint8_t limit) {
                new (self) BitSampler(make_sampler(std::move(offsets), std::move(masks),
                                                   std::move(levels), width, limit));
            },
            "offsets"_a, "masks"_a, "levels"_a, "width"_a, "limit"_a)
        .def_prop_ro("words", &BitSampler::words)
        .def(
            "codes",
            [](const BitSampler& self, const AnyArray& items, std::size_t threads,
               Out<std::uint64_t, nb::ndim<3>> codes) {
                const Items batch = items_of(items, self.width());
                require(codes.shape(0) == self.tables() && codes.shape(1) == batch.count &&
                            codes.shape(2) == self.words(),
                        "codes must have shape (tables, items, words)");
                nb::gil_scoped_release release;
                self.codes(batch, threads, codes.data());
            },
            "items"_a, "threads"_a, "codes"_a,
            "Write the codes of a batch to an array (tables, items, words).");

    nb::class_<BucketTables>(m, "BucketTables")
        .def(
            "__init__",
            [](BucketTables* self, In<std::uint64_t, nb::ndim<3>> codes, std::size_t threads) {
                nb::gil_scoped_release release;
                new (self) BucketTables(codes.data(), codes.shape(0), codes.shape(1),
                                        codes.shape(2), threads);
            },
            "codes"_a, "threads"_a)
        .def_static("of_arrays", &tables_of_arrays, "count"_a, "words"_a, "buckets"_a, "keys"_a,
                    "codes"_a, "starts"_a, "rows"_a,
                    "Tables whose arrays were stored; they are checked and copied.")
        .def("arrays", &arrays_of_tables,
             "Buckets of each table; keys, codes of several words, starts and rows of all.")
        .def_prop_ro("words", &BucketTables::words)
        .def_prop_ro("count", &BucketTables::count)
        .def_prop_ro("size_bytes", &BucketTables::size_bytes)
        .def(
            "buckets",
            [](const BucketTables& self, std::size_t table) {
                require(table < self.tables().size(), "no such table");
                std::vector<std::int64_t> offsets{0}, rows;
                const BucketTable& t = self.tables()[table];
                for (std::size_t b = 0; b < t.bucket_count(); ++b) {
                    const BucketTable::Bucket bucket = t.bucket(b);
                    rows.insert(rows.end(), bucket.rows, bucket.rows + bucket.size);
                    offsets.push_back(std::int64_t(rows.size()));
                }
                return std::pair(array_of(std::move(offsets)), array_of(std::move(rows)));
            },
            "table"_a, "Offsets and rows of one table's buckets.")
        .def(
            "candidates",
            [](const BucketTables& self, const BitSampler& sampler, const AnyArray& items,
               std::size_t threads) {
                const Items batch = items_of(items, sampler.width());
                Candidates found;
                {
                    nb::gil_scoped_release release;
                    found = self.candidates(sampler, batch, threads);
                }
                return std::pair(array_of(std::move(found.offsets)),
                                 array_of(std::move(found.rows)));
            },
            "sampler"_a, "items"_a, "threads"_a,
            "Offsets and rows of the union of each item's buckets, ascending.")
        .def(
            "candidates_of_codes",
            [](const BucketTables& self, In<std::uint64_t, nb::ndim<3>> codes,
               std::size_t threads) {
                require(codes.shape(0) == self.tables().size() && codes.shape(2) == self.words(),
                        "codes must have shape (tables, items, words)");
                Candidates found;
                {
                    nb::gil_scoped_release release;
                    found = self.candidates_of_codes(codes.data(), codes.shape(1), threads);
                }
                return std::pair(array_of(std::move(found.offsets)),
                                 array_of(std::move(found.rows)));
            },
            "codes"_a, "threads"_a, "The same for items of which the codes are known.")
        .def(
            "candidates_of_one",
            [](const BucketTables& self, const BitSampler& sampler, nb::handle item) -> nb::object {
                const std::optional<Items> one = plain_item(item, sampler.width());
                if (!one) return nb::none();
                const std::vector<std::int64_t>* rows;
                try {
                    nb::gil_scoped_release release;
                    rows = &self.candidates_of_one(sampler, *one);
                } catch (const std::invalid_argument&) {
                    return nb::none();
                }
                const nb::object found = new_ids(rows->size());
                std::copy(rows->begin(), rows->end(), ids_of(found));
                return found;
            },
            "sampler"_a, "item"_a,
            nb::sig("def candidates_of_one(self, sampler: BitSampler, item: object) -> "
                    "NDArray[numpy.int64] | None"),
            "The rows for one item, ascending; None when it is not a plain array of whole "
            "numbers within the limit.")
        .def(
            "nearest_of_one",
            [](const BucketTables& self, const BitSampler& sampler, const ScanOfArrays& scan,
               nb::handle item, std::size_t k) -> nb::object {
                const std::optional<Items> one = plain_item(item, sampler.width());
                if (!one) return nb::none();
                require(scan.scan.rows().width == sampler.width() &&
                            scan.scan.rows().count == self.count(),
                        "the scan does not hold the rows of these tables");
                return found_of_one(k, [&](std::int64_t* slots, double* distances) {
                    const std::vector<std::int64_t>& rows = self.candidates_of_one(sampler, *one);
                    const std::int64_t offsets[] = {0, std::int64_t(rows.size())};
                    scan.scan.nearest_among(*one, offsets, rows.data(), k, 1, slots, distances);
                    return false;
                });
            },
            "sampler"_a, "scan"_a, "item"_a, "k"_a,
            nb::sig("def nearest_of_one(self, sampler: BitSampler, scan: ExactScan, item: object, "
                    "k: int) -> tuple[NDArray[numpy.int64], NDArray[numpy.float64], bool] | None"),
            "The k nearest candidates of one item, and False; None as above.");
}

}  // namespace lookalike
