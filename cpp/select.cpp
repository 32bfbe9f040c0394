#include "select.h"

#include <algorithm>

namespace lookalike {

void Nearest::take(Key key) {
    if (k_ > most_inserted) {
        keys_.push_back(key);
        if (keys_.size() >= 2 * k_ + 64) keep_nearest();
        return;
    }
    if (keys_.size() == k_) keys_.pop_back();
    std::size_t place = keys_.size();
    keys_.push_back(key);
    for (; place > 0 && keys_[place - 1] > key; --place) keys_[place] = keys_[place - 1];
    keys_[place] = key;
    if (keys_.size() == k_) lower_limit(key_distance(keys_.back()));
}

void Nearest::keep_nearest() {
    if (k_ <= most_inserted || keys_.size() < k_) return;
    const auto kth = keys_.begin() + std::ptrdiff_t(k_ - 1);
    std::nth_element(keys_.begin(), kth, keys_.end());
    lower_limit(key_distance(*kth));
    keys_.resize(k_);
}

const std::vector<Key>& Nearest::sorted() {
    std::sort(keys_.begin(), keys_.end());
    if (keys_.size() > k_) keys_.resize(k_);
    return keys_;
}

void Nearest::merge(const Nearest& other) {
    keys_.insert(keys_.end(), other.keys_.begin(), other.keys_.end());
}

}  // namespace lookalike
