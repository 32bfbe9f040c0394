// Connected components: which items hang together by pairs.
#pragma once

#include <cstddef>
#include <cstdint>
#include <vector>

namespace lookalike {

// Union-find in one array: a parent for each item, the smallest of a component being its root.
// Pairs may come in any order and any number; only the array is kept. (Galler and Fischer, "An
// improved equivalence algorithm", 1964; halving paths: Tarjan and van Leeuwen, 1984.)
class Components {
public:
    explicit Components(std::size_t count);

    std::size_t count() const { return parents_.size(); }
    void join(std::uint32_t a, std::uint32_t b);
    // The smallest item of each one's component.
    std::vector<std::uint32_t> roots();

private:
    std::uint32_t root(std::uint32_t item);

    std::vector<std::uint32_t> parents_;
};

}  // namespace lookalike
