// Multi-index hashing for Python: the index of substrings, the join, and what hangs together.
#include "bindings.h"
#include "components.h"
#include "multi_index.h"

namespace lookalike {

using namespace nb::literals;

namespace {

using Numbers = In<std::uint32_t, nb::ndim<1>>;
using Places = std::vector<std::vector<std::uint16_t>>;

// The index, and what it reads, kept alive with it.
struct MultiIndexOfArrays {
    ScanOfArrays scan;
    Numbers starts, order;
    std::unique_ptr<MultiIndex> index;
};

std::vector<Substring> substrings_of(const Places& places, std::size_t bytes) {
    std::vector<Substring> substrings;
    for (const std::vector<std::uint16_t>& bits : places) {
        for (const std::uint16_t place : bits)
            require(place < 8 * bytes, "a substring is beyond the bits of a row");
        substrings.emplace_back(bits);
    }
    require(!substrings.empty(), "there must be substrings");
    return substrings;
}

std::size_t starts_needed(const std::vector<Substring>& substrings) {
    std::size_t needed = 0;
    for (const Substring& substring : substrings) needed += std::size_t(substring.keys()) + 1;
    return needed;
}

// Arrays may come from anywhere: no bucket reaches beyond the rows.
void check_sorted(const std::vector<Substring>& substrings, const Numbers& starts,
                  const Numbers& order, std::size_t rows) {
    require(starts.size() == starts_needed(substrings) && order.size() == substrings.size() * rows,
            "starts and order do not fit the substrings");
    const std::uint32_t* at = starts.data();
    for (const Substring& substring : substrings) {
        require(at[0] == 0 && at[substring.keys()] == rows, "starts do not fit the rows");
        for (std::uint32_t key = 0; key < substring.keys(); ++key)
            require(at[key] <= at[key + 1], "starts must ascend");
        at += std::size_t(substring.keys()) + 1;
    }
    for (std::size_t i = 0; i < order.size(); ++i) require(order(i) < rows, "there is no such row");
}

nb::tuple found_of(std::vector<std::vector<Hit>>&& hits) {
    std::vector<std::int64_t> offsets{0}, slots;
    std::vector<double> distances;
    for (const std::vector<Hit>& of_query : hits) {
        for (const Hit& hit : of_query) {
            slots.push_back(std::int64_t(hit.slot));
            distances.push_back(hit.distance);
        }
        offsets.push_back(std::int64_t(slots.size()));
    }
    return nb::make_tuple(array_of(std::move(offsets)), array_of(std::move(slots)),
                          array_of(std::move(distances)));
}

void bind_index(nb::module_& m) {
    nb::class_<MultiIndexOfArrays>(m, "MultiIndex")
        .def(
            "__init__",
            [](MultiIndexOfArrays* self, const ScanOfArrays& scan, const Places& places,
               Numbers starts, Numbers order) {
                const Verifier& verifier = scan.scan.verifier();
                require(verifier.measure() == Measure::differing_bits, "rows must be bits");
                std::vector<Substring> substrings = substrings_of(places, verifier.rows().width);
                check_sorted(substrings, starts, order, verifier.rows().count);
                auto index = std::make_unique<MultiIndex>(verifier.rows(), std::move(substrings),
                                                          starts.data(), order.data());
                new (self)
                    MultiIndexOfArrays{scan, std::move(starts), std::move(order), std::move(index)};
            },
            "scan"_a, "substrings"_a, "starts"_a, "order"_a)
        .def(
            "thresholds",
            [](const MultiIndexOfArrays& self, std::size_t radius) {
                return self.index->thresholds(radius);
            },
            "radius"_a, "Most flips of each substring; -1 where it is not looked at.")
        .def(
            "work",
            [](const MultiIndexOfArrays& self, std::size_t radius) {
                const MultiIndex::Work work = self.index->work(self.index->thresholds(radius));
                return std::pair(work.buckets, work.rows);
            },
            "radius"_a, "Buckets and rows that a search for a member looks at, on average.")
        .def(
            "within",
            [](const MultiIndexOfArrays& self, const AnyArray& items, std::size_t radius,
               std::size_t threads, const MaskArray& allowed) {
                const Rows& rows = self.index->verifier().rows();
                const Items batch = items_of(items, rows.width);
                const Mask mask = mask_of(allowed, rows.count);
                std::vector<std::vector<Hit>> hits;
                std::uint64_t compared = 0;
                {
                    nb::gil_scoped_release release;
                    self.index->within(batch, radius, mask, threads, hits, &compared);
                }
                const nb::tuple found = found_of(std::move(hits));
                return nb::make_tuple(found[0], found[1], found[2], compared);
            },
            "items"_a, "radius"_a, "threads"_a, "allowed"_a = nb::none(),
            nb::sig("def within(self, items: NDArray, radius: int, threads: int, allowed: "
                    "NDArray[numpy.uint8] | None = None) -> tuple[NDArray[numpy.int64], "
                    "NDArray[numpy.int64], NDArray[numpy.float64], int]"),
            "Offsets, slots and distances of every row within the radius, and how many rows were "
            "compared.")
        .def(
            "within_one",
            [](const MultiIndexOfArrays& self, nb::handle item, std::size_t radius,
               const MaskArray& allowed) -> nb::object {
                const Rows& rows = self.index->verifier().rows();
                const std::optional<Items> one = plain_item(item, rows.width);
                if (!one) return nb::none();
                const Mask mask = mask_of(allowed, rows.count);
                std::vector<Hit> hits;
                try {
                    nb::gil_scoped_release release;
                    self.index->within_one(*one, radius, mask, hits);
                } catch (const std::invalid_argument&) {
                    return nb::none();
                }
                const nb::object ids = new_ids(hits.size()), distances = new_distances(hits.size());
                for (std::size_t i = 0; i < hits.size(); ++i) {
                    ids_of(ids)[i] = std::int64_t(hits[i].slot);
                    distances_of(distances)[i] = hits[i].distance;
                }
                return nb::make_tuple(ids, distances);
            },
            "item"_a, "radius"_a, "allowed"_a = nb::none(),
            nb::sig("def within_one(self, item: object, radius: int, allowed: "
                    "NDArray[numpy.uint8] | None = None) -> tuple[NDArray[numpy.int64], "
                    "NDArray[numpy.float64]] | None"),
            "Slots and distances for one item; None when it is not a plain array.")
        .def(
            "nearest",
            [](const MultiIndexOfArrays& self, const AnyArray& items, std::size_t k,
               std::size_t most_radius, std::size_t threads, const MaskArray& allowed) {
                const Rows& rows = self.index->verifier().rows();
                const Items batch = items_of(items, rows.width);
                const Mask mask = mask_of(allowed, rows.count);
                std::vector<std::vector<Hit>> hits;
                {
                    nb::gil_scoped_release release;
                    self.index->nearest(batch, k, most_radius, mask, threads, hits);
                }
                return found_of(std::move(hits));
            },
            "items"_a, "k"_a, "most_radius"_a, "threads"_a, "allowed"_a = nb::none(),
            nb::sig("def nearest(self, items: NDArray, k: int, most_radius: int, threads: int, "
                    "allowed: NDArray[numpy.uint8] | None = None) -> tuple[NDArray[numpy.int64], "
                    "NDArray[numpy.int64], NDArray[numpy.float64]]"),
            "Offsets, slots and distances of the k nearest rows of each item; none where radii up "
            "to the largest do not prove them.");
    m.def(
        "sort_by_substrings",
        [](const RowArray& rows, const Places& places, std::size_t threads,
           Out<std::uint32_t, nb::ndim<1>> starts, Out<std::uint32_t, nb::ndim<1>> order) {
            const std::vector<Substring> substrings = substrings_of(places, rows.shape(1));
            require(starts.size() == starts_needed(substrings) &&
                        order.size() == substrings.size() * rows.shape(0) &&
                        rows.shape(0) < 0xFFFFFFFFu,
                    "starts and order do not fit the substrings");
            nb::gil_scoped_release release;
            sort_by_substrings({rows.data(), rows.shape(0), rows.shape(1), rows.shape(1)},
                               substrings, threads, starts.data(), order.data());
        },
        "rows"_a, "substrings"_a, "threads"_a, "starts"_a, "order"_a,
        "Sort rows by each substring: where the rows of each key begin, and the rows.");
}

void bind_join(nb::module_& m) {
    nb::class_<SubstringJoin>(m, "SubstringJoin")
        .def(
            "__init__",
            [](SubstringJoin* self, const MultiIndexOfArrays& index, std::size_t substring,
               std::size_t radius, std::size_t threads) {
                require(substring < index.index->substrings().size(), "there is no such substring");
                nb::gil_scoped_release release;
                new (self) SubstringJoin(*index.index, substring, radius, threads);
            },
            "index"_a, "substring"_a, "radius"_a, "threads"_a, nb::keep_alive<1, 2>())
        .def("__len__", &SubstringJoin::positions)
        .def(
            "pairs",
            [](const SubstringJoin& self, std::size_t first, std::size_t last, std::size_t most,
               std::size_t threads) {
                std::vector<Pair> pairs;
                std::size_t reached;
                {
                    nb::gil_scoped_release release;
                    reached = self.pairs(first, last, most, threads, pairs);
                }
                std::vector<std::int64_t> firsts, seconds;
                std::vector<double> distances;
                for (const Pair& pair : pairs) {
                    firsts.push_back(pair.first);
                    seconds.push_back(pair.second);
                    distances.push_back(pair.distance);
                }
                return nb::make_tuple(array_of(std::move(firsts)), array_of(std::move(seconds)),
                                      array_of(std::move(distances)), reached);
            },
            "first"_a, "last"_a, "most"_a, "threads"_a,
            nb::sig("def pairs(self, first: int, last: int, most: int, threads: int) -> "
                    "tuple[NDArray[numpy.int64], NDArray[numpy.int64], NDArray[numpy.float64], "
                    "int]"),
            "Both rows and the distance of each pair from these positions on, and the position to "
            "go on from.");
}

}  // namespace

void bind_multi_index(nb::module_& m) {
    nb::class_<Components>(m, "Components")
        .def(nb::init<std::size_t>(), "count"_a)
        .def(
            "join",
            [](Components& self, const In<std::int64_t, nb::ndim<1>>& first,
               const In<std::int64_t, nb::ndim<1>>& second) {
                require(first.size() == second.size(), "pairs have two ends");
                const auto inside = [&](std::int64_t item) {
                    return item >= 0 && std::size_t(item) < self.count();
                };
                for (std::size_t i = 0; i < first.size(); ++i)
                    require(inside(first(i)) && inside(second(i)), "there is no such item");
                nb::gil_scoped_release release;
                for (std::size_t i = 0; i < first.size(); ++i)
                    self.join(std::uint32_t(first(i)), std::uint32_t(second(i)));
            },
            "first"_a, "second"_a, "Join the components of the two ends of each pair.")
        .def(
            "roots", [](Components& self) { return array_of(self.roots()); },
            "The smallest item of each one's component.");
    bind_index(m);
    bind_join(m);
}

}  // namespace lookalike
