// SPDX-License-Identifier: GPL-2.0-or-later
#ifndef CONTROL_QMP_MANUAL_H
#define CONTROL_QMP_MANUAL_H

#include "base/str.h"

/* Append the second part of docs/qmp.md: all commands and events, from their tables. */
void qmp_manual(struct str *out);

#endif
