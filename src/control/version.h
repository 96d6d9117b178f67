// SPDX-License-Identifier: GPL-2.0-or-later
/* version - what clients of the protocol are told: QEMU's version whose protocol this is, and who it is. */
#ifndef CONTROL_VERSION_H
#define CONTROL_VERSION_H

#include "config.h"

#define QMP_VERSION_MAJOR 7
#define QMP_VERSION_MINOR 2
#define QMP_VERSION_MICRO 0
#define QMP_PACKAGE	  "Lodge " LODGE_VERSION

#endif
