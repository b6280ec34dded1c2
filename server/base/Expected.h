// A value or a typed error. The only error channel between modules; exceptions never cross a module.
#pragma once
#include <cassert>
#include <type_traits>
#include <utility>
#include <variant>

namespace power {

template <typename E>
struct Unexpected {
    E error;
};
template <typename E>
Unexpected(E) -> Unexpected<E>;

// Expected<T, E>: holds exactly one of both. value() and error() assert that the right one is there.
// Thread: a plain value. std::expected needs C++23, which gcc 12 offers only in part.
template <typename T, typename E>
class [[nodiscard]] Expected
{
public:
    Expected(T value) : m_state(std::in_place_index<0>, std::move(value)) {}
    template <typename F>
        requires std::is_constructible_v<E, F>
    Expected(Unexpected<F> failure) : m_state(std::in_place_index<1>, std::move(failure.error)) {}

    bool ok() const { return m_state.index() == 0; }
    explicit operator bool() const { return ok(); }

    T &value() & { assert(ok()); return *std::get_if<0>(&m_state); }
    const T &value() const & { assert(ok()); return *std::get_if<0>(&m_state); }
    T &&value() && { assert(ok()); return std::move(*std::get_if<0>(&m_state)); }
    T *operator->() { return &value(); }
    const T *operator->() const { return &value(); }
    T &operator*() & { return value(); }
    const T &operator*() const & { return value(); }

    E &error() & { assert(!ok()); return *std::get_if<1>(&m_state); }
    const E &error() const & { assert(!ok()); return *std::get_if<1>(&m_state); }
    E &&error() && { assert(!ok()); return std::move(*std::get_if<1>(&m_state)); }

    T valueOr(T fallback) const & { return ok() ? value() : std::move(fallback); }

private:
    std::variant<T, E> m_state;
};

struct Done {}; // the value of an operation that only succeeds

} // namespace power
