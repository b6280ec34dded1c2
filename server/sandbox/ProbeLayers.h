// Single layers tried in forked children, for the report; the tiers themselves are tried whole (Probe.cpp).
#pragma once
#include "sandbox/Probe.h"
#include <functional>

namespace power::sandbox {

// Runs `body` in a forked child; its text is the answer, empty = fine. A child that dies or takes longer than 3 s
// gives a sentence as well. Every process of its group is gone afterwards.
std::string inChild(const std::function<std::string()> &body);

// Fills the layer fields of the result. Those of which `best` is made are not tried again.
void probeLayers(ProbeResult &result);

} // namespace power::sandbox
