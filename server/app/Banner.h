// What a person sees when the server is up: where it is and how to connect.
#pragma once
#include "app/Application.h"
#include "app/FirstCell.h"

namespace power::app {

// Plain text, at most 80 columns where paths allow; no secrets. `cell` may hold an error: it is then said.
QString bannerText(const Application &application, const Result<FirstCell> &cell);

} // namespace power::app
