// Projection, cells and sketch for Python, and the search that joins them.
#include "bindings.h"

#include <cstring>

#include "cell_scan.h"
#include "workers.h"

namespace lookalike {

using namespace nb::literals;

namespace {

using FloatArray = In<float, nb::ndim<1>>;
using FloatMatrix = In<float, nb::ndim<2>>;
using Slots = In<std::uint32_t, nb::ndim<1>>;
using WidenedArray = std::optional<Out<std::uint8_t, nb::ndim<1>>>;

ProjectionOfArrays project_floats(FloatArray mean, FloatMatrix matrix) {
    const std::size_t width = matrix.shape(0), outputs = matrix.shape(1);
    require(mean.size() == width && width > 0, "the matrix must have a row for each value");
    require(outputs > 0 && outputs % 16 == 0, "outputs must be a multiple of 16");
    Projection projection;
    projection.width = width;
    projection.outputs = outputs;
    projection.mean = mean.data();
    projection.matrix = matrix.data();
    return {std::move(mean), std::move(matrix), {}, {}, {}, projection};
}

ProjectionOfArrays project_bytes(FloatArray mean, In<std::int8_t, nb::ndim<3>> matrix,
                                 FloatArray scales, FloatArray offsets) {
    const std::size_t groups = matrix.shape(0), outputs = matrix.shape(1);
    require(matrix.shape(2) == 4 && mean.size() > 0 && groups == (mean.size() + 3) / 4,
            "the matrix must have shape (width / 4, outputs, 4)");
    require(
        outputs > 0 && outputs % 16 == 0 && scales.size() == outputs && offsets.size() == outputs,
        "outputs must be a multiple of 16, each with a scale and an offset");
    for (std::size_t i = 0; i < matrix.size(); ++i)
        require(matrix.data()[i] >= -16 && matrix.data()[i] <= 16,
                "the matrix must lie in [-16, 16]");
    Projection projection;
    projection.bytes = true;
    projection.width = mean.size();
    projection.outputs = outputs;
    projection.mean = mean.data();
    projection.byte_matrix = matrix.data();
    projection.scales = scales.data();
    projection.offsets = offsets.data();
    return {std::move(mean),    {},        std::move(matrix), std::move(scales),
            std::move(offsets), projection};
}

std::vector<float> vector_of(const FloatArray& values) {
    return {values.data(), values.data() + values.size()};
}

void check_cells(const Slots& of_row, std::size_t rows, std::size_t cells) {
    require(of_row.size() == rows, "every row needs a cell");
    for (std::size_t i = 0; i < rows; ++i) require(of_row(i) < cells, "there is no such cell");
}

// The scan, and what it reads, kept alive with it.
struct CellsOfArrays {
    ScanOfArrays verifier;
    ProjectionOfArrays projection;
    std::shared_ptr<Cells> cells;
    Slots starts, rows;
    RowArray blocks;
    std::unique_ptr<CellScan> scan;
};

// No row may be there twice: a search would return it twice. Rows that were removed are in no
// block.
void check_rows(const Slots& rows, std::size_t count) {
    std::vector<bool> met(count);
    for (std::size_t slot = 0; slot < rows.size(); ++slot) {
        if (rows(slot) == no_row) continue;
        require(rows(slot) < count && !met[rows(slot)], "every row must be in one block");
        met[rows(slot)] = true;
    }
}

// A place without a row must be as BlockWriter::pad leaves it: its estimate is then too large to
// be kept, so that no search looks for its row.
void check_padding(const RowArray& blocks, const Slots& rows) {
    const std::size_t bytes = blocks.shape(1), lane_bytes = 4;
    for (std::size_t slot = 0; slot < rows.size(); ++slot) {
        if (rows(slot) != no_row) continue;
        const std::uint8_t* lane =
            blocks.data() + slot / block_vectors * bytes + lane_bytes * (slot % block_vectors);
        std::int32_t norm;
        std::memcpy(&norm, lane, sizeof norm);
        require(norm == padding_norm, "a place without a row must have the norm of padding");
        for (std::size_t at = lane_bytes * block_vectors; at < bytes;
             at += lane_bytes * block_vectors)
            for (std::size_t b = 0; b < lane_bytes; ++b)
                require(lane[at + b] == padding_codes,
                        "a place without a row must have the codes of padding");
    }
}

CellsOfArrays make_cell_scan(const ScanOfArrays& verifier, const ProjectionOfArrays& projection,
                             std::shared_ptr<Cells> cells, const Sketch& sketch, Slots starts,
                             RowArray blocks, Slots rows) {
    require(starts.size() == cells->size() + 1 && starts(0) == 0, "starts do not fit the cells");
    for (std::size_t c = 0; c < cells->size(); ++c)
        require(starts(c) <= starts(c + 1), "starts must ascend");
    require(blocks.shape(0) == starts(cells->size()) &&
                rows.size() == blocks.shape(0) * block_vectors &&
                blocks.shape(1) == block_bytes(sketch.dimensions()),
            "blocks do not fit");
    check_rows(rows, verifier.scan.rows().count);
    check_padding(blocks, rows);
    auto scan =
        std::make_unique<CellScan>(verifier.scan.verifier(), projection.projection, *cells, sketch,
                                   CellBlocks{starts.data(), blocks.data(), rows.data()});
    return {verifier,        projection,        std::move(cells), std::move(starts),
            std::move(rows), std::move(blocks), std::move(scan)};
}

using Counts = In<std::int64_t, nb::ndim<2>>;

// usual, wide: (regions, 2), probes and candidates of each region.
Efforts make_efforts(const In<std::uint8_t, nb::ndim<1>>& regions, const Counts& usual,
                     const Counts& wide, std::pair<float, float> nearest,
                     std::pair<float, float> tail) {
    const std::size_t count = usual.shape(0);
    require(usual.shape(1) == 2 && wide.shape(0) == count && wide.shape(1) == 2,
            "efforts must have shape (regions, 2)");
    Efforts efforts;
    for (std::size_t c = 0; c < regions.size(); ++c)
        require(regions(c) < count, "there is no such region");
    efforts.regions.assign(regions.data(), regions.data() + regions.size());
    const auto effort_of = [](const Counts& counts, std::size_t region) {
        require(counts(region, 0) > 0 && counts(region, 1) > 0,
                "a search needs probes and candidates");
        return Effort{std::size_t(counts(region, 0)), std::size_t(counts(region, 1))};
    };
    for (std::size_t r = 0; r < count; ++r) {
        efforts.usual.push_back(effort_of(usual, r));
        efforts.wide.push_back(effort_of(wide, r));
    }
    efforts.least = {nearest.first, tail.first};
    efforts.most = {nearest.second, tail.second};
    return efforts;
}

void check_efforts(const Efforts& efforts, const CellsOfArrays& cells) {
    require(efforts.regions.size() == cells.cells->size(), "efforts are of other cells");
}

void check_vectors(const FloatMatrix& y, const FloatArray& tails, const Cells& cells,
                   std::size_t dimensions, const Slots& of_row) {
    require(
        y.shape(1) >= dimensions && tails.size() == y.shape(0) && dimensions == cells.dimensions(),
        "vectors do not fit the cells");
    check_cells(of_row, y.shape(0), cells.size());
}

// The writer, and the arrays it writes to, kept alive with it.
struct WriterOfArrays {
    Slots starts;
    Out<std::uint8_t, nb::ndim<2>> blocks;
    Out<std::uint32_t, nb::ndim<1>> rows;
    BlockWriter writer;

