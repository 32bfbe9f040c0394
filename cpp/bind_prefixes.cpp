// Prefix tables for Python.
#include "bindings.h"
#include "prefix_scan.h"

namespace lookalike {

using namespace nb::literals;

namespace {

// The scan, and what it reads, kept alive with it.
struct PrefixesOfArrays {
    std::unique_ptr<ScanOfArrays> exact;
    std::optional<ProjectionOfArrays> projection;
    std::unique_ptr<BitSampler> sampler;
    std::unique_ptr<PrefixScan> scan;
};

// Tables that were stored; empty where they are to be built.
using Stored =
    std::optional<std::tuple<In<std::uint32_t, nb::ndim<2>>, In<std::uint32_t, nb::ndim<2>>,
                             In<std::uint8_t, nb::ndim<2>>>>;

std::unique_ptr<PrefixScan> make_scan(const ExactScan& exact, const PrefixFunctions& functions,
                                      std::size_t threads, const Stored& stored) {
    if (!stored) return std::make_unique<PrefixScan>(exact, functions, threads);
    const auto& [codes, rows, sketches] = *stored;
    PrefixScan::Parts parts{{codes.data(), codes.data() + codes.size()},
                            {rows.data(), rows.data() + rows.size()},
                            {sketches.data(), sketches.data() + sketches.size()}};
    return std::make_unique<PrefixScan>(exact, functions, std::move(parts));
}

auto arrays_of_scan(const PrefixesOfArrays& self) {
    PrefixScan::Parts parts = self.scan->parts();
    return std::tuple(array_of(std::move(parts.codes)), array_of(std::move(parts.rows)),
                      array_of(std::move(parts.sketches)));
}

PrefixesOfArrays of_bits(const ScanOfArrays& exact, const BitSampler& sampler, double span,
                         std::size_t threads, const Stored& stored) {
    require(span > 0, "a span must be positive");
    PrefixesOfArrays all{
        std::make_unique<ScanOfArrays>(exact), {}, std::make_unique<BitSampler>(sampler), {}};
    PrefixFunctions functions;
    functions.sampler = all.sampler.get();
    functions.span = span;
    functions.codes = sampler.tables();
    nb::gil_scoped_release release;
    all.scan = make_scan(all.exact->scan, functions, threads, stored);
    return all;
}

PrefixesOfArrays of_planes(const ScanOfArrays& exact, const ProjectionOfArrays& projection,
                           bool centred, std::size_t threads, const Stored& stored) {
    PrefixesOfArrays all{std::make_unique<ScanOfArrays>(exact), projection, {}, {}};
    PrefixFunctions functions;
    functions.projection = projection.projection;
    functions.collision = centred ? Collision::centred_angles : Collision::angles;
    functions.codes = projection.projection.outputs / prefix_bits;
    nb::gil_scoped_release release;
    all.scan = make_scan(all.exact->scan, functions, threads, stored);
    return all;
}

using Chances = In<double, nb::ndim<1>>;

PrefixStops make_stops(const In<double, nb::ndim<2>>& met, const Chances& near) {
    require(met.shape(0) == prefix_bits + 1 && near.size() == sketch_bits + 1,
            "stops must have shape (33, tables) and (257,)");
    for (std::size_t h = 0; h + 1 < near.size(); ++h)
        require(near(h) >= near(h + 1), "chances of sketches must fall");
    require(near(sketch_bits) == 0.0, "the last chance must be 0: that of any sketch");
    return {{met.data(), met.data() + met.size()}, {near.data(), near.data() + near.size()}};
}

void check_stops(const PrefixStops& stops, const PrefixScan& scan) {
    require(stops.met.size() == (prefix_bits + 1) * scan.tables(), "stops are of other tables");
}

}  // namespace

void bind_prefixes(nb::module_& m) {
    m.attr("PREFIX_BITS") = prefix_bits;
    m.attr("SKETCH_CODES") = sketch_codes;
    nb::class_<PrefixStops>(m, "PrefixStops")
        .def(
            "__init__",
            [](PrefixStops* self, const In<double, nb::ndim<2>>& met, const Chances& near) {
                new (self) PrefixStops(make_stops(met, near));
            },
            "met"_a, "near"_a);
    nb::class_<PrefixesOfArrays>(m, "PrefixScan")
        .def_static("of_bits", &of_bits, "exact"_a, "sampler"_a, "span"_a, "threads"_a,
                    "stored"_a = nb::none())
        .def_static("of_planes", &of_planes, "exact"_a, "projection"_a, "centred"_a, "threads"_a,
                    "stored"_a = nb::none())
        .def("arrays", &arrays_of_scan,
             "Codes and rows of one table after the other, and the sketches of the rows.")
        .def_prop_ro("tables", [](const PrefixesOfArrays& self) { return self.scan->tables(); })
        .def_prop_ro("size_bytes",
                     [](const PrefixesOfArrays& self) { return self.scan->size_bytes(); })
        .def(
            "nearest",
            [](const PrefixesOfArrays& self, const AnyArray& queries, std::size_t k,
               const PrefixStops& stops, std::size_t threads, Out<std::int64_t> rows,
               Out<double> distances, const MaskArray& allowed) {
                const Items items = items_of(queries, self.scan->verifier().rows().width);
                const Mask mask = mask_of(allowed, self.scan->verifier().rows().count);
                check_stops(stops, *self.scan);
                require(rows.size() == items.count * k && distances.size() == rows.size(),
                        "results need k places a query");
                nb::gil_scoped_release release;
                self.scan->nearest(items, k, stops, mask, threads, rows.data(), distances.data());
            },
            "queries"_a, "k"_a, "stops"_a, "threads"_a, "rows"_a, "distances"_a,
            "allowed"_a = nb::none(), "The k nearest of the rows that were met.")
        .def(
            "nearest_of_one",
            [](const PrefixesOfArrays& self, nb::handle item, std::size_t k,
               const PrefixStops& stops, const MaskArray& allowed) -> nb::object {
                const std::optional<Items> one =
                    plain_item(item, self.scan->verifier().rows().width);
                if (!one) return nb::none();
                const Mask mask = mask_of(allowed, self.scan->verifier().rows().count);
                check_stops(stops, *self.scan);
                return found_of_one(k, [&](std::int64_t* rows, double* distances) {
                    self.scan->nearest_of_one(*one, k, stops, mask, rows, distances);
                    return false;
                });
            },
            "item"_a, "k"_a, "stops"_a, "allowed"_a = nb::none(),
            nb::sig("def nearest_of_one(self, item: object, k: int, stops: PrefixStops, "
                    "allowed: NDArray[numpy.uint8] | None = None) -> tuple[NDArray[numpy.int64], "
                    "NDArray[numpy.float64], bool] | None"),
            "Rows and distances of the k nearest, and False; None when the item is not a plain "
            "array that could be a row.")
        .def(
            "trace",
            [](const PrefixesOfArrays& self, const AnyArray& item, std::size_t k,
               const PrefixStops& stops, const MaskArray& allowed) {
                const Items one = items_of(item, self.scan->verifier().rows().width);
                const Mask mask = mask_of(allowed, self.scan->verifier().rows().count);
                check_stops(stops, *self.scan);
                require(one.count == 1, "a trace is of one item");
                std::vector<std::int64_t> rows(k);
                std::vector<double> distances(k);
                PrefixTrace trace;
                self.scan->nearest_of_one(one, k, stops, mask, rows.data(), distances.data(),
                                          &trace);
                return std::tuple(trace.met, trace.verified, trace.hash_us, trace.search_us);
            },
            "item"_a, "k"_a, "stops"_a, "allowed"_a = nb::none(),
            "Search for one item: rows met and verified, microseconds to hash and to search.")
        .def(
            "candidates",
            [](const PrefixesOfArrays& self, const AnyArray& item, double radius,
               const PrefixStops& stops, const MaskArray& allowed) {
                const Items one = items_of(item, self.scan->verifier().rows().width);
                const Mask mask = mask_of(allowed, self.scan->verifier().rows().count);
                check_stops(stops, *self.scan);
                require(one.count == 1, "candidates are of one item");
                const std::vector<std::uint32_t> rows =
                    self.scan->candidates(one, radius, stops, mask);
                return array_of(std::vector<std::int64_t>(rows.begin(), rows.end()));
            },
            "item"_a, "radius"_a, "stops"_a, "allowed"_a = nb::none(),
            "Rows among which each within the radius is with the chance asked for, ascending.");
}

}  // namespace lookalike
