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
    // Rows that are no numbers, of a file of strangers, may leave none.
    while (!keys_.empty() && keys_.back() >= bound_) keys_.pop_back();
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
    // Every pass is one sweep of the vector unit. Guesses alternate between what a line through the
    // known counts says, which is close, and the middle, which is never far.
    const Kernels& kernel = kernels();
    auto [low, high] = kernel.range(values, count);
    double below_low = 0, up_to_high = double(count);
    const double wanted = double(k) + 0.5 * double(slack);
    for (bool by_line = true; low < high; by_line = !by_line) {
        const double share = by_line ? (wanted - below_low) / (up_to_high - below_low) : 0.5;
        const double step = std::clamp(share, 0.0, 1.0) * double(high - low);
        const std::uint32_t guess = std::min(low + std::uint32_t(step), high - 1);
        const std::size_t up_to_guess = kernel.count_at_most(values, count, guess);
        if (up_to_guess < k) {
            low = guess + 1;
            below_low = double(up_to_guess);
        } else {
            high = guess;
            up_to_high = double(up_to_guess);
            if (up_to_guess <= k + slack) break;
        }
    }
    return high;
}

}  // namespace lookalike
