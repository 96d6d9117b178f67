// SPDX-License-Identifier: GPL-2.0-or-later
#include "testing/machine.h"

#include <string.h>

static bool make(struct test_machine *t, const struct test_machine_config *c, struct error *err)
{
	struct ram_config rc = { .name = "ram", .size = c->ram, .host_node = -1 };
	struct accel_vm_config vc = { .max_vcpus = c->max_vcpus ?: 1 };
	int rc2;

	t->own_loop = !c->loop;
	t->loop = c->loop ?: loop_new("main", 0, err);
	t->ram = t->loop ? ram_block_new(&rc, err) : NULL;
	t->m = t->ram ? machine_new("test", t->loop, err) : NULL;
	if (!t->m || !machine_set_accel(t->m, c->accel, &vc, err))
		return false;
	t->region =
		(struct as_region){ .name = "ram", .kind = AS_RAM, .priority = -10, .ram = t->ram };
	rc2 = as_add(&t->m->mem, &t->region, 0, c->ram);
	if (rc2)
		return error_set_errno(err, rc2, "RAM");
	if (c->pci)
		t->host = pci_host_new(t->m, c->pci, err);
	return t->host || !c->pci;
}

bool test_machine_init(
	struct test_machine *t, const struct test_machine_config *c, struct error *err)
{
	memset(t, 0, sizeof(*t));
	if (make(t, c, err))
		return true;
	test_machine_fini(t);
	return false;
}

void test_machine_fini(struct test_machine *t)
{
	machine_free(t->m);
	ram_block_unref(t->ram);
	if (t->own_loop)
		loop_free(t->loop);
	memset(t, 0, sizeof(*t));
}
