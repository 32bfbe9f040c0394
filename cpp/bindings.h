// What the files of the compiled module share: arrays from Python, arrays to Python.
#pragma once

#include <nanobind/nanobind.h>
#include <nanobind/ndarray.h>
#include <nanobind/stl/optional.h>
#include <nanobind/stl/pair.h>
#include <nanobind/stl/string.h>
#include <nanobind/stl/tuple.h>
#include <nanobind/stl/vector.h>

#include <memory>
#include <optional>
#include <stdexcept>
#include <utility>
#include <vector>

#include "bounds.h"
#include "exact_scan.h"
#include "items.h"
#include "projection.h"

namespace lookalike {

namespace nb = nanobind;

using AnyArray = nb::ndarray<nb::ro, nb::c_contig, nb::device::cpu>;
template <typename T, typename... Shape>
using In = nb::ndarray<const T, nb::c_contig, nb::device::cpu, Shape...>;
template <typename T, typename... Shape>
using Out = nb::ndarray<T, nb::c_contig, nb::device::cpu, Shape...>;
template <typename T>
using Array = nb::ndarray<nb::numpy, T, nb::ndim<1>>;
using RowArray = In<std::uint8_t, nb::ndim<2>>;

inline void require(bool condition, const char* message) {
    if (!condition) throw std::invalid_argument(message);
}

// A byte for each row, 0 for rows that may not be found; None allows all.
using MaskArray = std::optional<In<std::uint8_t, nb::ndim<1>>>;
inline Mask mask_of(const MaskArray& allowed, std::size_t rows) {
    if (!allowed) return nullptr;
    require(allowed->size() == rows, "a mask must have a byte for each row");
    return allowed->data();
}

// Any shape whose values make whole items: the caller knows what the axes mean.
Items items_of(const AnyArray& array, std::size_t width);

// One item, straight from NumPy: nanobind's general import of an array takes as long as the
// search of a small index. Empty unless it is an array that can be read as it is.
std::optional<Items> plain_item(nb::handle object, std::size_t width);

// New NumPy vectors, and where their values lie.
nb::object new_ids(std::size_t size);
nb::object new_distances(std::size_t size);
std::int64_t* ids_of(const nb::object& array);
double* distances_of(const nb::object& array);

template <typename T>
Array<T> array_of(std::vector<T>&& values) {
    auto owned = std::make_unique<std::vector<T>>(std::move(values));
    T* data = owned->data();
    const std::size_t size = owned->size();
    nb::capsule owner(owned.release(),
                      [](void* p) noexcept { delete static_cast<std::vector<T>*>(p); });
    return Array<T>(data, {size}, owner);
}

// Calls search(rows, distances), which returns whether it was widened, without the GIL; a tuple of
// k of each and that, or None when the item is refused. One native call with the least overhead.
template <typename Search>
nb::object found_of_one(std::size_t k, Search search) {
    const nb::object ids = new_ids(k), distances = new_distances(k);
    bool widened;
    try {
        nb::gil_scoped_release release;
        widened = search(ids_of(ids), distances_of(distances));
    } catch (const std::invalid_argument&) {
        return nb::none();
    }
    return nb::make_tuple(ids, distances, widened);
}

// What reads arrays, and the arrays, kept alive with it.
struct BoundsOfArrays {
    RowArray rows;
    std::optional<In<std::uint32_t, nb::ndim<1>>> order;
    std::optional<In<std::int16_t, nb::ndim<2>>> projected;
    nb::object projection;
    std::shared_ptr<const Bounds> bounds;
    std::size_t count;
};

struct ScanOfArrays {
    RowArray rows;
    std::optional<BoundsOfArrays> bounds;
    ExactScan scan;
};

// The projection, and the arrays it reads, kept alive with it.
struct ProjectionOfArrays {
    In<float, nb::ndim<1>> mean;
    std::optional<In<float, nb::ndim<2>>> matrix;
    std::optional<In<std::int8_t, nb::ndim<3>>> byte_matrix;
    std::optional<In<float, nb::ndim<1>>> scales, offsets;
    Projection projection;
};

void bind_exact(nb::module_& m);
void bind_tables(nb::module_& m);
void bind_prefixes(nb::module_& m);
void bind_cells(nb::module_& m);
void bind_multi_index(nb::module_& m);

}  // namespace lookalike
