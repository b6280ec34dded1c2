// What the API description says of resumable uploads.
#pragma once
#include "http/RouteAbout.h"

namespace power::uploads {

http::RouteAbout aboutCreating();
http::RouteAbout aboutAppending();
http::RouteAbout aboutOverriding();
http::RouteAbout aboutHead();
http::RouteAbout aboutLooking();
http::RouteAbout aboutTerminating();

} // namespace power::uploads
