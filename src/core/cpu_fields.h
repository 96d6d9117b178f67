// SPDX-License-Identifier: GPL-2.0-or-later
/* cpu_fields - the field tables of x86/cpu_state.h, for saved state. */
#ifndef CORE_CPU_FIELDS_H
#define CORE_CPU_FIELDS_H

#include "base/field.h"

extern const struct field_table cpu_state_fields;   /* struct x86_cpu_state */
extern const struct field_table chips_state_fields; /* struct x86_chips_state */
extern const struct field_table pit_state_fields;   /* struct x86_pit_state */

#endif
