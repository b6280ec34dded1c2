// The little JSON that C++ writes itself (it is read by sandbox/JsonReader.h, in kernels by Python's json).
#pragma once
#include <string>
#include <string_view>

namespace power::kernel
{

// `text` as a JSON string with its quotes (not `quoted`: std::quoted would be found for a std::string); control characters escaped, bytes above 0x7f unchanged (UTF-8).
std::string jsonText(std::string_view text);

} // namespace power::kernel
