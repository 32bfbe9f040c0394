// Exact search for Python.
#include "bindings.h"

namespace lookalike {

using namespace nb::literals;

namespace {

// Checks that every value of a row is summed once.
SumRows sum_rows(const std::uint8_t* data, std::size_t stride,
                 const In<std::uint32_t, nb::ndim<1>>& order, unsigned shift) {
    require(stride % 16 == 0 && stride * bound_group >= order.size() && shift < 8,
            "bounding rows have the wrong length");
    std::vector<bool> met(order.size());
    for (std::size_t j = 0; j < order.size(); ++j) {
        require(order(j) < order.size() && !met[order(j)], "order must be a permutation");
        met[order(j)] = true;
    }
    return {data, stride, order.data(), shift};
}

BoundsOfArrays sum_bounds(const RowArray& rows, const RowArray& bounds,
                          In<std::uint32_t, nb::ndim<1>> order, unsigned shift) {
    require(rows.shape(1) >= order.size() && bounds.shape(0) == rows.shape(0),
            "bounds do not fit the rows");
    const SumRows sums = sum_rows(bounds.data(), bounds.shape(1), order, shift);
    auto made = std::make_shared<const SumBounds>(sums, order.size());
    return {bounds, std::move(order), {}, {}, std::move(made), rows.shape(0)};
}

BoundsOfArrays projection_bounds(const RowArray& rows, Measure measure, nb::object projection,
                                 In<std::int16_t, nb::ndim<2>> codes, float step, double longest) {
    const Projection& p = nb::cast<const ProjectionOfArrays&>(projection).projection;
    const std::size_t dimensions = codes.shape(1);
    require(measure == Measure::squared_differences || measure == Measure::float_squares ||
                measure == Measure::float_angles,
            "this measure has no such bounds");
    require(p.bytes != is_float(measure) && codes.shape(0) == rows.shape(0) &&
                rows.shape(1) >= (p.bytes ? (p.width + 3) / 4 * 4 : 4 * p.width),
            "bounds do not fit the rows");
    require(dimensions % 32 == 0 && dimensions > 0 && dimensions <= 224 &&
                p.outputs == dimensions && step > 0,
            "dimensions must be a multiple of 32, as many as the projection has");
    auto made = std::make_shared<const ProjectionBounds>(
        ProjectedRows{codes.data(), dimensions, step, longest}, p, measure, rows.shape(1));
    return {rows, {}, std::move(codes), std::move(projection), std::move(made), rows.shape(0)};
}

ScanOfArrays make_scan(RowArray rows, std::size_t width, Measure measure, Values values,
                       std::optional<BoundsOfArrays> bounds) {
    const std::size_t count = rows.shape(0), stride = rows.shape(1);
    require(!bounds || bounds->count == count, "bounds do not belong to these rows");
    const ExactScan scan({rows.data(), count, width, stride}, measure, values,
                         bounds ? bounds->bounds : nullptr);
    return {std::move(rows), std::move(bounds), scan};
}

// Offsets as the core trusts them: of every query, ascending, inside the candidates.
void check_offsets(const In<std::int64_t, nb::ndim<1>>& offsets, std::size_t queries,
                   std::size_t candidates) {
    require(offsets.size() == queries + 1 && offsets(0) == 0 &&
                std::size_t(offsets(queries)) == candidates,
            "offsets do not belong to these candidates");
    for (std::size_t q = 0; q < queries; ++q)
        require(offsets(q) <= offsets(q + 1), "offsets must ascend");
}

std::tuple<Array<std::int64_t>, Array<std::int64_t>, Array<double>> arrays_of(Found&& found) {
    return {array_of(std::move(found.offsets)), array_of(std::move(found.slots)),
            array_of(std::move(found.distances))};
}

}  // namespace

void bind_exact(nb::module_& m) {
    nb::enum_<Measure>(m, "Measure")
        .value("absolute_differences", Measure::absolute_differences)
        .value("squared_differences", Measure::squared_differences)
        .value("differing_bits", Measure::differing_bits)
        .value("float_absolutes", Measure::float_absolutes)
        .value("float_squares", Measure::float_squares)
        .value("float_angles", Measure::float_angles);

    m.def(
        "pack_items",
        [](const AnyArray& items, std::size_t width, Measure measure, std::uint8_t limit,
           float scale, Out<std::uint8_t, nb::ndim<2>> rows) {
            const Items batch = items_of(items, width);
            const std::size_t bytes = is_float(measure) ? sizeof(float) * width : width;
            require(rows.shape(0) == batch.count && rows.shape(1) >= bytes &&
                        rows.shape(1) % (is_float(measure) ? sizeof(float) : 1) == 0,
                    "rows do not fit the items");
            nb::gil_scoped_release release;
            pack_items(batch, measure, {limit, scale}, rows.shape(1), rows.data());
        },
        "items"_a, "width"_a, "measure"_a, "limit"_a, "scale"_a, "rows"_a,
        "Write items as zero-padded rows; ValueError unless bytes are whole and in [0, limit], and "
        "floats are finite with squares that float32 can add.");
    m.def(
        "make_sums",
        [](const RowArray& rows, In<std::uint32_t, nb::ndim<1>> order, unsigned shift,
           Out<std::uint8_t, nb::ndim<2>> bounds) {
            require(rows.shape(1) >= order.size() && bounds.shape(0) == rows.shape(0),
                    "bounds do not fit the rows");
            const SumRows shape = sum_rows(nullptr, bounds.shape(1), order, shift);
            nb::gil_scoped_release release;
            make_sums({rows.data(), rows.shape(0), order.size(), rows.shape(1)}, shape,
                      bounds.data());
        },
        "rows"_a, "order"_a, "shift"_a, "bounds"_a,
        "Write the bounding row of each row: sums of four values in that order, shifted right.");
    m.def(
        "make_projected",
        [](const In<float, nb::ndim<2>>& y, float step, Out<std::int16_t, nb::ndim<2>> codes) {
            require(codes.shape(0) == y.shape(0) && codes.shape(1) == y.shape(1) && step > 0,
                    "codes do not fit the vectors");
            nb::gil_scoped_release release;
            make_projected(y.data(), y.size(), step, codes.data());
        },
        "y"_a, "step"_a, "codes"_a, "Projected vectors in steps, as int16 in [-2047, 2047].");

    nb::class_<BoundsOfArrays>(m, "Bounds")
        .def_static("of_sums", &sum_bounds, "rows"_a, "bounds"_a, "order"_a, "shift"_a)
        .def_static("of_projection", &projection_bounds, "rows"_a, "measure"_a, "projection"_a,
                    "codes"_a, "step"_a, "longest"_a);

    nb::class_<ScanOfArrays>(m, "ExactScan")
        .def(
            "__init__",
            [](ScanOfArrays* self, RowArray rows, std::size_t width, Measure measure,
               std::uint8_t limit, float scale, std::optional<BoundsOfArrays> bounds) {
                new (self) ScanOfArrays(
                    make_scan(std::move(rows), width, measure, {limit, scale}, std::move(bounds)));
            },
            "rows"_a, "width"_a, "measure"_a, "limit"_a = 255, "scale"_a = 1.0f,
            "bounds"_a = nb::none())
        .def(
            "nearest",
            [](const ScanOfArrays& self, const AnyArray& queries, std::size_t k,
               std::size_t threads, Out<std::int64_t> slots, Out<double> distances,
               const MaskArray& allowed) {
                const Items items = items_of(queries, self.scan.rows().width);
                require(slots.size() == items.count * k && distances.size() == slots.size(),
                        "results need k places a query");
                const Mask mask = mask_of(allowed, self.scan.rows().count);
                nb::gil_scoped_release release;
                return self.scan.nearest(items, k, mask, threads, slots.data(), distances.data())
                    .verified;
            },
            "queries"_a, "k"_a, "threads"_a, "slots"_a, "distances"_a, "allowed"_a = nb::none(),
            "The k nearest rows of each query; returns how many rows were compared exactly.")
        .def(
            "nearest_of_one",
            [](const ScanOfArrays& self, nb::handle item, std::size_t k,
               const MaskArray& allowed) -> nb::object {
                const std::optional<Items> one = plain_item(item, self.scan.rows().width);
                if (!one) return nb::none();
                const Mask mask = mask_of(allowed, self.scan.rows().count);
                return found_of_one(k, [&](std::int64_t* slots, double* distances) {
                    self.scan.nearest_of_one(*one, k, mask, slots, distances);
                    return false;
                });
            },
            "item"_a, "k"_a, "allowed"_a = nb::none(),
            nb::sig("def nearest_of_one(self, item: object, k: int, "
                    "allowed: NDArray[numpy.uint8] | None = None) -> "
                    "tuple[NDArray[numpy.int64], NDArray[numpy.float64], bool] | None"),
            "Slots and distances of the k nearest rows, and False; None when the item is not a "
            "plain array "
            "that could be a row.")
        .def(
            "nearest_among",
            [](const ScanOfArrays& self, const AnyArray& queries,
               In<std::int64_t, nb::ndim<1>> offsets, In<std::int64_t, nb::ndim<1>> candidates,
               std::size_t k, std::size_t threads, Out<std::int64_t> slots, Out<double> distances) {
                const Items items = items_of(queries, self.scan.rows().width);
                check_offsets(offsets, items.count, candidates.size());
                require(slots.size() == items.count * k && distances.size() == slots.size(),
                        "results need k places a query");
                nb::gil_scoped_release release;
                self.scan.nearest_among(items, offsets.data(), candidates.data(), k, threads,
                                        slots.data(), distances.data());
            },
            "queries"_a, "offsets"_a, "candidates"_a, "k"_a, "threads"_a, "slots"_a, "distances"_a,
            "The k nearest of each query's candidates.")
        .def(
            "within",
            [](const ScanOfArrays& self, const AnyArray& queries, double radius,
               std::size_t threads, const MaskArray& allowed) {
                const Items items = items_of(queries, self.scan.rows().width);
                const Mask mask = mask_of(allowed, self.scan.rows().count);
                Found found;
                {
                    nb::gil_scoped_release release;
                    found = self.scan.within(items, radius, mask, threads);
                }
                return arrays_of(std::move(found));
            },
            "queries"_a, "radius"_a, "threads"_a, "allowed"_a = nb::none(),
            "Offsets, slots and distances of all rows within the radius, boundary included.")
        .def(
            "within_among",
            [](const ScanOfArrays& self, const AnyArray& queries,
               In<std::int64_t, nb::ndim<1>> offsets, In<std::int64_t, nb::ndim<1>> candidates,
               double radius, std::size_t threads) {
                const Items items = items_of(queries, self.scan.rows().width);
                check_offsets(offsets, items.count, candidates.size());
                Found found;
                {
                    nb::gil_scoped_release release;
                    found = self.scan.within_among(items, offsets.data(), candidates.data(), radius,
                                                   threads);
                }
                return arrays_of(std::move(found));
            },
            "queries"_a, "offsets"_a, "candidates"_a, "radius"_a, "threads"_a,
            "The same among each query's candidates.");
}

}  // namespace lookalike
