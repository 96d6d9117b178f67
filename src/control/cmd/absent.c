// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * What clients ask of every machine and this one has none of: jobs on disks, memory that was plugged in, TPMs, encrypted
 * memory, enclaves, a count of pages written. Each answers as QEMU does where the feature is not in use.
 */
#include "control/qmp.h"

/* -------- lists with nothing in them -------- */

struct entry {
	char *name;
};
static const struct field entry_fields[] = {
	FIELD_STR(struct entry, name, "id", .flags = FF_GIVEN),
};
static const struct field_table entry = FIELD_TABLE("Absent", struct entry, entry_fields);

struct entries {
	struct {
		struct entry *items;
		size_t len;
	} list;
};
static const struct field entries_fields[] = {
	FIELD_LIST(struct entries, list, "list", FT_STRUCT, 16, .sub = &entry),
};
static const struct field_table entries = FIELD_TABLE("absent", struct entries, entries_fields);

struct texts {
	struct {
		char **items;
		size_t len;
	} list;
};
static const struct field texts_fields[] = {
	FIELD_LIST(struct texts, list, "list", FT_STR, 16),
};
static const struct field_table texts = FIELD_TABLE("absent-names", struct texts, texts_fields);

static bool nothing(struct qmp_call *c, struct error *err)
{
	return true;
}

#define EMPTY(id, command, text, table)         \
	const struct qmp_command id##_cmd = {   \
		.name = command,                \
		.doc = text,                    \
		.ret = &(table),                \
		.flags = QMP_QUERY | QMP_VALUE, \
		.run = nothing,                 \
	}

EMPTY(query_jobs, "query-jobs", "jobs; there never are any", entries);
EMPTY(query_block_jobs, "query-block-jobs", "jobs on disks; there never are any", entries);
EMPTY(query_memory_devices, "query-memory-devices", "memory that was plugged in; none can be",
	entries);
EMPTY(query_acpi_ospm_status, "query-acpi-ospm-status",
	"how the guest took CPUs and memory that were plugged in; none can be", entries);
EMPTY(query_tpm, "query-tpm", "TPMs; there is none", entries);
EMPTY(query_tpm_models, "query-tpm-models", "models of TPMs; there is none", texts);
EMPTY(query_tpm_types, "query-tpm-types", "what a TPM can be backed by; there is none", texts);

/* -------- AMD SEV, Intel SGX -------- */

static const char *const sev_states[] = { "uninit", "launch-update", "launch-secret", "running",
	"send-update", "receive-update", NULL };

struct sev {
	bool enabled;
	uint8_t major, minor, build;
	uint32_t policy, handle;
	int state;
};
static const struct field sev_fields[] = {
	FIELD_BOOL(struct sev, enabled, "enabled", .doc = "the guest's memory is encrypted"),
	FIELD_U8(struct sev, major, "api-major"),
	FIELD_U8(struct sev, minor, "api-minor"),
	FIELD_U8(struct sev, build, "build-id"),
	FIELD_U32(struct sev, policy, "policy"),
	FIELD_ENUM(struct sev, state, "state", sev_states),
	FIELD_U32(struct sev, handle, "handle"),
};
static const struct field_table sev = FIELD_TABLE("SevInfo", struct sev, sev_fields);

const struct qmp_command query_sev_cmd = {
	.name = "query-sev",
	.doc = "is the guest's memory encrypted (AMD SEV)? It is not",
	.ret = &sev,
	.flags = QMP_QUERY,
	.run = nothing,
};

static bool no_sev(struct qmp_call *c, struct error *err)
{
	return error_set(err, "SEV is not enabled: guests with encrypted memory are not possible");
}

const struct qmp_command query_sev_capabilities_cmd = {
	.name = "query-sev-capabilities",
	.doc = "what AMD SEV offers here: an error, for it is not used",
	.flags = QMP_QUERY,
	.run = no_sev,
};

static bool no_sgx(struct qmp_call *c, struct error *err)
{
	return error_set(err, "SGX is not enabled: guests with enclaves are not possible");
}

const struct qmp_command query_sgx_cmd = {
	.name = "query-sgx",
	.doc = "the guest's enclaves (Intel SGX): an error, for there are none",
	.flags = QMP_QUERY,
	.run = no_sgx,
};

const struct qmp_command query_sgx_capabilities_cmd = {
	.name = "query-sgx-capabilities",
	.doc = "what Intel SGX offers here: an error, for it is not used",
	.flags = QMP_QUERY,
	.run = no_sgx,
};

/* -------- pages written -------- */

static const char *const rate_states[] = { "unstarted", "measuring", "measured", NULL };
static const char *const rate_modes[] = { "page-sampling", "dirty-ring", "dirty-bitmap", NULL };

struct rate {
	int status, mode;
	int64_t start, calc;
	uint64_t pages;
};
static const struct field rate_fields[] = {
	FIELD_ENUM(struct rate, status, "status", rate_states, .doc = "always unstarted"),
	FIELD_I64(struct rate, start, "start-time"),
	FIELD_I64(struct rate, calc, "calc-time"),
	FIELD_U64(struct rate, pages, "sample-pages"),
	FIELD_ENUM(struct rate, mode, "mode", rate_modes),
};
static const struct field_table rate = FIELD_TABLE("DirtyRateInfo", struct rate, rate_fields);

const struct qmp_command query_dirty_rate_cmd = {
	.name = "query-dirty-rate",
	.doc = "how fast the guest writes memory; nothing measures it",
	.ret = &rate,
	.flags = QMP_QUERY,
	.run = nothing,
};
