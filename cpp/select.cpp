#include "select.h"

#include <algorithm>
#include <cstring>

#include "dispatch.h"

namespace lookalike {

std::uint32_t Margin::beyond(std::uint32_t distance) const {
    float value;
    std::memcpy(&value, &distance, sizeof value);
    // Once for the row at the k-th place and once for the other row; a third for this sum.
    value += 3 * (value * relative + absolute) + std::numeric_limits<float>::min();
    std::memcpy(&distance, &value, sizeof distance);
    return distance;
}

Nearest::Nearest(std::size_t k, Margin margin) : k_(k), margin_(margin) {
    clear();
}

void Nearest::clear() {
    keys_.clear();
    next_cut_ = 2 * k_ + 64;
    inserting_ = k_ <= most_inserted;
    bound_ = std::numeric_limits<Key>::max();
}

void Nearest::take(Key key) {
    if (!inserting_) {
        keys_.push_back(key);
        if (keys_.size() >= next_cut_) keep_nearest();
        return;
    }
    std::size_t place = keys_.size();
    keys_.push_back(key);
    for (; place > 0 && keys_[place - 1] > key; --place) keys_[place] = keys_[place - 1];
    keys_[place] = key;
    if (keys_.size() < k_) return;
    if (margin_.none()) {
        keys_.resize(k_);
        lower_bound(keys_.back());
        return;
    }
    lower_limit(margin_.beyond(key_distance(keys_[k_ - 1])));
    while (keys_.back() >= bound_) keys_.pop_back();
    inserting_ = keys_.size() <= 4 * most_inserted;
}

void Nearest::keep_nearest() {
    if (inserting_ || keys_.size() < k_) return;
    const auto kth = keys_.begin() + std::ptrdiff_t(k_ - 1);
    std::nth_element(keys_.begin(), kth, keys_.end());
    if (margin_.none()) {
        lower_bound(*kth);
        keys_.resize(k_);
    } else {
        lower_limit(margin_.beyond(key_distance(*kth)));
        std::erase_if(keys_, [this](Key key) { return key >= bound_; });
    }
    next_cut_ = 2 * keys_.size() + 64;
}

const std::vector<Key>& Nearest::sorted() {
    inserting_ = false;
    if (k_ > 0) keep_nearest();
    std::sort(keys_.begin(), keys_.end());
    return keys_;
}

void Nearest::merge(const Nearest& other) {
    inserting_ = false;
    keys_.insert(keys_.end(), other.keys_.begin(), other.keys_.end());
}

std::uint32_t about_kth_smallest(const std::uint32_t* values, std::size_t count, std::size_t k,
                                 std::size_t slack) {
    // Bisection on the value: every pass is one sweep of the vector unit.
    const Kernels& kernel = kernels();
    std::uint32_t low = values[kernel.least(values, count)];
    std::uint32_t high = values[kernel.greatest(values, count)];
    while (low < high) {
        const std::uint32_t middle = low + (high - low) / 2;
        const std::size_t below = kernel.count_at_most(values, count, middle);
        if (below < k) {
            low = middle + 1;
        } else {
            high = middle;
            if (below <= k + slack) break;
        }
    }
    return high;
}

}  // namespace lookalike
