/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

#include "util/macro.h"

/* What a key's value may be. Each writes into the field on success; -EINVAL or -ERANGE otherwise, and the field stays. */
typedef int (*FieldParser)(const char *value, void *field);

/* -ERANGE unless it lies between least and most. */
int parse_between(const char *value, uint32_t least, uint32_t most, uint32_t *ret);

int parse_flag(const char *value, void *field);          /* bool */
int parse_count(const char *value, void *field);         /* uint32_t: 1…WORKER_SLOTS_MAX */
int parse_count_or_none(const char *value, void *field); /* uint32_t: 0…WORKER_SLOTS_MAX */
int parse_most(const char *value, void *field);          /* the same, or "infinity": UINT32_MAX */
int parse_batch_size(const char *value, void *field);    /* uint32_t: 0…10000 */
int parse_size(const char *value, void *field);          /* uint64_t */
int parse_memory(const char *value, void *field);        /* uint64_t: as much as anything needs to live */
int parse_span(const char *value, void *field);          /* uint64_t */
int parse_positive_span(const char *value, void *field); /* uint64_t: at least 100 ms */
int parse_timeout(const char *value, void *field);       /* uint64_t: at least 1 ms */
int parse_quota(const char *value, void *field);         /* uint64_t */
int parse_number(const char *value, void *field);        /* uint64_t, or "infinity" */
int parse_number_list(const char *value, void *field);   /* char *: "0-3,8"; empty: NULL */
int parse_engine(const char *value, void *field);        /* EngineKind */
int parse_retries(const char *value, void *field);       /* uint32_t */
int parse_factor(const char *value, void *field);        /* double: 1…BACKOFF_FACTOR_MAX */
int parse_fraction(const char *value, void *field);      /* double: more than 0, at most 1 */
int parse_percent(const char *value, void *field);       /* double: 0…100, with or without "%" */
int parse_line(const char *value, void *field);          /* the same, but not 0 */
int parse_signal(const char *value, void *field);        /* int */
int parse_rules(const char *value, void *field);         /* GArray * of RetryRule */
int parse_rungs(const char *value, void *field);         /* uint32_t: bits; RUNG_CLOSED is always there */