    std::size_t cells() const { return starts.size() - 1; }
    void check_room(const std::vector<std::size_t>& needed) const {
        for (std::size_t c = 0; c < needed.size(); ++c)
            require(needed[c] <= writer.room(c), "a cell has no room for its rows");
    }
};

WriterOfArrays make_writer(Slots starts, Out<std::uint8_t, nb::ndim<2>> blocks,
                           Out<std::uint32_t, nb::ndim<1>> rows) {
    require(starts.size() > 0 && starts(0) == 0, "starts do not fit the cells");
    const std::size_t cells = starts.size() - 1;
    for (std::size_t c = 0; c < cells; ++c)
        require(starts(c) <= starts(c + 1), "starts must ascend");
    require(blocks.shape(0) == starts(cells) && rows.size() == blocks.shape(0) * block_vectors,
            "blocks do not fit");
    BlockWriter writer(starts.data(), cells, blocks.data(), rows.data());
    return {std::move(starts), std::move(blocks), std::move(rows), std::move(writer)};
}

void copy_blocks(WriterOfArrays& self, const Slots& starts, const RowArray& blocks,
                 const Slots& rows, const In<std::uint8_t, nb::ndim<1>>& kept,
                 const Sketch& sketch) {
    const std::size_t cells = self.cells();
    require(starts.size() == cells + 1 && starts(0) == 0 && blocks.shape(0) == starts(cells) &&
                blocks.shape(1) == block_bytes(sketch.dimensions()) &&
                blocks.shape(1) == self.blocks.shape(1) &&
                rows.size() == blocks.shape(0) * block_vectors,
            "the blocks to be copied do not fit the cells");
    std::vector<std::size_t> needed(cells);
    for (std::size_t c = 0; c < cells; ++c) {
        require(starts(c) <= starts(c + 1), "starts must ascend");
        for (std::size_t s = starts(c) * block_vectors; s < starts(c + 1) * block_vectors; ++s) {
            if (rows(s) == no_row) continue;
            require(rows(s) < kept.size(), "a row is beyond those that may be kept");
            needed[c] += kept(rows(s)) != 0;
        }
    }
    self.check_room(needed);
    nb::gil_scoped_release release;
    self.writer.copy({starts.data(), blocks.data(), rows.data()}, sketch.dimensions(), kept.data());
}

void write_rows(WriterOfArrays& self, const FloatMatrix& y, const FloatArray& tails,
                const Cells& cells, const Sketch& sketch, float tail_weight, const Slots& of_row,
                std::size_t first_row) {
    check_vectors(y, tails, cells, sketch.dimensions(), of_row);
    require(cells.size() == self.cells() &&
                self.blocks.shape(1) == block_bytes(sketch.dimensions()) &&
                first_row + y.shape(0) < no_row,
            "blocks do not fit");
    std::vector<std::size_t> needed(cells.size());
    for (std::size_t i = 0; i < of_row.size(); ++i) ++needed[of_row(i)];
    self.check_room(needed);
    nb::gil_scoped_release release;
    write_blocks(y.data(), tails.data(), y.shape(1), y.shape(0), cells, sketch, tail_weight,
                 of_row.data(), std::uint32_t(first_row), self.writer);
}

void bind_writer(nb::module_& m) {
    nb::class_<WriterOfArrays>(m, "BlockWriter")
        .def(
            "__init__",
            [](WriterOfArrays* self, Slots starts, Out<std::uint8_t, nb::ndim<2>> blocks,
               Out<std::uint32_t, nb::ndim<1>> rows) {
                new (self) WriterOfArrays(
                    make_writer(std::move(starts), std::move(blocks), std::move(rows)));
            },
            "starts"_a, "blocks"_a, "rows"_a)
        .def("copy", &copy_blocks, "starts"_a, "blocks"_a, "rows"_a, "kept"_a, "sketch"_a,
             "Take over the sketches of the rows that are kept.")
        .def("write", &write_rows, "y"_a, "tails"_a, "cells"_a, "sketch"_a, "tail_weight"_a,
             "of_row"_a, "first_row"_a,
             "Write the sketches of vectors to the blocks of their cells.")
        .def(
            "pad",
            [](WriterOfArrays& self, const Sketch& sketch) {
                require(self.blocks.shape(1) == block_bytes(sketch.dimensions()),
                        "blocks do not fit");
                self.writer.pad(sketch);
            },
            "sketch"_a, "Mark the places that are still free.");
}

void bind_projection(nb::module_& m) {
    nb::class_<ProjectionOfArrays>(m, "Projection")
        .def_static("of_floats", &project_floats, "mean"_a, "matrix"_a)
        .def_static("of_bytes", &project_bytes, "mean"_a, "matrix"_a, "scales"_a, "offsets"_a)
        .def_prop_ro("outputs", [](const ProjectionOfArrays& p) { return p.projection.outputs; })
        .def(
            "apply",
            [](const ProjectionOfArrays& self, const RowArray& rows, std::size_t dimensions,
               std::size_t threads, Out<float, nb::ndim<2>> y, Out<float, nb::ndim<1>> tails) {
                const Projection& p = self.projection;
                const std::size_t stride = rows.shape(1), count = rows.shape(0);
                const std::size_t needed = p.bytes ? (p.width + 3) / 4 * 4 : 4 * p.width;
                require(stride >= needed && stride % 4 == 0, "rows are too short");
                require(y.shape(0) == count && y.shape(1) == p.outputs && tails.size() == count &&
                            dimensions <= p.outputs,
                        "results do not fit the rows");
                nb::gil_scoped_release release;
                constexpr std::size_t together = 256;
                run_pieces(
                    count, together, threads, [&](std::size_t first, std::size_t end, std::size_t) {
                        const std::uint8_t* from = rows.data() + first * stride;
                        float* to = y.data() + first * p.outputs;
                        p.apply(from, stride, end - first, to);
                        p.tails(from, stride, end - first, to, dimensions, tails.data() + first);
                    });
            },
            "rows"_a, "dimensions"_a, "threads"_a, "y"_a, "tails"_a,
            "Project rows, and what their first dimensions leave out of |x - mean|^2.");
}

void bind_sketch(nb::module_& m) {
    nb::class_<Sketch>(m, "Sketch")
        .def(
            "__init__",
            [](Sketch* self, const FloatArray& steps, float unit) {
                new (self) Sketch(vector_of(steps), unit);
            },
            "steps"_a, "unit"_a)
        .def_prop_ro("unit", &Sketch::unit)
        .def_prop_ro(
            "steps", [](const Sketch& self) { return array_of(std::vector<float>(self.steps())); },
            nb::rv_policy::move);

    nb::class_<Cells>(m, "Cells")
        .def(
            "__init__",
            [](Cells* self, const FloatArray& steps, float unit,
               const In<std::int8_t, nb::ndim<2>>& codes) {
                require(codes.shape(1) == steps.size(), "codes do not fit the steps");
                new (self)
                    Cells(vector_of(steps), unit, {codes.data(), codes.data() + codes.size()});
            },
            "steps"_a, "unit"_a, "codes"_a)
        .def("__len__", &Cells::size)
        .def_prop_ro("unit", [](const Cells& self) { return self.sketch().unit(); })
        .def_prop_ro(
            "steps", [](const Cells& self) { return array_of(std::vector<float>(self.steps())); },
            nb::rv_policy::move)
        .def_prop_ro(
            "codes",
            [](const Cells& self) { return array_of(std::vector<std::int8_t>(self.codes())); },
            nb::rv_policy::move)
        .def(
            "assign",
            [](const Cells& self, const FloatMatrix& y, std::size_t threads,
               Out<std::uint32_t, nb::ndim<1>> cells) {
                require(y.shape(1) % 16 == 0 && y.shape(1) >= self.dimensions() &&
                            cells.size() == y.shape(0),
                        "vectors do not fit the cells");
                nb::gil_scoped_release release;
                return self.assign(y.data(), y.shape(1), y.shape(0), false, threads, cells.data());
            },
            "y"_a, "threads"_a, "cells"_a,
            "The cell of each projected vector; returns how many centroids were compared in all.");

    m.def(
        "learn_cells",
        [](const FloatMatrix& y, std::size_t dimensions, std::size_t cells, std::size_t rounds,
           float least_step, std::size_t threads) {
            require(dimensions <= y.shape(1), "vectors are too short");
            nb::gil_scoped_release release;
            return learn_cells(y.data(), y.shape(1), y.shape(0), dimensions, cells, rounds,
                               least_step, threads);
        },
        "y"_a, "dimensions"_a, "cells"_a, "rounds"_a, "least_step"_a, "threads"_a,
        "k-means over projected vectors in random order.");
    m.def(
        "largest_norm",
        [](const FloatMatrix& y, const FloatArray& tails, const Cells& cells, const Slots& of_row) {
            check_vectors(y, tails, cells, cells.dimensions(), of_row);
            nb::gil_scoped_release release;
            return largest_norm(y.data(), tails.data(), y.shape(1), y.shape(0), cells,
                                of_row.data());
        },
        "y"_a, "tails"_a, "cells"_a, "of_row"_a,
        "What the norm of one of these vectors may come to at the most.");
    m.def(
        "learn_sketch",
        [](const FloatMatrix& y, const Cells& cells, const Slots& of_row, double largest,
           float least_step) {
            require(y.shape(1) >= cells.dimensions(), "vectors do not fit the cells");
            check_cells(of_row, y.shape(0), cells.size());
            nb::gil_scoped_release release;
            return learn_sketch(y.data(), y.shape(1), y.shape(0), cells, of_row.data(), largest,
                                least_step);
        },
        "y"_a, "cells"_a, "of_row"_a, "largest"_a, "least_step"_a,
        "The sketch for residuals like those of these vectors.");
    m.def(
        "block_starts",
        [](const Slots& of_row, std::size_t cells) {
            check_cells(of_row, of_row.size(), cells);
            return array_of(block_starts(of_row.data(), of_row.size(), cells));
        },
        "of_row"_a, "cells"_a, "The first block of each cell, and the number of all.");
    bind_writer(m);
}

}  // namespace

void bind_cells(nb::module_& m) {
    bind_projection(m);
    bind_sketch(m);
    nb::class_<Efforts>(m, "Efforts")
        .def(
            "__init__",
            [](Efforts* self, const In<std::uint8_t, nb::ndim<1>>& regions, const Counts& usual,
               const Counts& wide, std::pair<float, float> nearest, std::pair<float, float> tail) {
                new (self) Efforts(make_efforts(regions, usual, wide, nearest, tail));
            },
            "regions"_a, "usual"_a, "wide"_a, "nearest"_a, "tail"_a);
    nb::class_<CellsOfArrays>(m, "CellScan")
        .def(
            "__init__",
            [](CellsOfArrays* self, const ScanOfArrays& verifier,
               const ProjectionOfArrays& projection, const Cells& cells, const Sketch& sketch,
               Slots starts, RowArray blocks, Slots rows) {
                new (self) CellsOfArrays(
                    make_cell_scan(verifier, projection, std::make_shared<Cells>(cells), sketch,
                                   std::move(starts), std::move(blocks), std::move(rows)));
            },
            "verifier"_a, "projection"_a, "cells"_a, "sketch"_a, "starts"_a, "blocks"_a, "rows"_a)
        .def(
            "nearest",
            [](const CellsOfArrays& self, const AnyArray& queries, std::size_t k,
               const Efforts& efforts, std::size_t threads, Out<std::int64_t> rows,
               Out<double> distances, const MaskArray& allowed, const WidenedArray& widened) {
                const Items items = items_of(queries, self.scan->verifier().rows().width);
                const Mask mask = mask_of(allowed, self.scan->verifier().rows().count);
                check_efforts(efforts, self);
                require(rows.size() == items.count * k && distances.size() == rows.size() &&
                            (!widened || widened->size() == items.count),
                        "results need k places a query");
                nb::gil_scoped_release release;
                self.scan->nearest(items, k, efforts, mask, threads, rows.data(), distances.data(),
                                   widened ? widened->data() : nullptr);
            },
            "queries"_a, "k"_a, "efforts"_a, "threads"_a, "rows"_a, "distances"_a,
            "allowed"_a = nb::none(), "widened"_a = nb::none(),
            "The k nearest of the rows that are verified.")
        .def(
            "nearest_of_one",
            [](const CellsOfArrays& self, nb::handle item, std::size_t k, const Efforts& efforts,
               const MaskArray& allowed) -> nb::object {
                const std::optional<Items> one =
                    plain_item(item, self.scan->verifier().rows().width);
                if (!one) return nb::none();
                const Mask mask = mask_of(allowed, self.scan->verifier().rows().count);
                check_efforts(efforts, self);
                return found_of_one(k, [&](std::int64_t* rows, double* distances) {
                    return self.scan->nearest_of_one(*one, k, efforts, mask, rows, distances);
                });
            },
            "item"_a, "k"_a, "efforts"_a, "allowed"_a = nb::none(),
            nb::sig("def nearest_of_one(self, item: object, k: int, efforts: Efforts, "
                    "allowed: NDArray[numpy.uint8] | None = None) -> tuple[NDArray[numpy.int64], "
                    "NDArray[numpy.float64], bool] | None"),
            "Rows and distances of the k nearest, and whether the effort was wide; None when the "
            "item is not a plain array that "
            "could be a row.")
        .def(
            "trace",
            [](const CellsOfArrays& self, const AnyArray& item, std::size_t k,
               const Efforts& efforts, const MaskArray& allowed) {
                const Items one = items_of(item, self.scan->verifier().rows().width);
                const Mask mask = mask_of(allowed, self.scan->verifier().rows().count);
                require(one.count == 1, "a trace is of one item");
                check_efforts(efforts, self);
                std::vector<std::int64_t> rows(k);
                std::vector<double> distances(k);
                CellTrace trace;
                self.scan->nearest_of_one(one, k, efforts, mask, rows.data(), distances.data(),
                                          &trace);
                return std::tuple(trace.probes, trace.scanned, trace.verified, trace.hash_us,
                                  trace.filter_us, trace.verify_us);
            },
            "item"_a, "k"_a, "efforts"_a, "allowed"_a = nb::none(),
            "Search for one item: cells and rows scanned, rows verified, microseconds to hash, "
            "filter, verify.")
        .def(
            "candidates",
            [](const CellsOfArrays& self, const AnyArray& item, const Efforts& efforts,
               const MaskArray& allowed) {
                const Items one = items_of(item, self.scan->verifier().rows().width);
                const Mask mask = mask_of(allowed, self.scan->verifier().rows().count);
                require(one.count == 1, "candidates are of one item");
                check_efforts(efforts, self);
                const std::vector<std::uint32_t> rows = self.scan->candidates(one, efforts, mask);
                return array_of(std::vector<std::int64_t>(rows.begin(), rows.end()));
            },
            "item"_a, "efforts"_a, "allowed"_a = nb::none(),
            "The rows that would be verified, ascending.")
        .def(
            "ranks",
            [](const CellsOfArrays& self, const AnyArray& queries,
               const In<std::int64_t, nb::ndim<2>>& wanted,
               const In<std::int64_t, nb::ndim<1>>& excluded, std::size_t threads,
               Out<std::uint32_t, nb::ndim<3>> ranks, Out<std::uint32_t, nb::ndim<1>> cells,
               Out<float, nb::ndim<2>> signs, const MaskArray& allowed) {
                const Mask mask = mask_of(allowed, self.scan->verifier().rows().count);
                const Items items = items_of(queries, self.scan->verifier().rows().width);
                const std::size_t count = wanted.shape(1);
                const auto rows = std::int64_t(self.scan->verifier().rows().count);
                require(wanted.shape(0) == items.count && excluded.size() == items.count &&
                            ranks.shape(0) == items.count && ranks.shape(1) == count &&
                            ranks.shape(2) == 2 && cells.size() == items.count &&
                            signs.shape(0) == items.count && signs.shape(1) == 2,
                        "ranks do not fit the queries");
                for (std::size_t i = 0; i < wanted.size(); ++i)
                    require(wanted.data()[i] < rows, "a wanted row is not in this index");
                for (std::size_t q = 0; q < items.count; ++q)
                    require(excluded(q) < rows, "an excluded row is not in this index");
                static_assert(sizeof(Ranks) == 2 * sizeof(std::uint32_t));
                nb::gil_scoped_release release;
                std::vector<Sighting> sightings(items.count);
                self.scan->ranks(items, wanted.data(), count, excluded.data(), mask, threads,
                                 reinterpret_cast<Ranks*>(ranks.data()), sightings.data());
                for (std::size_t q = 0; q < items.count; ++q) {
                    cells(q) = sightings[q].cell;
                    signs(q, 0) = sightings[q].signs.nearest;
                    signs(q, 1) = sightings[q].signs.tail;
                }
            },
            "queries"_a, "wanted"_a, "excluded"_a, "threads"_a, "ranks"_a, "cells"_a, "signs"_a,
            "allowed"_a = nb::none(),
            "For each wanted row (negative: none) the rank of its cell and of its estimate; for "
            "each query the cell that ranks first, its distance and the query's tail.");
}

}  // namespace lookalike
