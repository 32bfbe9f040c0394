// The compiled module: check arrays, release the GIL, call. No logic.
#define NPY_NO_DEPRECATED_API NPY_2_0_API_VERSION
#include <nanobind/nanobind.h>
#include <nanobind/ndarray.h>
#include <nanobind/stl/optional.h>
#include <nanobind/stl/pair.h>
#include <nanobind/stl/string.h>
#include <nanobind/stl/tuple.h>
#include <nanobind/stl/vector.h>

#include <numpy/arrayobject.h>

#include <algorithm>
#include <memory>
#include <utility>

#include "bit_sampling.h"
#include "bucket_tables.h"
#include "dispatch.h"
#include "exact_scan.h"
#include "items.h"

namespace nb = nanobind;
using namespace nb::literals;
using namespace lookalike;

namespace {

using AnyArray = nb::ndarray<nb::ro, nb::c_contig, nb::device::cpu>;
template <typename T, typename... Shape>
using In = nb::ndarray<const T, nb::c_contig, nb::device::cpu, Shape...>;
template <typename T, typename... Shape>
using Out = nb::ndarray<T, nb::c_contig, nb::device::cpu, Shape...>;
template <typename T>
using Array = nb::ndarray<nb::numpy, T, nb::ndim<1>>;

void require(bool condition, const char* message) {
    if (!condition) throw std::invalid_argument(message);
}

Element element_of(const AnyArray& array) {
    const nb::dlpack::dtype type = array.dtype();
    if (type == nb::dtype<std::uint8_t>()) return Element::u8;
    if (type == nb::dtype<double>()) return Element::f64;
    if (type == nb::dtype<float>()) return Element::f32;
    if (type == nb::dtype<std::int64_t>()) return Element::i64;
    if (type == nb::dtype<std::int32_t>()) return Element::i32;
    throw std::invalid_argument("items must be uint8, int32, int64, float32 or float64");
}

// Any shape whose values make whole items: the caller knows what the axes mean.
Items items_of(const AnyArray& array, std::size_t width) {
    require(width > 0 && array.size() % width == 0, "items do not have the stored width");
    return {array.data(), element_of(array), array.size() / width, width};
}

template <typename T>
Array<T> array_of(std::vector<T>&& values) {
    auto owned = std::make_unique<std::vector<T>>(std::move(values));
    T* data = owned->data();
    const std::size_t size = owned->size();
    nb::capsule owner(owned.release(),
                      [](void* p) noexcept { delete static_cast<std::vector<T>*>(p); });
    return Array<T>(data, {size}, owner);
}

// One item, straight from NumPy: nanobind's general import of an array takes as long as the
// search of a small index. Empty unless it is an array that can be read as it is.
std::optional<Items> plain_item(nb::handle object, std::size_t width) {
    if (!PyArray_CheckExact(object.ptr())) return std::nullopt;
    PyArrayObject* array = reinterpret_cast<PyArrayObject*>(object.ptr());
    if (!PyArray_ISCARRAY_RO(array) || std::size_t(PyArray_SIZE(array)) != width)
        return std::nullopt;
    switch (PyArray_TYPE(array)) {
        case NPY_UINT8: return Items{PyArray_DATA(array), Element::u8, 1, width};
        case NPY_DOUBLE: return Items{PyArray_DATA(array), Element::f64, 1, width};
        case NPY_FLOAT: return Items{PyArray_DATA(array), Element::f32, 1, width};
        default: return std::nullopt;
    }
}

nb::object new_vector(std::size_t size, int type) {
    npy_intp shape = npy_intp(size);
    PyObject* array = PyArray_SimpleNew(1, &shape, type);
    if (!array) throw nb::python_error();
    return nb::steal(array);
}

template <typename T>
T* data_of(const nb::object& array) {
    return static_cast<T*>(PyArray_DATA(reinterpret_cast<PyArrayObject*>(array.ptr())));
}

// Checks that every value of a row is summed once.
Bounds bounds_of(const std::uint8_t* data, std::size_t stride,
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

// The scan, and the arrays it reads, kept alive with it.
struct ScanOfArrays {
    In<std::uint8_t, nb::ndim<2>> rows;
    std::optional<In<std::uint8_t, nb::ndim<2>>> bounds;
    std::optional<In<std::uint32_t, nb::ndim<1>>> order;
    ExactScan scan;
};

ScanOfArrays make_scan(In<std::uint8_t, nb::ndim<2>> rows, std::size_t width, Measure measure,
                       std::uint8_t limit, std::optional<In<std::uint8_t, nb::ndim<2>>> bounds,
                       std::optional<In<std::uint32_t, nb::ndim<1>>> order, unsigned shift) {
    const std::size_t count = rows.shape(0), stride = rows.shape(1);
    const std::size_t step = measure == Measure::differing_bits ? 8 : 16;
    require(width > 0 && width <= stride && stride % step == 0, "rows are not padded");
    require(count <= 0xFFFFFFFFu, "a scan holds at most 2^32 - 1 rows");
    require(width <= 0x01000000u, "distances of rows longer than 2^24 do not fit 32 bits");
    Bounds bounding;
    if (bounds && order) {
        require(measure == Measure::absolute_differences, "only this measure has bounds");
        require(bounds->shape(0) == count && order->size() == width,
                "bounds do not belong to these rows");
        bounding = bounds_of(bounds->data(), bounds->shape(1), *order, shift);
    }
    const ExactScan scan({rows.data(), count, width, stride}, measure, bounding, limit);
    return {std::move(rows), std::move(bounds), std::move(order), scan};
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

}  // namespace

NB_MODULE(_core, m) {
    if (_import_array() < 0) throw nb::python_error();
    m.doc() = "Arrays in, arrays out: the compiled core of lookalike.";

    m.def("cpu_level", [] { return std::string(kernels().name); }, "Name of the CPU level in use.");
    m.def("compiled_levels", &compiled_levels, "Levels in this build, by rank.");
    m.def("usable_levels", &usable_levels, "Levels that this processor can run, by rank.");
    m.def("force_level", &force_level, "name"_a, "Use the level of this name from now on.");

    m.def(
        "pack_rows",
        [](const AnyArray& items, std::size_t width, std::uint8_t limit,
           Out<std::uint8_t, nb::ndim<2>> rows) {
            const Items batch = items_of(items, width);
            require(rows.shape(0) == batch.count && rows.shape(1) >= width,
                    "rows do not fit the items");
            nb::gil_scoped_release release;
            pack_rows(batch, limit, rows.shape(1), rows.data());
        },
        "items"_a, "width"_a, "limit"_a, "rows"_a,
        "Write items as zero-padded rows of bytes; ValueError unless whole and in [0, limit].");
    m.def(
        "make_bounds",
        [](In<std::uint8_t, nb::ndim<2>> rows, In<std::uint32_t, nb::ndim<1>> order, unsigned shift,
           Out<std::uint8_t, nb::ndim<2>> bounds) {
            require(rows.shape(1) >= order.size() && bounds.shape(0) == rows.shape(0),
                    "bounds do not fit the rows");
            const Bounds shape = bounds_of(nullptr, bounds.shape(1), order, shift);
            nb::gil_scoped_release release;
            make_bounds({rows.data(), rows.shape(0), order.size(), rows.shape(1)}, shape,
                        bounds.data());
        },
        "rows"_a, "order"_a, "shift"_a, "bounds"_a,
        "Write the bounding row of each row: sums of four values in that order, shifted right.");

    nb::enum_<Measure>(m, "Measure")
        .value("absolute_differences", Measure::absolute_differences)
        .value("differing_bits", Measure::differing_bits);

    nb::class_<ScanOfArrays>(m, "ExactScan")
        .def(
            "__init__",
            [](ScanOfArrays* self, In<std::uint8_t, nb::ndim<2>> rows, std::size_t width,
               Measure measure, std::uint8_t limit,
               std::optional<In<std::uint8_t, nb::ndim<2>>> bounds,
               std::optional<In<std::uint32_t, nb::ndim<1>>> order, unsigned shift) {
                new (self) ScanOfArrays(make_scan(std::move(rows), width, measure, limit,
                                                  std::move(bounds), std::move(order), shift));
            },
            "rows"_a, "width"_a, "measure"_a, "limit"_a, "bounds"_a = nb::none(),
            "order"_a = nb::none(), "shift"_a = 0)
        .def(
            "nearest",
            [](const ScanOfArrays& self, const AnyArray& queries, std::size_t k,
               std::size_t threads, Out<std::int64_t> slots, Out<double> distances) {
                const Items items = items_of(queries, self.scan.rows().width);
                require(slots.size() == items.count * k && distances.size() == slots.size(),
                        "results need k places a query");
                nb::gil_scoped_release release;
                return self.scan.nearest(items, k, threads, slots.data(), distances.data())
                    .verified;
            },
            "queries"_a, "k"_a, "threads"_a, "slots"_a, "distances"_a,
            "The k nearest rows of each query; returns how many rows were compared exactly.")
        .def(
            "nearest_of_one",
            [](const ScanOfArrays& self, nb::handle item, std::size_t k) -> nb::object {
                const std::optional<Items> one = plain_item(item, self.scan.rows().width);
                if (!one) return nb::none();
                const nb::object slots = new_vector(k, NPY_INT64);
                const nb::object distances = new_vector(k, NPY_DOUBLE);
                try {
                    nb::gil_scoped_release release;
                    self.scan.nearest_of_one(*one, k, data_of<std::int64_t>(slots),
                                             data_of<double>(distances));
                } catch (const std::invalid_argument&) {
                    return nb::none();
                }
                return nb::make_tuple(slots, distances);
            },
            "item"_a, "k"_a,
            nb::sig("def nearest_of_one(self, item: object, k: int) -> "
                    "tuple[NDArray[numpy.int64], NDArray[numpy.float64]] | None"),
            "Slots and distances of the k nearest rows; None when the item is not a plain array "
            "of whole numbers within the limit.")
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
            [](const ScanOfArrays& self, const AnyArray& queries, std::uint32_t radius,
               std::size_t threads) {
                const Items items = items_of(queries, self.scan.rows().width);
                Found found;
                {
                    nb::gil_scoped_release release;
                    found = self.scan.within(items, radius, threads);
                }
                return arrays_of(std::move(found));
            },
            "queries"_a, "radius"_a, "threads"_a,
            "Offsets, slots and distances of all rows within the radius, boundary included.")
        .def(
            "within_among",
            [](const ScanOfArrays& self, const AnyArray& queries,
               In<std::int64_t, nb::ndim<1>> offsets, In<std::int64_t, nb::ndim<1>> candidates,
               std::uint32_t radius, std::size_t threads) {
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
                const nb::object found = new_vector(rows->size(), NPY_INT64);
                std::copy(rows->begin(), rows->end(), data_of<std::int64_t>(found));
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
                const nb::object slots = new_vector(k, NPY_INT64);
                const nb::object distances = new_vector(k, NPY_DOUBLE);
                try {
                    nb::gil_scoped_release release;
                    const std::vector<std::int64_t>& rows = self.candidates_of_one(sampler, *one);
                    const std::int64_t offsets[] = {0, std::int64_t(rows.size())};
                    scan.scan.nearest_among(*one, offsets, rows.data(), k, 1,
                                            data_of<std::int64_t>(slots),
                                            data_of<double>(distances));
                } catch (const std::invalid_argument&) {
                    return nb::none();
                }
                return nb::make_tuple(slots, distances);
            },
            "sampler"_a, "scan"_a, "item"_a, "k"_a,
            nb::sig("def nearest_of_one(self, sampler: BitSampler, scan: ExactScan, item: object, "
                    "k: int) -> tuple[NDArray[numpy.int64], NDArray[numpy.float64]] | None"),
            "The k nearest candidates of one item; None as above.");
}
