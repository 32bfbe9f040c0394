#include "verify.h"

#include <algorithm>
#include <cmath>
#include <cstring>
#include <limits>
#include <stdexcept>

namespace lookalike {
namespace {

constexpr std::uint32_t no_limit = std::numeric_limits<std::uint32_t>::max();
constexpr double infinity = std::numeric_limits<double>::infinity();

std::size_t row_alignment(Measure measure) {
    return is_float(measure) ? 64 : measure == Measure::differing_bits ? 8 : 16;
}

Kernels::Distances Kernels::* all_rows(Measure measure) {
    switch (measure) {
        case Measure::absolute_differences: return &Kernels::absolute_differences;
        case Measure::squared_differences: return &Kernels::squared_differences;
        case Measure::differing_bits: return &Kernels::differing_bits;
        case Measure::float_absolutes: return &Kernels::float_absolutes;
        case Measure::float_squares: return &Kernels::float_squares;
        case Measure::float_angles: return &Kernels::float_angles;
    }
    throw std::invalid_argument("unknown measure");
}

Kernels::Distances Kernels::* of_several(Measure measure) {
    if (measure == Measure::squared_differences) return &Kernels::squared_differences_of_several;
    if (measure == Measure::differing_bits) return &Kernels::differing_bits_of_several;
    return nullptr;
}

Kernels::DistancesAt Kernels::* rows_at(Measure measure) {
    switch (measure) {
        case Measure::absolute_differences: return &Kernels::absolute_differences_at;
        case Measure::squared_differences: return &Kernels::squared_differences_at;
        case Measure::differing_bits: return &Kernels::differing_bits_at;
        case Measure::float_absolutes: return &Kernels::float_absolutes_at;
        case Measure::float_squares: return &Kernels::float_squares_at;
        case Measure::float_angles: return &Kernels::float_angles_at;
    }
    throw std::invalid_argument("unknown measure");
}

// Bounds the rounding of a sum in 16 lanes: each lane adds width / 16 terms, the tree four more,
// and the terms, the query's length and the factor of a row are rounded themselves.
Margin margin_of(Measure measure, std::size_t stride) {
    if (!is_float(measure)) return {};
    const float error = (float(stride / 64) + 12.0f) * std::numeric_limits<float>::epsilon() / 2;
    if (measure == Measure::float_angles) return {0.0f, error};
    return {error, 0.0f};
}

const float* floats_at(const std::uint8_t* bytes) {
    return reinterpret_cast<const float*>(bytes);
}

void make_length_one(const std::uint8_t* row, std::size_t stride, std::uint8_t* query) {
    const float* from = floats_at(row);
    float* to = reinterpret_cast<float*>(query);
    const std::size_t last = stride / sizeof(float) - 1;
    for (std::size_t j = 0; j < last; ++j) to[j] = from[j] * from[last];
    to[last] = 0.0f;
}

// The last float is no value of the vector: its terms are left out.
Products products_of(const float* x, const float* y, std::size_t last) {
    const Products products = kernels().sums_of_products(x, y, last + 1);
    return {products.mutual - double(x[last]) * double(y[last]),
            products.own - double(x[last]) * double(x[last])};
}

double cosine_distance(const float* x, const float* y, double square_of_y, std::size_t last) {
    if (std::memcmp(x, y, last * sizeof(float)) == 0) return 0.0;
    const Products products = products_of(x, y, last);
    const double cosine = products.mutual / std::sqrt(products.own * square_of_y);
    return std::clamp(1.0 - cosine, 0.0, 2.0);
}

}  // namespace

bool is_float(Measure measure) {
    return measure == Measure::float_absolutes || measure == Measure::float_squares ||
           measure == Measure::float_angles;
}

Verifier::Verifier(Rows rows, Measure measure, Values values)
    : rows_(rows),
      measure_(measure),
      values_(values),
      margin_(margin_of(measure, rows.stride)),
      all_(all_rows(measure)),
      several_(of_several(measure)),
      at_(rows_at(measure)) {
    const std::size_t used = measure == Measure::float_angles ? rows.width + 1 : rows.width;
    const std::size_t bytes = is_float(measure) ? used * sizeof(float) : used;
    if (rows.width == 0 || bytes > rows.stride || rows.stride % row_alignment(measure) != 0)
        throw std::invalid_argument("rows are not padded");
    if (rows.count >= no_limit) throw std::invalid_argument("there are at most 2^32 - 2 rows");
    const std::size_t longest = measure == Measure::squared_differences ? 1u << 16 : 1u << 24;
    if (rows.width > longest) throw std::invalid_argument("rows are too long for this measure");
}

void pack_items(const Items& items, Measure measure, const Values& values, std::size_t stride,
                std::uint8_t* rows) {
    if (!is_float(measure)) return pack_rows(items, values.limit, stride, rows);
    pack_floats(items, values.scale, measure == Measure::float_angles, stride / sizeof(float),
                reinterpret_cast<float*>(rows));
}

void Verifier::prepare(const Items& items, Queries& queries) const {
    queries.count = items.count;
    const bool angles = measure_ == Measure::float_angles;
    queries.exact_at = angles ? rows_.stride : 0;
    queries.bytes_each = angles ? 2 * rows_.stride : rows_.stride;
    queries.bytes.resize(items.count * queries.bytes_each);
    if (!angles) return pack_items(items, measure_, values_, rows_.stride, queries.bytes.data());
    for (std::size_t i = 0; i < items.count; ++i) {
        std::uint8_t* query = queries.bytes.data() + i * queries.bytes_each;
        pack_items(items.at(i), measure_, values_, rows_.stride, query + rows_.stride);
        make_length_one(query + rows_.stride, rows_.stride, query);
    }
}

std::uint32_t Verifier::limit_within(double radius) const {
    double most = radius;
    if (measure_ == Measure::squared_differences) {
        if (radius > 65536.0) return no_limit;
        most = std::floor(radius * radius);  // the last whole square within, rounding allowed for
        while (std::sqrt(most + 1.0) <= radius) most += 1.0;
        while (most > 0.0 && std::sqrt(most) > radius) most -= 1.0;
    }
    if (!is_float(measure_)) {
        const double above = std::floor(most) + 1.0;
        return above >= double(no_limit) ? no_limit : std::uint32_t(above);
    }
    most *= double(measure_ == Measure::float_angles ? 1.0f : values_.scale);
    if (measure_ == Measure::float_squares) most *= most;
    if (!(most < 1e38)) return no_limit;
    const float rounded = std::nextafter(float(most), std::numeric_limits<float>::max());
    std::uint32_t bits;
    std::memcpy(&bits, &rounded, sizeof bits);
    return margin_.beyond(bits) + 1;
}

double Verifier::distance_at(std::uint32_t limit) const {
    if (limit >= no_limit) return infinity;
    if (measure_ == Measure::squared_differences) return std::sqrt(double(limit));
    if (!is_float(measure_)) return double(limit);
    float value;
    std::memcpy(&value, &limit, sizeof value);
    if (measure_ == Measure::float_angles) return double(value);
    const double most = measure_ == Measure::float_squares ? std::sqrt(double(value)) : value;
    return most / double(values_.scale);
}

double Verifier::distance_between(const std::uint8_t* row, const std::uint8_t* other) const {
    std::uint32_t distance;
    (kernels().*all_)(row, rows_.stride, 1, other, &distance);
    return distance_at(distance);
}

double Verifier::exact_square(const Query& query) const {
    if (measure_ != Measure::float_angles) return 0.0;
    const float* exact = floats_at(query.exact);
    return products_of(exact, exact, rows_.stride / sizeof(float) - 1).own;
}

double Verifier::exact_distance(Key key, const Query& query, double square) const {
    if (measure_ == Measure::squared_differences) return std::sqrt(double(key_distance(key)));
    if (!is_float(measure_)) return double(key_distance(key));
    const float* row = floats_at(rows_.data + key_slot(key) * rows_.stride);
    const float* exact = floats_at(query.exact);
    const std::size_t floats = rows_.stride / sizeof(float);
    if (measure_ == Measure::float_angles) return cosine_distance(row, exact, square, floats - 1);
    if (measure_ == Measure::float_absolutes)
        return kernels().sum_of_absolutes(row, exact, floats) / double(values_.scale);
    return std::sqrt(kernels().sum_of_squares(row, exact, floats)) / double(values_.scale);
}

std::vector<Hit> Verifier::hits(const std::vector<Key>& keys, const Query& query,
                                double radius) const {
    std::vector<Hit> hits;
    hits.reserve(keys.size());
    const double square = exact_square(query);
    for (const Key key : keys) {
        const double distance = exact_distance(key, query, square);
        if (distance <= radius) hits.push_back({distance, key_slot(key)});
    }
    std::sort(hits.begin(), hits.end());
    return hits;
}

void Verifier::write(Nearest& nearest, const Query& query, std::size_t k, std::int64_t* slots,
                     double* distances) const {
    const std::vector<Key>& keys = nearest.sorted();
    std::size_t found = std::min(keys.size(), k);
    const double square = exact_square(query);
    if (is_float(measure_)) {
        thread_local std::vector<Hit> hits;
        hits.clear();
        for (const Key key : keys) {
            const double distance = exact_distance(key, query, square);
            // What is no number has no order; rows of a file of strangers may be anything.
            hits.push_back({std::isnan(distance) ? infinity : distance, key_slot(key)});
        }
        std::sort(hits.begin(), hits.end());
        for (std::size_t i = 0; i < found; ++i) {
            slots[i] = std::int64_t(hits[i].slot);
            distances[i] = hits[i].distance;
        }
    } else {
        for (std::size_t i = 0; i < found; ++i) {
            slots[i] = std::int64_t(key_slot(keys[i]));
            distances[i] = exact_distance(keys[i], query, square);
        }
    }
    std::fill(slots + found, slots + k, -1);
    std::fill(distances + found, distances + k, infinity);
}

}  // namespace lookalike
