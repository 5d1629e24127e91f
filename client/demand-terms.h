/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

#include "client/task-terms.h"

/* The terms that say what a task takes of its worker, each of its word. -EINVAL: it is of another form. */
int demand_terms_set_cpus(TaskTerms *terms, const char *word);
int demand_terms_set_tasks_max(TaskTerms *terms, const char *word);
int demand_terms_set_io_weight(TaskTerms *terms, const char *word);
int demand_terms_set_retry_memory(TaskTerms *terms, const char *word);
int demand_terms_set_gpus(TaskTerms *terms, const char *word);
int demand_terms_add_resource(TaskTerms *terms, const char *word);

/* "2", "2?": so many GPUs, and whether fewer will do. */
int demand_gpus_parse(const char *word, uint32_t *ret_gpus, bool *ret_optional) _warn_unused_;

/* -EINVAL with a sentence: as much as they say of memory, trying again with more of it would do nothing. */
int demand_terms_check_growth(const TaskTerms *terms, char **ret_why) _warn_unused_;

/* Takes over those of the wanted bits. */
void demand_terms_merge(TaskDemand *to, const TaskDemand *from, uint32_t wanted);
/* Appends what is given as entries of an open a{sv}. */
int demand_terms_append(const TaskTerms *terms, sd_bus_message *m);
