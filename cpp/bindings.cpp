// The compiled module: check arrays, release the GIL, call. No logic.
#define NPY_NO_DEPRECATED_API NPY_2_0_API_VERSION
#include "bindings.h"

#include <numpy/arrayobject.h>

#include "dispatch.h"
#include "mapping.h"

namespace lookalike {

using namespace nb::literals;

namespace {

Element element_of(const AnyArray& array) {
    const nb::dlpack::dtype type = array.dtype();
    if (type == nb::dtype<std::uint8_t>()) return Element::u8;
    if (type == nb::dtype<double>()) return Element::f64;
    if (type == nb::dtype<float>()) return Element::f32;
    if (type == nb::dtype<std::int64_t>()) return Element::i64;
    if (type == nb::dtype<std::int32_t>()) return Element::i32;
    throw std::invalid_argument("items must be uint8, int32, int64, float32 or float64");
}

nb::object new_vector(std::size_t size, int type) {
    npy_intp shape = npy_intp(size);
    PyObject* array = PyArray_SimpleNew(1, &shape, type);
    if (!array) throw nb::python_error();
    return nb::steal(array);
}

void* data_of(const nb::object& array) {
    return PyArray_DATA(reinterpret_cast<PyArrayObject*>(array.ptr()));
}

}  // namespace

Items items_of(const AnyArray& array, std::size_t width) {
    require(width > 0 && array.size() % width == 0, "items do not have the stored width");
    return {array.data(), element_of(array), array.size() / width, width};
}

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

nb::object new_ids(std::size_t size) {
    return new_vector(size, NPY_INT64);
}
nb::object new_distances(std::size_t size) {
    return new_vector(size, NPY_DOUBLE);
}
std::int64_t* ids_of(const nb::object& array) {
    return static_cast<std::int64_t*>(data_of(array));
}
double* distances_of(const nb::object& array) {
    return static_cast<double*>(data_of(array));
}

}  // namespace lookalike

NB_MODULE(_core, m) {
    using namespace lookalike;
    if (_import_array() < 0) throw nb::python_error();
    m.doc() = "Arrays in, arrays out: the compiled core of lookalike.";

    m.def("cpu_level", [] { return std::string(kernels().name); }, "Name of the CPU level in use.");
    m.def("compiled_levels", &compiled_levels, "Levels in this build, by rank.");
    m.def("usable_levels", &usable_levels, "Levels that this processor can run, by rank.");
    m.def("force_level", &force_level, "name"_a, "Use the level of this name from now on.");
    m.def(
        "map_file",
        [](int file, std::size_t length, std::size_t capacity) {
            require(0 < capacity && length <= capacity, "a file must fit its room");
            auto mapping = std::make_unique<Mapping>(file, length, capacity);
            std::uint8_t* data = mapping->data();
            nb::capsule owner(mapping.release(),
                              [](void* p) noexcept { delete static_cast<Mapping*>(p); });
            return Array<std::uint8_t>(data, {capacity}, owner);
        },
        "file"_a, "length"_a, "capacity"_a,
        "The bytes of a file and zeros up to a capacity; what is written there stays in memory.");
    bind_exact(m);
    bind_tables(m);
    bind_prefixes(m);
    bind_cells(m);
    bind_multi_index(m);
}
