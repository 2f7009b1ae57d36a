// What the files of the catalog share behind catalog.h.
#pragma once

#include "lib/media/catalog_db.h"
#include "lib/media/frames.h"

struct catalog {
    struct catalog_db db;
    struct frames frames;
};
