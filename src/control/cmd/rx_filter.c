// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * query-rx-filter - which frames the guests of network cards want. A manager whose tap interface filters by itself
 * (macvtap) asks when NIC_RX_FILTER_CHANGED comes; that comes once until it has asked.
 */
#include <stdio.h>
#include <string.h>
#include "control/qmp.h"
#include "core/device.h"
#include "core/machine.h"
#include "hw/virtio/nic.h"

/* In the order of enum nic_wants. */
static const char *const wants_names[] = { "normal", "none", "all", NULL };

struct texts {
	char **items;
	size_t len;
};
struct numbers {
	int64_t *items;
	size_t len;
};

struct filter {
	char *name, *mac;
	bool promisc, broadcast, uni_overflow, multi_overflow;
	int unicast, multicast, vlan;
	struct texts uni, multi;
	struct numbers vlans;
};

#define F struct filter
static const struct field filter_fields[] = {
	FIELD_STR(F, name, "name", .flags = FF_GIVEN, .doc = "the card"),
	FIELD_BOOL(F, promisc, "promiscuous", .doc = "it wants all frames"),
	FIELD_ENUM(F, multicast, "multicast", wants_names, .doc = "frames to groups"),
	FIELD_ENUM(F, unicast, "unicast", wants_names, .doc = "frames to one address"),
	FIELD_ENUM(F, vlan, "vlan", wants_names, .doc = "frames with a VLAN's tag"),
	FIELD_BOOL(F, broadcast, "broadcast-allowed", .doc = "frames to all"),
	FIELD_BOOL(F, multi_overflow, "multicast-overflow",
		.doc = "more groups than the table has room for: all"),
	FIELD_BOOL(F, uni_overflow, "unicast-overflow",
		.doc = "more addresses than the table has room for: all"),
	FIELD_STR(F, mac, "main-mac", .flags = FF_GIVEN, .doc = "the card's own address"),
	FIELD_LIST(F, vlans, "vlan-table", FT_I64, NIC_VLANS_MAX, .doc = "VLANs"),
	FIELD_LIST(F, uni, "unicast-table", FT_STR, NIC_MACS_MAX, .doc = "addresses"),
	FIELD_LIST(F, multi, "multicast-table", FT_STR, NIC_MACS_MAX, .doc = "groups"),
};
#undef F
static const struct field_table filter = FIELD_TABLE("RxFilterInfo", struct filter, filter_fields);

struct ret {
	struct {
		struct filter *items;
		size_t len;
	} cards;
};
static const struct field ret_fields[] = {
	FIELD_LIST(struct ret, cards, "cards", FT_STRUCT, 4096, .sub = &filter),
};
static const struct field_table ret = FIELD_TABLE("query-rx-filter", struct ret, ret_fields);

static bool put_mac(char **member, const uint8_t *mac, struct error *err)
{
	char text[18];

	snprintf(text, sizeof(text), "%02x:%02x:%02x:%02x:%02x:%02x", mac[0], mac[1], mac[2],
		mac[3], mac[4], mac[5]);
	return qmp_set_text(member, text, err);
}

static bool put_macs(
	struct filter *r, const char *list, const uint8_t (*mac)[6], uint32_t n, struct error *err)
{
	for (uint32_t i = 0; i < n; i++) {
		char **text = fields_list_add(&filter, r, list, err);

		if (!text || !put_mac(text, mac[i], err))
			return false;
	}
	return true;
}

static bool put_vlans(struct filter *r, const uint8_t *vlans, struct error *err)
{
	for (uint32_t i = 0; i < NIC_VLANS_MAX; i++) {
		int64_t *id;

		if (!(vlans[i / 8] >> i % 8 & 1))
			continue;
		id = fields_list_add(&filter, r, "vlan-table", err);
		if (!id)
			return false;
		*id = i;
	}
	return true;
}

static bool put(struct qmp_call *c, struct device *d, struct error *err)
{
	struct filter *r = fields_list_add(&ret, c->ret, "cards", err);
	struct nic_rx_filter f;

	if (!r)
		return false;
	nic_get_rx_filter(d, &f);
	r->promisc = f.promisc;
	r->broadcast = f.broadcast;
	r->unicast = (int)f.unicast;
	r->multicast = (int)f.multicast;
	r->vlan = (int)f.vlan;
	r->uni_overflow = f.uni_overflow;
	r->multi_overflow = f.multi_overflow;
	return qmp_set_text(&r->name, device_name(d), err) && put_mac(&r->mac, f.mac, err) &&
	       put_macs(r, "unicast-table", f.uni, f.n_uni, err) &&
	       put_macs(r, "multicast-table", f.multi, f.n_multi, err) &&
	       (f.vlan != NIC_SOME || put_vlans(r, f.vlans, err));
}

struct args {
	char *name;
};
static const struct field arg_fields[] = {
	FIELD_STR(struct args, name, "name", .doc = "one card; without it all"),
};
static const struct field_table args = FIELD_TABLE("query-rx-filter", struct args, arg_fields);

static bool query(struct qmp_call *c, struct error *err)
{
	const struct args *a = c->args;
	bool one = qmp_given(c, "name"), any = false;
	struct device *d;

	list_for_each (d, &c->m->devices, node) {
		if (!nic_is(d) || (one && strcmp(device_name(d), a->name ?: "")))
			continue;
		any = true;
		if (!put(c, d, err))
			return false;
	}
	return any || !one || error_set(err, "invalid net client name: %s", a->name ?: "");
}

const struct qmp_command query_rx_filter_cmd = {
	.name = "query-rx-filter",
	.doc = "which frames the guest's network cards want; NIC_RX_FILTER_CHANGED may come again",
	.args = &args,
	.ret = &ret,
	.flags = QMP_VALUE,
	.run = query,
};
