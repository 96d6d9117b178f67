// SPDX-License-Identifier: GPL-2.0-or-later
#include "base/testing.h"
int main(void) { return 0; }
