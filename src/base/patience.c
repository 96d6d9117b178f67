// SPDX-License-Identifier: GPL-2.0-or-later
#include "base/patience.h"

unsigned int patience_ms = PATIENCE_MS;
