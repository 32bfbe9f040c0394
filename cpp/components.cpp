#include "components.h"

#include <numeric>
#include <stdexcept>

namespace lookalike {

Components::Components(std::size_t count) {
    if (count > 0xFFFFFFFFu) throw std::invalid_argument("there are at most 2^32 - 1 items");
    parents_.resize(count);
    std::iota(parents_.begin(), parents_.end(), 0u);
}

std::uint32_t Components::root(std::uint32_t item) {
    while (parents_[item] != item) {
        parents_[item] = parents_[parents_[item]];
        item = parents_[item];
    }
    return item;
}

void Components::join(std::uint32_t a, std::uint32_t b) {
    a = root(a);
    b = root(b);
    if (a < b) parents_[b] = a;
    if (b < a) parents_[a] = b;
}

std::vector<std::uint32_t> Components::roots() {
    std::vector<std::uint32_t> roots(parents_.size());
    for (std::size_t i = 0; i < roots.size(); ++i) roots[i] = root(std::uint32_t(i));
    return roots;
}

}  // namespace lookalike
