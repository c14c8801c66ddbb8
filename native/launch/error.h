// The calling thread's last failure.
#pragma once

#include "modelserve.h"

namespace ms {

/// Stores the formatted text and returns status.
__attribute__((format(printf, 2, 3))) ms_status fail(ms_status status, const char* format, ...);

}  // namespace ms
