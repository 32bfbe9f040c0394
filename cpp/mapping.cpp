#include "mapping.h"

#include <sys/mman.h>
#include <unistd.h>

#include <cerrno>
#include <system_error>

namespace lookalike {

namespace {

std::size_t whole_pages(std::size_t bytes) {
    const auto page = std::size_t(sysconf(_SC_PAGESIZE));
    return (bytes + page - 1) / page * page;
}

[[noreturn]] void refuse() {
    throw std::system_error(errno, std::generic_category(), "a file cannot be mapped");
}

}  // namespace

Mapping::Mapping(int file, std::size_t length, std::size_t capacity)
    : bytes_(whole_pages(capacity)) {
    constexpr int both = PROT_READ | PROT_WRITE;
    // First all the room, in which nothing else can then be, and the file over its beginning.
    void* room = mmap(nullptr, bytes_, both, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
    if (room == MAP_FAILED) refuse();
    data_ = static_cast<std::uint8_t*>(room);
    if (length == 0) return;
    if (mmap(room, length, both, MAP_PRIVATE | MAP_FIXED | MAP_NORESERVE, file, 0) == MAP_FAILED) {
        const int why = errno;
        munmap(room, bytes_);
        errno = why;
        refuse();
    }
}

Mapping::~Mapping() {
    munmap(data_, bytes_);
}

}  // namespace lookalike
