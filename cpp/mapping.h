// A file's bytes in memory, with room behind them: rows on a disk, to which others can be added.
#pragma once

#include <cstddef>
#include <cstdint>

namespace lookalike {

class Mapping {
public:
    // The first `length` bytes are those of the file, read from it when they are used; up to
    // `capacity` follow that take no memory before they are written to. What is written stays in
    // this process, and is never in the file.
    Mapping(int file, std::size_t length, std::size_t capacity);
    ~Mapping();
    Mapping(const Mapping&) = delete;
    Mapping& operator=(const Mapping&) = delete;

    std::uint8_t* data() const { return data_; }

private:
    std::uint8_t* data_;
    std::size_t bytes_;
};

}  // namespace lookalike
