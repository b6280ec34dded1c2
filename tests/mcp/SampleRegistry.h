// Operations that behave in the ways the doors must handle.
#pragma once
#include "base/OneShot.h"
#include "operations/Operation.h"

namespace power::test {

// What the sample operations saw, and the handle that ends the slow one.
struct Seen {
    int calls = 0;
    QJsonObject arguments;
    operations::Caller caller;
    OneShot<int> slow;
};

// empty (no work), echo (all arguments back as data), fails (an Error), raises (user code failed), text (blocks with an
// image), slow (waits for Seen::slow or cancellation), hidden_rest (REST only).
void addSampleOperations(operations::Registry &registry, const std::shared_ptr<Seen> &seen);

} // namespace power::test
