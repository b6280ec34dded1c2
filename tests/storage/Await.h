// Waits for a coroutine in a nested event loop; tests only. (QCoro::waitFor wants a default-constructible value.)
#pragma once
#include <QCoroTask>
#include <QEventLoop>
#include <optional>

namespace power::storage::test {

template <typename T>
T await(QCoro::Task<T> task)
{
    std::optional<T> value;
    QEventLoop loop;
    const auto watch = [](QCoro::Task<T> watched, std::optional<T> &out, QEventLoop &inner) -> QCoro::Task<> {
        T got = co_await watched;
        out.emplace(std::move(got));
        inner.quit();
    };
    auto watching = watch(std::move(task), value, loop);
    if (!value)
        loop.exec();
    return std::move(*value);
}

} // namespace power::storage::test
