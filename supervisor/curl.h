// libcurl, behind this one header. Its resolver starts threads and its transfers block, so it runs
// only in children of the supervisor that live for one transfer, never in the daemon itself.
#pragma once

#include <curl/curl.h>
